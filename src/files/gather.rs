//! Which files go into an archive, and how they are called there.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::service::text;
use super::{FILES, Files, Library, Opened, names, server_of};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::query::Selection;

/// Most files and folders of an archive.
const MOST_ENTRIES: usize = 10_000;
/// Keys that are asked for at a time.
const AT_ONCE: usize = 200;

const FOLDERS: &str = "directus_folders";
const COLUMNS: &str = "id,storage,filename_disk,filename_download,filesize,type,modified_on,uploaded_on";

/// Something that goes into an archive.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its name there, with those of its folders and without what leads out of them.
    pub path: String,
    /// Its content; folders have none.
    pub content: Option<PackedContent>,
}

/// Content on its way into an archive.
#[derive(Debug, Clone)]
pub struct PackedContent {
    /// Its media type.
    pub media_type: String,
    /// Its size, as far as that is known.
    pub size_bytes: Option<u64>,
    /// When it changed.
    pub modified_at: Option<Timestamp>,
    storage: String,
    name: String,
}

impl Files {
    /// The bytes of content; `None` when it is gone.
    pub async fn open(&self, content: &PackedContent) -> Result<Option<Opened>> {
        let Some(location) = self.storage.find(&content.storage) else { return Ok(None) };
        Ok(location.read(&content.name, None).await?.map(|reading| reading.stream))
    }
}

impl Library<'_> {
    /// These files, as far as the caller may read them.
    ///
    /// Fails with `InvalidPayload` for what is no key, and where no file is left; with `LimitExceeded` for too many.
    pub async fn gather_files(&self, ctx: &Context, ids: &[String]) -> Result<Vec<Packed>> {
        if ids.len() > MOST_ENTRIES {
            return Err(too_many());
        }
        if ids.iter().any(|id| Uuid::try_parse(id).is_err()) {
            return Err(Error::payload("\"ids\" must be keys of files."));
        }
        let mut packing = Packing::default();
        for keys in ids.chunks(AT_ONCE) {
            let readable = self.all(ctx, FILES, "id", json!({ "id": { "_in": keys } })).await?;
            self.pack(ctx, &mut packing, &readable, &|_| Some("")).await?;
        }
        packing.finish()
    }

    /// A folder with all that is in it, as far as the caller may read that. The name of the folder comes with it.
    ///
    /// Fails with `Forbidden` where there is no such folder for the caller, with `InvalidPayload` where no file is in it, with
    /// `LimitExceeded` for too many.
    pub async fn gather_folder(&self, ctx: &Context, id: &str) -> Result<(String, Vec<Packed>)> {
        let selection = Selection::Key(id.to_owned());
        let root = match self.read(ctx, FOLDERS, selection, json!({ "fields": "id,name" })).await? {
            Value::Object(root) => root,
            _ => return Err(Error::Forbidden),
        };
        let mut packing = Packing::default();
        let name = folder_name(&root);
        let mut level = vec![(key(&root), packing.folder(&name)?)];
        // Folders that are in one another would never end.
        let mut seen: HashSet<String> = level.iter().map(|(id, _)| id.clone()).collect();
        while !level.is_empty() {
            let mut below = Vec::new();
            for some in level.chunks(AT_ONCE) {
                let ids: Vec<&str> = some.iter().map(|(id, _)| id.as_str()).collect();
                let path_of = |row: &Map<String, Value>, field: &str| {
                    let parent = row.get(field).and_then(Value::as_str);
                    some.iter().find(|(id, _)| Some(id.as_str()) == parent).map(|(_, path)| path.as_str())
                };
                let folders =
                    self.all(ctx, FOLDERS, "id,name,parent", json!({ "parent": { "_in": ids } })).await?;
                for folder in folders {
                    let Some(parent) = path_of(&folder, "parent") else { continue };
                    if seen.insert(key(&folder)) {
                        let path = packing.folder(&format!("{parent}{}", folder_name(&folder)))?;
                        below.push((key(&folder), path));
                    }
                }
                let files = self.all(ctx, FILES, "id,folder", json!({ "folder": { "_in": ids } })).await?;
                for files in files.chunks(AT_ONCE) {
                    self.pack(ctx, &mut packing, files, &|row| path_of(row, "folder")).await?;
                }
            }
            level = below;
        }
        Ok((name, packing.finish()?))
    }

    /// Puts files that the caller may read into the folders that `folder_of` names. Where content is kept is nothing that the
    /// caller has to be allowed to see.
    async fn pack<'p>(
        &self,
        ctx: &Context,
        packing: &mut Packing,
        readable: &[Map<String, Value>],
        folder_of: &dyn Fn(&Map<String, Value>) -> Option<&'p str>,
    ) -> Result<()> {
        if readable.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = readable.iter().map(key).collect();
        let files = self.all(&server_of(ctx), FILES, COLUMNS, json!({ "id": { "_in": ids } })).await?;
        for file in files {
            let row = readable.iter().find(|row| row.get("id") == file.get("id"));
            if let Some(folder) = row.and_then(folder_of) {
                packing.file(folder, &file)?;
            }
        }
        Ok(())
    }

    /// All items that a filter finds, however many may be asked for at a time.
    async fn all(
        &self,
        ctx: &Context,
        collection: &str,
        fields: &str,
        filter: Value,
    ) -> Result<Vec<Map<String, Value>>> {
        let mut all = Vec::new();
        loop {
            let query = json!({
                "fields": fields, "filter": filter, "sort": "id", "limit": -1, "offset": all.len(),
            });
            let Value::Array(rows) = self.read(ctx, collection, Selection::Query, query).await? else {
                return Err(Error::Forbidden);
            };
            let before = all.len();
            all.extend(rows.into_iter().filter_map(|row| match row {
                Value::Object(row) => Some(row),
                _ => None,
            }));
            if all.len() == before {
                return Ok(all);
            }
            if all.len() > MOST_ENTRIES {
                return Err(too_many());
            }
        }
    }
}

/// What is in an archive so far.
#[derive(Default)]
struct Packing {
    entries: Vec<Packed>,
    /// In small letters, as some disks do not tell them from capitals.
    taken: HashSet<String>,
    has_files: bool,
}

impl Packing {
    /// Gives the path that a folder gets, with its `/`.
    fn folder(&mut self, path: &str) -> Result<String> {
        let path = format!("{}/", self.free(path, ""));
        self.push(Packed { path: path.clone(), content: None })?;
        Ok(path)
    }

    fn file(&mut self, folder: &str, file: &Map<String, Value>) -> Result<()> {
        let (Some(storage), Some(name)) = (text(file, "storage"), text(file, "filename_disk")) else {
            return Ok(());
        };
        let said = text(file, "filename_download").and_then(|name| plain(&name)).unwrap_or_else(|| key(file));
        let (stem, extension) = match names::extension(&said) {
            Some(extension) => (&said[..said.len() - extension.len() - 1], format!(".{extension}")),
            None => (said.as_str(), String::new()),
        };
        let path = self.free(&format!("{folder}{stem}"), &extension);
        let modified_at = text(file, "modified_on").or_else(|| text(file, "uploaded_on"));
        let content = PackedContent {
            media_type: text(file, "type").unwrap_or_default(),
            size_bytes: file.get("filesize").and_then(|size| size.as_u64().or(size.as_str()?.parse().ok())),
            modified_at: modified_at.and_then(|at| at.parse().ok()),
            storage,
            name,
        };
        self.has_files = true;
        self.push(Packed { path, content: Some(content) })
    }

    /// This path, or the first after it that nothing has: `a.txt`, `a (1).txt`.
    fn free(&mut self, stem: &str, extension: &str) -> String {
        let mut path = format!("{stem}{extension}");
        let mut number = 0;
        while !self.taken.insert(path.to_lowercase()) {
            number += 1;
            path = format!("{stem} ({number}){extension}");
        }
        path
    }

    fn push(&mut self, entry: Packed) -> Result<()> {
        if self.entries.len() == MOST_ENTRIES {
            return Err(too_many());
        }
        self.entries.push(entry);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Packed>> {
        if self.has_files { Ok(self.entries) } else { Err(Error::payload("There is no file among them.")) }
    }
}

fn too_many() -> Error {
    Error::LimitExceeded { limit: "files of an archive", most: MOST_ENTRIES as u64 }
}

fn key(row: &Map<String, Value>) -> String {
    text(row, "id").unwrap_or_default()
}

fn folder_name(folder: &Map<String, Value>) -> String {
    text(folder, "name").and_then(|name| plain(&name)).unwrap_or_else(|| key(folder))
}

/// A name that is one: nothing in it leads anywhere.
fn plain(name: &str) -> Option<String> {
    names::for_download(&name.replace(['/', '\\'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Map<String, Value> {
        let file = json!({
            "id": "00000000-0000-4000-8000-000000000001", "storage": "local", "filename_disk": "x",
            "filename_download": name,
        });
        file.as_object().cloned().expect("an object")
    }

    #[test]
    fn names_in_archives() {
        let mut packing = Packing::default();
        let folder = packing.folder("top").expect("room");
        for name in ["a.txt", "A.TXT", "a.txt", "../../etc/passwd", "..", ".env", "b"] {
            packing.file(&folder, &file(name)).expect("room");
        }
        let paths: Vec<String> =
            packing.finish().expect("files").into_iter().map(|entry| entry.path).collect();
        assert_eq!(
            paths,
            [
                "top/",
                "top/a.txt",
                "top/A (1).TXT",
                "top/a (2).txt",
                "top/._.._etc_passwd",
                "top/00000000-0000-4000-8000-000000000001",
                "top/.env",
                "top/b",
            ]
        );
    }

    #[test]
    fn archives_without_files() {
        let mut packing = Packing::default();
        packing.folder("top").expect("room");
        assert!(matches!(packing.finish(), Err(Error::InvalidPayload { .. })));
    }
}

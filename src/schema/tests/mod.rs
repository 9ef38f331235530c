//! Reading whole projects.

use std::path::Path;

use super::*;
use crate::yaml::Diagnostic;

mod model;
mod refused;

/// What stands beside the file under test.
const OTHERS: &[(&str, &str)] = &[
    ("companies.yaml", "collection: companies\nfields: { name: string }\n"),
    (
        "contacts.yaml",
        "collection: contacts\nfields: { name: string, company: m2o(companies), note: m2o(notes) }\n",
    ),
    ("tags.yaml", "collection: tags\nfields: { id: integer_pk, name: string }\n"),
];

/// A project of `notes.yaml`, the files above, and further ones behind lines like `=== links.yaml`.
fn project(yaml: &str) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = OTHERS
        .iter()
        .map(|(path, text)| SourceFile { path: (*path).to_owned(), text: text.as_bytes().to_vec() })
        .collect();
    let mut pieces = yaml.split("=== ");
    let first = pieces.next().unwrap_or_default();
    files.push(SourceFile { path: "notes.yaml".to_owned(), text: first.as_bytes().to_vec() });
    for (path, text) in pieces.filter_map(|piece| piece.split_once('\n')) {
        files.push(SourceFile { path: path.to_owned(), text: text.as_bytes().to_vec() });
    }
    files
}

/// Findings of a project.
fn shown(yaml: &str) -> Vec<String> {
    let (loaded, findings) = load(&project(yaml), 1);
    assert_eq!(loaded.is_none(), findings.iter().any(Diagnostic::is_error), "{yaml}");
    findings.iter().map(Diagnostic::to_string).collect()
}

/// Every folder of collections in the repository.
fn sample_folders() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("collections")];
    let templates = std::fs::read_dir(root.join("templates")).into_iter().flatten().flatten();
    folders.extend(templates.map(|entry| entry.path().join("collections")).filter(|path| path.is_dir()));
    folders.sort();
    folders
}

fn read_folder(folder: &Path, files: &mut Vec<SourceFile>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('_') {
            continue;
        }
        if path.is_dir() {
            read_folder(&path, files);
        } else if name.ends_with(".yaml") {
            let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(SourceFile { path: shown, text: std::fs::read(&path).unwrap_or_default() });
        }
    }
}

fn samples() -> Vec<(String, Vec<SourceFile>)> {
    let read = |folder: std::path::PathBuf| {
        let mut files = Vec::new();
        read_folder(&folder, &mut files);
        (folder.to_string_lossy().into_owned(), files)
    };
    sample_folders().into_iter().map(read).collect()
}

#[test]
fn samples_load_without_findings() {
    for (folder, files) in samples() {
        let (loaded, findings) = load(&files, 1);
        let shown: Vec<String> = findings.iter().map(Diagnostic::to_string).collect();
        assert!(shown.is_empty(), "{folder}:\n{}", shown.join("\n"));
        assert!(loaded.is_some(), "{folder}");
    }
}

#[test]
fn editors_know_the_format() {
    let schemas = [("collection", json_schema()), ("access", access_json_schema())];
    for (name, schema) in schemas {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.schema.json"));
        let fresh = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &fresh).expect("docs/ can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == fresh, "{} is not what the reader goes by; run with UPDATE_DOCS=1", path.display());
    }
}

#[test]
fn samples_are_valid_for_editors() {
    let validator = jsonschema::draft202012::new(&json_schema()).expect("a schema");
    for file in samples().into_iter().flat_map(|(_, files)| files) {
        let (root, _) = crate::yaml::parse(&file.path, &file.text);
        let value = root.map(|root| root.to_json()).unwrap_or_default();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.path);
    }
}

#[test]
fn editors_refuse_what_the_reader_refuses() {
    let validator = jsonschema::draft202012::new(&json_schema()).expect("a schema");
    for (yaml, is_valid) in [
        (
            "collection: notes\nfields: { a: text, b: decimal(12,2)!, c: { type: decimal(12,2), min: 0 } }\n",
            true,
        ),
        (
            "collection: notes\nfields: { a: { m2m: tags, sort: true }, b: { type: m2m(tags), sort: position } }\n",
            true,
        ),
        ("collection: notes\nfields: { a: txt }\n", false),
        ("collection: notes\nfields: { a: text(3) }\n", false),
        ("collection: notes\nfields: { a: { type: text! } }\n", false),
        ("collection: notes\nfields: { a: { type: text, requird: true } }\n", false),
        ("collection: notes\nfields: { a: { m2o: tags, sort: x } }\n", false),
        ("collection: notes\nfields: { a: { a2o: [tags] } }\n", false),
        ("collection: notes\nfields: { a-b: text }\n", false),
        ("collection: notes\nfields: {}\nhiden: true\n", false),
        ("collection: notes\nfields: {}\npermissions: { public: { raed: true } }\n", false),
        ("collection: notes\nfields: {}\npermissions: { public: [read, create], staff: all }\n", true),
        ("collection: notes\nfields: {}\npermissions: { public: [raed] }\n", false),
        ("collection: directus_users\nfields: {}\n", true),
        ("collection: directus_users\nfields: {}\nnote: mine\n", false),
    ] {
        let (root, _) = crate::yaml::parse("notes.yaml", yaml.as_bytes());
        assert_eq!(
            validator.is_valid(&root.map(|root| root.to_json()).unwrap_or_default()),
            is_valid,
            "{yaml}"
        );
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// Cuts, doubles or replaces some bytes.
fn mutate(text: &mut Vec<u8>, dice: &mut Dice) {
    const PIECES: &[&[u8]] = &[
        b"\t", b"\0", b"&a ", b"*a", b"[", b"{", b"}", b": ", b"- ", b"\n", b"\"", b"#", b"|", b"!", b"\xFF",
        b"-1", b"()", b"~",
    ];
    for _ in 0..=dice.roll(3) {
        let start = dice.roll(text.len());
        let end = (start + dice.roll(40)).min(text.len());
        match dice.roll(4) {
            0 => {
                text.drain(start..end);
            }
            1 => {
                let doubled = text[start..end].to_vec();
                text.splice(end..end, doubled);
            }
            2 => text[start..end].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
            _ => {
                let piece = PIECES[dice.roll(PIECES.len())];
                text.splice(start..start, piece.iter().copied());
            }
        }
    }
}

#[test]
fn broken_samples_are_survived() {
    let (_, files) = samples().into_iter().next().expect("the platform");
    let mut dice = Dice(0x5EED);
    for round in 0..2000 {
        let changed = dice.roll(files.len());
        let mut file = files[changed].clone();
        mutate(&mut file.text, &mut dice);
        // One other beside it, because reading all of them two thousand times takes long and finds nothing more.
        let beside = files[(changed + 1) % files.len()].clone();
        let (loaded, findings) = load(&[beside, file], round);
        assert_eq!(loaded.is_none(), findings.iter().any(Diagnostic::is_error));
        assert!(findings.iter().all(|finding| finding.line > 0 && !finding.message.is_empty()));
    }
}

//! Reads the settings of files; names of those of a location depend on `STORAGE_LOCATIONS`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Finding, Reader};
use crate::config::settings;
use crate::config::source::Place;
use crate::config::value::{self, Parsed};
use crate::config::{AssetsConfig, FilesConfig, LocationConfig, LocationDriver, S3Config, Secret, TusConfig};

/// What cameras write that is worth keeping; where a picture was taken is not among it.
const KEPT_METADATA: &str =
    "ifd0.Make,ifd0.Model,exif.FNumber,exif.ExposureTime,exif.FocalLength,exif.ISOSpeedRatings";

pub(super) fn files(reader: &mut Reader<'_>) -> FilesConfig {
    let names = reader.or("STORAGE_LOCATIONS", vec!["local".to_owned()], names);
    let place = reader.sources.get("STORAGE_LOCATIONS").map(|(_, place)| place);
    let bytes = |size: usize| size as u64;
    FilesConfig {
        locations: names.iter().filter_map(|name| location(reader, name, place)).collect(),
        most_upload_bytes: bytes(reader.or("FILES_MAX_UPLOAD_SIZE", 100 << 20, value::size)),
        allowed_types: reader.or("FILES_MIME_TYPE_ALLOW_LIST", vec!["*/*".to_owned()], media_types),
        kept_metadata: reader.or("FILE_METADATA_ALLOW_LIST", Some(list(KEPT_METADATA)), |text| {
            Ok((text.trim() != "*").then(|| list(text)))
        }),
        most_import_bytes: bytes(reader.or("FILES_MAX_IMPORT_SIZE", 50 << 20, value::size)),
        import_timeout: reader.or("FILES_IMPORT_TIMEOUT", Duration::from_secs(60), value::duration),
        tus: TusConfig {
            enabled: reader.or("TUS_ENABLED", false, value::boolean),
            chunk_bytes: bytes(reader.or("TUS_CHUNK_SIZE", 8 << 20, value::size)),
            expires_after: reader.or("TUS_UPLOAD_EXPIRATION", Duration::from_secs(600), value::duration),
        },
        assets: AssetsConfig {
            cache_ttl: reader.or("ASSETS_CACHE_TTL", Duration::from_secs(30 * 86_400), value::duration),
            most_cache_bytes: bytes(reader.or("ASSETS_CACHE_MAX_SIZE", 5 << 30, value::size)),
            most_concurrent: reader.or("ASSETS_TRANSFORM_MAX_CONCURRENT", cores(), value::whole(1, 256)),
            timeout: reader.or("ASSETS_TRANSFORM_TIMEOUT", Duration::from_secs(15), value::duration),
            most_dimension: reader.or("ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION", 6000, value::whole(1, 30_000)),
            most_operations: reader.or("ASSETS_TRANSFORM_MAX_OPERATIONS", 5, value::whole(1, 100)),
        },
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

fn names(text: &str) -> Parsed<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) || name == "locations" {
            return Err("must be names of letters, digits and `_`, with commas between them".to_owned());
        }
        if names.contains(&name) {
            return Err(format!("must not name `{name}` twice"));
        }
        names.push(name);
    }
    Ok(names)
}

fn media_types(text: &str) -> Parsed<Vec<String>> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"*+-._".contains(&c))
    };
    let types: Vec<String> = list(&text.to_ascii_lowercase());
    let is_type =
        |entry: &String| entry.split_once('/').is_some_and(|(left, right)| is_name(left) && is_name(right));
    if !types.is_empty() && types.iter().all(is_type) {
        Ok(types)
    } else {
        Err("must be media types such as `image/*,application/pdf`".to_owned())
    }
}

/// Reads the settings of one location.
struct Of<'r, 's> {
    reader: &'r mut Reader<'s>,
    prefix: String,
}

impl Of<'_, '_> {
    fn optional<T>(&mut self, suffix: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        let name = format!("{}{suffix}", self.prefix);
        debug_assert!(settings::is_of_location(&name));
        let (text, place) = self.reader.sources.get(&name)?;
        parse(text).map_err(|problem| self.reader.findings.push(Finding::new(&name, place, &problem))).ok()
    }

    fn needs(&mut self, suffix: &str, place: Option<Place>) {
        let Some(place) = place else { return };
        let problem = format!("needs {}{suffix}", self.prefix);
        self.reader.findings.push(Finding::new("STORAGE_LOCATIONS", place, &problem));
    }
}

fn location(reader: &mut Reader<'_>, name: &str, place: Option<Place>) -> Option<LocationConfig> {
    let mut of = Of { reader, prefix: format!("STORAGE_{}_", name.to_ascii_uppercase()) };
    let is_s3 = of.optional("DRIVER", |text| match text {
        "local" => Ok(false),
        "s3" => Ok(true),
        _ => Err("must be `local` or `s3`".to_owned()),
    });
    let root = of.optional("ROOT", value::text);
    let bucket = of.optional("BUCKET", bucket);
    let region = of.optional("REGION", value::text).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = of.optional("ENDPOINT", endpoint);
    let key = of.optional("KEY", value::text);
    let secret = of.optional("SECRET", |text| Ok(Secret::new(text.to_owned())));
    let force_path_style = of.optional("FORCE_PATH_STYLE", value::boolean).unwrap_or(false);
    let driver = if is_s3.unwrap_or(false) {
        if bucket.is_none() {
            of.needs("BUCKET", place);
        }
        if key.is_some() != secret.is_some() {
            of.needs(if key.is_some() { "SECRET" } else { "KEY" }, place);
        }
        let root = root.unwrap_or_default().trim_matches('/').to_owned();
        LocationDriver::S3(S3Config {
            bucket: bucket?,
            region,
            endpoint,
            key,
            secret,
            root,
            force_path_style,
        })
    } else {
        LocationDriver::Local { root: PathBuf::from(root.unwrap_or_else(|| "uploads".to_owned())) }
    };
    Some(LocationConfig { name: name.to_owned(), driver })
}

fn bucket(text: &str) -> Parsed<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.chars().all(is_plain) && text.len() <= 255 {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a bucket".to_owned())
    }
}

/// A host alone means https, as the public API has it.
fn endpoint(text: &str) -> Parsed<String> {
    if text.contains("://") { value::public_url(text) } else { value::public_url(&format!("https://{text}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn load(settings: &[(&str, &str)]) -> Result<FilesConfig, String> {
        Sources::from_texts(settings, "", "")
            .and_then(|sources| Config::from_sources(&sources))
            .map(|config| config.files)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn locations() {
        let files = load(&[]).expect("valid");
        let [local] = files.locations.as_slice() else { panic!("one location") };
        assert!(matches!(&local.driver, LocationDriver::Local { root } if root.as_os_str() == "uploads"));
        let files = load(&[
            ("STORAGE_LOCATIONS", "disk, CLOUD"),
            ("STORAGE_DISK_ROOT", "/srv/files"),
            ("STORAGE_CLOUD_DRIVER", "s3"),
            ("STORAGE_CLOUD_BUCKET", "b"),
            ("STORAGE_CLOUD_KEY", "k"),
            ("STORAGE_CLOUD_SECRET", "hunter2"),
            ("STORAGE_CLOUD_ENDPOINT", "s3.example.com"),
            ("STORAGE_CLOUD_ROOT", "/a/b/"),
        ]);
        let files = files.expect("valid");
        assert_eq!(files.locations[1].name, "cloud");
        let LocationDriver::S3(cloud) = &files.locations[1].driver else { panic!("a bucket") };
        assert_eq!((cloud.endpoint.as_deref(), cloud.root.as_str()), (Some("https://s3.example.com"), "a/b"));
        assert!(!format!("{files:?}").contains("hunter2"));
    }

    #[test]
    fn mistakes() {
        let check = |settings: &[(&str, &str)], expected: &str| {
            let message = load(settings).map(drop).expect_err("refused");
            assert!(message.contains(expected), "{message} lacks {expected}");
        };
        check(&[("STORAGE_LOCATIONS", "a,a")], "twice");
        check(&[("STORAGE_LOCATIONS", "../a")], "STORAGE_LOCATIONS");
        check(&[("STORAGE_LOCAL_ROOTS", "x")], "STORAGE_LOCAL_ROOTS (environment) is no setting");
        check(&[("STORAGE_LOCAL_DRIVER", "ftp")], "must be `local` or `s3`");
        let cloud = [("STORAGE_LOCATIONS", "c"), ("STORAGE_C_DRIVER", "s3"), ("STORAGE_C_KEY", "k")];
        check(&cloud, "needs STORAGE_C_BUCKET");
        check(&cloud, "needs STORAGE_C_SECRET");
        check(&[("FILES_MIME_TYPE_ALLOW_LIST", "images")], "FILES_MIME_TYPE_ALLOW_LIST");
        check(&[("ASSETS_TRANSFORM_MAX_CONCURRENT", "0")], "ASSETS_TRANSFORM_MAX_CONCURRENT");
    }
}

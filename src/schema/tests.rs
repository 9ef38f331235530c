//! Reading whole projects.

use std::path::Path;

use super::*;
use crate::yaml::Diagnostic;

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

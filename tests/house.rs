//! Checks of the house itself: no room uses one above it, and every dependency may be given on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Every room with its floor and the neighbours on that floor that it may use. `ARCHITECTURE.md` draws this table.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("error", 0, &[]),
    ("config", 0, &["error"]),
    ("telemetry", 0, &["config"]),
    ("yaml", 0, &["error"]),
    ("schema", 1, &[]),
    ("filter", 1, &["schema"]),
    ("access", 2, &[]),
    ("query", 2, &["access"]),
    ("sql", 2, &["access", "query"]),
    ("db", 3, &[]),
    ("cache", 3, &[]),
    ("storage", 3, &["outbound"]),
    ("outbound", 3, &[]),
    ("mail", 3, &[]),
    ("jobs", 4, &[]),
    ("events", 4, &["jobs"]),
    ("items", 5, &[]),
    ("auth", 5, &["items"]),
    ("files", 5, &["items", "auth"]),
    ("system", 5, &["items", "auth", "files"]),
    ("flows", 6, &[]),
    ("extensions", 6, &["flows"]),
    ("project", 6, &[]),
    ("transfer", 6, &[]),
    ("server", 7, &[]),
    ("rest", 7, &["server", "specs", "realtime", "graphql"]),
    ("graphql", 7, &["server"]),
    ("realtime", 7, &["server", "graphql"]),
    ("specs", 7, &["server"]),
    ("admin", 7, &["server"]),
    ("app", 8, &[]),
    ("cli", 8, &["app"]),
    ("lib", 8, &["app", "cli"]),
    ("main", 8, &["app", "cli"]),
];

/// Licences under which a dependency may be part of what we give on.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

#[test]
fn no_room_uses_one_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = BTreeSet::new();
    for file in rust_files(&source) {
        let room = room_of(file.strip_prefix(&source).expect("lies below src"));
        let text = fs::read_to_string(&file).expect("readable source");
        let known = ROOMS.iter().find(|(name, ..)| *name == room);
        let Some((_, floor, neighbours)) = known else {
            wrong.insert(format!("{room}: has no place in the table of this test"));
            continue;
        };
        for used in rooms_used(&text) {
            let below = ROOMS.iter().any(|(name, other, _)| *name == used && other < floor);
            if used != room && !below && !neighbours.contains(&used.as_str()) {
                wrong.insert(format!("{room} uses {used}, in {}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", Vec::from_iter(wrong).join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable folder");
    entries
        .flat_map(|entry| {
            let path = entry.expect("readable entry").path();
            match path.extension() {
                _ if path.is_dir() => rust_files(&path),
                Some(extension) if extension == "rs" => vec![path],
                _ => Vec::new(),
            }
        })
        .collect()
}

fn room_of(path: &Path) -> String {
    let first = path.iter().next().expect("a file has a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms named in `crate::room` and in `use crate::{room, ...}`. Tests may use what they like.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut at_start = true;
                for (position, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        _ if at_start && is_name(c) => {
                            used.insert(
                                group[position..].split(|c| !is_name(c)).next().unwrap_or("").to_owned(),
                            );
                            at_start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => {
                used.insert(rest.split(|c| !is_name(c)).next().unwrap_or("").to_owned());
            }
        }
    }
    // What is not a room is a macro or an item of `lib.rs`.
    used.retain(|name| ROOMS.iter().any(|(room, ..)| room == name));
    used
}

#[test]
fn rooms_are_found_in_any_form_of_use() {
    let text = "use crate::{schema::{Field, Schema}, sql};\nlet x = crate::db::Row;\n// crate::rest\n";
    assert_eq!(Vec::from_iter(rooms_used(text)), ["db", "schema", "sql"]);
}

#[test]
fn every_dependency_may_be_given_on() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs");
    let resolve = metadata.resolve.as_ref().expect("resolved dependencies");
    let own = &resolve.root.as_ref().expect("one package").repr;

    // What only tests and builds use is not given on, but a build script's crate may leave its text in what it makes.
    let mut reached = BTreeSet::new();
    let mut waiting = vec![own.clone()];
    while let Some(id) = waiting.pop() {
        let node = resolve.nodes.iter().find(|node| node.id.repr == id).expect("a node per package");
        for dependency in &node.deps {
            let given_on = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if given_on && reached.insert(dependency.pkg.repr.clone()) {
                waiting.push(dependency.pkg.repr.clone());
            }
        }
    }
    let refused: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| reached.contains(&package.id.repr))
        .filter_map(|package| licence_problem(package).map(|problem| format!("{}: {problem}", package.name)))
        .collect();
    assert!(reached.len() > 50, "the walk over the dependencies found only {}", reached.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn licence_problem(package: &Package) -> Option<String> {
    let Some(licence) = &package.license else {
        return Some("names no licence".to_owned());
    };
    is_allowed(licence).err()
}

fn is_allowed(licence: &str) -> Result<(), String> {
    // Old manifests separate alternatives by a slash.
    let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
        .map_err(|error| format!("`{licence}` cannot be read: {}", error.reason))?;
    let allowed = expression
        .evaluate(|requirement| requirement.license.id().is_some_and(|id| LICENCES.contains(&id.name)));
    if allowed { Ok(()) } else { Err(format!("`{licence}` is not among the licences we take")) }
}

#[test]
fn licences_are_judged_by_their_expression() {
    for taken in
        ["MIT", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception", "GPL-3.0 OR MIT", "(MIT OR ISC) AND Zlib"]
    {
        assert_eq!(is_allowed(taken), Ok(()), "{taken}");
    }
    for refused in ["GPL-3.0", "AGPL-3.0-only", "MIT AND GPL-2.0", "LGPL-2.1-or-later", "nonsense", ""] {
        assert!(is_allowed(refused).is_err(), "{refused}");
    }
}

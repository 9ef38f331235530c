//! Reads a project: all files at once, the system's collections with them.

use std::collections::HashMap;

use super::declare::{self, CollectionDecl};
use super::findings::Findings;
use super::generate::{self, Known};
use super::model::{Collection, Origin, Schema};
use super::resolve::{self, Resolver};
use super::{SourceMap, check, keys, system};
use crate::yaml::{self, Diagnostic, Node, quoted};

/// One file of the project, as read from disk.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path as people know it, with `/`; the name of its folder is the default group.
    pub path: String,
    /// What is in it.
    pub text: Vec<u8>,
}

/// A model with the places of its parts.
#[derive(Debug)]
pub struct Loaded {
    /// The model.
    pub schema: Schema,
    /// What the files say about access, in the order of collections.
    pub access: Vec<AccessPart>,
    /// Where collections and fields are declared.
    pub sources: SourceMap,
}

/// What the file of a collection says about access. Its shape is checked, what it means is not: that is read by whoever
/// keeps access in step.
#[derive(Debug, Clone)]
pub struct AccessPart {
    /// The collection.
    pub collection: String,
    /// `permissions:`, policy to rights.
    pub permissions: Option<Node>,
    /// `tests:`.
    pub tests: Option<Node>,
}

/// Reads all files of a project. Findings of all files come together, in the order of files and lines; with an error among them
/// there is no model.
pub fn load(files: &[SourceFile], version: u64) -> (Option<Loaded>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let mut unread = Vec::new();
    let mut system = system::collections();
    let mut decls: Vec<CollectionDecl> = Vec::new();
    let mut sources = SourceMap::default();
    for file in files {
        let (root, diagnostics) = yaml::parse(&file.path, &file.text);
        findings.extend(diagnostics);
        let decl = root.and_then(|root| read(&file.path, &root, &mut system, &mut findings));
        match decl {
            Some(Read::Own(decl)) => decls.push(*decl),
            Some(Read::Addition) => {}
            // Others that refer to it should not be told that it does not exist.
            None => unread.extend(stem(&file.path).map(str::to_owned)),
        }
    }
    let mut decls = without_twins(decls, &mut findings);
    decls.sort_by(|left, right| left.name.text.cmp(&right.name.text));
    for decl in &mut decls {
        declare::ensure_key(decl, &mut findings);
    }
    check_former_names(&decls, &mut findings);
    system.append(&mut decls);
    let mut decls = system;

    let declared = resolve::index(&decls);
    let made = generate::run(&mut decls, &Known { declared: &declared, unread: &unread }, &mut findings);
    let first_own = decls.iter().take_while(|decl| decl.origin == Origin::System).count();
    decls.extend(made);
    decls[first_own..].sort_by(|left, right| left.name.text.cmp(&right.name.text));

    for decl in &decls {
        note_places(decl, &mut sources);
    }
    let declared = resolve::index(&decls);
    let resolver = Resolver { decls: &decls, known: Known { declared: &declared, unread: &unread } };
    let mut collections: Vec<Collection> = Vec::with_capacity(decls.len());
    for id in 0..decls.len() {
        let mut collection = resolver.collection(id, &mut findings);
        check::complete(&resolver, id, &mut collection, &mut findings);
        collections.push(collection);
    }
    if findings.errors() == 0 {
        check::required_cycles(&collections, &sources, &mut findings);
    }
    let is_good = findings.errors() == 0;
    let loaded = is_good.then(|| {
        let access = decls.into_iter().filter_map(access_part).collect();
        Loaded { schema: Schema::new(version, collections), access, sources }
    });
    (loaded, findings.into_sorted())
}

fn access_part(decl: CollectionDecl) -> Option<AccessPart> {
    let CollectionDecl { name, permissions, tests, .. } = decl;
    if permissions.is_none() && tests.is_none() {
        return None;
    }
    Some(AccessPart { collection: name.text, permissions, tests })
}

/// What a file turned out to be.
enum Read {
    Own(Box<CollectionDecl>),
    /// Fields for a collection of the system, added to it.
    Addition,
}

fn read(path: &str, root: &Node, system: &mut [CollectionDecl], findings: &mut Findings) -> Option<Read> {
    let name = root.get("collection").and_then(Node::as_text);
    if let Some(own) = name.filter(|name| name.to_ascii_lowercase().starts_with("tablature_")) {
        let at = root.get("collection").map_or(&root.at, |node| &node.at);
        let message =
            format!("{} cannot be declared: \"tablature_\" is kept for tables of the server", quoted(own));
        findings.push(Diagnostic::error(at, message));
        return None;
    }
    let Some(name) = name.filter(|name| name.starts_with("directus_")) else {
        let decl = declare::collection(root, folder(path, name), Origin::Yaml, findings)?;
        return Some(Read::Own(Box::new(decl)));
    };
    let entries = root.as_map().unwrap_or_default();
    let Some(target) = system.iter_mut().find(|decl| decl.name.text == name) else {
        let at = root.get("collection").map_or(&root.at, |node| &node.at);
        let message =
            format!("there is no system collection {}, and \"directus_\" is kept for those", quoted(name));
        let names: Vec<&str> = system.iter().map(|decl| decl.name.text.as_str()).collect();
        findings.push_nearest(Diagnostic::error(at, message), name, names.into_iter());
        return None;
    };
    let has_tenant = keys::OF_TENANTS.contains(&name);
    let is_known = |key: &str| keys::SYSTEM_ADDITION.contains(&key) || (has_tenant && key == "tenant");
    for entry in entries.iter().filter(|entry| !is_known(entry.name.as_str())) {
        let message = format!("{} cannot be changed: it belongs to the system", quoted(&entry.name));
        let expected = "\"fields\", \"permissions\" or \"tests\"";
        findings.push(Diagnostic::error(&entry.key.at, message).expected(expected));
    }
    if let Some(node) = root.get("tenant").filter(|_| has_tenant)
        && keys::COLLECTION
            .iter()
            .any(|key| key.name == "tenant" && keys::check("tenant", node, &key.takes, findings))
    {
        target.tenant = Some(declare::name_of(node));
    }
    let takes = keys::COLLECTION.iter().filter(|key| ["permissions", "tests"].contains(&key.name));
    for key in takes {
        let Some(node) = root.get(key.name) else { continue };
        if keys::check(key.name, node, &key.takes, findings) {
            let place = if key.name == "tests" { &mut target.tests } else { &mut target.permissions };
            if let Some(first) = place {
                let message = format!(
                    "{} of {} stand in {}:{} already",
                    quoted(key.name),
                    target.name.text,
                    first.at.file,
                    first.at.line
                );
                findings.push(Diagnostic::error(&node.at, message));
            } else {
                *place = Some(node.clone());
            }
        }
    }
    if root.get("fields").is_none() && (root.get("permissions").is_some() || root.get("tests").is_some()) {
        return Some(Read::Addition);
    }
    let Some(node) = root.get("fields").filter(|node| node.as_map().is_some()) else {
        let at = root.get("fields").map_or(&root.at, |node| &node.at);
        findings.push(
            Diagnostic::error(at, "a file for a system collection adds fields to it")
                .expected("\"fields\" with a map"),
        );
        return Some(Read::Addition);
    };
    for field in declare::fields(node, findings) {
        let taken = target.fields.iter().find(|own| own.name.text.eq_ignore_ascii_case(&field.name.text));
        if taken.is_some() {
            let message = format!("{} has a field {} already", target.name.text, quoted(&field.name.text));
            findings.push(Diagnostic::error(&field.name.at, message));
        } else if matches!(field.kind, declare::KindDecl::Column { is_key: true, .. }) {
            findings.push(Diagnostic::error(
                &field.name.at,
                format!("{} has a primary key already", target.name.text),
            ));
        } else {
            target.fields.push(field);
        }
    }
    Some(Read::Addition)
}

/// Name of the folder that holds the file, unless that is the one that holds everything.
///
/// The collection that gives its folder the name stands above the others in it, so it belongs to the folder further up.
fn folder<'a>(path: &'a str, collection: Option<&str>) -> Option<&'a str> {
    let (folders, _) = path.rsplit_once('/')?;
    folders.split('/').skip(1).filter(|folder| Some(*folder) != collection).last()
}

/// What the collection of an unreadable file is probably called.
fn stem(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    Some(name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(name))
}

/// Drops what declares a collection a second time. Names that differ only in case are one table to some databases.
fn without_twins(decls: Vec<CollectionDecl>, findings: &mut Findings) -> Vec<CollectionDecl> {
    let mut kept: Vec<CollectionDecl> = Vec::with_capacity(decls.len());
    let mut taken: HashMap<String, usize> = HashMap::new();
    for decl in decls {
        match taken.get(&decl.name.text.to_lowercase()) {
            Some(first) => {
                let first = &kept[*first].name;
                let place = format!("{}:{}", first.at.file, first.at.line);
                let message =
                    format!("the collection {} is declared in {place} already", quoted(&first.text));
                findings.push(Diagnostic::error(&decl.name.at, message));
            }
            None => {
                taken.insert(decl.name.text.to_lowercase(), kept.len());
                kept.push(decl);
            }
        }
    }
    kept
}

/// A former name that is still in use would rename one table over another.
fn check_former_names(decls: &[CollectionDecl], findings: &mut Findings) {
    let declared = resolve::index(decls);
    let mut claimed: HashMap<&str, &str> = HashMap::new();
    for decl in decls {
        for former in &decl.was {
            if declared.contains_key(&former.text) {
                let message = format!(
                    "{} is declared, so it cannot be the former name of another",
                    quoted(&former.text)
                );
                findings.push(Diagnostic::error(&former.at, message));
            } else if let Some(other) = claimed.insert(&former.text, &decl.name.text) {
                let message =
                    format!("{} is already the former name of {}", quoted(&former.text), quoted(other));
                findings.push(Diagnostic::error(&former.at, message));
            }
        }
        for field in &decl.fields {
            for former in field.column.was.iter().filter(|former| decl.field(former).is_some()) {
                let message =
                    format!("{} is declared, so it cannot be the former name of another", quoted(former));
                findings.push(Diagnostic::error(&field.name.at, message));
            }
        }
    }
}

/// Fields that a file adds to a system collection have places, those of the system itself have none that people could open.
fn note_places(decl: &CollectionDecl, sources: &mut SourceMap) {
    if decl.origin != Origin::System {
        sources.add_collection(&decl.name.text, &decl.name.at);
    }
    for field in decl.fields.iter().filter(|field| !system::is_own_file(&field.name.at.file)) {
        sources.add_field(&decl.name.text, &field.name.text, &field.name.at);
    }
}

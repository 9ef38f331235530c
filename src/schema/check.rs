//! What a collection says about its own fields, and cycles that no first row could enter.

use std::collections::HashSet;

use serde_json::Value;

use super::SourceMap;
use super::declare::{CollectionDecl, KindDecl, Name};
use super::findings::Findings;
use super::keys;
use super::model::{Archive, Collection, CollectionId, FieldId, FieldKind, Index};
use super::number;
use super::resolve::Resolver;
use super::values::fit;
use crate::yaml::{Diagnostic, Node, quoted};

/// Fills in sort, archive, tenant and indexes, and checks the fields that permissions and the template name.
pub fn complete(resolver: &Resolver<'_>, id: usize, collection: &mut Collection, findings: &mut Findings) {
    let decl = &resolver.decls[id];
    collection.sort = decl.sort.as_ref().and_then(|name| resolver.column_of(decl, name, findings));
    collection.tenant = decl.tenant.as_ref().and_then(|name| tenant(resolver, decl, name, findings));
    collection.archive = decl.archive.as_ref().and_then(|archive| {
        let field = resolver.column_of(decl, &archive.field, findings)?;
        let archived = archive_value(collection, field, &archive.archived, findings);
        let restored = archive_value(collection, field, &archive.restored, findings);
        Some(Archive { field, archived: archived?, restored: restored? })
    });
    for index in &decl.indexes {
        let mut seen = HashSet::new();
        for name in index.fields.iter().filter(|name| !seen.insert(&name.text)) {
            findings.push(Diagnostic::error(
                &name.at,
                format!("{} stands twice in this index", quoted(&name.text)),
            ));
        }
        let fields: Vec<FieldId> =
            index.fields.iter().filter_map(|name| resolver.column_of(decl, name, findings)).collect();
        collection.indexes.push(Index { fields, unique: index.unique });
    }
    collection.members = decl.members.clone();
    number::complete(resolver, id, collection, findings);
    unique_per_tenant(collection);
    permissions(decl, findings);
    template(decl, findings);
}

/// What must be unique must be so among the rows of one tenant: a value that another has taken would tell of it.
fn unique_per_tenant(collection: &mut Collection) {
    let Some(tenant) = collection.tenant else { return };
    for index in collection.indexes.iter_mut().filter(|index| index.unique && !index.fields.contains(&tenant))
    {
        index.fields.insert(0, tenant);
    }
    let unique: Vec<FieldId> = collection
        .fields()
        .filter(|(id, field)| {
            let is_unique = field.column.as_ref().is_some_and(|column| column.unique);
            is_unique && field.kind == FieldKind::Plain && !collection.primary_key.contains(id)
        })
        .map(|(id, _)| id)
        .collect();
    for field in unique {
        if let Some(column) = &mut collection.field_mut(field).column {
            column.unique = false;
        }
        let index = Index { fields: vec![tenant, field], unique: true };
        if !collection.indexes.contains(&index) {
            collection.indexes.push(index);
        }
    }
}

fn tenant(
    resolver: &Resolver<'_>,
    decl: &CollectionDecl,
    name: &Name,
    findings: &mut Findings,
) -> Option<FieldId> {
    let id = resolver.field_of(decl, name, findings)?;
    match decl.fields[id.0 as usize].kind {
        KindDecl::ToOne { .. } => Some(id),
        KindDecl::Broken => None,
        _ => {
            let message = format!("the tenant {} is not an m2o field", quoted(&name.text));
            findings.push(Diagnostic::error(&name.at, message));
            None
        }
    }
}

fn archive_value(
    collection: &Collection,
    field: FieldId,
    node: &Node,
    findings: &mut Findings,
) -> Option<Value> {
    let field = collection.field(field);
    let column = field.column.as_ref()?;
    let value = match fit(node, &column.column_type) {
        Ok(value) => value,
        Err(expected) => {
            let message = format!("{} does not fit the field {}", node.to_json(), quoted(&field.name));
            findings.push(Diagnostic::error(&node.at, message).expected(expected));
            return None;
        }
    };
    let choices = &column.checks.choices;
    if !choices.is_empty() && !choices.iter().any(|choice| choice.value == value) {
        let message = format!("{} is not among the choices of {}", node.to_json(), quoted(&field.name));
        let texts = choices.iter().filter_map(|choice| choice.value.as_str());
        findings.push_nearest(
            Diagnostic::error(&node.at, message),
            node.as_text().unwrap_or_default(),
            texts,
        );
        return None;
    }
    Some(value)
}

/// Fields that permissions name have to exist; filters are read by those who apply them.
fn permissions(decl: &CollectionDecl, findings: &mut Findings) {
    let policies = decl.permissions.as_ref().and_then(Node::as_map).unwrap_or_default();
    let rights = policies.iter().flat_map(|policy| policy.value.as_map().unwrap_or_default());
    for right in rights.filter(|right| keys::access::ACTIONS.iter().any(|action| action.name == right.name)) {
        let listed = right.value.get("fields").and_then(Node::as_list).unwrap_or_default();
        let listed = listed.iter().filter_map(|node| Some((node.as_text()?, &node.at)));
        let preset = right.value.get("presets").and_then(Node::as_map).unwrap_or_default();
        let preset = preset.iter().map(|entry| (entry.name.as_str(), &entry.key.at));
        for (name, at) in listed.filter(|(name, _)| *name != "*").chain(preset) {
            if decl.field(name).is_none() {
                let message = format!("{} has no field {}", decl.name.text, quoted(name));
                let candidates = decl.fields.iter().map(|field| field.name.text.as_str());
                findings.push_nearest(Diagnostic::error(at, message), name, candidates);
            }
        }
    }
}

/// A template that names nothing shows nothing, which is worth a word and no more.
fn template(decl: &CollectionDecl, findings: &mut Findings) {
    let Some((template, at)) = &decl.display_template else { return };
    for piece in template.split("{{").skip(1) {
        let Some((path, _)) = piece.split_once("}}") else {
            findings.push(Diagnostic::warning(at, "a \"{{\" of the display template is not closed"));
            continue;
        };
        let first = path.trim().split('.').next().unwrap_or_default();
        if decl.field(first).is_none() {
            let message = format!(
                "the display template names {}, which is no field of {}",
                quoted(first),
                decl.name.text
            );
            let candidates = decl.fields.iter().map(|field| field.name.text.as_str());
            findings.push_nearest(Diagnostic::warning(at, message), first, candidates);
        }
    }
}

/// References of which none may be null and that lead back to where they began: nothing could ever be stored there first.
pub fn required_cycles(collections: &[Collection], sources: &SourceMap, findings: &mut Findings) {
    let required = |id: usize| {
        collections[id].fields().filter_map(move |(field_id, field)| match (&field.kind, &field.column) {
            (FieldKind::ManyToOne { related, .. }, Some(column)) if !column.nullable => {
                Some((field_id, *related))
            }
            _ => None,
        })
    };
    // Depth first without recursion: 0 is unseen, 1 on the path, 2 done.
    let mut state = vec![0u8; collections.len()];
    for start in 0..collections.len() {
        if state[start] != 0 {
            continue;
        }
        let mut path: Vec<(usize, Vec<(FieldId, CollectionId)>)> = vec![(start, required(start).collect())];
        // The reference that was followed from each collection of the path.
        let mut followed: Vec<(usize, FieldId)> = Vec::new();
        state[start] = 1;
        while let Some((id, rest)) = path.last_mut() {
            let id = *id;
            let Some((field, related)) = rest.pop() else {
                state[id] = 2;
                path.pop();
                followed.pop();
                continue;
            };
            let next = related.0 as usize;
            match state[next] {
                0 => {
                    state[next] = 1;
                    followed.push((id, field));
                    path.push((next, required(next).collect()));
                }
                1 => {
                    let from = path.iter().position(|(on_path, _)| *on_path == next).unwrap_or(0);
                    let mut cycle: Vec<(usize, FieldId)> = followed[from..].to_vec();
                    cycle.push((id, field));
                    report_cycle(collections, &cycle, sources, findings);
                }
                _ => {}
            }
        }
    }
}

fn report_cycle(
    collections: &[Collection],
    cycle: &[(usize, FieldId)],
    sources: &SourceMap,
    findings: &mut Findings,
) {
    let name = |(id, field): &(usize, FieldId)| {
        (collections[*id].name.as_ref(), collections[*id].field(*field).name.as_ref())
    };
    let steps: Vec<String> =
        cycle.iter().map(name).map(|(collection, field)| format!("{collection}.{field}")).collect();
    let back = collections[cycle[0].0].name.as_ref();
    let place = cycle.iter().map(name).find_map(|(collection, field)| sources.field(collection, field));
    let Some(place) = place else { return };
    let message = format!("no item could be the first: {} -> {back} are all required", steps.join(" -> "));
    findings
        .push(Diagnostic::error(place, message).expected("one of these references to be allowed to be null"));
}

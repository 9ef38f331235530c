//! Who changed the model: a row of activity per thing that was made, changed or removed.

use serde_json::{Map, Value};

use super::Edit;
use crate::db::Transaction;
use crate::error::Result;
use crate::events::EventAction;
use crate::items::Journal;
use crate::project::registry::Registry;

const COLLECTIONS: &str = "directus_collections";
const FIELDS: &str = "directus_fields";
const RELATIONS: &str = "directus_relations";

/// Something that an edit is about: the table of its registry row, and the key of that.
type Thing = (&'static str, Vec<String>);

/// Writes what was done. Collections are told by their names, fields and relations by the numbers of their registry rows.
pub(super) async fn write(
    transaction: &mut Transaction,
    mut author: Journal,
    edits: &[Edit],
    (before, after): (&Registry, &Registry),
) -> Result<()> {
    for edit in edits {
        let (action, things) = told(edit);
        let registry = if action == EventAction::Delete { before } else { after };
        for (table, key) in things {
            let rows = if table == FIELDS { &registry.fields } else { &registry.relations };
            let number = rows.get(&key).and_then(|row| row.get("id")).filter(|id| !id.is_null());
            let item = match number {
                Some(id) if table != COLLECTIONS => id.to_string(),
                // What nothing is known about has no row.
                _ => key.join("."),
            };
            author.push_note(table, action, item.into());
        }
    }
    author.write_activity(transaction).await
}

fn told(edit: &Edit) -> (EventAction, Vec<Thing>) {
    let field = |collection: &str, field: &str| vec![(FIELDS, vec![collection.to_owned(), field.to_owned()])];
    let relation =
        |collection: &str, field: &str| vec![(RELATIONS, vec![collection.to_owned(), field.to_owned()])];
    match edit {
        Edit::CreateCollection(payload) => {
            let name = text(payload, "collection");
            let mut things = vec![(COLLECTIONS, vec![name.to_owned()])];
            let fields = payload.get("fields").and_then(Value::as_array).into_iter().flatten();
            let fields = fields.filter_map(Value::as_object);
            things.extend(fields.flat_map(|payload| field(name, text(payload, "field"))));
            (EventAction::Create, things)
        }
        Edit::UpdateCollection(name, _) => (EventAction::Update, vec![(COLLECTIONS, vec![name.clone()])]),
        Edit::DeleteCollection(name) => (EventAction::Delete, vec![(COLLECTIONS, vec![name.clone()])]),
        Edit::CreateField(name, payload) => (EventAction::Create, field(name, text(payload, "field"))),
        Edit::UpdateField(name, of, _) => (EventAction::Update, field(name, of)),
        Edit::DeleteField(name, of) => (EventAction::Delete, field(name, of)),
        Edit::CreateRelation(payload) => {
            (EventAction::Create, relation(text(payload, "collection"), text(payload, "field")))
        }
        Edit::UpdateRelation(name, of, _) => (EventAction::Update, relation(name, of)),
        Edit::DeleteRelation(name, of) => (EventAction::Delete, relation(name, of)),
    }
}

fn text<'p>(payload: &'p Map<String, Value>, name: &str) -> &'p str {
    payload.get(name).and_then(Value::as_str).unwrap_or_default()
}

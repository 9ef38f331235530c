//! Writes that are one statement of PostgreSQL with all that goes with them: rows, activity, revisions and outbox. It commits by
//! itself, so that a write is one round trip instead of four.
//!
//! Start at [`insert`] and [`update`]. What stands in the tables afterwards is what [`super::write`] and [`super::journal`] put
//! there one after the other; a revision of a change is the one thing that the database puts together.

use std::fmt::Write as _;
use std::sync::Arc;

use super::ident::push_quoted;
use super::journal::{JournalHead, head_params};
use super::write::values::{
    column_type, column_types, in_milliseconds, push_placeholder, row_params, sent_type,
};
use super::write::{
    Kind, Texts, WriteRow, insert_head, lists, push_equals, push_list_columns, push_update, update_params,
};
use super::{Dialect, ListKind, Param, Statement};
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Field, FieldId, Tracking};

const DIALECT: Dialect = Dialect::Postgres;
/// Parameters in front of the item: those of the head, the event and the collection.
const FIRST: usize = 8;

/// Who writes where, and what that is called.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Who does it.
    pub head: &'a JournalHead,
    /// Name of the event, `items.create`.
    pub event: &'a Arc<str>,
    /// Where.
    pub collection: &'a Collection,
    /// Texts of the collection.
    pub texts: &'a Texts,
}

/// A new row with what goes with it.
#[derive(Debug)]
pub struct NewRow {
    /// Its values, as many as there are columns.
    pub values: WriteRow,
    /// Its key as text; the database counts it where there is none.
    pub item: Option<Arc<str>>,
    /// What was sent, as JSON.
    pub delta: Arc<str>,
}

/// Inserts rows that all name the same columns. Returns the number of the event and the key of each, in order.
///
/// A key that the database counts is known to it alone: such rows are inserted one at a time.
pub fn insert(written: Written<'_>, columns: &[FieldId], key: FieldId, rows: Vec<NewRow>) -> Statement {
    let Written { collection, texts, .. } = written;
    let is_single = rows.len() == 1;
    let is_counted = rows.iter().any(|row| row.item.is_none());
    let make = || insert_text(collection, columns, is_single, is_counted.then_some(key));
    let mut statement = texts.get(Kind::InsertAtOnce { is_single }, columns, make);
    let (mut items, mut deltas) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(row.item.map_or(Scalar::Null, Scalar::Text));
        deltas.push(Scalar::Text(row.delta));
        values.push(row.values);
    }
    let values = in_milliseconds(collection, columns, values);
    let types = column_types(collection, columns);
    statement.params = first_params(&written);
    if is_single {
        statement.params.extend(items.into_iter().chain(deltas).map(text_param));
        statement.params.extend(values.into_iter().flat_map(|row| row_params(DIALECT, &types, row)));
    } else {
        statement.params.extend([items, deltas].map(|list| Param::List(ListKind::Text, list)));
        statement.params.extend(lists(&types, values));
    }
    statement
}

/// `WITH r AS (what was sent), i AS (INSERT INTO "t" ...), a AS (activity), v AS (revisions) INSERT INTO outbox ... RETURNING`.
fn insert_text(
    collection: &Collection,
    columns: &[FieldId],
    is_single: bool,
    counted: Option<FieldId>,
) -> Statement {
    let types = column_types(collection, columns);
    let (item, delta) = (FIRST + 1, FIRST + 2);
    let mut text = String::with_capacity(2048);
    let mut inserted = insert_head(DIALECT, collection, columns);
    if is_single {
        if types.is_empty() {
            inserted.push_str(" DEFAULT VALUES");
        } else {
            inserted.push_str(" VALUES (");
            for (position, column_type) in types.iter().enumerate() {
                if position > 0 {
                    inserted.push(',');
                }
                push_placeholder(&mut inserted, DIALECT, delta + position + 1, column_type);
            }
            inserted.push(')');
        }
        match counted {
            Some(key) => {
                inserted.push_str(" RETURNING ");
                push_quoted(&mut inserted, DIALECT, &collection.field(key).name);
                let _ = write!(text, "WITH i AS ({inserted}),r AS (SELECT CAST(i.");
                push_quoted(&mut text, DIALECT, &collection.field(key).name);
                let _ = write!(text, " AS text) AS item,CAST(${delta} AS text) AS delta,1 AS n FROM i)");
            }
            None => {
                let _ = write!(
                    text,
                    "WITH r AS (SELECT CAST(${item} AS text) AS item,CAST(${delta} AS text) AS delta,1 AS n),\
                     i AS ({inserted})"
                );
            }
        }
    } else {
        inserted.push_str(" SELECT ");
        push_list_columns(&mut inserted, &types);
        inserted.push_str(" FROM r ORDER BY r.n");
        let _ = write!(
            text,
            "WITH r AS MATERIALIZED (SELECT * FROM unnest(CAST(${item} AS text[]),CAST(${delta} AS text[])"
        );
        for (position, column_type) in types.iter().enumerate() {
            let _ = write!(text, ",CAST(${} AS {}[])", delta + position + 1, sent_type(column_type));
        }
        text.push_str(") WITH ORDINALITY AS r(item,delta");
        for position in 0..types.len() {
            let _ = write!(text, ",c{position}");
        }
        let _ = write!(text, ",n)),i AS ({inserted})");
    }
    if collection.accountability != Tracking::Nothing {
        push_activity(&mut text, "create", "r.item", "r ORDER BY r.n");
    }
    if collection.accountability == Tracking::All {
        text.push_str(
            ",v AS (INSERT INTO \"directus_revisions\" (\"activity\",\"collection\",\"item\",\"data\",\"delta\") \
             SELECT a.\"id\",CAST($8 AS text),r.item,CAST(r.delta AS json),CAST(r.delta AS json) FROM r JOIN a USING (item) \
             ORDER BY r.n)",
        );
    }
    text.push(' ');
    push_outbox(&mut text, "r.item", "r.delta", "r ORDER BY r.n");
    text.push_str(",\"item\"");
    Statement {
        text: text.into(),
        params: Vec::new(),
        columns: Arc::from([ColumnType::BigInteger, ColumnType::Text]),
    }
}

/// Changes the row with this key. Returns the number of the event and the columns of `returned`; nothing where there is no such
/// row.
///
/// `returned` begins with the key and holds every column where revisions are kept.
pub fn update(
    written: Written<'_>,
    values: Vec<(FieldId, Scalar)>,
    (key, value): (FieldId, &Scalar),
    (item, delta): (Arc<str>, Arc<str>),
    returned: &[FieldId],
) -> Statement {
    let Written { collection, texts, .. } = written;
    let columns: Vec<FieldId> = values.iter().map(|(field, _)| *field).collect();
    let keys = std::slice::from_ref(value);
    let make = || update_text(collection, &columns, (key, keys), returned);
    let mut statement = texts.get(Kind::UpdateAtOnce, &columns, make);
    statement.params = first_params(&written);
    statement.params.extend([Scalar::Text(item), Scalar::Text(delta)].map(text_param));
    statement.params.extend(update_params(DIALECT, collection, values, key, keys));
    statement
}

/// `WITH u AS (UPDATE "t" ... RETURNING ...), a AS (activity), v AS (revision), o AS (outbox) SELECT ... FROM u, o`.
fn update_text(
    collection: &Collection,
    columns: &[FieldId],
    (key, keys): (FieldId, &[Scalar]),
    returned: &[FieldId],
) -> Statement {
    let (item, delta) = (format!("CAST(${} AS text)", FIRST + 1), format!("CAST(${} AS text)", FIRST + 2));
    let mut text = String::with_capacity(4096);
    text.push_str("WITH u AS (");
    push_update(&mut text, DIALECT, collection, columns, FIRST + 2);
    text.push_str(" WHERE ");
    push_equals(&mut text, DIALECT, collection, key, keys, FIRST + 2 + columns.len());
    text.push_str(" RETURNING ");
    for (position, column) in returned.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        push_quoted(&mut text, DIALECT, &collection.field(*column).name);
    }
    text.push(')');
    if collection.accountability != Tracking::Nothing {
        push_activity(&mut text, "update", &item, "u");
    }
    if collection.accountability == Tracking::All {
        text.push_str(
            ",v AS (INSERT INTO \"directus_revisions\" (\"activity\",\"collection\",\"item\",\"data\",\"delta\") \
             SELECT a.\"id\",CAST($8 AS text),",
        );
        let _ = write!(text, "{item},(SELECT row_to_json(s) FROM (SELECT ");
        for (position, column) in returned.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            let field = collection.field(*column);
            push_shown(&mut text, field);
            text.push_str(" AS ");
            push_quoted(&mut text, DIALECT, &field.name);
        }
        let _ = write!(text, ") AS s),CAST({delta} AS json) FROM u,a)");
    }
    text.push_str(",o AS (");
    push_outbox(&mut text, &item, &delta, "u");
    text.push_str(") SELECT o.\"id\"");
    let mut types = vec![ColumnType::BigInteger];
    for column in returned {
        let field = collection.field(*column);
        let is_unknown = matches!(column_type(field), ColumnType::Unknown { .. });
        text.push_str(if is_unknown { ",CAST(u." } else { ",u." });
        push_quoted(&mut text, DIALECT, &field.name);
        text.push_str(if is_unknown { " AS text)" } else { "" });
        types.push(column_type(field).clone());
    }
    text.push_str(" FROM u,o");
    Statement { text: text.into(), params: Vec::new(), columns: types.into() }
}

/// A column of `u` as revisions show it.
fn push_shown(text: &mut String, field: &Field) {
    let mut name = String::from("u.");
    push_quoted(&mut name, DIALECT, &field.name);
    let moment = |format: &str, of: &str| {
        format!("CASE WHEN isfinite({name}) THEN to_char({of},'{format}') ELSE CAST({name} AS text) END")
    };
    let shown = match column_type(field) {
        _ if field.conceal => concealed(&name),
        ColumnType::Hash => concealed(&name),
        ColumnType::Integer | ColumnType::Boolean => name,
        ColumnType::Json => format!("CAST({name} AS json)"),
        ColumnType::Float => {
            format!("CASE WHEN {name} IN ('NaN','Infinity','-Infinity') THEN NULL ELSE {name} END")
        }
        ColumnType::Date => moment("YYYY-MM-DD", &name),
        ColumnType::DateTime => moment("YYYY-MM-DD\"T\"HH24:MI:SS", &name),
        ColumnType::Timestamp => {
            moment("YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"", &format!("{name} AT TIME ZONE 'UTC'"))
        }
        ColumnType::Time => format!("to_char(CAST({name} AS interval),'HH24:MI:SS')"),
        ColumnType::Csv => format!("to_json(string_to_array({name},','))"),
        // Base64 comes in lines.
        ColumnType::Binary => format!("translate(encode({name},'base64'),chr(10),'')"),
        ColumnType::String { .. }
        | ColumnType::Text
        | ColumnType::BigInteger
        | ColumnType::Decimal { .. }
        | ColumnType::Uuid
        | ColumnType::Unknown { .. } => format!("CAST({name} AS text)"),
    };
    text.push_str(&shown);
}

/// What nobody may see.
fn concealed(name: &str) -> String {
    format!("CASE WHEN {name} IS NULL THEN NULL ELSE '**********' END")
}

/// `,a AS (INSERT INTO activity ... RETURNING "id","item")`.
fn push_activity(text: &mut String, action: &str, item: &str, from: &str) {
    let _ = write!(
        text,
        ",a AS (INSERT INTO \"directus_activity\" (\"action\",\"user\",\"timestamp\",\"ip\",\"user_agent\",\"collection\",\
         \"item\",\"origin\") SELECT '{action}',CAST(CAST($1 AS text) AS uuid),CAST(CAST($2 AS text) AS timestamptz),\
         CAST($3 AS text),CAST($4 AS text),CAST($8 AS text),{item},CAST($5 AS text) FROM {from} RETURNING \"id\",\"item\")"
    );
}

/// `INSERT INTO outbox ... RETURNING "id"`.
fn push_outbox(text: &mut String, item: &str, delta: &str, from: &str) {
    let _ = write!(
        text,
        "INSERT INTO \"tablature_outbox\" (\"created_at\",\"event\",\"collection\",\"item\",\"payload\",\"accountability\") \
         SELECT CAST(CAST($2 AS text) AS timestamptz),CAST($7 AS text),CAST($8 AS text),{item},{delta},CAST($6 AS text) \
         FROM {from} RETURNING \"id\""
    );
}

fn first_params(written: &Written<'_>) -> Vec<Param> {
    let names = [written.event, &written.collection.name].map(|name| Scalar::Text(name.clone()));
    head_params(written.head).chain(names.map(text_param)).collect()
}

fn text_param(value: Scalar) -> Param {
    super::write::stored(DIALECT, &ColumnType::Text, value)
}

#[cfg(test)]
mod tests;

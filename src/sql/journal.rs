//! The rows that go with every write: activity, revisions, outbox. And the answers kept under an idempotency key.
//!
//! Start at [`JournalRow`]. PostgreSQL writes all three tables in one statement; SQLite and MariaDB one table after the other,
//! since later rows need the numbers of earlier ones.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, OnceLock};

use super::ident::quote;
use super::write::stored;
use super::{Dialect, ListKind, Param, Statement};
use crate::filter::Scalar;
use crate::schema::ColumnType;

/// Who does it, the same for all rows of one write.
#[derive(Debug, Clone, Default)]
pub struct JournalHead {
    /// Key of the user.
    pub user: Option<Arc<str>>,
    /// Canonical moment.
    pub timestamp: Arc<str>,
    /// Client address.
    pub ip: Option<Arc<str>>,
    /// `User-Agent`.
    pub user_agent: Option<Arc<str>>,
    /// `Origin`.
    pub origin: Option<Arc<str>>,
    /// Who does it as JSON, for those who are told of it.
    pub accountability: Arc<str>,
}

/// What happened to one item.
#[derive(Debug, Clone)]
pub struct JournalRow {
    /// `create`, `update`, `delete`.
    pub action: &'static str,
    /// Name of the event, `items.create`.
    pub event: Arc<str>,
    /// Name of the collection.
    pub collection: Arc<str>,
    /// Key of the item.
    pub item: Arc<str>,
    /// An activity is recorded.
    pub has_activity: bool,
    /// A revision is recorded, which needs the activity.
    pub has_revision: bool,
    /// The item afterwards, as JSON.
    pub data: Option<Arc<str>>,
    /// What changed, as JSON.
    pub delta: Option<Arc<str>>,
    /// Row, earlier in the list, whose revision this one belongs under.
    pub parent: Option<usize>,
}

const ACTIVITY: (&str, &[(&str, ColumnType)]) = (
    "directus_activity",
    &[
        ("action", ColumnType::Text),
        ("user", ColumnType::Uuid),
        ("timestamp", ColumnType::Timestamp),
        ("ip", ColumnType::Text),
        ("user_agent", ColumnType::Text),
        ("collection", ColumnType::Text),
        ("item", ColumnType::Text),
        ("origin", ColumnType::Text),
    ],
);
const REVISIONS: (&str, &[(&str, ColumnType)]) = (
    "directus_revisions",
    &[
        ("activity", ColumnType::BigInteger),
        ("collection", ColumnType::Text),
        ("item", ColumnType::Text),
        ("data", ColumnType::Json),
        ("delta", ColumnType::Json),
        ("parent", ColumnType::BigInteger),
    ],
);
const OUTBOX: (&str, &[(&str, ColumnType)]) = (
    "tablature_outbox",
    &[
        ("created_at", ColumnType::Timestamp),
        ("event", ColumnType::Text),
        ("collection", ColumnType::Text),
        ("item", ColumnType::Text),
        ("payload", ColumnType::Text),
        ("accountability", ColumnType::Text),
    ],
);

/// Statements for one row, which are needed again and again.
type Kept = [OnceLock<Statement>; 6];

/// A statement that inserts `rows` rows into one of the tables above, for `Transaction::insert_counted` if `counted`.
fn insert(
    dialect: Dialect,
    table: (&str, &[(&str, ColumnType)]),
    rows: usize,
    counted: bool,
    kept: &Kept,
) -> Statement {
    if rows != 1 {
        return make_insert(dialect, table, rows, counted);
    }
    let position = match dialect {
        Dialect::Sqlite => 0,
        Dialect::Postgres => 2,
        Dialect::Mysql => 4,
    };
    kept[position + usize::from(counted)].get_or_init(|| make_insert(dialect, table, 1, counted)).clone()
}

fn make_insert(
    dialect: Dialect,
    (table, columns): (&str, &[(&str, ColumnType)]),
    rows: usize,
    counted: bool,
) -> Statement {
    let names: Vec<String> = columns.iter().map(|(name, _)| quote(dialect, name)).collect();
    let mut text = format!("INSERT INTO {} ({}) VALUES ", quote(dialect, table), names.join(","));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for position in 0..columns.len() {
            if position > 0 {
                text.push(',');
            }
            let number = row * columns.len() + position + 1;
            let _ = match dialect {
                Dialect::Mysql => write!(text, "?"),
                Dialect::Sqlite => write!(text, "?{number}"),
                Dialect::Postgres => write!(text, "${number}"),
            };
        }
        text.push(')');
    }
    let mut returned: Arc<[ColumnType]> = Arc::from([]);
    // SQLite gathers what is returned in a table of its own, which takes longer than the insert; it knows the number anyway.
    if counted && dialect == Dialect::Postgres {
        text.push_str(" RETURNING \"id\"");
        returned = Arc::from([ColumnType::BigInteger]);
    }
    Statement { text: text.into(), params: Vec::new(), columns: returned }
}

/// The statement for activity rows; see [`activity_values`].
pub fn insert_activity(dialect: Dialect, rows: usize, counted: bool) -> Statement {
    static KEPT: Kept = [const { OnceLock::new() }; 6];
    insert(dialect, ACTIVITY, rows, counted, &KEPT)
}

/// The statement for revision rows; see [`revision_values`].
pub fn insert_revisions(dialect: Dialect, rows: usize, counted: bool) -> Statement {
    static KEPT: Kept = [const { OnceLock::new() }; 6];
    insert(dialect, REVISIONS, rows, counted, &KEPT)
}

/// The statement for outbox rows; see [`outbox_values`].
pub fn insert_outbox(dialect: Dialect, rows: usize, counted: bool) -> Statement {
    static KEPT: Kept = [const { OnceLock::new() }; 6];
    insert(dialect, OUTBOX, rows, counted, &KEPT)
}

/// Values of one activity row.
pub fn activity_values(dialect: Dialect, head: &JournalHead, row: &JournalRow) -> Vec<Param> {
    let values = [
        Scalar::Text(row.action.into()),
        text(&head.user),
        Scalar::Text(head.timestamp.clone()),
        text(&head.ip),
        text(&head.user_agent),
        Scalar::Text(row.collection.clone()),
        Scalar::Text(row.item.clone()),
        text(&head.origin),
    ];
    params(dialect, ACTIVITY.1, values)
}

/// Values of one revision row, which belongs to this activity and perhaps under that revision.
pub fn revision_values(dialect: Dialect, row: &JournalRow, activity: i64, parent: Option<i64>) -> Vec<Param> {
    let values = [
        Scalar::Int(activity),
        Scalar::Text(row.collection.clone()),
        Scalar::Text(row.item.clone()),
        text(&row.data),
        text(&row.delta),
        parent.map_or(Scalar::Null, Scalar::Int),
    ];
    params(dialect, REVISIONS.1, values)
}

/// Values of one outbox row.
pub fn outbox_values(dialect: Dialect, head: &JournalHead, row: &JournalRow) -> Vec<Param> {
    let values = [
        Scalar::Text(head.timestamp.clone()),
        Scalar::Text(row.event.clone()),
        Scalar::Text(row.collection.clone()),
        Scalar::Text(row.item.clone()),
        text(&row.delta),
        Scalar::Text(head.accountability.clone()),
    ];
    params(dialect, OUTBOX.1, values)
}

fn text(value: &Option<Arc<str>>) -> Scalar {
    value.as_ref().map_or(Scalar::Null, |text| Scalar::Text(text.clone()))
}

fn params<const N: usize>(
    dialect: Dialect,
    columns: &[(&str, ColumnType)],
    values: [Scalar; N],
) -> Vec<Param> {
    values
        .into_iter()
        .zip(columns)
        .map(|(value, (_, column_type))| stored(dialect, column_type, value))
        .collect()
}

/// Activity, revisions and outbox in one statement, which returns the numbers of the outbox rows in order.
pub fn write_all_postgres(head: &JournalHead, rows: &[JournalRow]) -> Statement {
    // Rows count from 1 here, and so do those that `parent` names. Without a delta it is what the item is afterwards.
    static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
        concat!(
        "WITH e AS MATERIALIZED (SELECT r.n,r.a,r.v,r.action,r.event,r.collection,r.item,r.data,r.parent,",
        "COALESCE(r.delta,r.data) AS delta,",
        "CASE WHEN r.a THEN nextval(pg_get_serial_sequence('directus_activity','id')) END AS activity_id,",
        "CASE WHEN r.v THEN nextval(pg_get_serial_sequence('directus_revisions','id')) END AS revision_id",
        " FROM unnest(CAST($7 AS bool[]),CAST($8 AS bool[]),CAST($9 AS text[]),CAST($10 AS text[]),",
        "CAST($11 AS text[]),CAST($12 AS text[]),CAST($13 AS text[]),CAST($14 AS text[]),CAST($15 AS int8[]))",
        " WITH ORDINALITY AS r(a,v,action,event,collection,item,data,delta,parent,n)),",
        "a AS (INSERT INTO \"directus_activity\" (\"id\",\"action\",\"user\",\"timestamp\",\"ip\",\"user_agent\",",
        "\"collection\",\"item\",\"origin\") SELECT e.activity_id,e.action,CAST(CAST($1 AS text) AS uuid),",
        "CAST(CAST($2 AS text) AS timestamptz),CAST($3 AS text),CAST($4 AS text),e.collection,e.item,",
        "CAST($5 AS text) FROM e WHERE e.a),",
        "v AS (INSERT INTO \"directus_revisions\" (\"id\",\"activity\",\"collection\",\"item\",\"data\",\"delta\",",
        "\"parent\") SELECT e.revision_id,e.activity_id,e.collection,e.item,CAST(e.data AS json),CAST(e.delta AS json),",
        "p.revision_id FROM e LEFT JOIN e AS p ON p.n=e.parent WHERE e.v) ",
        "INSERT INTO \"tablature_outbox\" (\"created_at\",\"event\",\"collection\",\"item\",\"payload\",",
        "\"accountability\") SELECT CAST(CAST($2 AS text) AS timestamptz),e.event,e.collection,e.item,",
        "e.delta,CAST($6 AS text) FROM e ORDER BY e.n RETURNING \"id\"",
    ).into()
    });
    let list =
        |kind, value: &dyn Fn(&JournalRow) -> Scalar| Param::List(kind, rows.iter().map(value).collect());
    let is_same = |row: &JournalRow| matches!((&row.data, &row.delta), (Some(data), Some(delta)) if Arc::ptr_eq(data, delta));
    let lists = [
        list(ListKind::Bool, &|row| Scalar::Bool(row.has_activity)),
        list(ListKind::Bool, &|row| Scalar::Bool(row.has_revision)),
        list(ListKind::Text, &|row| Scalar::Text(row.action.into())),
        list(ListKind::Text, &|row| Scalar::Text(row.event.clone())),
        list(ListKind::Text, &|row| Scalar::Text(row.collection.clone())),
        list(ListKind::Text, &|row| Scalar::Text(row.item.clone())),
        list(ListKind::Text, &|row| text(&row.data)),
        // All that is known of a new item is what was sent: it is sent once.
        list(ListKind::Text, &|row| if is_same(row) { Scalar::Null } else { text(&row.delta) }),
        list(ListKind::Int, &|row| row.parent.map_or(Scalar::Null, |parent| Scalar::Int(parent as i64 + 1))),
    ];
    Statement {
        text: TEXT.clone(),
        params: head_params(head).chain(lists).collect(),
        columns: Arc::from([ColumnType::BigInteger]),
    }
}

/// Who does it and when, as the first parameters of a statement of PostgreSQL.
pub(super) fn head_params(head: &JournalHead) -> impl Iterator<Item = Param> {
    let head = [
        text(&head.user),
        Scalar::Text(head.timestamp.clone()),
        text(&head.ip),
        text(&head.user_agent),
        text(&head.origin),
        Scalar::Text(head.accountability.clone()),
    ];
    head.into_iter().map(|value| stored(Dialect::Postgres, &ColumnType::Text, value))
}

/// By how much MariaDB counts up (more than one in a cluster).
pub fn counting_step() -> Statement {
    Statement {
        text: "SELECT CAST(@@auto_increment_increment AS SIGNED)".into(),
        params: Vec::new(),
        columns: Arc::from([ColumnType::BigInteger]),
    }
}

/// Columns that [`claim_outbox`] returns: number, event, collection, item, payload, accountability.
const OUTBOX_COLUMNS: [ColumnType; 6] = [
    ColumnType::BigInteger,
    ColumnType::Text,
    ColumnType::Text,
    ColumnType::Text,
    ColumnType::Text,
    ColumnType::Text,
];

/// Reads outbox rows from before this moment that no other node is working on.
pub fn claim_outbox(dialect: Dialect, before: &str, most: u32) -> Statement {
    let name = |name: &str| quote(dialect, name);
    let (placeholder, lock) = match dialect {
        Dialect::Sqlite => ("?1", ""),
        Dialect::Postgres => ("CAST(CAST($1 AS text) AS timestamptz)", " FOR UPDATE SKIP LOCKED"),
        Dialect::Mysql => ("?", " FOR UPDATE SKIP LOCKED"),
    };
    let text = format!(
        "SELECT {},{},{},{},{},{} FROM {} WHERE {}<{placeholder} ORDER BY {} LIMIT {most}{lock}",
        name("id"),
        name("event"),
        name("collection"),
        name("item"),
        name("payload"),
        name("accountability"),
        name("tablature_outbox"),
        name("created_at"),
        name("id"),
    );
    let param = stored(dialect, &ColumnType::Timestamp, Scalar::Text(before.into()));
    Statement { text: text.into(), params: vec![param], columns: Arc::from(OUTBOX_COLUMNS) }
}

/// Reads the outbox rows with these numbers.
pub fn read_outbox(dialect: Dialect, ids: &[i64]) -> Statement {
    let (condition, params) = among(dialect, ids);
    let columns = ["id", "event", "collection", "item", "payload", "accountability"];
    let columns: Vec<String> = columns.iter().map(|name| quote(dialect, name).to_string()).collect();
    let (table, id) = (quote(dialect, "tablature_outbox"), quote(dialect, "id"));
    let text = format!("SELECT {} FROM {table} WHERE {condition} ORDER BY {id}", columns.join(","));
    Statement { text: text.into(), params, columns: Arc::from(OUTBOX_COLUMNS) }
}

/// Removes outbox rows that were delivered.
pub fn delete_outbox(dialect: Dialect, ids: &[i64]) -> Statement {
    let (condition, params) = among(dialect, ids);
    let text = format!("DELETE FROM {} WHERE {condition}", quote(dialect, "tablature_outbox"));
    Statement { text: text.into(), params, columns: Arc::from([]) }
}

/// The condition that a row has one of these numbers.
fn among(dialect: Dialect, ids: &[i64]) -> (String, Vec<Param>) {
    let id = quote(dialect, "id");
    let values: Vec<Scalar> = ids.iter().map(|id| Scalar::Int(*id)).collect();
    match dialect {
        Dialect::Sqlite => {
            (format!("{id} IN (SELECT value FROM rarray(?1))"), vec![Param::List(ListKind::Int, values)])
        }
        Dialect::Postgres => {
            (format!("{id}=ANY(CAST($1 AS int8[]))"), vec![Param::List(ListKind::Int, values)])
        }
        Dialect::Mysql => {
            let count = values.len().next_power_of_two();
            let last = values.last().cloned().unwrap_or(Scalar::Null);
            let padded = values.into_iter().chain(std::iter::repeat(last)).take(count);
            (format!("{id} IN ({})", vec!["?"; count].join(",")), padded.map(Param::Value).collect())
        }
    }
}

const IDEMPOTENCY: (&str, &[(&str, ColumnType)]) = (
    "tablature_idempotency",
    &[
        ("id", ColumnType::Text),
        ("body_hash", ColumnType::Text),
        ("state", ColumnType::Text),
        ("created_at", ColumnType::Timestamp),
    ],
);

/// Takes an idempotency key. Touches no row when it is taken already; a second node waits here for the first to finish.
pub fn claim_idempotency(dialect: Dialect, id: &str, body_hash: &str, created_at: &str) -> Statement {
    let values = [
        Scalar::Text(id.into()),
        Scalar::Text(body_hash.into()),
        Scalar::Text("running".into()),
        Scalar::Text(created_at.into()),
    ];
    let (verb, marks, end) = match dialect {
        Dialect::Sqlite => ("INSERT", "?1,?2,?3,?4", " ON CONFLICT DO NOTHING"),
        Dialect::Postgres => (
            "INSERT",
            "CAST($1 AS text),CAST($2 AS text),CAST($3 AS text),CAST(CAST($4 AS text) AS timestamptz)",
            " ON CONFLICT DO NOTHING",
        ),
        Dialect::Mysql => ("INSERT IGNORE", "?,?,?,?", ""),
    };
    let columns: Vec<String> = IDEMPOTENCY.1.iter().map(|(name, _)| quote(dialect, name)).collect();
    let text = format!(
        "{verb} INTO {} ({}) VALUES ({marks}){end}",
        quote(dialect, IDEMPOTENCY.0),
        columns.join(",")
    );
    Statement { text: text.into(), params: params(dialect, IDEMPOTENCY.1, values), columns: Arc::from([]) }
}

/// Stores the answer under a key that was taken.
pub fn store_answer(dialect: Dialect, id: &str, status: i64, answer: Option<&str>) -> Statement {
    let name = |name: &str| quote(dialect, name);
    let marks: [&str; 3] = match dialect {
        Dialect::Sqlite => ["?1", "?2", "?3"],
        Dialect::Postgres => ["CAST($1 AS int8)", "CAST($2 AS text)", "CAST($3 AS text)"],
        Dialect::Mysql => ["?", "?", "?"],
    };
    let text = format!(
        "UPDATE {} SET {}='done',{}={},{}={} WHERE {}={}",
        name("tablature_idempotency"),
        name("state"),
        name("status"),
        marks[0],
        name("answer"),
        marks[1],
        name("id"),
        marks[2],
    );
    let params = vec![
        Param::Value(Scalar::Int(status)),
        stored(dialect, &ColumnType::Text, answer.map_or(Scalar::Null, |answer| Scalar::Text(answer.into()))),
        Param::Value(Scalar::Text(id.into())),
    ];
    Statement { text: text.into(), params, columns: Arc::from([]) }
}

/// Reads what is stored under a key: hash of the body, status, answer.
pub fn stored_answer(dialect: Dialect, id: &str) -> Statement {
    let name = |name: &str| quote(dialect, name);
    let mark = match dialect {
        Dialect::Sqlite => "?1",
        Dialect::Postgres => "CAST($1 AS text)",
        Dialect::Mysql => "?",
    };
    let text = format!(
        "SELECT {},{},{} FROM {} WHERE {}={mark}",
        name("body_hash"),
        name("status"),
        name("answer"),
        name("tablature_idempotency"),
        name("id"),
    );
    Statement {
        text: text.into(),
        params: vec![Param::Value(Scalar::Text(id.into()))],
        columns: Arc::from([ColumnType::Text, ColumnType::Integer, ColumnType::Text]),
    }
}

/// Forgets answers from before this moment.
pub fn forget_answers(dialect: Dialect, before: &str) -> Statement {
    let mark = match dialect {
        Dialect::Sqlite => "?1",
        Dialect::Postgres => "CAST(CAST($1 AS text) AS timestamptz)",
        Dialect::Mysql => "?",
    };
    let text = format!(
        "DELETE FROM {} WHERE {}<{mark}",
        quote(dialect, "tablature_idempotency"),
        quote(dialect, "created_at"),
    );
    let param = stored(dialect, &ColumnType::Timestamp, Scalar::Text(before.into()));
    Statement { text: text.into(), params: vec![param], columns: Arc::from([]) }
}

//! A small model with every kind of relation, on whichever databases there are.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{AccessRules, Accountability, Context};
use crate::db::{Database, Row, Settings, Target};
use crate::error::Result;
use crate::events::{Events, Hooks};
use crate::items::{ItemPayload, ItemsService, ItemsSettings, Operation, Targets, Written};
use crate::schema::{
    Auto, Checks, Collection, CollectionId, Column, ColumnType, DefaultValue, Field, FieldId, FieldKind,
    OnDelete, OnDeselect, Origin, Schema,
};
use crate::sql::{Dialect, Statement};

/// Moment of every request.
pub const NOW: &str = "2026-03-02T10:00:00.000Z";

pub const A: CollectionId = CollectionId(0);
const B: CollectionId = CollectionId(1);
const C: CollectionId = CollectionId(2);
const LINKS: CollectionId = CollectionId(3);
const PARTS: CollectionId = CollectionId(4);
const TEXTS: CollectionId = CollectionId(5);

/// One database with the model in it.
pub struct World {
    pub database: Database,
    pub items: ItemsService,
    pub ctx: Context,
    /// Makes the names of the tables differ from those of other tests on the same server.
    suffix: String,
}

/// The worlds: SQLite always, the servers where `TEST_POSTGRES_URL` and `TEST_MARIADB_URL` name them.
pub async fn worlds() -> Vec<World> {
    let file = std::env::temp_dir().join(format!("tablature-items-{}.db", uuid::Uuid::now_v7()));
    let mut targets = vec![Target::Sqlite { path: file }];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        targets.push(Target::Postgres { url });
    }
    if let Ok(url) = std::env::var("TEST_MARIADB_URL") {
        targets.push(Target::Mysql { url });
    }
    let mut worlds = Vec::new();
    for target in targets {
        worlds.push(World::new(target).await);
    }
    worlds
}

/// Databases with nothing in them. Making the tables of a whole platform takes MariaDB half a minute; the tests that start the
/// server do that there.
pub async fn fresh_databases() -> Vec<Database> {
    let name = format!("tablature_{}", uuid::Uuid::new_v4().simple());
    let path = std::env::temp_dir().join(format!("{name}.db"));
    let mut targets = vec![Target::Sqlite { path }];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        targets
            .push(Target::Postgres { url: beside(Target::Postgres { url: url.clone() }, &url, &name).await });
    }
    let mut databases = Vec::new();
    for target in targets {
        databases.push(Database::connect(&Settings::new(target)).await.unwrap());
    }
    databases
}

/// Makes a database on a server and gives its address.
pub async fn beside(server: Target, url: &str, name: &str) -> String {
    let server = Database::connect(&Settings::new(server)).await.unwrap();
    let text = format!("CREATE DATABASE {name}");
    let statement = Statement { text: text.into(), params: Vec::new(), columns: Arc::from([]) };
    server.rows(&statement).await.unwrap();
    let (head, _) = url.rsplit_once('/').unwrap();
    format!("{head}/{name}")
}

/// Somebody who may do anything.
pub fn administrator(schema: Arc<Schema>) -> Context {
    Context {
        accountability: Arc::new(Accountability {
            user: Some("c0ffee00-0000-4000-8000-000000000001".to_owned()),
            admin: true,
            ..Accountability::default()
        }),
        rules: Arc::new(AccessRules::Everything),
        schema,
        now: NOW.parse::<Timestamp>().unwrap(),
        request_id: uuid::Uuid::now_v7(),
    }
}

impl World {
    async fn new(target: Target) -> World {
        let database = Database::connect(&Settings::new(target)).await.unwrap();
        let suffix = format!("_{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let schema = schema(&suffix);
        let events = Events::start(database.clone(), Hooks::default());
        let items = ItemsService::new(database.clone(), events, ItemsSettings::default());
        let ctx = administrator(Arc::new(schema));
        let world = World { database, items, ctx, suffix };
        world.make_tables().await;
        world
    }

    /// The full name of a collection.
    pub fn name(&self, short: &str) -> String {
        format!("{short}{}", self.suffix)
    }

    pub async fn create(&self, collection: &str, payload: Value) -> Result<Written> {
        let operation = match payload {
            Value::Array(list) => Operation::CreateMany(list.into_iter().map(object).collect()),
            one => Operation::Create(object(one)),
        };
        self.items.change(&self.ctx, &self.name(collection), operation).await
    }

    pub async fn update(&self, collection: &str, key: &Value, payload: Value) -> Result<Written> {
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        let operation = Operation::Update(Targets::Key(key), object(payload));
        self.items.change(&self.ctx, &self.name(collection), operation).await
    }

    pub async fn delete(&self, collection: &str, keys: Vec<Value>) -> Result<Written> {
        let operation = Operation::Delete(Targets::Keys(keys));
        self.items.change(&self.ctx, &self.name(collection), operation).await
    }

    /// Columns of all rows as texts, `a|b`, one row after the other; the collection's own columns only.
    pub async fn rows(&self, collection: &str, columns: &str) -> Vec<String> {
        let name = self.name(collection);
        let found = self.ctx.schema.get(&name).unwrap();
        let columns: Vec<&str> = columns.split(' ').collect();
        let types: Vec<ColumnType> = columns
            .iter()
            .map(|column| {
                found.field(found.find(column).unwrap()).column.as_ref().unwrap().column_type.clone()
            })
            .collect();
        let key = found.field(found.key().unwrap()).name.to_string();
        self.select(&format!("SELECT {} FROM {name} ORDER BY {key}", self.quoted(&columns)), &types).await
    }

    fn quoted(&self, names: &[&str]) -> String {
        let quote = if self.database.dialect() == Dialect::Mysql { '`' } else { '"' };
        names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(",")
    }

    /// Activity and revisions about a collection, in order: `action item delta parent?`.
    pub async fn history(&self, collection: &str) -> Vec<String> {
        let types =
            [ColumnType::Text, ColumnType::Text, ColumnType::Json, ColumnType::Json, ColumnType::Integer];
        let text = format!(
            "SELECT a.action,a.item,r.data,r.delta,CASE WHEN r.parent IS NULL THEN 0 ELSE 1 END FROM directus_activity a \
             LEFT JOIN directus_revisions r ON r.activity=a.id WHERE a.collection='{}' ORDER BY a.id",
            self.name(collection)
        );
        self.select(&text, &types).await
    }

    pub async fn outbox(&self) -> usize {
        let text = format!("SELECT event FROM tablature_outbox WHERE collection LIKE '%{}'", self.suffix);
        self.select(&text, &[ColumnType::Text]).await.len()
    }

    pub async fn run(&self, text: String) {
        let statement = Statement { text: text.into(), params: Vec::new(), columns: Arc::from([]) };
        self.database
            .transaction(move |tx| Box::pin(async move { tx.execute(&statement).await }))
            .await
            .unwrap();
    }

    async fn select(&self, text: &str, types: &[ColumnType]) -> Vec<String> {
        let statement = Statement { text: text.into(), params: Vec::new(), columns: types.into() };
        let rows = self.database.rows(&statement).await.unwrap();
        rows.iter().map(shown).collect()
    }

    async fn make_tables(&self) {
        let dialect = self.database.dialect();
        let migrations = match dialect {
            Dialect::Sqlite => include_str!("../../../migrations/sqlite/0001_system_tables.sql"),
            Dialect::Postgres => include_str!("../../../migrations/postgres/0001_system_tables.sql"),
            Dialect::Mysql => include_str!("../../../migrations/mysql/0001_system_tables.sql"),
        };
        let migrations =
            migrations.split(";\n").map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let mut texts: Vec<String> = Vec::new();
        if dialect == Dialect::Postgres {
            // Other tests may be making the same tables at this moment.
            texts.push("SELECT pg_advisory_xact_lock(4711)".to_owned());
        }
        texts.extend(migrations);
        for table in TABLES.split(';').map(str::trim).filter(|table| !table.is_empty()) {
            let (counted, uuid, money, moment, json) = match dialect {
                Dialect::Sqlite => (
                    "integer PRIMARY KEY AUTOINCREMENT",
                    "char(36)",
                    "decimal_int(10,3)",
                    "timestamp",
                    "json_text",
                ),
                Dialect::Postgres => (
                    "integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                    "uuid",
                    "numeric(10,3)",
                    "timestamptz",
                    "json",
                ),
                Dialect::Mysql => {
                    ("int AUTO_INCREMENT PRIMARY KEY", "char(36)", "decimal(10,3)", "datetime(3)", "longtext")
                }
            };
            let mut text = table.replace("COUNTED", counted).replace("UUID", uuid);
            text = text.replace("MONEY", money).replace("MOMENT", moment).replace("JSON", json);
            text = text.replace('$', &self.suffix);
            if dialect == Dialect::Mysql {
                text = text.replace('"', "`");
            }
            texts.push(text);
        }
        self.database
            .schema_transaction(move |tx| {
                Box::pin(async move {
                    for text in texts {
                        let statement =
                            Statement { text: text.into(), params: Vec::new(), columns: Arc::from([]) };
                        tx.execute(&statement).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
    }
}

const TABLES: &str = r#"
CREATE TABLE a$ (id COUNTED, name varchar(255) UNIQUE);
CREATE TABLE b$ (id COUNTED, name varchar(255), sort int, a int, changed MOMENT,
  CONSTRAINT b$_a_foreign FOREIGN KEY (a) REFERENCES a$ (id) ON DELETE SET NULL);
CREATE TABLE c$ (id COUNTED, name varchar(255));
CREATE TABLE links$ (id COUNTED, a_id int, c_id int, note varchar(255),
  CONSTRAINT links$_a_id_foreign FOREIGN KEY (a_id) REFERENCES a$ (id) ON DELETE CASCADE,
  CONSTRAINT links$_c_id_foreign FOREIGN KEY (c_id) REFERENCES c$ (id) ON DELETE SET NULL);
CREATE TABLE parts$ (id COUNTED, a_id int, item varchar(255), collection varchar(64), sort int,
  CONSTRAINT parts$_a_id_foreign FOREIGN KEY (a_id) REFERENCES a$ (id) ON DELETE CASCADE);
CREATE TABLE texts$ (id UUID PRIMARY KEY, content text);
CREATE TABLE strict$ (id varchar(20) PRIMARY KEY, must varchar(20) NOT NULL, age int, price MONEY, tags text,
  data JSON, secret varchar(255), owner UUID, created MOMENT, changer UUID, changed MOMENT, b int UNIQUE NOT NULL,
  CONSTRAINT strict$_b_foreign FOREIGN KEY (b) REFERENCES b$ (id));
CREATE TABLE tree$ (id COUNTED, name varchar(255), parent int,
  CONSTRAINT tree$_parent_foreign FOREIGN KEY (parent) REFERENCES tree$ (id) ON DELETE CASCADE);
CREATE TABLE settings$ (id COUNTED, title varchar(255), number int)
"#;

fn schema(suffix: &str) -> Schema {
    let text = || Column::new(ColumnType::String { length: 255 });
    let field = |name: &str, column: Column| Field::plain(name, column);
    let plain = |name: &str, column_type: ColumnType| Field::plain(name, Column::new(column_type));
    let auto = |name: &str, column_type: ColumnType, auto: Auto| {
        Field::plain(name, Column { auto: Some(auto), ..Column::new(column_type) })
    };
    let counted = || {
        let column =
            Column { auto: Some(Auto::Increment), nullable: false, ..Column::new(ColumnType::Integer) };
        Field::plain("id", column)
    };
    let to_one = |name: &str, related: CollectionId, on_delete: OnDelete| {
        let column = Column::new(ColumnType::Integer);
        Field::new(name, FieldKind::ManyToOne { related, on_delete }, Some(column))
    };
    let to_many = |name: &str, related, related_field, sort, on_deselect, junction_field| {
        let kind = FieldKind::OneToMany { related, related_field, junction_field, sort, on_deselect };
        Field::new(name, kind, None)
    };
    let make = |name: &str, origin, fields| {
        let mut collection = Collection::new(format!("{name}{suffix}"), origin, fields);
        collection.primary_key = vec![FieldId(0)];
        collection
    };
    let any = FieldKind::ManyToAny { allowed: vec![TEXTS, C], collection_field: FieldId(3) };
    let must = Column {
        nullable: false,
        checks: Checks { required: true, pattern: Some("^[a-z]+$".to_owned()), ..Checks::default() },
        ..Column::new(ColumnType::String { length: 20 })
    };
    let age = Column {
        default: Some(DefaultValue::Value(json!(18))),
        checks: Checks { min: Some(json!(18)), ..Checks::default() },
        ..Column::new(ColumnType::Integer)
    };
    let mut reference = to_one("b", B, OnDelete::Restrict);
    if let Some(column) = &mut reference.column {
        column.nullable = false;
        column.unique = true;
    }
    let string_key = Column { nullable: false, ..Column::new(ColumnType::String { length: 20 }) };
    let mut settings = make(
        "settings",
        Origin::Yaml,
        vec![
            counted(),
            field("title", Column { default: Some(DefaultValue::Value(json!("Untitled"))), ..text() }),
            plain("number", ColumnType::Integer),
        ],
    );
    settings.singleton = true;
    let mut tree = make(
        "tree",
        Origin::Yaml,
        vec![
            counted(),
            field("name", text()),
            to_one("parent", CollectionId(7), OnDelete::Cascade),
            to_many("children", CollectionId(7), FieldId(2), None, OnDeselect::Delete, None),
        ],
    );
    tree.sort = None;
    Schema::new(
        1,
        vec![
            make(
                "a",
                Origin::Yaml,
                vec![
                    counted(),
                    field("name", text()),
                    to_many("children", B, FieldId(3), Some(FieldId(2)), OnDeselect::Nullify, None),
                    to_many("links", LINKS, FieldId(1), None, OnDeselect::Delete, Some(FieldId(2))),
                    to_many(
                        "parts",
                        PARTS,
                        FieldId(1),
                        Some(FieldId(4)),
                        OnDeselect::Delete,
                        Some(FieldId(2)),
                    ),
                ],
            ),
            {
                let mut b = make(
                    "b",
                    Origin::Yaml,
                    vec![
                        counted(),
                        field("name", text()),
                        plain("sort", ColumnType::Integer),
                        to_one("a", A, OnDelete::SetNull),
                        auto("changed", ColumnType::Timestamp, Auto::UpdatedAt),
                    ],
                );
                b.sort = Some(FieldId(2));
                b
            },
            make("c", Origin::Yaml, vec![counted(), field("name", text())]),
            make(
                "links",
                Origin::Generated,
                vec![
                    counted(),
                    to_one("a_id", A, OnDelete::Cascade),
                    to_one("c_id", C, OnDelete::SetNull),
                    field("note", text()),
                ],
            ),
            make(
                "parts",
                Origin::Generated,
                vec![
                    counted(),
                    to_one("a_id", A, OnDelete::Cascade),
                    Field::new("item", any, Some(text())),
                    plain("collection", ColumnType::String { length: 64 }),
                    plain("sort", ColumnType::Integer),
                ],
            ),
            make(
                "texts",
                Origin::Yaml,
                vec![
                    auto("id", ColumnType::Uuid, Auto::Uuid),
                    plain("content", ColumnType::Text),
                    // Seen from the far side of a many-to-any.
                    to_many("uses", PARTS, FieldId(2), None, OnDeselect::Delete, None),
                ],
            ),
            make(
                "strict",
                Origin::Yaml,
                vec![
                    field("id", string_key),
                    field("must", must),
                    field("age", age),
                    plain("price", ColumnType::Decimal { precision: 10, scale: 3 }),
                    plain("tags", ColumnType::Csv),
                    plain("data", ColumnType::Json),
                    plain("secret", ColumnType::Hash),
                    auto("owner", ColumnType::Uuid, Auto::CreatedBy),
                    auto("created", ColumnType::Timestamp, Auto::CreatedAt),
                    auto("changer", ColumnType::Uuid, Auto::UpdatedBy),
                    auto("changed", ColumnType::Timestamp, Auto::UpdatedAt),
                    reference,
                ],
            ),
            tree,
            settings,
        ],
    )
}

pub fn object(value: Value) -> ItemPayload {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn shown(row: &Row) -> String {
    use crate::filter::Scalar;
    let shown = |value: &Scalar| match value {
        Scalar::Null => "-".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Text(text) => text.to_string(),
        Scalar::Bytes(bytes) => format!("{bytes:?}"),
    };
    row.values.iter().map(shown).collect::<Vec<_>>().join("|")
}

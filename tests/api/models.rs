//! Every model of the repository: applied to each database, with a create, read, update and delete in every
//! collection.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tablature::schema::{
    self, Collection, CollectionId, Column, ColumnType, Field, FieldKind, Schema, SourceFile,
};

use crate::support::{Client, Database, Engine, Server, each_database};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The model that the files of a folder declare.
fn load(folder: &Path) -> Schema {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('_') {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".yaml") {
                let relative = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.push(SourceFile { path: relative, text: std::fs::read(&path).unwrap() });
            }
        }
    }
    let (loaded, diagnostics) = schema::load(&files, 1);
    loaded.unwrap_or_else(|| panic!("{diagnostics:?}")).schema
}

/// Goes through the collections of a model and makes an item of each kind.
struct Trip<'a> {
    admin: Client,
    schema: &'a Schema,
    /// Items made for others to refer to.
    there: HashMap<CollectionId, Value>,
    counter: u64,
}

impl Trip<'_> {
    /// The key of an item of this collection that others may refer to.
    async fn key_of(&mut self, id: CollectionId) -> Value {
        if let Some(key) = self.there.get(&id) {
            return key.clone();
        }
        let name = self.schema.collection(id).name.clone();
        let key = match &*name {
            "directus_users" => self.admin.get("/users/me?fields=id").await.data()["id"].clone(),
            name if name.starts_with("directus_") => panic!("a required reference to {name}"),
            _ => Box::pin(self.create(id)).await.1,
        };
        self.there.insert(id, key.clone());
        key
    }

    /// Makes an item with a value in every plain field; gives back what was sent, and its key.
    async fn create(&mut self, id: CollectionId) -> (Map<String, Value>, Value) {
        let body = self.body(id).await;
        let collection = self.schema.collection(id);
        let key_field = collection.field(collection.key().expect("a key")).name.clone();
        let path = format!("/items/{}", collection.name);
        let made = match collection.singleton {
            true => self.admin.patch(&path, Value::Object(body.clone())).await.data(),
            false => self.admin.post(&path, Value::Object(body.clone())).await.data(),
        };
        (body, made[&*key_field].clone())
    }

    async fn body(&mut self, id: CollectionId) -> Map<String, Value> {
        let schema = self.schema;
        let collection = schema.collection(id);
        let mut body = Map::new();
        let mut naming = Vec::new();
        for (field_id, field) in collection.fields() {
            let Some(column) = &field.column else { continue };
            let is_key = collection.key() == Some(field_id);
            if column.auto.is_some() || (is_key && !column.column_type.is_text()) {
                continue;
            }
            let needed = !column.nullable && column.default.is_none();
            match &field.kind {
                FieldKind::ManyToOne { related, .. } if needed => {
                    // An item that may be referred to once needs another one each time.
                    let key = if column.unique {
                        Box::pin(self.create(*related)).await.1
                    } else {
                        self.key_of(*related).await
                    };
                    body.insert(field.name.to_string(), key);
                }
                FieldKind::Plain => {
                    self.counter += 1;
                    if let Some(value) = value(field, column, self.counter) {
                        body.insert(field.name.to_string(), value);
                    }
                }
                FieldKind::ManyToAny { allowed, collection_field } => {
                    let target = allowed[0];
                    let key = self.key_of(target).await;
                    body.insert(
                        field.name.to_string(),
                        json!(key.as_str().map_or_else(|| key.to_string(), str::to_owned)),
                    );
                    naming.push((
                        collection.field(*collection_field).name.clone(),
                        schema.collection(target).name.clone(),
                    ));
                }
                _ => {}
            }
        }
        for (field, target) in naming {
            body.insert(field.to_string(), json!(&*target));
        }
        body
    }

    /// Create, read, update, read, delete, read.
    async fn round(&mut self, id: CollectionId) {
        let schema = self.schema;
        let collection = schema.collection(id);
        let (sent, key) = self.create(id).await;
        let path = match collection.singleton {
            true => format!("/items/{}", collection.name),
            false => format!(
                "/items/{}/{}",
                collection.name,
                key.as_str().map_or_else(|| key.to_string(), str::to_owned)
            ),
        };
        self.compare(collection, &path, &sent).await;
        let mut changed = self.body(id).await;
        changed.retain(|name, _| collection.find(name).is_some_and(|field| Some(field) != collection.key()));
        self.admin.patch(&path, Value::Object(changed.clone())).await.data();
        self.compare(collection, &path, &changed).await;
        if !collection.singleton {
            self.admin.delete(&path).await.no_content();
            self.admin.get(&path).await.refused(403, "FORBIDDEN");
        }
    }

    /// What was sent is what is read.
    async fn compare(&self, collection: &Collection, path: &str, sent: &Map<String, Value>) {
        let read = self.admin.get(path).await.data();
        for (name, value) in sent {
            let field = collection.field(collection.find(name).unwrap());
            let is_hidden = field.conceal
                || field.column.as_ref().is_some_and(|column| column.column_type == ColumnType::Hash);
            let is_decimal = field
                .column
                .as_ref()
                .is_some_and(|column| matches!(column.column_type, ColumnType::Decimal { .. }));
            if is_decimal {
                let shown =
                    read[name].as_str().unwrap_or_else(|| panic!("{}.{name} is no text", collection.name));
                assert_eq!(number(&json!(shown)), number(value), "{}.{name} of {path}", collection.name);
            } else if is_hidden {
                assert_ne!(&read[name], value, "{}.{name} is shown", collection.name);
            } else {
                assert_eq!(&read[name], value, "{}.{name} of {path}", collection.name);
            }
        }
    }
}

/// A value that keeps the rules of the field, different for each `n` where it has to be.
fn value(field: &Field, column: &Column, n: u64) -> Option<Value> {
    let checks = &column.checks;
    if !checks.choices.is_empty() {
        let choice = &checks.choices[(n as usize) % checks.choices.len()].value;
        return Some(if column.column_type == ColumnType::Csv { json!([choice]) } else { choice.clone() });
    }
    // Numbers stay within bounds that are declared, and within what any column holds.
    let least = checks.min.as_ref().and_then(number).unwrap_or(0.0);
    let most = checks.max.as_ref().and_then(number).unwrap_or(least + 90.0).min(least + 90.0);
    let whole = least.ceil() as i64 + (n as i64) % ((most - least.ceil()) as i64 + 1);
    let unique = if column.unique { least.ceil() as i64 + n as i64 } else { whole };
    Some(match &column.column_type {
        ColumnType::String { length } => text(field, column, n, *length as usize),
        ColumnType::Text => text(field, column, n, 60),
        ColumnType::Integer => json!(unique),
        ColumnType::BigInteger => json!(unique.to_string()),
        ColumnType::Float => json!(whole as f64 + 0.5),
        ColumnType::Decimal { scale: 0, .. } => json!(whole.to_string()),
        ColumnType::Decimal { precision, scale } => {
            let room = u32::from(precision - scale).min(9);
            json!(format!("{}.{:0width$}", whole.min(10_i64.pow(room) - 1), 0, width = usize::from(*scale)))
        }
        ColumnType::Boolean => json!(n.is_multiple_of(2)),
        ColumnType::Date => json!(format!("2024-{:02}-{:02}", n % 12 + 1, n % 28 + 1)),
        ColumnType::Time => json!(format!("{:02}:{:02}:00", n % 24, n % 60)),
        ColumnType::DateTime => json!(format!("2024-{:02}-{:02}T10:00:00", n % 12 + 1, n % 28 + 1)),
        ColumnType::Timestamp => json!(format!("2024-{:02}-{:02}T10:00:00.000Z", n % 12 + 1, n % 28 + 1)),
        ColumnType::Json => json!({ "n": n, "list": [true, null, "é"] }),
        ColumnType::Csv => json!([format!("entry {n}"), "two"]),
        ColumnType::Uuid => json!(format!("c0ffee00-0000-4000-8000-{n:012}")),
        ColumnType::Hash => json!(format!("secret {n}")),
        ColumnType::Binary => json!("AAEC"),
        ColumnType::Unknown { .. } => return None,
    })
}

fn number(bound: &Value) -> Option<f64> {
    bound.as_f64().or_else(|| bound.as_str()?.parse().ok())
}

fn text(field: &Field, column: &Column, n: u64, length: usize) -> Value {
    let checks = &column.checks;
    let most = checks.max_length.map_or(length, |most| length.min(most as usize));
    let Some(pattern) = &checks.pattern else {
        let mut text = format!("{n} é {}", field.name);
        if most < text.chars().count() {
            // The last digits of the number tell short texts apart.
            let digits = format!("{n:0most$}");
            text = digits[digits.len() - most..].to_owned();
        }
        return json!(text);
    };
    let pattern = regex::Regex::new(pattern).expect("a pattern that was checked");
    let samples = (1..=30)
        .map(|width| format!("{n:0width$}"))
        .chain([format!("a{n}@example.com"), format!("https://example.com/{n}")]);
    let fitting = samples.into_iter().find(|sample| sample.len() <= most && pattern.is_match(sample));
    json!(fitting.unwrap_or_else(|| panic!("no sample for the pattern {pattern} of {}", field.name)))
}

async fn check_model(engine: Engine, folder: &str, least: usize) {
    let folder = root().join(folder);
    let schema = load(&folder);
    let database = Database::fresh(engine).await;
    let server = Server::start(&database, &folder).await;
    let mut trip = Trip { admin: server.admin(), schema: &schema, there: HashMap::new(), counter: 0 };
    let own: Vec<CollectionId> =
        schema.collections().filter(|(_, collection)| !collection.is_system()).map(|(id, _)| id).collect();
    assert!(own.len() >= least, "{} collections in {}", own.len(), folder.display());
    for id in &own {
        trip.round(*id).await;
    }
    eprintln!("{engine}: {} collections of {}", own.len(), folder.display());
}

#[tokio::test]
async fn unified_platform() {
    each_database(async |engine| check_model(engine, "collections", 62).await).await;
}

#[tokio::test]
async fn template_afpi_crm() {
    each_database(async |engine| check_model(engine, "templates/afpi-crm/collections", 15).await).await;
}

#[tokio::test]
async fn template_medical_crm() {
    each_database(async |engine| check_model(engine, "templates/medical-crm/collections", 45).await).await;
}

#[tokio::test]
async fn template_obotcall() {
    each_database(async |engine| check_model(engine, "templates/obotcall/collections", 52).await).await;
}

#[tokio::test]
async fn template_perfex_erp() {
    each_database(async |engine| check_model(engine, "templates/perfex-erp/collections", 139).await).await;
}

#[tokio::test]
async fn demonstration_data_is_loaded_once() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let folder = root().join("collections");
        let data = folder.join("_data");
        let builder =
            Server::builder(&database).collections(&folder).set("DEMO_DATA", data.to_str().unwrap());
        drop(builder.start().await);
        let server = builder.start().await;
        let admin = server.admin();
        for entry in std::fs::read_dir(&data).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(collection) = name.strip_suffix(".json") else { continue };
            let items: Value = serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap();
            let expected = items.as_array().map_or(1, Vec::len) as i64;
            let count = database.count(collection, "1 = 1").await;
            if collection.starts_with("directus_") {
                assert!(count >= expected, "{count} of {expected} rows of {collection}");
            } else {
                assert_eq!(count, expected, "rows of {collection}");
            }
        }
        let fields = "invoice_number,total,company_id.name,project_id.name,payments.amount,payments.id";
        let query = json!({ "fields": fields, "sort": "invoice_number", "limit": 25, "meta": "*" });
        let page = admin.items("client_invoices", query).await;
        let invoices = page.data();
        let invoices = invoices.as_array().unwrap();
        assert!(invoices.len() > 5, "{page:?}");
        assert!(invoices.iter().any(|invoice| invoice["company_id"]["name"].is_string()), "{page:?}");
        assert!(invoices.iter().any(|invoice| invoice["project_id"]["name"].is_string()), "{page:?}");
        assert!(
            invoices
                .iter()
                .any(|invoice| invoice["payments"].as_array().is_some_and(|list| !list.is_empty())),
            "{page:?}"
        );
        assert!(
            invoices.iter().all(|invoice| invoice["total"].as_str().is_none_or(|total| total.contains('.'))),
            "{page:?}"
        );
    })
    .await;
}

/// Several nodes that start at once on a database that holds nothing: one of them fills it, all of them serve.
#[tokio::test]
async fn nodes_that_start_at_once_fill_a_database_once() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let folder = root().join("collections");
        let data = folder.join("_data");
        let builder =
            Server::builder(&database).collections(&folder).set("DEMO_DATA", data.to_str().unwrap());
        let (first, second, third) = tokio::join!(builder.start(), builder.start(), builder.start());
        let companies = std::fs::read(data.join("companies.json")).unwrap();
        let companies = serde_json::from_slice::<Vec<Value>>(&companies).unwrap().len() as i64;
        for server in [&first, &second, &third] {
            let query = json!({ "fields": "id", "limit": 0, "meta": "total_count" });
            let page = server.admin().items("companies", query).await;
            assert_eq!(page.json()["meta"]["total_count"], companies);
        }
        let filled = [
            ("directus_users", "email = 'admin@example.com'"),
            ("directus_roles", "name = 'Administrator'"),
            ("directus_policies", "name = 'Administrator'"),
            ("directus_activity", "collection = 'companies' AND action = 'create'"),
        ];
        for (table, condition) in filled {
            let expected = if table == "directus_activity" { companies } else { 1 };
            assert_eq!(database.count(table, condition).await, expected, "{table} where {condition}");
        }
        assert_eq!(first.printed().matches("loaded demonstration data").count(), 1, "of all three");
    })
    .await;
}

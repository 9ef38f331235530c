//! The databases that worlds are made in, and the library on top of them.

use std::sync::Arc;

use serde_json::Value;
use tablature::access::{Accountability, Context, Directory};
use tablature::db::{Database, Settings, Target};
use tablature::error::Error;
use tablature::events::{Events, Hooks};
use tablature::items::{ItemsService, ItemsSettings};
use tablature::query::{Selection, parse};
use tablature::schema::diff::desired_table;
use tablature::schema::{DatabaseStructure, FieldId, Schema, SchemaStep};
use tablature::sql::ddl;
use tablature::sql::write::{self, Insert};
use uuid::Uuid;

use crate::model::{Model, NOW, USERS};
use crate::policy::Caller;
use crate::query::Keys;
use crate::support;

/// One database, in which one world at a time is.
pub struct Place {
    /// Kept for its end, with which it goes.
    _shelf: support::Database,
    database: Database,
    items: ItemsService,
    has_users: bool,
    structure: DatabaseStructure,
}

impl Place {
    pub async fn open(engine: support::Engine) -> Place {
        let shelf = support::Database::fresh(engine).await;
        let target = match engine {
            support::Engine::Sqlite => Target::Sqlite { path: shelf.file() },
            support::Engine::Postgres => Target::Postgres { url: shelf.url.clone() },
            support::Engine::Mariadb => Target::Mysql { url: shelf.url.clone() },
        };
        let settings = Settings { pool_size: 2, sqlite_readers: 1, ..Settings::new(target) };
        let database = Database::connect(&settings).await.expect("a database");
        let events = Events::start(database.clone(), Hooks::default());
        let items = ItemsService::new(database.clone(), events, ItemsSettings::default());
        Place { _shelf: shelf, database, items, has_users: false, structure: DatabaseStructure::default() }
    }

    /// Makes the tables and the rows.
    pub async fn furnish(&mut self, model: &Model, schema: &Schema) {
        let dialect = self.database.dialect();
        let mut statements = Vec::new();
        let steps: Vec<SchemaStep> = schema
            .collections()
            .filter(|(id, _)| id.0 as usize != USERS || !self.has_users)
            .map(|(_, collection)| {
                let mut table = desired_table(schema, collection);
                // References to rows that are not there are part of the game.
                table.foreign_keys.clear();
                SchemaStep::CreateTable { table }
            })
            .collect();
        statements.extend(
            ddl::statements(dialect, &steps, &self.structure, false).expect("tables that can be made"),
        );
        self.has_users = true;
        statements.push(ddl::statement("DELETE FROM directus_users".to_owned()));
        let mut inserts = Vec::new();
        for (table, (_, collection)) in model.tables.iter().zip(schema.collections()) {
            let columns: Vec<usize> =
                (0..table.fields.len()).filter(|field| table.fields[*field].holds.is_some()).collect();
            let cell = |row: &[crate::model::Cell], field: usize| {
                row[field].scalar(table.fields[field].holds.expect("a column"))
            };
            let rows = table.rows.iter().map(|row| columns.iter().map(|field| cell(row, *field)).collect());
            let ids: Vec<FieldId> = columns.iter().map(|field| FieldId(*field as u32)).collect();
            let rows: Vec<_> = rows.collect();
            if !rows.is_empty() {
                inserts.push(write::insert(dialect, collection, &ids, rows, None, &write::Texts::default()));
            }
        }
        self.run(statements, inserts).await;
    }

    /// Takes the tables away again.
    pub async fn clear(&mut self, model: &Model) {
        let tables = model.tables.iter().enumerate().filter(|(position, _)| *position != USERS);
        let drops = tables.map(|(_, table)| ddl::statement(format!("DROP TABLE {}", table.name)));
        self.run(drops.collect(), Vec::new()).await;
    }

    async fn run(&self, statements: Vec<tablature::sql::Statement>, inserts: Vec<Insert>) {
        let done = self.database.schema_transaction(move |tx| {
            Box::pin(async move {
                for statement in &statements {
                    tx.execute(statement).await?;
                }
                for insert in inserts {
                    match insert {
                        Insert::Each(statement, lists) => {
                            tx.execute_each(&statement, &lists).await?;
                        }
                        Insert::Statements(statements) => {
                            for statement in &statements {
                                tx.execute(statement).await?;
                            }
                        }
                    }
                }
                Ok(())
            })
        });
        done.await.expect("the rows of a world");
    }

    /// The answer of the library: its members, or its refusal.
    pub async fn answer(
        &self,
        who: &Context,
        collection: &str,
        keys: &Keys,
        query: &Value,
    ) -> Result<Value, Error> {
        let selection = match keys {
            Keys::Any => Selection::Query,
            Keys::One(key) => Selection::Key(key.clone()),
            Keys::Many(keys) => Selection::Keys(keys.clone()),
        };
        let parameters = query.as_object().expect("an object");
        let query = parse::parse_object(parameters, &ItemsSettings::default().query)?;
        let bytes = self.items.read(who, collection, selection, query).await?;
        let text = format!("{{{}}}", String::from_utf8(bytes).expect("UTF-8"));
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}")))
    }
}

/// What the library knows of somebody who asks.
pub fn context(directory: &Directory, schema: &Arc<Schema>, caller: &Caller) -> Context {
    let who = directory.who(caller.user.as_deref(), caller.role.as_deref(), None);
    let rules = directory.rules(schema, &who);
    let accountability = Accountability {
        user: who.user,
        role: who.role,
        roles: who.roles,
        policies: who.policies,
        ..Accountability::default()
    };
    Context {
        accountability: Arc::new(accountability),
        rules,
        schema: schema.clone(),
        now: NOW.parse().expect("a moment"),
        request_id: Uuid::nil(),
    }
}

//! The demonstration data of this repository, through every check, into every database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::world::{administrator, fresh_databases};
use crate::access::Accountability;
use crate::db::introspect::introspect;
use crate::db::{migrations, steps};
use crate::events::{Events, Hooks};
use crate::items::{ItemsService, ItemsSettings};
use crate::schema::{DiffOptions, SourceFile, diff, load};

fn yaml_files(folder: &Path, files: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('_') {
            continue;
        }
        if path.is_dir() {
            yaml_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(SourceFile {
                path: path.to_string_lossy().into_owned(),
                text: std::fs::read(&path).unwrap(),
            });
        }
    }
}

#[tokio::test]
async fn the_demonstration_data_is_loaded() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("collections");
    let mut files = Vec::new();
    yaml_files(&root, &mut files);
    let (model, findings) = load(&files, 1);
    let schema = Arc::new(model.unwrap_or_else(|| panic!("{findings:?}")).schema);
    let built_in = load(&[], 0).0.unwrap().schema;
    for database in fresh_databases().await {
        migrations::migrate(&database).await.unwrap();
        let actual = introspect(&database).await.unwrap();
        let options = DiffOptions { built_in: &built_in, is_stored_alike: &|_, _| true, prune: false };
        let changes = diff(&schema, &actual, options).steps;
        database
            .schema_transaction(move |tx| {
                Box::pin(async move { steps::run_in(tx, &changes, &actual, false).await })
            })
            .await
            .unwrap();
        let events = Events::start(database.clone(), Hooks::default());
        let items = ItemsService::new(database.clone(), events, ItemsSettings::default());
        // The server itself, which is no user.
        let mut ctx = administrator(schema.clone());
        ctx.accountability = Arc::new(Accountability { admin: true, ..Accountability::default() });
        // The roles of the users come with `_access.yaml`, which is applied before any data is loaded.
        let users = std::fs::read(root.join("_data/directus_users.json")).unwrap();
        let users: Vec<serde_json::Value> = serde_json::from_slice(&users).unwrap();
        let roles: std::collections::BTreeSet<&str> =
            users.iter().filter_map(|user| user["role"].as_str()).collect();
        for role in roles {
            let role = serde_json::json!({ "id": role, "name": role });
            let role = crate::items::Operation::Create(role.as_object().unwrap().clone());
            items.change(&ctx, "directus_roles", role).await.unwrap();
        }
        let loaded = items.load_folder(&ctx, &root.join("_data")).await;
        assert!(loaded.as_ref().is_ok_and(|count| count.is_some_and(|count| count > 100)), "{loaded:?}");
    }
}

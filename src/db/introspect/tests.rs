//! Migrations and the catalogues on real databases.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use super::introspect;
use crate::db::migrations::migrate;
use crate::db::tests::private_databases;
use crate::schema::OnDelete;

#[tokio::test]
async fn migrations_run_once_and_are_read_back() {
    for (database, private) in private_databases().await {
        let (first, second) = futures::future::join(migrate(&database), migrate(&database)).await;
        first.unwrap();
        second.unwrap();
        migrate(&database).await.unwrap();

        let start = Instant::now();
        let structure = introspect(&database).await.unwrap();
        let dialect = database.dialect();
        tracing::info!(?dialect, duration_ms = start.elapsed().as_secs_f64() * 1000.0, "introspected");
        let access = structure.table("directus_access").unwrap();
        assert_eq!(access.primary_key, ["id"], "{dialect:?}");
        let targets: Vec<(&str, &str, OnDelete)> = access
            .foreign_keys
            .iter()
            .map(|key| (key.columns[0].as_str(), key.target.as_str(), key.on_delete))
            .collect();
        for expected in [
            ("role", "directus_roles", OnDelete::Cascade),
            ("user", "directus_users", OnDelete::Cascade),
            ("policy", "directus_policies", OnDelete::Cascade),
        ] {
            assert!(targets.contains(&expected), "{dialect:?} {targets:?}");
        }
        let activity = structure.table("directus_activity").unwrap();
        assert!(activity.column("id").unwrap().is_counted, "{dialect:?}");
        let items = ["collection".to_owned(), "item".to_owned()];
        let revisions = structure.table("directus_revisions").unwrap();
        assert!(revisions.index_over(&items, false).is_some(), "{dialect:?} {revisions:?}");
        private.remove().await;
    }
}

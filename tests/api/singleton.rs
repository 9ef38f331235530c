//! Collections that hold exactly one item.

use serde_json::{Value, json};

use crate::support::{blog, each_database};

#[tokio::test]
async fn holds_one_item_that_needs_no_key() {
    each_database(async |engine| {
        // One scenario alone may write to a singleton of the shared server.
        let admin = blog::shared(engine).await;
        let path = "/items/preferences";
        let empty = admin.get(path).await.data();
        assert_eq!(
            (&empty["site_name"], &empty["per_page"]),
            (&json!("Unnamed"), &json!(3)),
            "defaults before the first write"
        );
        assert_eq!(empty["id"], Value::Null);

        let changed = admin.patch(path, json!({ "site_name": "Site", "tagline": "T" })).await.data();
        let key = changed["id"].clone();
        assert!(key.is_i64());
        assert_eq!(changed, json!({ "id": key, "site_name": "Site", "tagline": "T", "per_page": 3 }));
        admin.patch(path, json!({ "per_page": 10 })).await.data();
        let expected = json!({ "site_name": "Site", "tagline": "T", "per_page": 10 });
        assert_eq!(admin.get(&format!("{path}?fields=site_name,tagline,per_page")).await.data(), expected);
        assert_eq!(
            admin.get(&format!("{path}/{key}?fields=per_page")).await.data(),
            json!({ "per_page": 10 })
        );
        let refused = admin.patch(path, json!({ "per_page": "many" })).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(admin.get(path).await.data()["id"], key, "there is still the one item");
    })
    .await;
}

//! What the admin UI needs to be opened at all: rights on system collections that every policy with `app_access` gives.
//!
//! They are about what is one's own (presets, notifications, comments, the account) and about what a form has to know of the model.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::{Action, Permission, PermissionRow};

/// The key under which these rights are shown.
pub const POLICY: &str = "app_access";

type Table = HashMap<(&'static str, Action), Vec<Arc<Permission>>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mine = |field: &str| json!({ field: { "_eq": "$CURRENT_USER" } });
    let preset_of_mine = json!({ "_or": [
        { "user": { "_eq": "$CURRENT_USER" } },
        { "_and": [{ "user": { "_null": true } }, { "role": { "_in": ["$CURRENT_ROLES"] } }] },
        { "_and": [{ "user": { "_null": true } }, { "role": { "_null": true } }] },
    ] });
    let profile = "id,first_name,last_name,last_page,email,password,location,title,description,tags,avatar,\
                   language,appearance,theme_light,theme_dark,theme_light_overrides,theme_dark_overrides,\
                   text_direction,tfa_secret,status,role,policies,email_notifications";
    let own_profile = "first_name,last_name,email,password,location,title,description,avatar,language,appearance,\
                       theme_light,theme_dark,theme_light_overrides,theme_dark_overrides,text_direction,\
                       last_page,email_notifications";
    let none = Value::Null;
    let mut table = Table::new();
    let mut add =
        |collection: &'static str, action: Action, rows: &Value, fields: &str, validation: &Value| {
            let row = PermissionRow {
                id: String::new(),
                policy: POLICY.to_owned(),
                collection: collection.to_owned(),
                action: action.name().to_owned(),
                permissions: rows.clone(),
                validation: validation.clone(),
                presets: Value::Null,
                fields: Some(fields.split(',').map(|field| field.trim().to_owned()).collect()),
            };
            if let Ok(Some(mut permission)) = Permission::read(&row) {
                permission.id = None;
                table.entry((collection, action)).or_default().push(Arc::new(permission));
            }
        };
    for known in ["directus_collections", "directus_fields", "directus_relations", "directus_translations"] {
        add(known, Action::Read, &none, "*", &none);
    }
    add(
        "directus_permissions",
        Action::Read,
        &json!({ "policy": { "_in": ["$CURRENT_POLICIES"] } }),
        "*",
        &none,
    );
    add("directus_policies", Action::Read, &json!({ "id": { "_in": ["$CURRENT_POLICIES"] } }), "*", &none);
    add("directus_roles", Action::Read, &json!({ "id": { "_in": ["$CURRENT_ROLES"] } }), "*", &none);
    add("directus_settings", Action::Read, &none, "*", &none);
    add("directus_activity", Action::Read, &mine("user"), "*", &none);
    add("directus_presets", Action::Read, &preset_of_mine, "*", &none);
    add("directus_presets", Action::Create, &none, "*", &mine("user"));
    // A preset of one's own does not become one of everybody.
    add("directus_presets", Action::Update, &mine("user"), "*", &mine("user"));
    add("directus_presets", Action::Delete, &mine("user"), "*", &none);
    add("directus_notifications", Action::Read, &mine("recipient"), "*", &none);
    add("directus_notifications", Action::Update, &mine("recipient"), "status", &none);
    add("directus_comments", Action::Create, &none, "collection,item,comment", &none);
    add("directus_comments", Action::Read, &mine("user_created"), "*", &none);
    add("directus_comments", Action::Update, &mine("user_created"), "comment", &none);
    add("directus_comments", Action::Delete, &mine("user_created"), "*", &none);
    add("directus_users", Action::Read, &mine("id"), profile, &none);
    add("directus_users", Action::Update, &mine("id"), own_profile, &none);
    table
});

/// These rights for one collection and action.
pub fn permissions(collection: &str, action: Action) -> &'static [Arc<Permission>] {
    let table: &'static Table = &TABLE;
    table
        .iter()
        .find(|((name, of), _)| *name == collection && *of == action)
        .map_or(&[], |(_, list)| list.as_slice())
}

//! Policies put together, without a database.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::filter::Filter;
use crate::schema::{self, SourceFile};

/// Keys of users are UUIDs, like those of the database.
const U: &str = "00000000-0000-4000-8000-000000000001";
const V: &str = "00000000-0000-4000-8000-000000000002";

const MODEL: &str = "
collection: posts
fields:
  id: integer_pk
  title: string
  body: text
  owner: m2o(directus_users)
";

fn model() -> Arc<Schema> {
    let file = SourceFile { path: "posts.yaml".to_owned(), text: MODEL.into() };
    let (loaded, findings) = schema::load(&[file], 1);
    Arc::new(loaded.unwrap_or_else(|| panic!("{findings:?}")).schema)
}

fn policy(id: &str) -> PolicyRow {
    PolicyRow {
        id: id.to_owned(),
        name: id.to_owned(),
        admin: false,
        app: false,
        enforce_tfa: false,
        ip_access: String::new(),
    }
}

fn role(id: &str, parent: Option<&str>) -> Role {
    Role { id: id.to_owned(), parent: parent.map(str::to_owned) }
}

fn to_role(role: &str, policy: &str) -> Grant {
    Grant { role: Some(role.to_owned()), user: None, policy: policy.to_owned(), sort: 1 }
}

fn to_user(user: &str, policy: &str) -> Grant {
    Grant { role: None, user: Some(user.to_owned()), policy: policy.to_owned(), sort: 1 }
}

fn to_visitors(policy: &str) -> Grant {
    Grant { role: None, user: None, policy: policy.to_owned(), sort: 1 }
}

fn reads(policy: &str, rows: Value, fields: &str) -> PermissionRow {
    PermissionRow {
        id: String::new(),
        policy: policy.to_owned(),
        collection: "posts".to_owned(),
        action: "read".to_owned(),
        permissions: rows,
        validation: Value::Null,
        presets: Value::Null,
        fields: Some(fields.split(',').map(str::to_owned).collect()),
    }
}

#[test]
fn policies_come_from_roles_above_from_the_user_and_for_visitors() {
    let roles =
        vec![role("boss", None), role("clerk", Some("boss")), role("a", Some("b")), role("b", Some("a"))];
    let policies = ["p1", "p2", "p3", "p4"].map(policy).to_vec();
    let grants = vec![
        to_role("boss", "p1"),
        to_role("clerk", "p2"),
        to_user(U, "p3"),
        to_visitors("p4"),
        to_role("a", "p9"),
    ];
    let directory = Directory::new(roles, policies, grants, &[]);
    let check = |user: Option<&str>, role: Option<&str>, expected: &str| {
        assert_eq!(directory.who(user, role, None).policies.join(" "), expected, "{user:?} {role:?}");
    };
    check(None, None, "p4");
    check(Some(U), None, "p4 p3");
    check(Some(U), Some("clerk"), "p1 p2 p3");
    check(Some(V), Some("boss"), "p1");
    check(Some(V), Some("a"), "");
    check(Some(V), Some("gone"), "");
    assert_eq!(directory.who(Some(V), Some("a"), None).roles, ["a", "b"]);
}

#[test]
fn addresses_decide_whether_a_policy_is_in_force() {
    let inside = PolicyRow { ip_access: "10.0.0.0/8".to_owned(), admin: true, ..policy("p") };
    let directory = Directory::new(Vec::new(), vec![inside], vec![to_user(U, "p")], &[]);
    let admin = |address: &str| directory.who(Some(U), None, address.parse().ok()).admin;
    assert!(admin("10.1.2.3") && !admin("192.168.0.1") && !admin("nowhere"));
}

/// What the owner policies give for `posts`, as text.
fn united(permissions: &[PermissionRow]) -> String {
    let schema = model();
    let policies = ["p1", "p2"].map(policy).to_vec();
    let grants = vec![to_user(U, "p1"), to_user(U, "p2")];
    let directory = Directory::new(Vec::new(), policies, grants, permissions);
    let rules = directory.rules(&schema, &directory.who(Some(U), None, None));
    let posts = schema.find("posts").expect("declared");
    let Some(allowed) = rules.collection(posts, Action::Read, Timestamp::UNIX_EPOCH) else {
        return "closed".to_owned();
    };
    let rows = |filter: &Option<Filter>| match filter {
        None => "all",
        Some(Filter::Or(parts)) if parts.len() == 2 => "either",
        Some(_) => "some",
    };
    let mut shown = vec![format!("rows {}", rows(&allowed.rows))];
    for (id, field) in schema.collection(posts).fields() {
        if allowed.fields.contains(id) {
            shown.push(format!("{} {}", field.name, rows(&allowed.fields.rows_of(id).cloned())));
        }
    }
    shown.join(", ")
}

#[test]
fn rows_and_fields_are_united() {
    let own = json!({ "owner": { "_eq": "$CURRENT_USER" } });
    let titled = json!({ "title": { "_nnull": true } });
    let check = |permissions: &[PermissionRow], expected: &str| assert_eq!(united(permissions), expected);
    check(&[], "closed");
    check(&[reads("p1", json!({}), "id,title")], "rows all, id all, title all");
    check(&[reads("p1", own.clone(), "id")], "rows some, id all");
    check(
        &[reads("p1", own.clone(), "*"), reads("p2", titled.clone(), "id,title")],
        "rows either, id all, title all, body some, owner some",
    );
    check(
        &[reads("p1", own.clone(), "id,body"), reads("p2", Value::Null, "id")],
        "rows all, id all, body some",
    );
    check(
        &[reads("p1", own.clone(), "*"), reads("p2", own.clone(), "*")],
        "rows some, id all, title all, body all, owner all",
    );
}

#[test]
fn what_cannot_be_read_or_does_not_fit_allows_nothing() {
    let broken = [json!("no JSON"), json!({ "gone": { "_eq": 1 } }), json!({ "title": { "_like": 1 } })];
    for rows in broken {
        assert_eq!(united(&[reads("p1", rows, "*")]), "closed");
    }
    assert_eq!(united(&[reads("p1", json!({}), "gone,title")]), "rows all, title all");
    let unknown = PermissionRow { action: "fly".to_owned(), ..reads("p1", json!({}), "*") };
    assert_eq!(united(&[unknown]), "closed");
    let no_fields = PermissionRow { fields: None, ..reads("p1", json!({}), "*") };
    assert_eq!(united(&[no_fields]), "rows all");
}

#[test]
fn equal_policies_share_their_rules_unless_the_user_is_named() {
    let schema = model();
    let grants = vec![to_user(U, "p1"), to_user(V, "p1")];
    let id = |permissions: &[PermissionRow], user: &str| {
        let directory = Directory::new(Vec::new(), vec![policy("p1")], grants.clone(), permissions);
        let first = directory.rules(&schema, &directory.who(Some(U), None, None));
        let other = directory.rules(&schema, &directory.who(Some(user), None, None));
        first.id() == other.id()
    };
    assert!(id(&[reads("p1", json!({}), "*")], V));
    assert!(!id(&[reads("p1", json!({ "owner": { "_eq": "$CURRENT_USER" } }), "*")], V));
    assert!(id(&[reads("p1", json!({ "owner": { "_eq": "$CURRENT_USER" } }), "*")], U));
}

#[test]
fn users_do_not_change_their_rights_by_a_wildcard() {
    let schema = model();
    let writes = |fields: &str| PermissionRow {
        collection: "directus_users".to_owned(),
        action: "update".to_owned(),
        ..reads("p1", json!({}), fields)
    };
    let may = |fields: &str, field: &str| {
        let directory =
            Directory::new(Vec::new(), vec![policy("p1")], vec![to_user(U, "p1")], &[writes(fields)]);
        let rules = directory.rules(&schema, &directory.who(Some(U), None, None));
        let users = schema.find("directus_users").expect("the system's");
        let field = schema.collection(users).find(field).expect("a field");
        let allowed = rules.collection(users, Action::Update, Timestamp::UNIX_EPOCH);
        allowed.is_some_and(|allowed| allowed.fields.contains(field))
    };
    assert!(may("*", "first_name") && !may("*", "role") && !may("*", "token") && !may("*", "status"));
    assert!(may("role", "role"));
}

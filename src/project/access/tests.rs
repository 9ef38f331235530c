//! What files may say, what becomes of it in the tables, and that nothing of others is touched.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::config::Secrets;
use crate::db::tests::private_databases;
use crate::project::tests::{Folder, count, reason, run};
use crate::project::{ApplyOptions, Project};
use crate::schema::findings::Findings;
use crate::schema::{SourceFile, load};
use crate::yaml::Diagnostic;

const NOTES: &str = "collection: notes
group: talk
fields:
  id: uuid_pk
  title: string
  stars: integer
  status: { type: string, choices: [draft, sent] }
  author: m2o(directus_users)
  topic: m2o(topics)
  extra: json
";
const TOPICS: &str = "collection: topics\nfields:\n  name: string\n  notes: o2m(notes.topic)\n";

/// Findings of `_access.yaml` beside two collections, the first of them with more to it.
fn findings(access: &str, more: &str) -> Vec<String> {
    let file = |path: &str, text: String| SourceFile { path: path.to_owned(), text: text.into_bytes() };
    let files = [file("notes.yaml", format!("{NOTES}{more}")), file("topics.yaml", TOPICS.to_owned())];
    let (loaded, diagnostics) = load(&files, 1);
    assert_eq!(diagnostics, []);
    let mut findings = Findings::default();
    super::read(Some(&file("_access.yaml", access.to_owned())), loaded.as_ref(), &mut findings);
    findings.into_sorted().iter().map(Diagnostic::to_string).collect()
}

fn check(access: &str, expected: &[&str]) {
    assert_eq!(findings(access, ""), expected, "{access}");
}

/// A filter of one rule.
fn check_filter(filter: &str, expected: &[&str]) {
    let access =
        format!("policies:\n  a:\n    collections:\n      notes:\n        read: {{ where: {filter} }}\n");
    check(&access, expected);
}

#[test]
fn files_with_nothing_in_them_are_well() {
    check("", &[]);
    check("# later\n\n", &[]);
    check("roles:\n  a:\npolicies:\n  b:\n", &[]);
    check("[]", &["_access.yaml:1:1: the file cannot be a list; expected a map"]);
}

#[test]
fn names_that_lead_to_nothing() {
    check(
        "roles:\n  editor: { policies: [edit, wriet], parent: editors }\npolicies:\n  write: { roles: [editr] }\n",
        &[
            "_access.yaml:2:24: there is no policy \"edit\"",
            "_access.yaml:2:30: there is no policy \"wriet\"; did you mean \"write\"?",
            "_access.yaml:2:46: there is no role \"editors\"; did you mean \"editor\"?",
            "_access.yaml:4:20: there is no role \"editr\"; did you mean \"editor\"?",
        ],
    );
    check("polices: {}\n", &["_access.yaml:1:1: unknown key \"polices\"; did you mean \"policies\"?"]);
    check(
        "policies:\n  a: { admin: yes, ip_access: [10.0.0.0/8, 10.0.0.0/33, here], id: abc }\n",
        &[
            "_access.yaml:2:3: the \"id\" of \"a\" is no UUID",
            "_access.yaml:2:3: \"10.0.0.0/33\" of \"a\" is no address; expected an address, a network as in 10.0.0.0/8, or a range as in 10.0.0.1-10.0.0.9",
            "_access.yaml:2:3: \"here\" of \"a\" is no address; expected an address, a network as in 10.0.0.0/8, or a range as in 10.0.0.1-10.0.0.9",
            "_access.yaml:2:15: \"admin\" cannot be a text; expected true or false",
        ],
    );
    check(
        "policies: { public: { admin: true } }\n",
        &["_access.yaml:1:13: visitors cannot have \"admin\", \"app\" or \"enforce_tfa\": they are nobody"],
    );
    check(
        "service_accounts: { importer: { role: x, token: abc } }\n",
        &["_access.yaml:1:31: importer has no \"token_env\"", "_access.yaml:1:42: unknown key \"token\""],
    );
    assert_eq!(
        findings(
            "policies:\n  reader:\n",
            "permissions:\n  readers: all\n  public: { read: { fields: [title] } }\n"
        ),
        ["notes.yaml:12:3: there is no policy \"readers\"; did you mean \"reader\"?"]
    );
}

#[test]
fn roles_in_a_circle() {
    check(
        "roles:\n  a: { parent: b }\n  b: { parent: c }\n  c: { parent: b }\n  d: { parent: a }\n  e: { parent: e }\n",
        &[
            "_access.yaml:4:16: roles in a circle: b -> c -> b; expected a parent that does not descend from this role",
            "_access.yaml:6:16: roles in a circle: e -> e; expected a parent that does not descend from this role",
        ],
    );
}

#[test]
fn scopes() {
    let policy = |collections: &str| format!("policies: {{ a: {{ collections: {{ {collections} }} }} }}\n");
    check(&policy("\"*\": read, notes: [create, read], talk/*: all, not*: none, directus_users: read"), &[]);
    check(
        &policy("note: read, talks/*: read, x_*: read"),
        &[
            "_access.yaml:1:33: there is no collection \"note\"; did you mean \"notes\"?",
            "_access.yaml:1:45: no collection matches \"talks/*\"",
            "_access.yaml:1:60: no collection matches \"x_*\"",
        ],
    );
    check(
        &policy("notes: raed"),
        &[
            "_access.yaml:1:40: \"notes\" cannot be \"raed\"; expected create, read, update, delete, share, all or none; did you mean \"read\"?",
        ],
    );
    // A pattern whose rule does not fit all that it means.
    check(
        &policy("\"*\": { read: { where: { stars: { _gt: 1 } } } }"),
        &["_access.yaml:1:57: topics has no field \"stars\"; expected a rule that fits topics as well"],
    );
    assert_eq!(
        findings(&policy("notes: read"), "permissions: { a: { read: { fields: [title] } } }\n"),
        ["notes.yaml:11:21: what \"a\" may read in notes stands in _access.yaml:1 already"]
    );
}

#[test]
fn filters() {
    for fine in [
        "{}",
        "{ title: { _eq: a } }",
        "{ _or: [{ stars: { _gt: 3 } }, { _and: [{ author: { _eq: $CURRENT_USER } }] }] }",
        "{ topic: { name: { _icontains: x }, notes: { _some: { stars: { _null: true } } } } }",
        "{ author: { role: { _in: $CURRENT_ROLES } }, \"count(extra)\": { _gt: 0 } }",
        "{ topic: { _nnull: true }, author: { id: { _eq: $CURRENT_USER.id } } }",
    ] {
        check_filter(fine, &[]);
    }
    let at = |column: usize, rest: &str| format!("_access.yaml:5:{column}: {rest}");
    for (filter, column, rest) in [
        ("{ titel: { _eq: a } }", 26, "notes has no field \"titel\"; did you mean \"title\"?"),
        ("{ topic: { nam: { _eq: a } } }", 35, "topics has no field \"nam\"; did you mean \"name\"?"),
        (
            "{ topic: { notes: { _some: { star: { _eq: 1 } } } } }",
            53,
            "notes has no field \"star\"; did you mean \"stars\"?",
        ),
        ("{ title: { _equals: a } }", 35, "\"_equals\" is no operator"),
        ("{ title: { _sw: a } }", 35, "\"_sw\" is no operator"),
        ("{ title: { eq: a } }", 35, "\"eq\" is no operator or relation; did you mean \"_eq\"?"),
        ("{ _eq: 1 }", 26, "\"_eq\" needs a field around it"),
        ("{ title: a }", 33, "\"title\" cannot be a text; expected conditions, as in { _eq: ... }"),
        ("{ _and: { title: { _eq: a } } }", 32, "\"_and\" cannot be a map; expected a list"),
        ("{ stars: { _gt: many } }", 35, "\"many\" in \"_gt\" does not fit field \"stars\" (integer)"),
        (
            "{ stars: { _contains: 1 } }",
            35,
            "operator \"_contains\" cannot be applied to field \"stars\" (integer)",
        ),
        ("{ title: { _regex: a } }", 35, "\"_regex\" can be used in validation rules only"),
        (
            "{ _or: [{ title: { _eq: a } }, { titl: { _eq: a } }] }",
            57,
            "notes has no field \"titl\"; did you mean \"title\"?",
        ),
    ] {
        check_filter(filter, &[&at(column, rest)]);
    }
}

#[test]
fn members_of_tenants() {
    let firms = "members: { topic: { nam: { _eq: a } }, author: { _eq: $CURRENT_USER } }\n";
    assert_eq!(
        findings("", firms),
        ["notes.yaml:1:13: members: topics has no field \"nam\"; did you mean \"name\"?"]
    );
    assert_eq!(findings("", "members: { author: { _eq: $CURRENT_USER } }\n"), Vec::<String>::new());
}

#[test]
fn validation_fields_and_presets() {
    let rule =
        |rule: &str| format!("policies:\n  a:\n    collections:\n      notes:\n        create: {rule}\n");
    check(&rule("{ validation: { title: { _regex: \"^[a-z]+$\" }, stars: { _lte: 5 } } }"), &[]);
    check(&rule("{ presets: { author: $CURRENT_USER, status: draft, extra: { a: 1 }, stars: 3 } }"), &[]);
    check(
        &rule("{ validation: { title: { _regex: \"(\" }, star: { _lte: 5 } } }"),
        &[
            "_access.yaml:5:50: \"(\" is no regular expression",
            "_access.yaml:5:57: notes has no field \"star\"; did you mean \"stars\"?",
        ],
    );
    check(
        &rule("{ fields: [title, starz], presets: { stars: many, autor: 1 } }"),
        &[
            "_access.yaml:5:35: notes has no field \"starz\"; did you mean \"stars\"?",
            "_access.yaml:5:61: \"many\" does not fit the field \"stars\"",
            "_access.yaml:5:67: notes has no field \"autor\"; did you mean \"author\"?",
        ],
    );
}

const ACCESS: &str = "# who may do what
roles:
  staff: { name: Staff, policies: [reader] }
  editor: { name: Editor, parent: staff, policies: [editor] }
policies:
  reader:
    collections: { \"*\": read }
  editor:
    name: Editors
    ip_access: [10.0.0.0/8]
    collections:
      topics: [create, read]
      talk/*: { create: true, update: { where: { author: { _eq: $CURRENT_USER } }, fields: [title, stars] } }
  public:
service_accounts:
  importer: { role: editor, token_env: IMPORTER_TOKEN }
";

fn secrets(token: &str) -> Secrets {
    Secrets::new([("IMPORTER_TOKEN".to_owned(), token.to_owned())])
}

#[tokio::test]
async fn rows_follow_the_files() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let files = [("notes.yaml", NOTES), ("topics.yaml", TOPICS), ("_access.yaml", ACCESS)];
        let folder = Folder::new(&files);
        let project =
            Project::open(database.clone(), &folder.path()).await.unwrap().with_secrets(secrets("t0ken"));
        let plan = project.plan(false).await.unwrap().to_string();
        for line in [
            "  make role Staff",
            "  make policy Editors",
            "  give policy Editors to the role Editor",
            "  give policy public to visitors",
            "  allow reader to read notes",
            "  allow Editors to update notes where {\"author\":{\"_eq\":\"$CURRENT_USER\"}}, fields title,stars",
            "  make service account importer",
        ] {
            assert!(plan.lines().any(|shown| shown == line), "{dialect:?} lacks {line}\n{plan}");
        }
        assert!(!plan.contains("t0ken"), "{plan}");
        let mut told = project.store().access_changes();
        project.apply(ApplyOptions::default()).await.unwrap();
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        let is_well = async || {
            let plan = project.plan(false).await.unwrap();
            assert!(plan.is_empty() && plan.drift().is_empty(), "{dialect:?}\n{plan}");
        };
        is_well().await;
        let rows = async |table: &str| count(&database, table).await;
        assert_eq!(rows("directus_roles").await, 2);
        assert_eq!(rows("directus_policies").await, 3);
        assert_eq!(rows("directus_access").await, 3);
        // What * means is what people declared.
        assert_eq!(rows("directus_permissions").await, 2 + 2 + 2, "{dialect:?}");
        let child = "directus_roles c JOIN directus_roles p ON c.parent = p.id WHERE p.name = 'Staff'";
        assert_eq!(rows(child).await, 1);
        let hash = crate::auth::static_hash("t0ken");
        assert_eq!(rows(&format!("directus_users WHERE token = '{hash}' AND status = 'active'")).await, 1);

        // The same key is the same row everywhere; nothing is told when nothing changes.
        project.apply(ApplyOptions::default()).await.unwrap();
        assert!(!told.has_changed().unwrap());

        // What somebody else changes in a row of ours is brought back, what they made is left alone.
        run(&database, "UPDATE directus_roles SET name = 'Changed' WHERE name = 'Staff'").await;
        run(&database, "INSERT INTO directus_permissions (policy, collection, action) SELECT id, 'notes', 'delete' FROM directus_policies WHERE name = 'Editors'").await;
        let plan = project.plan(false).await.unwrap();
        assert_eq!(plan.access.len(), 1, "{dialect:?}\n{plan}");
        assert_eq!(plan.drift(), ["no file says that Editors may delete notes"]);
        project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(rows("directus_permissions").await, 7, "{dialect:?}");
        project.apply(ApplyOptions { prune: true, ..ApplyOptions::default() }).await.unwrap();
        assert_eq!(rows("directus_permissions").await, 6, "{dialect:?}");

        // A right that a file no longer gives is taken back, a new token and a new rule are taken over.
        let text =
            ACCESS.replace("topics: [create, read]", "topics: [read]").replace("[title, stars]", "[title]");
        folder.write("_access.yaml", &text);
        let project = project.with_secrets(secrets("other"));
        let plan = project.plan(false).await.unwrap().to_string();
        let expected = [
            "change service account importer: token",
            "change right of Editors to update notes: fields title",
            "no longer allow Editors to create topics",
        ];
        assert_eq!(plan.lines().map(str::trim).collect::<Vec<_>>(), expected, "{dialect:?}");
        project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(rows("directus_permissions").await, 5, "{dialect:?}");

        // A role that people hold goes only when that is allowed.
        run(
            &database,
            "UPDATE directus_users SET role = (SELECT id FROM directus_roles WHERE name = 'Editor')",
        )
        .await;
        let text = "roles:\n  staff: { name: Staff, policies: [reader] }\npolicies:\n  reader:\n    collections: { notes: read }\n";
        folder.write("_access.yaml", text);
        let refusal = reason(project.apply(ApplyOptions::default()).await.unwrap_err());
        assert!(refusal.contains("remove role Editor: 1 user would lose the role"), "{dialect:?} {refusal}");
        assert_eq!(rows("directus_roles").await, 2);
        project.apply(ApplyOptions { allow_destructive: true, ..ApplyOptions::default() }).await.unwrap();
        let left =
            (rows("directus_roles").await, rows("directus_policies").await, rows("directus_access").await);
        assert_eq!(left, (1, 1, 1), "{dialect:?}");
        assert_eq!(
            rows("directus_users WHERE status = 'suspended' AND token IS NULL AND role IS NULL").await,
            1
        );
        private.remove().await;
    }
}

#[tokio::test]
async fn users_are_given_policies_once_they_are_there() {
    for (database, private) in private_databases().await {
        let access = "policies:\n  a: { users: [Anna@example.com] }\n";
        let folder = Folder::new(&[("notes.yaml", NOTES), ("topics.yaml", TOPICS), ("_access.yaml", access)]);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        let report = project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(report.drift(), ["there is no user Anna@example.com yet to give the policy a to"]);
        let user = "INSERT INTO directus_users (id, email, status, provider, text_direction) VALUES \
                    ('019352a4-0000-7000-8000-000000000001', 'anna@example.com', 'active', 'default', 'auto')";
        run(&database, user).await;
        let report = project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(report.access.len(), 1, "{report}");
        assert_eq!(count(&database, "directus_access").await, 1);
        assert!(project.plan(false).await.unwrap().drift().is_empty());
        private.remove().await;
    }
}

#[tokio::test]
async fn administrators_outlive_pruning() {
    for (database, private) in private_databases().await {
        let folder = Folder::new(&[("notes.yaml", NOTES), ("topics.yaml", TOPICS)]);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        project.start().await.unwrap();
        let schema = project.store().schema();
        crate::auth::create_administrator(&database, &schema, "root@example.com", None, None).await.unwrap();
        run(&database, "INSERT INTO directus_policies (id, name, icon, admin_access, app_access, enforce_tfa) VALUES ('019352a4-0000-7000-8000-000000000009', 'Stray', 'badge', FALSE, FALSE, FALSE)").await;
        project
            .apply(ApplyOptions { prune: true, allow_destructive: true, ..ApplyOptions::default() })
            .await
            .unwrap();
        folder.write("_access.yaml", "policies:\n  a:\n");
        run(&database, NEW_ROLE).await;
        let drift = project.plan(false).await.unwrap().drift();
        assert_eq!(drift, ["no file declares the role Night Shift"], "{:?}", database.dialect());
        run(&database, "DELETE FROM directus_roles WHERE name = 'Night Shift'").await;
        for (table, expected) in [("directus_roles", 1), ("directus_policies", 1), ("directus_access", 1)] {
            assert_eq!(count(&database, table).await, expected, "{:?} {table}", database.dialect());
        }
        private.remove().await;
    }
}

/// Sets that row of a policy, by SQL as another tool would.
async fn set_permission(
    database: &crate::db::Database,
    policy: &str,
    collection: &str,
    action: &str,
    values: &str,
) {
    let condition = format!(
        "collection = '{collection}' AND action = '{action}' AND policy = (SELECT id FROM directus_policies WHERE name = '{policy}')"
    );
    if count(database, &format!("directus_permissions WHERE {condition}")).await == 0 {
        let insert = format!(
            "INSERT INTO directus_permissions (policy, collection, action) SELECT id, '{collection}', '{action}' FROM directus_policies WHERE name = '{policy}'"
        );
        run(database, &insert).await;
    }
    run(database, &format!("UPDATE directus_permissions SET {values} WHERE {condition}")).await;
}

const NEW_ROLE: &str = "INSERT INTO directus_roles (id, name, icon) VALUES ('019352a4-0000-7000-8000-000000000007', 'Night Shift', 'bedtime')";
const NEW_GRANT: &str = "INSERT INTO directus_access (id, role, policy, sort) SELECT '019352a4-0000-7000-8000-000000000008', '019352a4-0000-7000-8000-000000000007', id, 1 FROM directus_policies WHERE name = 'reader'";

/// Changes rows of every kind, as somebody at the API would.
async fn change_rows(database: &crate::db::Database) {
    run(database, NEW_ROLE).await;
    run(database, NEW_GRANT).await;
    run(
        database,
        "UPDATE directus_policies SET description = 'Reads', enforce_tfa = TRUE WHERE name = 'reader'",
    )
    .await;
    run(
        database,
        "DELETE FROM directus_access WHERE role = (SELECT id FROM directus_roles WHERE name = 'Editor')",
    )
    .await;
    // Said exactly in _access.yaml, said by a pattern, said in the file of the collection, said nowhere.
    run(database, "DELETE FROM directus_permissions WHERE action = 'create' AND collection = 'topics'").await;
    let rule = r#"permissions = '{"stars":{"_gt":3}}', fields = 'title,stars'"#;
    set_permission(database, "Editors", "notes", "update", rule).await;
    set_permission(database, "reader", "notes", "delete", "fields = '*'").await;
    set_permission(database, "public", "notes", "read", "fields = 'title'").await;
    set_permission(database, "reader", "directus_users", "read", "fields = 'id,email'").await;
    set_permission(database, "reader", "gone", "read", "fields = '*'").await;
}

const CHANGED: &str = "# who may do what
roles:
  staff: { name: Staff, policies: [reader] }
  editor: { name: Editor, parent: staff }
  night_shift:
    id: 019352a4-0000-7000-8000-000000000007
    name: Night Shift
    icon: bedtime
    policies: [reader]
policies:
  reader:
    collections: { \"*\": read, directus_users: { read: { fields: [id, email] } } }
    description: Reads
    enforce_tfa: true
  editor:
    name: Editors
    ip_access: [10.0.0.0/8]
    collections:
      topics: { create: false, read: true }
      talk/*: { create: true, update: { where: { author: { _eq: $CURRENT_USER } }, fields: [title, stars] } }
  public:
service_accounts:
  importer: { role: editor, token_env: IMPORTER_TOKEN }
";

const PUBLIC_PERMISSIONS: &str = "permissions:\n  public: { read: { fields: [title, status] } } # for all\n";

#[tokio::test]
async fn what_rows_say_comes_home() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let notes = format!("{NOTES}{PUBLIC_PERMISSIONS}");
        let files = [("notes.yaml", notes.as_str()), ("topics.yaml", TOPICS), ("_access.yaml", ACCESS)];
        let folder = Folder::new(&files);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        project.start().await.unwrap();
        assert_eq!(project.write_back_access().await.unwrap(), Vec::<String>::new(), "{dialect:?}");
        assert_eq!(project.pull().await.unwrap(), Vec::<String>::new(), "{dialect:?}");
        let schema = project.store().schema();
        crate::auth::create_administrator(&database, &schema, "root@example.com", None, None).await.unwrap();
        change_rows(&database).await;

        // Somebody is at work on a file meanwhile: what they wrote is not taken back.
        let edited = ACCESS.replace("name: Staff,", "name: Workers,");
        folder.write("_access.yaml", &edited);
        let lines = project.write_back_access().await.unwrap();
        assert!(lines.contains(&"collections/_access.yaml: roles.night_shift set".to_owned()), "{lines:#?}");
        assert_eq!(
            folder.read("_access.yaml"),
            CHANGED.replace("name: Staff,", "name: Workers,"),
            "{dialect:?}"
        );
        let expected = format!(
            "{NOTES}permissions:\n  public: {{ read: {{ fields: [title] }} }} # for all\n  editor:\n    update:\n      where:\n        stars: {{ _gt: 3 }}\n      fields: [title, stars]\n  reader: {{ delete: true }}\n"
        );
        assert_eq!(folder.read("notes.yaml"), expected, "{dialect:?}");
        assert_eq!(project.write_back_access().await.unwrap(), Vec::<String>::new(), "{dialect:?}");
        let plan = project.plan(false).await.unwrap();
        let shown: Vec<String> = plan.access.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["change role Workers: name Workers"], "{dialect:?}");

        // The same by hand, into a folder that knows nothing of it.
        folder.write("_access.yaml", ACCESS);
        folder.write("notes.yaml", &notes);
        project.pull().await.unwrap();
        assert_eq!(folder.read("_access.yaml"), CHANGED, "{dialect:?}");
        let empty = Folder::new(&[("notes.yaml", NOTES), ("topics.yaml", TOPICS)]);
        let other = Project::open(database.clone(), &empty.path()).await.unwrap();
        other.pull().await.unwrap();
        let written = empty.read("_access.yaml");
        assert!(!written.contains("Administrator"), "{written}");
        let left: Vec<String> =
            other.plan(false).await.unwrap().access.iter().map(ToString::to_string).collect();
        // Only a file can say from which variable the token comes.
        assert_eq!(left, ["suspend service account importer"], "{dialect:?}\n{written}");
        private.remove().await;
    }
}

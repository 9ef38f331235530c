//! Golden SQL: what each request becomes on each database, without a database.
//!
//! Every folder under `compile/reads` and `compile/refused` is a case: `query.txt` has one request per line, `as.yaml` says who
//! asks (the administrator, where it is missing), `schema.yaml` has collections of its own (else those of `compile/model`).
//! `UPDATE_SNAPSHOTS=1 cargo test --test compile` writes the answers anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::Value;
use tablature::access::{
    AccessRules, Accountability, Context, Directory, Grant, PermissionRow, PolicyRow, Who,
};
use tablature::error::Result;
use tablature::query::{
    self, AggregateMember, AggregatePlan, AggregateValue, MemberValue, Plan, QueryLimits, ReadPlan, Selection,
};
use tablature::schema::{self, Schema, SourceFile};
use tablature::sql::{self, Dialect, Param, Statement};
use uuid::Uuid;

const USER: &str = "00000000-0000-4000-8000-000000000001";

#[test]
fn reads() {
    let mut wrong = Vec::new();
    for case in cases("reads") {
        let case = Case::open(&case);
        let mut texts = vec![("plan.snap", String::new())];
        texts.extend(DIALECTS.map(|(name, _)| (name, String::new())));
        for request in &case.requests {
            let (plan, resolved_rules) = match case.plan(request) {
                Ok(plan) => plan,
                Err(error) => panic!("{}: {request}: {error}", case.folder.display()),
            };
            shown_plan(&mut texts[0].1, request, &plan, resolved_rules);
            for ((_, text), (_, dialect)) in texts[1..].iter_mut().zip(DIALECTS) {
                let statements = sql::build_read(&case.schema, dialect, &plan).expect("statements");
                let _ = writeln!(text, "> {request}");
                for statement in &statements.levels {
                    shown_statement(text, statement);
                }
                for (name, count) in
                    [("total", &statements.total_count), ("filtered", &statements.filter_count)]
                {
                    if let Some(count) = count {
                        let _ = writeln!(text, "{name}:");
                        shown_statement(text, count);
                    }
                }
                text.push('\n');
            }
        }
        for (name, text) in texts {
            wrong.extend(compare(&case.folder.join(name), &text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refused() {
    let mut wrong = Vec::new();
    for case in cases("refused") {
        let case = Case::open(&case);
        let mut text = String::new();
        for request in &case.requests {
            let error = match case.plan(request) {
                Err(error) => error,
                Ok(_) => panic!("{}: {request} is not refused", case.folder.display()),
            };
            let _ = writeln!(text, "> {request}\n{}: {error}\n", error.code());
        }
        wrong.extend(compare(&case.folder.join("error.snap"), &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values and conditions in the words of the model and of the language, sensible or not.
fn any_filter() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "_and",
        "_or",
        "_some",
        "_none",
        "_eq",
        "_neq",
        "_in",
        "_nin",
        "_null",
        "_contains",
        "_between",
        "_gt",
        "_foo",
        "id",
        "title",
        "views",
        "price",
        "day",
        "seen",
        "extra",
        "labels",
        "secret",
        "author",
        "comments",
        "tags",
        "blocks",
        "item:images",
        "item",
        "year(day)",
        "count(comments)",
        "name",
        "score",
        "tags_id",
        "manager",
        "nope",
        "panel",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "a",
            "",
            "1,2",
            "2024-01-01",
            "$NOW",
            "$CURRENT_USER",
            "$CURRENT_USER.email",
            "%",
            "\0"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((names.clone(), inner), 0..4).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    /// Whatever is asked is planned or refused, and a statement has as many places as parameters.
    #[test]
    fn any_filter_is_planned_or_refused(filter in any_filter()) {
        static CASE: LazyLock<Case> = LazyLock::new(|| Case::open(&root().join("reads/list")));
        let raw = filter.to_string().replace('%', "%25").replace('&', "%26").replace('+', "%2B");
        match CASE.plan(&format!("/articles?fields=id,comments.id&filter={raw}&meta=*")) {
            Ok((plan, _)) => {
                let statements = sql::build_read(&CASE.schema, Dialect::Mysql, &plan).expect("statements");
                let level = &statements.levels[0];
                prop_assert_eq!(level.text.matches('?').count(), level.params.len());
                for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                    sql::build_read(&CASE.schema, dialect, &plan).expect("statements");
                }
            }
            Err(error) => prop_assert!(["INVALID_QUERY", "FORBIDDEN"].contains(&error.code()), "{}", error),
        }
    }
}

const DIALECTS: [(&str, Dialect); 3] =
    [("sqlite.snap", Dialect::Sqlite), ("postgres.snap", Dialect::Postgres), ("mysql.snap", Dialect::Mysql)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile")
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = root().join(kind);
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("cases")
        .map(|entry| entry.expect("a folder").path())
        .filter(|path| path.join("query.txt").exists())
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    cases
}

struct Case {
    folder: PathBuf,
    requests: Vec<String>,
    schema: Arc<Schema>,
    context: Context,
}

impl Case {
    fn open(folder: &Path) -> Self {
        let own = folder.join("schema.yaml");
        let files = if own.exists() { vec![own] } else { yaml_files(&root().join("model")) };
        let files: Vec<SourceFile> = files
            .iter()
            .map(|path| SourceFile {
                path: path.file_name().expect("a file").to_string_lossy().into_owned(),
                text: fs::read(path).expect("a model"),
            })
            .collect();
        let (loaded, findings) = schema::load(&files, 1);
        let schema = Arc::new(loaded.unwrap_or_else(|| panic!("{}: {findings:?}", folder.display())).schema);
        let asker = fs::read(folder.join("as.yaml")).map_or(Value::Null, |text| {
            tablature::yaml::parse("as.yaml", &text).0.expect("who asks").to_json()
        });
        let list = |name: &str| -> Vec<String> {
            let entries = asker[name].as_array().into_iter().flatten();
            entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
        };
        let accountability = Accountability {
            user: (asker["user"] != false).then(|| USER.to_owned()),
            role: asker["role"].as_str().map(str::to_owned),
            roles: list("roles"),
            policies: list("policies"),
            admin: true,
            ..Accountability::default()
        };
        let rules = rules(&schema, &asker, &accountability);
        let text = fs::read_to_string(folder.join("query.txt")).expect("requests");
        Case {
            folder: folder.to_owned(),
            requests: text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
            context: Context {
                accountability: Arc::new(accountability),
                rules,
                schema: schema.clone(),
                now: "2026-03-02T10:00:00Z".parse().expect("a moment"),
                request_id: Uuid::nil(),
            },
            schema,
        }
    }

    /// `/articles/1?fields=title`; `/settings!` reads the singleton.
    fn plan(&self, request: &str) -> Result<(Plan, bool)> {
        let limits = QueryLimits::default();
        let (path, raw) = request.split_once('?').unwrap_or((request, ""));
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let collection = parts.next().unwrap_or_default();
        let selection = match (parts.next(), collection.ends_with('!')) {
            (Some(keys), _) if keys.contains(',') => {
                Selection::Keys(keys.split(',').map(str::to_owned).collect())
            }
            (Some(key), _) => Selection::Key(key.to_owned()),
            (None, true) => Selection::Singleton,
            (None, false) => Selection::Query,
        };
        let query = query::parse::parse_string(raw, &limits)?;
        let collection = collection.trim_end_matches('!');
        let resolved = query::resolve(&self.context, collection, &selection, &query, &limits)?;
        let is_personal = resolved.is_personal;
        Ok((query::plan(&self.schema, resolved), is_personal))
    }
}

/// `rules: nothing`; or `rights:`, a list of what each policy allows to read, `{ articles: { where: ..., fields: [...] } }`, with
/// `others: true` for everything else; an administrator without either.
fn rules(schema: &Arc<Schema>, asker: &Value, who: &Accountability) -> Arc<AccessRules> {
    if asker["rules"] == "nothing" {
        return Arc::new(AccessRules::Nothing);
    }
    let Some(given) = asker["rights"].as_array() else { return Arc::new(AccessRules::Everything) };
    let (mut policies, mut grants, mut permissions) = (Vec::new(), Vec::new(), Vec::new());
    for (position, policy) in given.iter().enumerate() {
        let id = format!("policy-{position}");
        for (_, collection) in schema.collections() {
            let right = &policy[&*collection.name];
            if right.is_null() && policy["others"] != true {
                continue;
            }
            let fields = right["fields"].as_array();
            permissions.push(PermissionRow {
                id: String::new(),
                policy: id.clone(),
                collection: collection.name.to_string(),
                action: "read".to_owned(),
                permissions: right["where"].clone(),
                validation: Value::Null,
                presets: Value::Null,
                fields: Some(match fields {
                    Some(names) => {
                        names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
                    }
                    None => vec!["*".to_owned()],
                }),
            });
        }
        grants.push(Grant { role: None, user: who.user.clone(), policy: id.clone(), sort: position as i64 });
        policies.push(PolicyRow {
            name: id.clone(),
            id,
            admin: false,
            app: false,
            enforce_tfa: false,
            ip_access: String::new(),
        });
    }
    let directory = Directory::new(Vec::new(), policies, grants, &permissions);
    let asked = Who { roles: who.roles.clone(), ..directory.who(who.user.as_deref(), None, None) };
    directory.rules(schema, &asked)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

fn shown_statement(text: &mut String, statement: &Statement) {
    let _ = writeln!(text, "{}", statement.text);
    let params: Vec<String> = statement.params.iter().map(shown_param).collect();
    if !params.is_empty() {
        let _ = writeln!(text, "  -- {}", params.join(", "));
    }
}

fn shown_param(param: &Param) -> String {
    use tablature::filter::Scalar;
    let scalar = |value: &Scalar| match value {
        Scalar::Null => "null".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Float(number) => format!("{number:?}"),
        Scalar::Text(text) => format!("'{text}'"),
        Scalar::Bytes(bytes) => format!("{bytes:?}"),
    };
    match param {
        Param::Value(value) => scalar(value),
        Param::Null(kind) => format!("null {kind:?}"),
        Param::List(kind, values) => {
            format!("{kind:?}[{}]", values.iter().map(scalar).collect::<Vec<_>>().join(", "))
        }
        Param::ParentKeys(kind) => format!("keys {kind:?}"),
    }
}

fn shown_plan(text: &mut String, request: &str, plan: &Plan, is_personal: bool) {
    let _ = writeln!(text, "> {request}{}", if is_personal { "  (personal)" } else { "" });
    match plan {
        Plan::Items(plan) => shown_items(text, plan),
        Plan::Aggregate(plan) => shown_figures(text, plan),
    }
    text.push('\n');
}

fn shown_items(text: &mut String, plan: &ReadPlan) {
    for (position, node) in plan.nodes.iter().enumerate() {
        let _ = write!(text, "{position}: ");
        if let Some(bare) = node.bare {
            let _ = write!(text, "c{bare}");
        } else {
            let members: Vec<String> = node
                .output
                .iter()
                .map(|member| {
                    let key = String::from_utf8_lossy(&member.rendered_key);
                    let value = match &member.value {
                        MemberValue::Column(column) => format!("c{column}"),
                        MemberValue::ToOne { column, node } => format!("c{column} -> {node}"),
                        MemberValue::ToMany { column, node } => format!("c{column} => [{node}]"),
                        MemberValue::Constant(_) | MemberValue::Object(_) => {
                            unreachable!("no query string asks for these")
                        }
                        MemberValue::ToAny { column, collection_column, nodes, .. } => {
                            let targets: Vec<String> = nodes
                                .iter()
                                .map(|target| match target.node {
                                    Some(node) => format!("{} -> {node}", target.collection),
                                    None => format!("{} as {}", target.collection, target.key_type),
                                })
                                .collect();
                            format!("c{column} by c{collection_column} ({})", targets.join(", "))
                        }
                    };
                    format!("{key} {value}")
                })
                .collect();
            let _ = write!(text, "{{{}}}", members.join(", "));
        }
        if let Some(limit) = node.limit {
            let _ =
                write!(text, " limit {}{}", limit.rows, if limit.explicit { "" } else { " while reading" });
        }
        if let Some(defaults) = &node.defaults {
            let _ = write!(text, " else {defaults}");
        }
        text.push('\n');
    }
}

fn shown_figures(text: &mut String, plan: &AggregatePlan) {
    let _ = writeln!(text, "{}", shown_members(&plan.output));
    for (position, column) in plan.columns.iter().enumerate() {
        let _ = writeln!(text, "c{position}: {:?}", column.format);
    }
}

fn shown_members(members: &[AggregateMember]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|member| {
            let value = match &member.value {
                AggregateValue::Column(column) => format!("c{column}"),
                AggregateValue::Average { sum, count, scale, .. } => {
                    format!("c{sum} / c{count} scale {scale}")
                }
                AggregateValue::Constant(_) => unreachable!("no query string asks for it"),
                AggregateValue::Object(inner) => shown_members(inner),
            };
            format!("{} {value}", String::from_utf8_lossy(&member.rendered_key))
        })
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// Compares with the file, or writes it.
fn compare(path: &Path, text: &str) -> Option<String> {
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == text {
        return None;
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path, text).expect("a snapshot");
        return None;
    }
    let diff = similar::TextDiff::from_lines(expected.as_str(), text);
    Some(format!("{}\n{}", path.display(), diff.unified_diff().context_radius(2)))
}

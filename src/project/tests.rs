//! Files and databases kept in step, on SQLite always and on the servers where `TEST_POSTGRES_URL` and `TEST_MARIADB_URL` name them.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::apply::built_in;
use super::change::compare;
use super::{ApplyOptions, Project, Watch};
use crate::db::introspect::introspect;
use crate::db::migrations::migrate;
use crate::db::tests::private_databases;
use crate::db::{Committed, Database};
use crate::error::Error;
use crate::schema::diff::desired_table;
use crate::schema::{FieldKind, Origin};
use crate::sql::ddl::statement;

const DESTRUCTIVE: ApplyOptions = ApplyOptions { allow_destructive: true, prune: false, skip_refused: false };

const WITHOUT_KEY: [&str; 4] = [
    "directus_users (avatar)",
    "directus_activity (user)",
    "directus_comments (collection)",
    "directus_flows (operation)",
];

pub(super) struct Folder {
    root: tempfile::TempDir,
}

impl Folder {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(folder.path()).unwrap();
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub(super) fn path(&self) -> PathBuf {
        self.root.path().join("collections")
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

pub(super) async fn run(database: &Database, text: &str) {
    let statement = statement(text.to_owned());
    let result = database
        .schema_transaction(|transaction| {
            Box::pin(async move { transaction.execute(&statement).await.map(|_| ()) })
        })
        .await;
    result.map(Committed::into_inner).unwrap();
}

pub(super) async fn count(database: &Database, table: &str) -> i64 {
    let text = format!("SELECT COUNT(*) FROM {table}");
    let columns = [crate::schema::ColumnType::BigInteger].into();
    let statement = crate::sql::Statement { columns, ..statement(text) };
    database.rows(&statement).await.unwrap()[0].int(0).unwrap()
}

pub(super) fn reason(error: Error) -> String {
    match error {
        Error::UnprocessableContent { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn migrations_make_what_the_system_model_says() {
    for (database, private) in private_databases().await {
        migrate(&database).await.unwrap();
        let structure = introspect(&database).await.unwrap();
        let schema = built_in().unwrap();
        // Nothing is taken for built in here, so that every column is compared.
        let nothing = crate::schema::Schema::default();
        let diff = compare(&schema, &structure, &nothing, database.dialect(), false);
        let differences: Vec<String> = diff
            .steps
            .iter()
            .map(ToString::to_string)
            // References of the system have an index only where they are read from the other side, and these have no key in
            // the database: rows outlive what they refer to, or refer to one another.
            .filter(|step| {
                !step.starts_with("add index") && !WITHOUT_KEY.iter().any(|place| step.contains(place))
            })
            .collect();
        assert_eq!(differences, Vec::<String>::new(), "{:?}", database.dialect());
        assert_eq!(diff.problems, Vec::<String>::new());
        private.remove().await;
    }
}

#[tokio::test]
async fn every_model_applies_once_and_comes_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("collections")];
    for entry in fs::read_dir(root.join("templates")).unwrap() {
        folders.push(entry.unwrap().path().join("collections"));
    }
    for folder in folders {
        for (database, private) in private_databases().await {
            let dialect = database.dialect();
            let project = Project::open(database.clone(), &folder).await.unwrap();
            project.start().await.unwrap_or_else(|error| panic!("{} {dialect:?}: {error}", folder.display()));
            let plan = project.plan(false).await.unwrap();
            assert!(plan.is_empty() && plan.drift().is_empty(), "{} {dialect:?}:\n{plan}", folder.display());

            let again = Project::open(database.clone(), &folder).await.unwrap();
            again.start().await.unwrap();

            // An empty folder takes all of it home, in files that say the same.
            let taken = Folder::new(&[]);
            let other = Project::open(database.clone(), &taken.path()).await.unwrap();
            assert!(!other.pull().await.unwrap().is_empty());
            let (loaded, findings) = other.load().await.unwrap();
            let errors: Vec<String> = findings.iter().map(ToString::to_string).collect();
            let loaded = loaded.unwrap_or_else(|| panic!("{dialect:?} {}", errors.join("\n")));
            let plan = other.plan(false).await.unwrap();
            // Rights that follow fields which files add to the collections of the system have no words here.
            let is_lost =
                |step: &crate::project::access::AccessStep| step.to_string().starts_with("no longer allow");
            let is_same =
                plan.steps.is_empty() && plan.problems.is_empty() && plan.access.iter().all(is_lost);
            assert!(is_same && plan.drift().is_empty(), "{} {dialect:?}:\n{plan}", folder.display());
            assert_eq!(other.pull().await.unwrap(), Vec::<String>::new(), "{dialect:?}");
            let model = project.store().schema();
            for (_, collection) in model.collections().filter(|(_, c)| !c.is_system()) {
                let back = loaded.schema.get(&collection.name).unwrap();
                let (mut left, mut right) =
                    (desired_table(&model, collection), desired_table(&loaded.schema, back));
                for table in [&mut left, &mut right] {
                    table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
                    table.foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
                    table.columns.sort_by(|a, b| a.name.cmp(&b.name));
                }
                assert_eq!(left.primary_key, right.primary_key);
                assert_eq!(left.columns.len(), right.columns.len(), "{}", collection.name);
                let to_many = |c: &crate::schema::Collection| {
                    c.fields().filter(|(_, f)| matches!(f.kind, FieldKind::OneToMany { .. })).count()
                };
                assert_eq!(to_many(collection), to_many(back), "{} {dialect:?}", collection.name);
            }
            private.remove().await;
        }
    }
}

const INVOICES: &str = "collection: invoices
fields:
  id: uuid_pk
  number: string(64)
  amount: { type: \"decimal(12,2)\", default: 0 }
  status: string
";

#[tokio::test]
async fn data_is_kept_or_the_change_is_refused() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let folder = Folder::new(&[("invoices.yaml", INVOICES)]);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        project.start().await.unwrap();
        let cents = if dialect == crate::sql::Dialect::Sqlite { "1205" } else { "12.05" };
        for (id, number, status) in [
            ("019352a4-0000-7000-8000-000000000001", "a number of quite some length", "'1'"),
            ("019352a4-0000-7000-8000-000000000002", "short", "NULL"),
        ] {
            let insert = format!("INSERT INTO invoices VALUES ('{id}', '{number}', {cents}, {status})");
            run(&database, &insert).await;
        }

        folder.write("invoices.yaml", &INVOICES.replace("string(64)", "string(16)"));
        let refusal = reason(project.apply(ApplyOptions::default()).await.unwrap_err());
        let expected = "1 row of invoices would lose the part of `number` behind 16 characters";
        assert!(refusal.contains(expected), "{dialect:?} {refusal}");
        project.apply(DESTRUCTIVE).await.unwrap();
        assert_eq!(count(&database, "invoices WHERE number = 'a number of quit'").await, 1, "{dialect:?}");

        // A value is missing, and no default says what it should be.
        folder.write(
            "invoices.yaml",
            &INVOICES.replace("string(64)", "string(16)").replace("status: string", "status: string!"),
        );
        let refusal = reason(project.apply(DESTRUCTIVE).await.unwrap_err());
        assert!(refusal.contains("1 row of invoices has no `status`"), "{dialect:?} {refusal}");
        let with_default = "status: { type: string, required: true, default: open }";
        folder.write(
            "invoices.yaml",
            &INVOICES.replace("string(64)", "string(16)").replace("status: string", with_default),
        );
        project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(count(&database, "invoices WHERE status = 'open'").await, 1, "{dialect:?}");

        // Types that hold more, a renamed column and table, new columns with values for old rows.
        folder.write(
            "invoices.yaml",
            "collection: bills
was: invoices
fields:
  id: uuid_pk
  reference: { type: text, was: number }
  amount: { type: \"decimal(14,4)\", default: 0 }
  status: { type: string, required: true, default: open }
  made_at: created_at!
  token: { type: uuid, required: true, default: uuid }
  seller: m2o(sellers)
indexes:
  - { fields: [status, reference], unique: true }
",
        );
        folder.write(
            "sellers.yaml",
            "collection: sellers\nfields:\n  id: integer_pk\n  bills: o2m(bills.seller)\n",
        );
        project.apply(ApplyOptions::default()).await.unwrap_or_else(|error| panic!("{dialect:?} {error}"));
        let amount = if dialect == crate::sql::Dialect::Sqlite { "120500" } else { "12.0500" };
        let condition =
            format!("bills WHERE amount = {amount} AND made_at IS NOT NULL AND token IS NOT NULL");
        assert_eq!(count(&database, &condition).await, 2, "{dialect:?}");
        assert!(project.plan(false).await.unwrap().is_empty());

        // What is no number is lost, and only when that is allowed.
        let text = folder
            .read("invoices.yaml")
            .replace("status: { type: string, required: true, default: open }", "status: integer");
        folder.write("invoices.yaml", &text);
        let refusal = reason(project.apply(ApplyOptions::default()).await.unwrap_err());
        assert!(refusal.contains("1 row of bills"), "{dialect:?} {refusal}");
        // The column may not be null yet when its type changes: first one, then the other.
        let plan = project.plan(false).await.unwrap();
        assert!(!plan.refusals(false).is_empty(), "{dialect:?}\n{plan}");

        // Unknown things stay until they are pruned.
        fs::remove_file(folder.path().join("invoices.yaml")).unwrap();
        folder.write("sellers.yaml", "collection: sellers\nfields:\n  id: integer_pk\n");
        let report = project.apply(ApplyOptions::default()).await.unwrap();
        assert_eq!(report.drift(), ["no file declares the table bills"], "{dialect:?}");
        assert_eq!(project.store().schema().get("bills").unwrap().origin, Origin::Database);
        let prune = ApplyOptions { prune: true, ..ApplyOptions::default() };
        let refusal = reason(project.apply(prune).await.unwrap_err());
        assert!(refusal.contains("2 rows of bills would be lost"), "{dialect:?} {refusal}");
        project.apply(ApplyOptions { prune: true, ..DESTRUCTIVE }).await.unwrap();
        assert!(project.store().schema().get("bills").is_none());
        private.remove().await;
    }
}

#[tokio::test]
async fn a_row_that_is_too_wide_for_the_database_says_so() {
    for (database, private) in private_databases().await {
        let fields: String = (0..70).map(|n| format!("  f{n}: string(255)\n")).collect();
        let wide = format!("collection: wide\nfields:\n  id: uuid_pk\n{fields}");
        let folder = Folder::new(&[("wide.yaml", &wide)]);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        let applied = project.apply(ApplyOptions::default()).await;
        if database.dialect() == crate::sql::Dialect::Mysql {
            let refusal = reason(applied.unwrap_err());
            let expected = "cannot create table wide (71 columns): its columns together are wider";
            assert!(refusal.contains(expected), "{refusal}");
            folder.write("wide.yaml", &wide.replace("string(255)", "text"));
            project.apply(ApplyOptions::default()).await.unwrap();
        } else {
            applied.unwrap();
        }
        assert_eq!(count(&database, "wide").await, 0);
        private.remove().await;
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_drops_nothing() {
    for (database, private) in private_databases().await {
        let folder = Folder::new(&[("invoices.yaml", INVOICES)]);
        Project::open(database.clone(), &folder.path()).await.unwrap().start().await.unwrap();
        let nowhere = folder.path().join("mistyped");
        let project = Project::open(database.clone(), &nowhere).await.unwrap();
        let refusal = reason(project.apply(ApplyOptions { prune: true, ..DESTRUCTIVE }).await.unwrap_err());
        assert!(refusal.contains("mistyped: everything would be dropped"), "{refusal}");
        let refusal = reason(project.plan(true).await.unwrap_err());
        assert!(refusal.contains("mistyped: everything would be dropped"), "{refusal}");
        assert_eq!(count(&database, "invoices").await, 0);
        private.remove().await;
    }
}

#[tokio::test]
async fn nodes_that_start_together_apply_once() {
    for (database, private) in private_databases().await {
        let folder = Folder::new(&[("invoices.yaml", INVOICES)]);
        let path = folder.path();
        let starts =
            (0..4).map(|_| async { Project::open(database.clone(), &path).await.unwrap().start().await });
        for result in futures::future::join_all(starts).await {
            result.unwrap_or_else(|error| panic!("{:?} {error:?}", database.dialect()));
        }
        private.remove().await;
    }
}

#[tokio::test]
async fn a_change_that_is_cut_off_is_finished() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let folder = Folder::new(&[("invoices.yaml", INVOICES)]);
        Project::open(database.clone(), &folder.path()).await.unwrap().start().await.unwrap();
        for number in 100..200 {
            let id = format!("019352a4-0000-7000-8000-000000000{number}");
            run(&database, &format!("INSERT INTO invoices (id, number) VALUES ('{id}', '{number}')")).await;
        }
        for round in 0..6_u64 {
            let fields: String =
                (0..10).map(|n| format!("  f{round}_{n}: {{ type: string, default: \"{n}\" }}\n")).collect();
            let wide = 64 + round;
            let text = INVOICES.replace("string(64)", &format!("string({wide})"));
            folder.write("invoices.yaml", &format!("{text}{fields}"));
            for other in 0..10 {
                let text = format!(
                    "collection: other{round}_{other}\nfields:\n  id: uuid_pk\n  to: m2o(invoices)\n"
                );
                folder.write(&format!("other{round}_{other}.yaml"), &text);
            }
            let project = Project::open(database.clone(), &folder.path()).await.unwrap();
            // Dropped in the middle, as a process that is killed would drop it.
            let cut = tokio::time::timeout(Duration::from_millis(20 + round * 40), project.start()).await;
            if let Ok(result) = cut {
                result.unwrap();
            }
            let start = Instant::now();
            let project = Project::open(database.clone(), &folder.path()).await.unwrap();
            project.start().await.unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
            // Nobody waits for the lease of one that is gone.
            assert!(start.elapsed() < Duration::from_secs(10), "{dialect:?} {:?}", start.elapsed());
            let plan = project.plan(false).await.unwrap();
            assert!(plan.is_empty(), "{dialect:?}\n{plan}");
            assert_eq!(count(&database, "invoices").await, 100);
        }
        private.remove().await;
    }
}

#[tokio::test]
async fn a_saved_file_is_served_and_a_broken_one_is_reported() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let folder = Folder::new(&[("invoices.yaml", INVOICES)]);
        let project = Arc::new(Project::open(database.clone(), &folder.path()).await.unwrap());
        project.start().await.unwrap();
        let store = project.store();
        let watch = Watch::start(project.clone());
        let until = async |what: &str, is_so: &dyn Fn() -> bool| {
            let start = Instant::now();
            while !is_so() {
                assert!(start.elapsed() < Duration::from_secs(4), "{dialect:?} {what} {:?}", store.status());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        folder.write("invoices.yaml", &format!("{INVOICES}  paid_on: date\n"));
        until("a new field", &|| store.schema().get("invoices").unwrap().find("paid_on").is_some()).await;
        folder.write("invoices.yaml", "collection: [\n");
        until("a broken file", &|| store.status().is_behind).await;
        assert!(store.status().diagnostics[0].contains("invoices.yaml:"), "{:?}", store.status());
        assert!(store.schema().get("invoices").unwrap().find("paid_on").is_some());
        run(&database, "INSERT INTO invoices (id, number) VALUES ('019352a4-0000-7000-8000-000000000001', 'twelve chars')").await;
        let narrow = format!("{INVOICES}  paid_on: date\n").replace("string(64)", "string(4)");
        folder.write("invoices.yaml", &narrow);
        until("a loss", &|| !store.status().pending.is_empty()).await;
        assert!(store.status().is_behind);
        folder.write("invoices.yaml", &format!("{INVOICES}  paid_on: date\n"));
        until("a mended file", &|| !store.status().is_behind).await;
        drop(watch);
        private.remove().await;
    }
}

#[tokio::test]
async fn pull_edits_what_differs_and_nothing_else() {
    for (database, private) in private_databases().await {
        let dialect = database.dialect();
        let text = format!(
            "# what we bill\n{}",
            INVOICES.replace("  status: string\n", "  status: string # of the day\n")
        );
        let folder = Folder::new(&[("invoices.yaml", &text)]);
        let project = Project::open(database.clone(), &folder.path()).await.unwrap();
        project.start().await.unwrap();
        assert_eq!(project.pull().await.unwrap(), Vec::<String>::new(), "{dialect:?}");
        assert_eq!(folder.read("invoices.yaml"), text);
        run(&database, "ALTER TABLE invoices ADD COLUMN due date").await;
        let lines = project.pull().await.unwrap();
        assert_eq!(lines, ["collections/invoices.yaml: invoices.due added"], "{dialect:?}");
        assert_eq!(folder.read("invoices.yaml"), format!("{text}  due: date\n"), "{dialect:?}");
        assert_eq!(project.pull().await.unwrap(), Vec::<String>::new());
        if dialect != crate::sql::Dialect::Sqlite {
            let change = match dialect {
                crate::sql::Dialect::Mysql => "ALTER TABLE invoices MODIFY status varchar(40)",
                _ => "ALTER TABLE invoices ALTER status TYPE varchar(40)",
            };
            run(&database, change).await;
            project.pull().await.unwrap();
            let expected = format!("{text}  due: date\n").replace("status: string #", "status: string(40) #");
            assert_eq!(folder.read("invoices.yaml"), expected, "{dialect:?}");
        }
        private.remove().await;
    }
}

//! `plan`, `apply` and `pull`: from YAML to the database and back.

use serde_json::json;

use crate::support::{Client, Database, Engine, Project, Server, each_database};

const PEOPLE: &str = "collection: people
note: Those we know
fields:
  id: integer_pk
  name: string(40)
  age: integer
  city: string(20)
";

/// A project with people in it, three of them.
async fn with_people(engine: Engine) -> Project {
    let project = Project::new(Database::fresh(engine).await, &[("people.yaml", PEOPLE)]).await;
    project.run(&["apply"]).ok();
    let rows = "('Ada Lovelace', 36, 'London'), ('Blaise Pascal', 39, 'Paris'), ('Carl', NULL, NULL)";
    project.database.execute(&format!("INSERT INTO people (name, age, city) VALUES {rows}")).await;
    project
}

/// The people with one of their fields changed.
fn with_line(old: &str, new: &str) -> String {
    assert!(PEOPLE.contains(old), "{old}");
    PEOPLE.replace(old, new)
}

async fn names(project: &Project) -> Vec<String> {
    let rows = project.database.rows("SELECT name FROM people ORDER BY id").await;
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn a_plan_says_what_an_apply_does_and_then_nothing_is_left() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("people.yaml", PEOPLE)]).await;
        let plan = project.run(&["plan"]);
        plan.ok();
        plan.says(&["people"]);
        assert!(project.database.columns("people").await.is_empty(), "a plan changes nothing");
        project.run(&["apply"]).ok();
        assert_eq!(project.database.columns("people").await, ["id", "name", "age", "city"]);
        let after = project.run(&["plan"]);
        assert!(!after.ok().contains("people"), "nothing is left to do:\n{}", after.printed);
        let again = project.run(&["apply"]);
        assert!(!again.ok().contains("people"), "{}", again.printed);
    })
    .await;
}

#[tokio::test]
async fn fields_come_and_are_widened() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        let added = "  city: string(20)\n  mail: { type: string, unique: true }\n  rank: { type: integer, required: true, default: 5 }\n";
        project.write("people.yaml", with_line("  city: string(20)\n", added));
        project.run(&["apply"]).ok();
        assert_eq!(project.database.columns("people").await, ["id", "name", "age", "city", "mail", "rank"]);
        assert_eq!(project.database.count("people", "rank = 5").await, 3, "rows that are there get the default");

        project.write("people.yaml", with_line("  name: string(40)\n  age: integer\n", "  name: string(80)\n  age: bigint\n"));
        project.run(&["apply"]).ok();
        let long = "x".repeat(70);
        project.database.execute(&format!("INSERT INTO people (name, age, rank) VALUES ('{long}', 9000000000, 1)")).await;
        assert_eq!(names(&project).await, ["Ada Lovelace", "Blaise Pascal", "Carl", &long]);
        assert_eq!(project.database.count("people", "age = 36").await, 1, "values stay");
    })
    .await;
}

#[tokio::test]
async fn renames_keep_what_is_there() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        project.write(
            "people.yaml",
            with_line("  name: string(40)", "  full_name: { type: string(40), was: name }"),
        );
        project.run(&["apply"]).ok();
        assert_eq!(project.database.columns("people").await, ["id", "full_name", "age", "city"]);
        assert_eq!(project.database.count("people", "full_name = 'Ada Lovelace'").await, 1);

        let renamed = with_line("collection: people\n", "collection: persons\nwas: people\n")
            .replace("  name:", "  full_name:");
        project.write("people.yaml", renamed);
        project.run(&["apply"]).ok();
        assert!(project.database.columns("people").await.is_empty());
        assert_eq!(project.database.count("persons", "full_name = 'Ada Lovelace'").await, 1);
        let done = project.run(&["plan"]);
        assert!(!done.ok().contains("persons"), "a rename that is done stays done:\n{}", done.printed);
    })
    .await;
}

#[tokio::test]
async fn what_would_lose_data_is_refused_with_numbers() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        project.write("people.yaml", with_line("string(40)", "string(5)"));
        project.run(&["plan"]).says(&["2 rows", "people", "name"]);
        project.run(&["apply"]).refused(&["2 rows", "people", "name", "--allow-destructive"]);
        assert_eq!(names(&project).await, ["Ada Lovelace", "Blaise Pascal", "Carl"], "nothing has happened");
        project.run(&["apply", "--allow-destructive"]).ok();
        assert_eq!(names(&project).await, ["Ada L", "Blais", "Carl"]);

        // What no flag makes possible: a required value that three rows do not have.
        project.write(
            "people.yaml",
            with_line("string(40)", "string(5)")
                .replace("  age: integer\n", "  age: integer\n  born: date!\n"),
        );
        project.run(&["apply", "--allow-destructive"]).refused(&["3 rows", "born"]);
        project.write(
            "people.yaml",
            with_line("string(40)", "string(5)").replace("  age: integer", "  age: integer!"),
        );
        project.run(&["apply"]).refused(&["1 row", "age"]);
        assert_eq!(project.database.columns("people").await, ["id", "name", "age", "city"]);
    })
    .await;
}

#[tokio::test]
async fn what_no_file_names_stays_until_it_is_pruned() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        project
            .database
            .execute("CREATE TABLE attic (id integer NOT NULL PRIMARY KEY, label varchar(20))")
            .await;
        project.database.execute("INSERT INTO attic (id, label) VALUES (1, 'box'), (2, 'lamp')").await;
        project.write("people.yaml", with_line("  city: string(20)\n", ""));
        project.run(&["apply"]).ok();
        project.run(&["plan"]).says(&["city", "attic"]);
        assert_eq!(project.database.columns("people").await, ["id", "name", "age", "city"]);

        let server = project.server().start().await;
        let admin = server.admin();
        assert_eq!(
            admin.get("/items/attic/2").await.data(),
            json!({ "id": 2, "label": "lamp" }),
            "it is served as it is"
        );
        admin.create("attic", json!({ "id": 3, "label": "chair" })).await;
        assert_eq!(
            admin.get("/items/people/1?fields=name,city").await.data(),
            json!({ "name": "Ada Lovelace", "city": "London" })
        );
        drop(server);

        project.run(&["apply", "--prune"]).refused(&["2 rows", "city", "3 rows", "attic"]);
        assert_eq!(project.database.columns("people").await, ["id", "name", "age", "city"]);
        project.run(&["apply", "--prune", "--allow-destructive"]).ok();
        assert_eq!(project.database.columns("people").await, ["id", "name", "age"]);
        assert!(project.database.columns("attic").await.is_empty());
        assert_eq!(names(&project).await, ["Ada Lovelace", "Blaise Pascal", "Carl"]);
        assert_eq!(project.database.count("directus_users", "1 = 1").await, 1, "the system stays");
    })
    .await;
}

#[tokio::test]
async fn a_live_edit_is_reported_as_drift() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        project.database.execute("ALTER TABLE people ADD COLUMN nickname varchar(30)").await;
        project.run(&["plan"]).says(&["people", "nickname"]);
        assert!(project.run(&["apply"]).success, "drift alone is no mistake");
        assert!(project.database.columns("people").await.contains(&"nickname".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn relations_and_keys_reach_the_database() {
    each_database(async |engine| {
        let pets = "collection: pets\nfields:\n  id: uuid_pk\n  name: string!\n  owner: { m2o: people, required: true, on_delete: cascade }\n\
                    \x20 friends: { m2m: people }\nindexes:\n  - { fields: [name, owner], unique: true }\n";
        let project = with_people(engine).await;
        project.write("zoo/pets.yaml", pets);
        project.run(&["apply"]).ok();
        assert_eq!(project.database.columns("pets").await, ["id", "name", "owner"]);
        assert_eq!(project.database.columns("pets_people").await[1..], ["pets_id", "people_id"]);
        let server = Server::start(&project.database, project.collections()).await;
        let admin = server.admin();
        let pet = json!({ "name": "Rex", "owner": 1, "friends": [{ "people_id": 2 }] });
        let made = admin.post("/items/pets?fields=name,owner.name,friends.people_id.name", pet.clone()).await.data();
        let friends = json!([{ "people_id": { "name": "Blaise Pascal" } }]);
        assert_eq!(made, json!({ "name": "Rex", "owner": { "name": "Ada Lovelace" }, "friends": friends }));
        admin.post("/items/pets", pet).await.refused(400, "RECORD_NOT_UNIQUE");
        drop(server);
        // The database itself holds the references.
        project.database.execute("DELETE FROM people WHERE id = 1").await;
        assert_eq!(project.database.count("pets", "1 = 1").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_type_keeps_what_fits() {
    each_database(async |engine| {
        let text = "collection: facts\nfields:\n  id: integer_pk\n  value: string(40)\n";
        let project = Project::new(Database::fresh(engine).await, &[("facts.yaml", text)]).await;
        project.run(&["apply"]).ok();
        project.database.execute("INSERT INTO facts (value) VALUES ('12'), ('-7'), ('seven'), (NULL)").await;
        project.write("facts.yaml", text.replace("string(40)", "integer"));
        project.run(&["apply"]).refused(&["1 row", "facts", "value"]);
        project.run(&["apply", "--allow-destructive"]).ok();
        let server = project.server().start().await;
        let values =
            server.admin().items("facts", json!({ "sort": "id", "fields": "value" })).await.column("value");
        assert_eq!(values, [json!(12), json!(-7), json!(null), json!(null)]);
    })
    .await;
}

/// Adds a column behind the server's back and takes it home.
#[tokio::test]
async fn a_pull_takes_changes_home_and_leaves_the_rest_as_it_is() {
    each_database(async |engine| {
        let project = with_people(engine).await;
        project.write("notes.yaml", "# A comment\ncollection:   notes\nfields:\n  id: uuid_pk   # the key\n  text:  text\n\n# the end\n");
        project.run(&["apply"]).ok();
        let before = project.files();
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), before, "nothing has changed, so no file changes");

        project.database.execute("ALTER TABLE people ADD COLUMN nickname varchar(30)").await;
        project.run(&["pull"]).ok();
        let after = project.files();
        let text = |files: &[(String, Vec<u8>)], name: &str| {
            let found = files.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}"));
            String::from_utf8(found.1.clone()).unwrap()
        };
        assert_eq!(text(&after, "notes.yaml"), text(&before, "notes.yaml"));
        let people = text(&after, "people.yaml");
        let new: Vec<&str> = people.lines().filter(|line| !PEOPLE.lines().any(|old| old == *line)).collect();
        assert_eq!(new, ["  nickname: string(30)"], "{people}");
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), after);
        let plan = project.run(&["plan"]);
        assert!(!plan.ok().contains("nickname"), "{}", plan.printed);
    })
    .await;
}

#[tokio::test]
async fn a_pull_adopts_a_database_that_was_there() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let key = engine.pick(
            "integer PRIMARY KEY AUTOINCREMENT",
            "serial PRIMARY KEY",
            "integer AUTO_INCREMENT PRIMARY KEY",
        );
        project
            .database
            .execute(&format!("CREATE TABLE shops (id {key}, name varchar(50) NOT NULL, opened date)"))
            .await;
        let refers = "FOREIGN KEY (shop) REFERENCES shops (id)";
        project
            .database
            .execute(&format!("CREATE TABLE sales (id {key}, shop integer, total decimal(10,2), {refers})"))
            .await;
        project.database.execute("INSERT INTO shops (name) VALUES ('Corner')").await;
        project.run(&["pull"]).ok();
        let files = project.files();
        let all: String =
            files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
        for part in [
            "collection: shops",
            "collection: sales",
            "string(50)!",
            "opened: date",
            "m2o",
            // SQLite keeps decimals of others as floating point numbers.
            engine.pick("total: float", "decimal(10,2)", "decimal(10,2)"),
        ] {
            assert!(all.contains(part), "no {part} in\n{all}");
        }
        project.run(&["apply"]).ok();
        let server = project.server().start().await;
        let admin: Client = server.admin();
        let sale = admin
            .post("/items/sales?fields=total,shop.name", json!({ "shop": 1, "total": "12.50" }))
            .await
            .data();
        let total = engine.pick(json!(12.5), json!("12.50"), json!("12.50"));
        assert_eq!(sale, json!({ "total": total, "shop": { "name": "Corner" } }));
    })
    .await;
}

#[tokio::test]
async fn two_nodes_that_start_together_apply_once() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("people.yaml", PEOPLE)]).await;
        for n in 0..12 {
            project.write(
                &format!("c{n}.yaml"),
                format!("collection: c{n}\nfields:\n  id: uuid_pk\n  name: string\n  to: m2o(people)\n"),
            );
        }
        let (one, two) = (project.server(), project.server());
        let (first, second) = tokio::join!(one.start(), two.start());
        for server in [&first, &second] {
            server.admin().create("c7", json!({ "name": "x" })).await;
        }
        let both = first.admin().items("c7", json!({})).await.data();
        assert_eq!(both.as_array().unwrap().len(), 2);
        assert_eq!(project.database.count("directus_users", "1 = 1").await, 1, "one administrator");
    })
    .await;
}

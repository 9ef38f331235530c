//! Requests made from our own OpenAPI document: no 5xx, no status that the document does not tell of.
//!
//! Run by `tests/schemathesis/run.sh`, which brings the program that makes them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Client, Database, Project, each_database};

/// Every type of column, and relations both ways; few collections, since each has many operations.
const THINGS: &str = "collection: things\nfields:\n  id: integer_pk\n  name: string(40)!\n  text: text\n  number: { type: integer, min: 0, max: 100 }\n  \
                      big: bigint\n  price: decimal(10,2)\n  ratio: float\n  flag: boolean\n  day: date\n  at: time\n  local: datetime\n  \
                      moment: timestamp\n  data: json\n  tags: csv\n  uuid: uuid\n  secret: hash\n  bytes: binary\n  \
                      status: { type: string, choices: [a, b] }\n  owner: created_by\n  parts: o2m(parts.thing)\n";
const PARTS: &str = "collection: parts\nfields:\n  code: string_pk(20)\n  thing: m2o(things)\n";

/// What would end the run, since whoever asks is no longer known or the model is gone, and what fetches from the addresses that are
/// made up.
const LEFT_OUT: &str = "^/(auth/logout|files/import|users|users/me.*|users/\\{id\\}.*|access.*|policies.*|roles.*|permissions.*|\
                        collections.*|fields.*|relations.*|schema/.*|tablature/schema.*)$";

/// Methods of what is only read.
const WRITES: &str = "^(POST|PUT|PATCH|DELETE)$";

#[tokio::test]
#[ignore = "needs schemathesis, see tests/schemathesis/run.sh"]
async fn the_document_says_how_the_server_answers() {
    let program = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "6".to_owned());
    let phases = std::env::var("SCHEMATHESIS_PHASES").unwrap_or_else(|_| "fuzzing".to_owned());
    each_database(async |engine| {
        let project =
            Project::new(Database::fresh(engine).await, &[("things.yaml", THINGS), ("parts.yaml", PARTS)])
                .await;
        // A longer look outlives a token of fifteen minutes.
        let server = project.server().set("ACCESS_TOKEN_TTL", "5h").set("TUS_ENABLED", "true").start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        admin
            .create(
                "things",
                json!([{ "name": "a", "number": 1 }, { "name": "b", "parts": [{ "code": "p" }] }]),
            )
            .await;
        let folder = tempfile::tempdir().expect("a folder");
        let of_admin = document(&admin, &folder.path().join("admin.json")).await;
        let of_visitor = document(&visitor, &folder.path().join("visitor.json")).await;
        let address = format!("http://{}", admin.address());
        let header = format!("Authorization: Bearer {}", admin.token().expect("a token"));
        // Everything but what would end the run, then reads of the rest, then all that visitors may do.
        let runs: [&[&str]; 3] = [
            &[&of_admin, "--header", &header, "--exclude-path-regex", LEFT_OUT],
            &[
                &of_admin,
                "--header",
                &header,
                "--include-path-regex",
                LEFT_OUT,
                "--exclude-method-regex",
                WRITES,
            ],
            &[&of_visitor],
        ];
        for arguments in runs {
            let mut command = Command::new(&program);
            command
                .current_dir(folder.path())
                .args(["run", "--url", &address])
                .args(["--checks", "not_a_server_error,status_code_conformance"])
                .args(["--phases", &phases, "--max-examples", &examples])
                .args(["--seed", "1", "--workers", "2", "--continue-on-failure", "--no-color"])
                .args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "60"])
                .args(["--generation-with-security-parameters", "false", "--generation-database", "none"])
                .args(arguments);
            let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("it runs");
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(
                done.status.success(),
                "{engine:?} {arguments:?}\n{said}\n{}",
                String::from_utf8_lossy(&done.stderr)
            );
            eprintln!(
                "{engine:?}: {}",
                said.lines().find(|line| line.contains(" generated")).unwrap_or_default()
            );
        }
        assert!(admin.get("/server/health").await.status == 200, "the server is well afterwards");
    })
    .await;
}

/// Writes the document of a caller into a file, as far as the program can work with it.
async fn document(client: &Client, path: &Path) -> String {
    let answer = client.get("/server/specs/oas").await;
    let mut document = answer.json();
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| is_body(name)) {
        cut(schema);
    }
    let written = document.to_string();
    // It has nothing to write this media type with.
    let written = written.replace("application/offset+octet-stream", "application/octet-stream");
    std::fs::write(path, written).expect("written");
    path.to_str().expect("a path").to_owned()
}

fn is_body(name: &str) -> bool {
    name.ends_with("Create") || name.ends_with("Update")
}

/// System collections refer to one another in circles, so that it takes half a minute to make up one user with all that may belong
/// to it. What belongs to items of the model stays.
fn cut(schema: &mut Value) {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    if name.is_some_and(|name| is_body(name) && !name.starts_with("Items")) {
        *schema = json!({ "type": "object" });
        return;
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(cut),
        Value::Array(entries) => entries.iter_mut().for_each(cut),
        _ => {}
    }
}

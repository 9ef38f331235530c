//! Requests made from our own OpenAPI document: no 5xx, no status that the document does not tell of.
//!
//! Run by `tests/schemathesis/run.sh`, which brings the program that makes them.

use std::process::Command;

use serde_json::json;

use crate::support::{Database, Project, each_database};

/// Every type of column, and relations both ways; few collections, since each has many operations.
const THINGS: &str = "collection: things\nfields:\n  id: integer_pk\n  name: string(40)!\n  text: text\n  number: { type: integer, min: 0, max: 100 }\n  \
                      big: bigint\n  price: decimal(10,2)\n  ratio: float\n  flag: boolean\n  day: date\n  at: time\n  local: datetime\n  \
                      moment: timestamp\n  data: json\n  tags: csv\n  uuid: uuid\n  secret: hash\n  bytes: binary\n  \
                      status: { type: string, choices: [a, b] }\n  owner: created_by\n  parts: o2m(parts.thing)\n";
const PARTS: &str = "collection: parts\nfields:\n  code: string_pk(20)\n  thing: m2o(things)\n";

/// What would end the run: whoever asks is no longer known, or the model is gone.
const LEFT_OUT: &str = "^/(auth/logout|users|users/me.*|users/\\{id\\}.*|access.*|policies.*|roles.*|permissions.*|collections.*|\
                        fields.*|relations.*|schema/.*|tablature/schema.*)$";

#[tokio::test]
#[ignore = "needs schemathesis, see tests/schemathesis/run.sh"]
async fn the_document_says_how_the_server_answers() {
    let program = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "5".to_owned());
    each_database(async |engine| {
        let project =
            Project::new(Database::fresh(engine).await, &[("things.yaml", THINGS), ("parts.yaml", PARTS)])
                .await;
        let server = project.server().start().await;
        let admin = server.admin();
        admin
            .create(
                "things",
                json!([{ "name": "a", "number": 1 }, { "name": "b", "parts": [{ "code": "p" }] }]),
            )
            .await;
        let address = format!("http://{}", admin.address());
        let header = format!("Authorization: Bearer {}", admin.token().expect("a token"));
        // Everything but what would end the run, then reads of the rest, then all that visitors may do.
        let runs: [&[&str]; 3] = [
            &["--header", &header, "--exclude-path-regex", LEFT_OUT],
            &["--header", &header, "--include-path-regex", LEFT_OUT, "--include-method", "GET"],
            &[],
        ];
        for arguments in runs {
            let mut command = Command::new(&program);
            command
                .args(["run", &format!("{address}/server/specs/oas"), "--url", &address])
                .args(["--checks", "not_a_server_error,status_code_conformance"])
                .args([
                    "--phases",
                    "coverage,fuzzing",
                    "--max-examples",
                    &examples,
                    "--seed",
                    "1",
                    "--workers",
                    "2",
                ])
                .args([
                    "--continue-on-failure",
                    "--suppress-health-check",
                    "all",
                    "--no-color",
                    "--generation-with-security-parameters",
                    "false",
                    "--generation-database",
                    "none",
                ])
                .args(["--request-timeout", "60", "--warnings", "off"])
                .args(arguments);
            let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("it runs");
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(
                done.status.success(),
                "{arguments:?}\n{said}\n{}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        assert!(admin.get("/server/health").await.status == 200, "the server is well afterwards");
    })
    .await;
}

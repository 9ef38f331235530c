//! What stands before every route: rate limits, pages of other origins, and statements that take too long.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::redis::Redis;
use crate::support::server::ADMIN_PASSWORD;
use crate::support::{Answer, Client, Database, Engine, Project, Server, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  body: text\n";

async fn project(engine: Engine) -> Project {
    Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await
}

fn is_refused(answer: &Answer) -> bool {
    if answer.status != 429 {
        return false;
    }
    answer.refused(429, "REQUESTS_EXCEEDED");
    let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!(seconds >= 1, "{answer:?}");
    true
}

async fn log_in(client: &Client, from: &str) -> Answer {
    let body = json!({ "email": "nobody@example.com", "password": ADMIN_PASSWORD });
    client.request("POST", "/auth/login").header("x-forwarded-for", from).json(&body).send().await
}

/// How many of these requests were refused for their number.
async fn refused(requests: impl IntoIterator<Item = impl Future<Output = Answer>>) -> usize {
    let answers = futures::future::join_all(requests).await;
    answers.iter().filter(|answer| is_refused(answer)).count()
}

#[tokio::test]
async fn signing_in_is_counted_per_address_by_default() {
    each_database(async |engine| {
        let project = project(engine).await;
        let server = project.server().set("IP_TRUST_PROXY", "127.0.0.1").start().await;
        let visitor = server.visitor();
        // What is malformed is counted too, and takes no time.
        let send = async |from: &str, path: &str| {
            visitor.request("POST", path).header("x-forwarded-for", from).json(&json!({})).send().await
        };
        for at in 0..100 {
            let answer = send("203.0.113.1", ["/auth/login", "/auth/refresh"][at % 2]).await;
            assert_eq!(answer.status, 400, "{answer:?}");
        }
        assert!(is_refused(&send("203.0.113.1", "/auth/login").await));
        assert!(is_refused(&send("203.0.113.1", "/auth/nonsense").await));
        assert_eq!(send("203.0.113.2", "/auth/login").await.status, 400);
        // The rest is not counted.
        let all = (0..200).map(|_| visitor.get("/items/notes"));
        assert_eq!(refused(all).await, 0);
        assert_eq!(server.admin().get("/items/notes").await.header("ratelimit"), None);
        assert_eq!(server.admin().get("/server/info").await.data()["rateLimit"], false);
    })
    .await;
}

#[tokio::test]
async fn all_requests_are_counted_when_asked_for() {
    each_database(async |engine| {
        let project = project(engine).await;
        let settings = project.server().set("RATE_LIMITER_ENABLED", "true").set("IP_TRUST_PROXY", "1");
        let server =
            settings.set("RATE_LIMITER_POINTS", "5").set("RATE_LIMITER_DURATION", "3600").start().await;
        let get = |client: &Client, path: &str, from: usize| {
            client.request("GET", path).header("x-forwarded-for", &format!("203.0.113.{from}"))
        };
        let admin = server.admin();
        let first = get(&admin, "/items/notes", 1).send().await;
        assert_eq!(first.header("ratelimit-policy"), Some("\"user\";q=5;w=3600"), "{first:?}");
        assert!(
            first.header("ratelimit").is_some_and(|text| text.starts_with("\"user\";r=4;t=")),
            "{first:?}"
        );
        let info = get(&admin, "/server/info", 1).send().await.data();
        assert_eq!(info["rateLimit"], json!({ "points": 5, "duration": 3600 }));
        // One user from many addresses.
        assert_eq!(refused((2..8).map(|from| get(&admin, "/items/notes", from).send())).await, 3);
        // Many visitors from one address: the sixth is one too many, whatever it asks for.
        let visitor = server.visitor();
        let paths = ["/items/notes", "/nothing", "/auth", "/server/health", "/items/other", "/users/me"];
        assert_eq!(refused(paths.iter().map(|path| get(&visitor, path, 99).send())).await, 1);
        assert_eq!(get(&visitor, "/server/ping", 99).send().await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn nodes_share_their_limits_over_redis_and_go_on_without_it() {
    each_database(async |engine| {
        let project = project(engine).await;
        let dir = project.database.dir();
        let Some(mut redis) = Redis::start(dir) else { return };
        let settings = project.server().set("REDIS", &redis.url()).set("RATE_LIMITER_AUTH_POINTS", "10");
        let settings = settings.set("RATE_LIMITER_AUTH_DURATION", "1h").set("IP_TRUST_PROXY", "true");
        let nodes = [settings.start().await, settings.start().await];
        let visitors = nodes.each_ref().map(Server::visitor);
        let send = |at: usize, from: &str| {
            let request = visitors[at % 2].request("POST", "/auth/login").header("x-forwarded-for", from);
            request.json(&json!({})).send()
        };
        assert_eq!(refused((0..16).map(|at| send(at, "203.0.113.1"))).await, 6);
        assert_eq!(refused((0..2).map(|at| send(at, "203.0.113.1"))).await, 2);

        redis.kill();
        // Each node counts by itself.
        assert_eq!(refused((0..24).map(|at| send(at, "203.0.113.2"))).await, 4);

        redis.restart(dir);
        let began = Instant::now();
        let mut from = 0;
        // Together they have ten again as soon as both have found it.
        loop {
            from += 1;
            if refused((0..20).map(|at| send(at, &format!("198.51.100.{from}")))).await == 10 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "Redis is not found again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let printed = nodes[0].printed();
        assert!(
            printed.contains("Redis does not answer") && printed.contains("Redis answers again"),
            "{printed}"
        );
    })
    .await;
}

#[tokio::test]
async fn pages_of_listed_origins_read_answers_and_errors() {
    each_database(async |engine| {
        let project = project(engine).await;
        let plain = project.server().start().await;
        let ask = async |server: &Server, origin: &str| {
            server.admin().request("GET", "/items/notes").header("origin", origin).send().await
        };
        let answer = ask(&plain, "https://app.example").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
        drop(plain);

        let settings = project.server().set("CORS_ENABLED", "true");
        let server = settings.clone().set("CORS_ORIGIN", "https://app.example").start().await;
        let allowed = ask(&server, "https://app.example").await;
        assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
        let refused = ask(&server, "https://evil.example").await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (200, None));
        let error =
            server.visitor().request("GET", "/nothing").header("origin", "https://app.example").send().await;
        assert_eq!(
            (error.status, error.header("access-control-allow-origin")),
            (404, Some("https://app.example"))
        );
        drop(server);

        let everybody = settings.set("CORS_ORIGIN", "true").start().await;
        let answer = ask(&everybody, "https://whoever.example").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    })
    .await;
}

#[tokio::test]
async fn statements_that_take_too_long_end_with_a_clear_error() {
    each_database(async |engine| {
        let project = project(engine).await;
        let settings = project.server().set("MAX_PAYLOAD_SIZE", "8mb");
        let patient = settings.start().await;
        let body = "abcdefghij".repeat(4000);
        let note = json!({ "body": body });
        for _ in 0..4 {
            patient.admin().post("/items/notes?fields=id", Value::Array(vec![note.clone(); 50])).await.data();
        }
        drop(patient);

        let settings = settings.set("STATEMENT_TIMEOUT", "150ms").set("MAX_FILTER_CONDITIONS", "2000");
        let server = settings.start().await;
        let admin = server.admin();
        let conditions: Vec<Value> =
            (0..450).map(|at| json!({ "body": { "_icontains": format!("jab{at}") } })).collect();
        let slow = json!({ "_or": conditions });
        let check = |answer: &Answer| {
            let errors = answer.refused(503, "STATEMENT_TIMEOUT");
            assert_eq!(errors[0]["extensions"]["limit"], "STATEMENT_TIMEOUT", "{answer:?}");
            assert_eq!(errors[0]["extensions"]["most"], 150, "{answer:?}");
            assert_eq!(answer.header("retry-after"), Some("5"), "{answer:?}");
        };
        check(&admin.search("/items/notes", json!({ "query": { "filter": slow, "fields": ["id"] } })).await);
        let aggregate = json!({ "filter": slow, "aggregate": { "count": "*" } });
        check(&admin.search("/items/notes", json!({ "query": aggregate })).await);
        let write = json!({ "query": { "filter": slow }, "data": { "body": "" } });
        check(&admin.patch("/items/notes", write).await);
        check(&admin.delete_with("/items/notes", json!({ "query": { "filter": slow } })).await);

        // Nothing was changed, and the server goes on.
        let count = admin.items("notes", json!({ "aggregate": { "count": "*" } })).await.data();
        assert_eq!(count[0]["count"].to_string().trim_matches('"'), "200");
        let quick = json!({ "filter": { "id": { "_eq": 1 } }, "fields": "id" });
        assert_eq!(admin.items("notes", quick).await.ids(), [1]);
    })
    .await;
}

#[tokio::test]
async fn wrong_settings_of_the_edge_stop_the_start() {
    let project = project(Engine::Sqlite).await;
    let check = |name: &str, value: &str, said: &str| {
        let printed = project.server().set(name, value).fails_to_start();
        assert!(printed.contains(name) && printed.contains(said), "{name}={value}: {printed}");
    };
    check("CORS_ORIGIN", "null", "must be");
    check("RATE_LIMITER_STORE", "redis", "needs REDIS");
    check("IP_TRUST_PROXY", "10.0.0.0/99", "a number of proxies");
    check("OUTGOING_ALLOW", "10.0.0.0/99", "must be host names");
}

#[tokio::test]
async fn failed_log_ins_do_not_lock_out_others() {
    each_database(async |engine| {
        let project = project(engine).await;
        let settings = project.server().set("RATE_LIMITER_AUTH_POINTS", "3").set("IP_TRUST_PROXY", "1");
        let server = settings.set("RATE_LIMITER_AUTH_DURATION", "1h").start().await;
        let visitor = server.visitor();
        assert_eq!(refused((0..5).map(|_| log_in(&visitor, "203.0.113.1"))).await, 2);
        log_in(&visitor, "203.0.113.2").await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

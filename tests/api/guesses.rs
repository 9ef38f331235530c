//! Guesses at accounts and shares on two nodes, which count together over Redis, and each by itself without it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::redis::Redis;
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  body: text\n";
const PASSWORD: &str = "a-good-password";

/// Two nodes with one Redis.
struct Nodes {
    nodes: [Server; 2],
    redis: Redis,
    project: Project,
}

impl Nodes {
    /// `None` where no Redis is installed.
    async fn start(engine: Engine) -> Option<Nodes> {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let redis = Redis::start(project.database.dir())?;
        let settings = project.server().set("REDIS", &redis.url()).set("RATE_LIMITER_AUTH_ENABLED", "false");
        let nodes = [settings.start().await, settings.start().await];
        Some(Nodes { nodes, redis, project })
    }

    fn visitor(&self, at: usize) -> Client {
        self.nodes[at % 2].visitor()
    }

    fn log_in(&self, at: usize, name: &str, password: &str) -> impl Future<Output = u16> + use<> {
        let body = json!({ "email": format!("{name}@example.com"), "password": password });
        post(self.visitor(at), "/auth/login", body)
    }

    /// How many of so many wrong passwords were looked at, the nodes being asked in turn.
    async fn judged(&self, name: &str, guesses: usize) -> usize {
        let answers = (0..guesses).map(|at| self.log_in(at, name, "wrong"));
        judged(&futures::future::join_all(answers).await)
    }

    async fn make_user(&self, name: &str) {
        let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
        self.nodes[0].admin().post("/users", body).await.data();
    }

    /// Everything that Redis keeps.
    fn kept(&self) -> Vec<String> {
        let client = redis::Client::open(self.redis.url()).expect("an address");
        let mut connection = client.get_connection().expect("a connection");
        redis::cmd("KEYS").arg("*").query(&mut connection).expect("names")
    }
}

async fn post(client: Client, path: &'static str, body: Value) -> u16 {
    client.post(path, body).await.status
}

fn judged(statuses: &[u16]) -> usize {
    let judged = statuses.iter().filter(|status| **status == 401).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(judged + refused, statuses.len(), "{statuses:?}");
    judged
}

#[tokio::test]
async fn nodes_count_guesses_at_accounts_together() {
    each_database(async |engine| {
        let Some(nodes) = Nodes::start(engine).await else { return };
        for name in ["target", "bystander", "forgetful"] {
            nodes.make_user(name).await;
        }
        for name in ["target", "nobody"] {
            assert_eq!(nodes.judged(name, 24).await, 10, "{name}");
        }
        // Neither node lets anybody in whose password may have been guessed.
        for at in 0..2 {
            assert_eq!(nodes.log_in(at, "target", PASSWORD).await, 429, "node {at}");
            assert_eq!(nodes.log_in(at, "bystander", PASSWORD).await, 200, "node {at}");
        }
        // What is right on one node forgets what was wrong on both.
        assert_eq!(nodes.judged("forgetful", 8).await, 8);
        assert_eq!(nodes.log_in(1, "forgetful", PASSWORD).await, 200);
        assert_eq!(nodes.judged("forgetful", 24).await, 10);
        // Redis does not learn who they are.
        let kept = nodes.kept();
        assert!(kept.iter().any(|key| key.starts_with("tablature:rate:guesses:")), "{kept:?}");
        assert!(!kept.iter().any(|key| key.contains('@') || key.contains("target")), "{kept:?}");
    })
    .await;
}

#[tokio::test]
async fn nodes_count_codes_and_passwords_of_shares_together() {
    each_database(async |engine| {
        let Some(nodes) = Nodes::start(engine).await else { return };
        let admin = nodes.nodes[0].admin();
        admin.create("notes", json!({ "id": 1, "body": "x" })).await;
        let share = json!({ "collection": "notes", "item": "1", "password": "Open-Sesame" });
        let share = admin.post("/shares", share).await.data()["id"].clone();
        let answers = (0..24).map(|at| {
            let body = json!({ "share": share, "password": format!("guess {at}") });
            post(nodes.visitor(at), "/shares/auth", body)
        });
        assert_eq!(judged(&futures::future::join_all(answers).await), 10);
        for at in 0..2 {
            let body = json!({ "share": share, "password": "Open-Sesame" });
            assert_eq!(post(nodes.visitor(at), "/shares/auth", body).await, 429, "node {at}");
        }

        nodes.make_user("eve").await;
        let body = json!({ "email": "eve@example.com", "password": PASSWORD });
        let tokens = nodes.visitor(0).post("/auth/login", body.clone()).await.data();
        let eve = nodes.visitor(0).with_token(tokens["access_token"].as_str());
        let generate = async |client: &Client| {
            client.post("/users/me/tfa/generate", json!({ "password": "wrong" })).await.status
        };
        let mut statuses = Vec::new();
        for at in 0..12 {
            statuses.push(generate(&nodes.visitor(at).with_token(tokens["access_token"].as_str())).await);
        }
        assert_eq!(judged(&statuses), 10);
        assert_eq!(generate(&eve).await, 429);
        assert_eq!(post(nodes.visitor(1), "/auth/login", body).await, 429, "one count for all doors");
    })
    .await;
}

#[tokio::test]
async fn nodes_without_their_redis_count_each_by_itself() {
    each_database(async |engine| {
        let Some(mut nodes) = Nodes::start(engine).await else { return };
        assert_eq!(nodes.judged("early", 24).await, 10);
        nodes.redis.kill();
        // What was counted together stays known to both.
        assert_eq!(nodes.judged("early", 4).await, 0);
        assert_eq!(nodes.judged("late", 48).await, 20);
        let dir = nodes.project.database.dir().to_owned();
        nodes.redis.restart(&dir);
        let began = Instant::now();
        let mut name = 0;
        // Together they have ten again as soon as both have found it.
        loop {
            name += 1;
            if nodes.judged(&format!("name{name}"), 20).await == 10 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "Redis is not found again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

//! Files that change while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::{Client, Database, Project, each_database, long, until};

const PEOPLE: &str = "collection: people
# Somebody wrote this by hand.
fields:
  id: integer_pk
  name: { type: string(40), required: true }   # how we call them
  pets: { o2m: pets.owner, sort: name }
";
const PETS: &str = "collection: pets
fields:
  id: integer_pk
  name: string
  kind: { type: string, choices: [cat, dog], default: cat }
  owner: { m2o: people, on_delete: cascade }
";

/// Somebody who reads all the time and counts what goes wrong.
struct Reader {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Reader {
    fn start(admin: Client) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let read = admin.request("GET", "/items/people?fields=*").try_send().await;
                match read {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => failed.push(format!("{answer:?}")),
                    Err(error) => failed.push(format!("{error:?}")),
                }
                let write = admin
                    .request("POST", "/items/pets")
                    .json(&json!({ "name": "n", "owner": 1 }))
                    .try_send()
                    .await;
                match write {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => failed.push(format!("{answer:?}")),
                    Err(error) => failed.push(format!("{error:?}")),
                }
                counted.fetch_add(2, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            failed
        });
        Reader { stop, done, task }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.task.await.expect("the reader");
        assert!(self.done.load(Ordering::Relaxed) > 10, "it has hardly read");
        assert_eq!(failed, [] as [String; 0], "no request fails while the model changes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_field_is_in_the_next_answer() {
    each_database(async |engine| {
        let project =
            Project::new(Database::fresh(engine).await, &[("people.yaml", PEOPLE), ("pets.yaml", PETS)])
                .await;
        let server = project.server().set("WATCH", "true").start().await;
        let admin = server.admin();
        admin.create("people", json!({ "name": "Ada" })).await;
        let reader = Reader::start(admin.clone());

        project.write("people.yaml", PEOPLE.replace("  pets:", "  mail: string(60)\n  pets:"));
        let shows = async |field: &str| admin.get("/items/people/1").await.data().get(field).is_some();
        let took = until("the new field is there", async || shows("mail").await).await;
        eprintln!("{engine}: a new field was live after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        let changed =
            admin.patch("/items/people/1?fields=mail", json!({ "mail": "ada@example.com" })).await.data();
        assert_eq!(changed, json!({ "mail": "ada@example.com" }));

        project.write(
            "toys.yaml",
            "collection: toys\nfields:\n  id: integer_pk\n  name: string\n  pet: m2o(pets)\n",
        );
        until("a new collection is there", async || admin.get("/items/toys").await.status == 200).await;
        admin.create("toys", json!({ "name": "ball" })).await;
        reader.stop().await;

        let before = project.files();
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), before, "there is nothing to take home");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_last_good_model() {
    each_database(async |engine| {
        let project =
            Project::new(Database::fresh(engine).await, &[("people.yaml", PEOPLE), ("pets.yaml", PETS)])
                .await;
        let server = project.server().set("WATCH", "true").start().await;
        let admin = server.admin();
        admin.create("people", json!({ "name": "Ada" })).await;
        let reader = Reader::start(admin.clone());
        project.write("people.yaml", PEOPLE.replace("string(40)", "strin(40)"));
        let health = async || admin.get("/server/health").await.text();
        until("the mistake is reported", async || health().await.contains("people.yaml")).await;
        let visitor = server.visitor().get("/server/health").await;
        assert!(!visitor.text().contains("people.yaml"), "a visitor learns nothing of it: {visitor:?}");
        assert_eq!(admin.get("/items/people/1").await.data()["name"], "Ada");
        assert!(server.printed().contains("people.yaml"), "the log has it too");

        // Nor is anything applied that would lose data.
        project.write("people.yaml", PEOPLE.replace("string(40)", "string(2)"));
        until("the loss is reported", async || health().await.contains("1 row")).await;
        assert_eq!(admin.get("/items/people/1").await.data()["name"], "Ada");

        project.write("people.yaml", PEOPLE);
        until("all is well again", async || !health().await.contains("people")).await;
        reader.stop().await;
    })
    .await;
}

/// One of many ways to spoil a file; `None` when it is to be removed.
fn spoil(random: &mut Random, text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().to_vec();
    let cut = random.below(bytes.len());
    Some(match random.below(12) {
        0 => bytes[..cut].to_vec(),
        1 => text.replace("  ", "\t").into_bytes(),
        2 => {
            let line = *random.pick(&text.lines().collect::<Vec<_>>());
            format!("{text}{line}\n{line}\n").into_bytes()
        }
        3 => {
            let mut bomb = "a0: &a0 [x, x]\n".to_owned();
            for n in 1..40 {
                bomb.push_str(&format!("a{n}: &a{n} [*a{}, *a{}, *a{}]\n", n - 1, n - 1, n - 1));
            }
            format!("{bomb}{text}").into_bytes()
        }
        4 => {
            let mut spoilt = bytes;
            spoilt[cut] = 0;
            spoilt
        }
        5 => {
            let mut large = text.to_owned();
            while large.len() < 10 << 20 {
                large.push_str("# nothing but a comment that goes on and on and makes the file larger than any file should be\n");
            }
            large.into_bytes()
        }
        6 => return None,
        7 => {
            let mut spoilt = bytes;
            spoilt[cut] = random.next() as u8;
            spoilt
        }
        8 => format!("{text}  deep: {}{}\n", "[".repeat(20_000), "]".repeat(20_000)).into_bytes(),
        9 => text.replace(": ", ":").into_bytes(),
        10 => text.replacen("string", "*string", 1).into_bytes(),
        _ => text.chars().rev().collect::<String>().into_bytes(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spoilt_files_do_no_harm() {
    each_database(async |engine| {
        let samples = [("people.yaml", PEOPLE), ("pets.yaml", PETS)];
        let project = Project::new(Database::fresh(engine).await, &samples).await;
        let mut server = project.server().set("WATCH", "true").start().await;
        let admin = server.admin();
        admin.create("people", json!({ "name": "Ada" })).await;
        let reader = Reader::start(admin.clone());
        let mut random = Random::new(5);
        let rounds = if long() { 300 } else { 50 };
        let pause = Duration::from_millis(if long() { 300 } else { 80 });
        for (name, text) in samples {
            for _ in 0..rounds {
                match spoil(&mut random, text) {
                    Some(bytes) => project.write(name, bytes),
                    None => project.remove(name),
                }
                tokio::time::sleep(pause).await;
                assert!(server.is_running(), "it has ended");
                project.write(name, text);
                if random.one_in(3) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
        let noted = PEOPLE.replace("  pets:", "  survived: string\n  pets:");
        project.write("people.yaml", noted);
        until("it still takes over good files", async || {
            admin.get("/items/people/1").await.data().get("survived") == Some(&Value::Null)
        })
        .await;
        reader.stop().await;
        assert_eq!(admin.get("/items/people/1").await.data()["name"], "Ada");
    })
    .await;
}

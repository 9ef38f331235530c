//! Whatever somebody of one firm asks, through any door, the answer is the same, byte for byte, as in a world where the other firm
//! does not exist.

use serde_json::{Value, json};

use super::firms::{FIRM, PERSON, PROJECT, TAG, TASK, WORDS, guarded_world, key, world};
use crate::support::doors::{Asker, Door, Outcome, Place, Which};
use crate::support::random::Random;
use crate::support::{Client, Engine, Server, each_database, engines, long};

/// Random reads in the words of the model.
struct Maker {
    random: Random,
    /// Whether the door knows `*`.
    has_wild_cards: bool,
}

const PLACES: [&str; 6] = ["firms", "people", "projects", "tasks", "tags", "remarks"];

impl Maker {
    fn relations(of: &str) -> &'static [(&'static str, &'static str)] {
        match of {
            "firms" => &[("people", "people"), ("projects", "projects")],
            "people" => &[("firm", "firms"), ("led", "projects")],
            "projects" => &[
                ("firm", "firms"),
                ("lead", "people"),
                ("parent", "projects"),
                ("parts", "projects"),
                ("tasks", "tasks"),
                ("tags", "projects_tags"),
            ],
            "tasks" => &[("firm", "firms"), ("project", "projects"), ("notes", "remarks")],
            "tags" => &[("firm", "firms")],
            "projects_tags" => &[("tags_id", "tags"), ("projects_id", "projects")],
            _ => &[("task", "tasks")],
        }
    }

    fn plain(of: &str) -> &'static [&'static str] {
        match of {
            "firms" | "tags" => &["name", "id"],
            "people" => &["name", "active", "id"],
            "projects" => &["code", "title", "budget", "start", "id"],
            "tasks" => &["title", "hours", "done", "id"],
            "projects_tags" => &["id"],
            _ => &["text", "id"],
        }
    }

    fn path(&mut self, of: &str, depth: usize) -> String {
        if depth > 0 && self.random.one_in(2) {
            let (field, far) = *self.random.pick(Self::relations(of));
            return format!("{field}.{}", self.path(far, depth - 1));
        }
        if self.has_wild_cards && self.random.one_in(5) {
            "*".to_owned()
        } else {
            (*self.random.pick(Self::plain(of))).to_owned()
        }
    }

    fn filter(&mut self, of: &str, depth: usize) -> Value {
        match self.random.below(8) {
            0 => json!({ "_and": [self.leaf(of), self.leaf(of)] }),
            1 => json!({ "_or": [self.leaf(of), self.leaf(of)] }),
            2..=4 if depth > 0 => {
                let (field, far) = *self.random.pick(Self::relations(of));
                let inner = self.filter(far, depth - 1);
                let is_list =
                    matches!(field, "people" | "projects" | "led" | "parts" | "tasks" | "tags" | "notes");
                match self.random.below(3) {
                    0 if is_list => json!({ field: { "_none": inner } }),
                    1 if is_list => json!({ field: { "_some": inner } }),
                    _ => json!({ field: inner }),
                }
            }
            _ => self.leaf(of),
        }
    }

    fn leaf(&mut self, of: &str) -> Value {
        let field = *self.random.pick(Self::plain(of));
        let condition = match field {
            "id" if of == "projects_tags" => json!({ "_gt": self.random.below(20) }),
            "id" => {
                json!({ *self.random.pick(&["_eq", "_neq"]): key(3, 2000 + self.random.below(4) as u32) })
            }
            "hours" => json!({ *self.random.pick(&["_lt", "_gte", "_eq"]): self.random.below(40) }),
            "budget" => json!({ "_gt": self.random.below(1000) }),
            "start" => json!({ "_lte": "2026-05-01" }),
            "done" | "active" => json!({ "_eq": true }),
            _ => {
                json!({ *self.random.pick(&["_eq", "_neq", "_icontains", "_starts_with"]): *self.random.pick(&WORDS) })
            }
        };
        json!({ field: condition })
    }

    fn request(&mut self) -> (&'static str, Value) {
        let of = *self.random.pick(&PLACES);
        let mut query = json!({});
        if self.random.one_in(2) {
            query["filter"] = self.filter(of, 3);
        }
        if self.random.one_in(5) {
            query["search"] = json!(*self.random.pick(&WORDS));
        }
        if self.random.one_in(4) {
            let field = *self.random.pick(Self::plain(of));
            query["aggregate"] = json!({ "count": "*", "countDistinct": [field] });
            if self.random.one_in(2) {
                query["groupBy"] = json!([*self.random.pick(Self::plain(of))]);
            }
            return (of, query);
        }
        let paths: Vec<String> = (0..1 + self.random.below(4)).map(|_| self.path(of, 3)).collect();
        query["fields"] = json!(paths);
        query["meta"] = json!("*");
        query["limit"] = json!(*self.random.pick(&[-1, 3, 10]));
        let direction = *self.random.pick(&["", "-"]);
        query["sort"] = json!([format!("{direction}{}", self.random.pick(Self::plain(of))), "id"]);
        if self.random.one_in(3) {
            let (field, far) = *self.random.pick(Self::relations(of));
            let filter = self.filter(far, 2);
            query["deep"] = json!({ field: { "_filter": filter, "_limit": 2, "_sort": ["id"] } });
        }
        (of, query)
    }
}

/// Where two texts part, with what stands around.
fn difference(left: &str, right: &str) -> String {
    let same = left.bytes().zip(right.bytes()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[same.saturating_sub(100)..text.len().min(same + 100)];
        String::from_utf8_lossy(bytes).into_owned()
    };
    format!("{}\n{}", around(left), around(right))
}

/// The strongest form of it: whatever somebody of the first firm asks, the answer is the same, byte for byte, as in a world
/// where the second firm does not exist.
#[tokio::test]
async fn another_tenant_makes_no_difference_to_any_answer() {
    each_database(async |engine| {
        let (with, _first, me_with) = world(engine, true).await;
        let (_without, _second, me_without) = world(engine, false).await;
        for door in [Door::Rest, Door::GraphQl, Door::Socket] {
            let ask = |me: &Client| Asker::new(door, me.clone());
            compare(door, &ask(&me_with), &ask(&me_without), if long() { 20_000 } else { 500 }).await;
        }
        unharmed(&with, &me_with, &me_without).await;
    })
    .await;
}

/// The same where the database keeps them apart, too.
#[tokio::test]
async fn another_tenant_makes_no_difference_behind_row_level_security() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let (with, _first, me_with) = guarded_world(true).await;
    let (_without, _second, me_without) = guarded_world(false).await;
    let ask = |me: &Client| Asker::new(Door::Rest, me.clone());
    compare(Door::Rest, &ask(&me_with), &ask(&me_without), if long() { 5_000 } else { 200 }).await;
    unharmed(&with, &me_with, &me_without).await;
}

/// What somebody tries who knows a key of the other firm.
enum Attempt {
    Read(Value),
    Create(Value),
    Update(Value, Value),
    UpdateThese(Vec<Value>, Value),
    Delete(Value),
    DeleteThese(Vec<Value>),
}

impl Attempt {
    /// `None` where the door has no word for it.
    async fn through(&self, asker: &Asker, place: Place<'_>) -> Option<Outcome> {
        match self {
            Attempt::Read(key) => Some(asker.item(place, key).await),
            Attempt::Create(item) => Some(asker.create(place, item).await),
            Attempt::Update(key, data) => asker.update(place, Which::One(key), data).await,
            Attempt::UpdateThese(keys, data) => asker.update(place, Which::These(keys), data).await,
            Attempt::Delete(key) => asker.delete(place, Which::One(key)).await,
            Attempt::DeleteThese(keys) => asker.delete(place, Which::These(keys)).await,
        }
    }
}

fn theirs(kind: u32) -> Value {
    json!(key(kind, if kind == FIRM { 2 } else { 2000 }))
}

fn mine(kind: u32) -> Value {
    json!(key(kind, if kind == FIRM { 1 } else { 1000 }))
}

/// Writes that name what belongs to the other firm, or to nobody.
fn attempts() -> Vec<(&'static str, Attempt)> {
    let foreign_part = json!([{ "title": "y", "project": theirs(PROJECT), "firm": theirs(FIRM) }]);
    let foreign_task = json!({ "id": key(TASK, 1000), "project": theirs(PROJECT), "firm": theirs(FIRM) });
    let mut attempts = vec![
        ("tasks", Attempt::Create(json!({ "title": "x", "firm": theirs(FIRM) }))),
        ("tasks", Attempt::Create(json!({ "title": "x", "project": theirs(PROJECT) }))),
        ("remarks", Attempt::Create(json!({ "text": "x", "task": theirs(TASK) }))),
        ("projects", Attempt::Create(json!({ "title": "x", "tasks": [theirs(TASK)] }))),
        ("projects", Attempt::Create(json!({ "title": "x", "tags": [{ "tags_id": theirs(TAG) }] }))),
        ("projects", Attempt::Create(json!({ "title": "x", "lead": theirs(PERSON) }))),
        ("projects", Attempt::Create(json!({ "title": "x", "tasks": foreign_part }))),
        ("projects", Attempt::Update(mine(PROJECT), json!({ "lead": theirs(PERSON) }))),
        ("projects", Attempt::Update(mine(PROJECT), json!({ "parent": theirs(PROJECT) }))),
        ("projects", Attempt::Update(mine(PROJECT), json!({ "firm": theirs(FIRM) }))),
        (
            "projects",
            Attempt::Update(
                mine(PROJECT),
                json!({ "tasks": { "create": [], "update": [foreign_task], "delete": [] } }),
            ),
        ),
        ("tasks", Attempt::UpdateThese(vec![mine(TASK), theirs(TASK)], json!({ "title": "x" }))),
        ("tasks", Attempt::DeleteThese(vec![mine(TASK), theirs(TASK)])),
    ];
    for (kind, name) in
        [(FIRM, "firms"), (PERSON, "people"), (PROJECT, "projects"), (TASK, "tasks"), (TAG, "tags")]
    {
        attempts.push((name, Attempt::Update(theirs(kind), json!({ "id": theirs(kind) }))));
        attempts.push((name, Attempt::Delete(theirs(kind))));
        attempts.push((name, Attempt::Read(theirs(kind))));
    }
    attempts
}

fn place(collection: &str) -> Place<'_> {
    Place { collection, key: "id", is_readable: true }
}

/// Asks both worlds the same.
async fn compare(door: Door, me_with: &Asker, me_without: &Asker, count: usize) {
    let mut maker = Maker { random: Random::new(20_261_121), has_wild_cards: door != Door::GraphQl };
    let mut with_rows = 0;
    for number in 0..count {
        let (collection, query) = maker.request();
        let there = me_with.items(place(collection), &query).await.expect("every door reads lists");
        let alone = me_without.items(place(collection), &query).await.expect("every door reads lists");
        let what = format!("{door:?} request {number} {collection} {query}");
        assert!(there.is_ok(), "{what}: {there:?}");
        assert!(there.text == alone.text, "{what}\n{}", difference(&there.text, &alone.text));
        with_rows += usize::from(there.text.len() > 60);
    }
    assert!(with_rows > count / 3, "only {with_rows} of {count} answers hold anything");
    for (collection, attempt) in attempts() {
        let Some(there) = attempt.through(me_with, place(collection)).await else { continue };
        let Some(alone) = attempt.through(me_without, place(collection)).await else { continue };
        assert!(!there.is_ok(), "{door:?} {there:?}");
        assert_eq!(there.text, alone.text, "{door:?} {there:?}");
    }
}

/// What belongs to the other firm is as it was; new rows are stamped; what is unique is so within a firm.
async fn unharmed(with: &Server, me_with: &Client, me_without: &Client) {
    let admin = with.admin();
    let firms = json!({ "aggregate": { "count": "*" }, "groupBy": ["firm"], "sort": ["firm"] });
    for (collection, rows) in [("tasks", "24"), ("projects", "8"), ("tags", "4"), ("people", "1")] {
        let counted = admin.items(collection, firms.clone()).await.data();
        assert_eq!(counted[0]["count"], rows, "{collection}: {counted}");
        assert_eq!(counted[1]["count"], rows, "{collection}: {counted}");
    }
    let made = me_with.post("/items/tasks", json!({ "title": "new", "id": key(TASK, 1900) })).await.data();
    assert_eq!(made["firm"], mine(FIRM));
    let taken = json!({ "code": "P1", "title": "x" });
    assert_eq!(
        me_with.post("/items/projects", taken.clone()).await.status,
        me_without.post("/items/projects", taken).await.status
    );
    admin.post("/items/projects", json!({ "code": "only there", "firm": theirs(FIRM) })).await.data();
    me_with.post("/items/projects", json!({ "code": "only there" })).await.data();
}

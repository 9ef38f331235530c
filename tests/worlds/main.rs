//! Random worlds: a model, rows, policies and queries made at random, each answer compared with that of an evaluator which looks
//! at every row and knows no SQL.
//!
//! Start at [`answers_are_those_of_a_naive_evaluator`]. 300 worlds on SQLite and fewer on the servers, 10,000 with `TEST_LONG=1`;
//! a failure names the seed of its world, which `WORLD_SEED` makes alone.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[expect(dead_code, unused_imports, reason = "shared with the black-box suite, which uses all of it")]
#[path = "../support/mod.rs"]
mod support;

mod filter;
mod model;
mod naive;
mod place;
mod policy;
mod query;

use std::sync::Arc;

use serde_json::{Value, json};
use tablature::access::Context;
use tablature::error::Error;
use tablature::schema::Schema;

use model::{Kind, Model};
use place::{Place, context};
use policy::{Caller, Policies, Right, Viewer};
use query::{Asker, Keys};
use support::Engine;
use support::random::Random;

/// Queries per world.
const QUERIES: usize = 8;

/// The worlds of this run. A server takes long to make tables, so that there are fewer there.
fn seeds(engine: Engine) -> Vec<u64> {
    match std::env::var("WORLD_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) if support::long() => (0..10_000).collect(),
        Err(_) => (0..engine.pick(300, 100, 60)).collect(),
    }
}

/// A world of its own.
struct World {
    random: Random,
    model: Model,
    schema: Arc<Schema>,
    policies: Policies,
}

impl World {
    fn new(seed: u64, name: &str) -> World {
        let mut random = Random::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let model = Model::any(&mut random, &format!("{name}{seed}_"));
        let schema = Arc::new(model.schema(seed + 1));
        let policies = Policies::any(&mut random, &model);
        World { random, model, schema, policies }
    }

    fn any_caller(&mut self) -> Caller {
        // Mostly somebody who may see something.
        let all = [
            (None, None),
            (Some(2), None),
            (Some(1), Some(1)),
            (Some(1), Some(2)),
            (Some(2), Some(1)),
            (Some(1), None),
        ];
        let (user, role) = *self.random.pick(&all);
        let caller = self.policies.caller(user, role);
        if caller.policies.is_empty() && !self.random.one_in(6) { self.any_caller() } else { caller }
    }

    fn context(&self, policies: &Policies, caller: &Caller) -> Context {
        context(&policies.directory(&self.model), &self.schema, caller)
    }

    /// All about a failure.
    fn shown(&self, seed: u64, caller: &Caller, collection: &str, keys: &Keys, query: &Value) -> String {
        let tables: Vec<String> = self
            .model
            .tables
            .iter()
            .map(|table| {
                let fields: Vec<String> = table
                    .fields
                    .iter()
                    .map(|field| format!("{}: {:?} {:?}", field.name, field.kind, field.holds))
                    .collect();
                let rows: Vec<String> = table.rows.iter().map(|row| format!("    {row:?}")).collect();
                format!("  {} ({})\n{}", table.name, fields.join(", "), rows.join("\n"))
            })
            .collect();
        let policies = serde_json::to_string_pretty(&self.policies.shown(&self.model)).unwrap();
        format!(
            "WORLD_SEED={seed}\n{}\n{policies}\n{caller:?}\n{collection} {keys:?} {query}",
            tables.join("\n")
        )
    }
}

/// What came of the queries of a run.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    empty: usize,
    refused: usize,
}

#[tokio::test]
async fn answers_are_those_of_a_naive_evaluator() {
    support::each_database(async |engine| {
        let mut place = Place::open(engine).await;
        let mut tally = Tally::default();
        let seeds = seeds(engine);
        for seed in &seeds {
            compare(&mut place, *seed, &mut tally).await;
        }
        eprintln!("{engine}: {} worlds, {tally:?}", seeds.len());
        if seeds.len() > 1 {
            let all = tally.answered + tally.refused;
            assert!(tally.refused * 20 > all && tally.refused * 2 < all, "both are tried: {tally:?}");
            assert!(tally.empty * 2 < tally.answered, "answers say something: {tally:?}");
        }
    })
    .await;
}

async fn compare(place: &mut Place, seed: u64, tally: &mut Tally) {
    let mut world = World::new(seed, "w");
    place.furnish(&world.model, &world.schema).await;
    for _ in 0..QUERIES {
        let caller = world.any_caller();
        let who = world.context(&world.policies, &caller);
        assert_eq!(who.accountability.policies.len(), caller.policies.len(), "seed {seed}: {caller:?}");
        let viewer = Viewer::new(&world.model, &world.policies, &caller);
        let is_lax = world.random.one_in(6);
        let query = Asker { viewer: &viewer, is_lax }.query(&mut world.random);
        let written = query.written(&world.model);
        let collection = &world.model.tables[query.table].name;
        let expected = naive::answer(&viewer, &query);
        let got = place.answer(&who, collection, &query.keys, &written).await;
        let wrong = match (&expected, &got) {
            (None, Err(Error::Forbidden)) => {
                tally.refused += 1;
                continue;
            }
            (Some(expected), Ok(got)) => {
                tally.answered += 1;
                let is_empty = expected["data"].as_array().is_some_and(Vec::is_empty);
                tally.empty += usize::from(is_empty);
                (!naive::is_same(expected, got)).then(|| format!("expected {expected}\ngot      {got}"))
            }
            (Some(expected), Err(error)) => Some(format!("expected {expected}\ngot      {error}")),
            (None, Ok(got)) => Some(format!("expected a refusal\ngot      {got}")),
            (None, Err(error)) => Some(format!("expected FORBIDDEN\ngot      {error}")),
        };
        if let Some(wrong) = wrong {
            panic!("{}\n{wrong}", world.shown(seed, &caller, collection, &query.keys, &written));
        }
    }
    place.clear(&world.model).await;
}

/// The rows of a table as somebody sees them, by key; `None` for a refusal.
async fn seen(
    place: &Place,
    world: &World,
    policies: &Policies,
    caller: &Caller,
    table: usize,
    filter: &Value,
) -> Option<Vec<Value>> {
    let who = world.context(policies, caller);
    let viewer = Viewer::new(&world.model, policies, caller);
    let fields = world.model.tables[table].fields.iter().enumerate();
    let is_asked = |field: usize| {
        !matches!(world.model.field(table, field).kind, Kind::ToMany { .. }) && viewer.may_read(table, field)
    };
    let fields: Vec<&str> =
        fields.filter(|(field, _)| is_asked(*field)).map(|(_, field)| field.name.as_str()).collect();
    let query = json!({ "fields": fields, "limit": -1, "filter": filter });
    let answer = place.answer(&who, &world.model.tables[table].name, &Keys::Any, &query).await;
    match answer {
        Ok(answer) => Some(answer["data"].as_array().unwrap().clone()),
        Err(Error::Forbidden) => None,
        Err(error) => panic!("{query}: {error}"),
    }
}

fn find<'a>(rows: &'a Option<Vec<Value>>, id: &Value) -> Option<&'a Value> {
    rows.as_ref().and_then(|rows| rows.iter().find(|row| row["id"] == *id))
}

fn keys(rows: &[Value]) -> Vec<&Value> {
    rows.iter().map(|row| &row["id"]).collect()
}

#[tokio::test]
async fn policies_unite_and_conditions_take_away() {
    support::each_database(async |engine| {
        let mut place = Place::open(engine).await;
        for seed in seeds(engine) {
            unite(&mut place, seed).await;
        }
    })
    .await;
}

/// Two policies together show the rows of both, in each row the fields of both, and nothing else. A further condition, of the
/// query or of a permission, adds no row.
async fn unite(place: &mut Place, seed: u64) {
    let mut world = World::new(seed, "u");
    place.furnish(&world.model, &world.schema).await;
    let everything = |_: usize, _: usize| true;
    let other = Policies::any(&mut world.random, &world.model);
    // Keys are always seen, to tell the rows apart.
    let with_keys = |policy: &policy::Policy| {
        let with_key = |right: &Right| {
            let fields = right.fields.clone().map(|mut fields| {
                fields.retain(|field| *field != 0);
                fields.insert(0, 0);
                fields
            });
            Right { fields, ..right.clone() }
        };
        policy.iter().map(with_key).collect::<Vec<_>>()
    };
    let (first, second) = (with_keys(&world.policies.policies[0]), with_keys(&other.policies[0]));
    let held = |policies: Vec<policy::Policy>| {
        let grants = (0..policies.len()).map(|policy| (policy::Holder::User(1), policy)).collect();
        Policies { policies, grants }
    };
    let alone = [held(vec![first.clone()]), held(vec![second.clone()])];
    let both = held(vec![first.clone(), second]);
    for table in 0..world.model.tables.len() {
        let shown = |what: &str| {
            let policies = serde_json::to_string_pretty(&both.shown(&world.model)).unwrap();
            format!("WORLD_SEED={seed}: {what} of {}\n{policies}", world.model.tables[table].name)
        };
        // `$CURRENT_POLICIES` stands for all that are in force, so each alone is asked as who has both.
        let caller = |policies: &Policies| policies.caller(Some(1), None);
        let none = json!({});
        let one = seen(place, &world, &alone[0], &caller(&alone[0]), table, &none).await;
        let two = seen(place, &world, &alone[1], &caller(&alone[1]), table, &none).await;
        let names_policies = shown("").contains("$CURRENT_POLICIES");
        let united = seen(place, &world, &both, &caller(&both), table, &none).await;
        assert_eq!(united.is_some(), one.is_some() || two.is_some(), "{}", shown("openness"));
        let Some(united) = united else { continue };
        if !names_policies {
            let mut expected: Vec<&Value> =
                [&one, &two].into_iter().flatten().flat_map(|rows| keys(rows)).collect();
            expected.sort_by_key(|key| key.to_string());
            expected.dedup();
            let mut got = keys(&united);
            got.sort_by_key(|key| key.to_string());
            assert_eq!(got, expected, "{}", shown("rows"));
            for row in &united {
                for (name, value) in row.as_object().unwrap() {
                    let single =
                        [&one, &two].map(|rows| find(rows, &row["id"]).and_then(|row| row.get(name)));
                    let known = single.into_iter().flatten().find(|value| !value.is_null());
                    assert_eq!(
                        value,
                        known.unwrap_or(&Value::Null),
                        "{}",
                        shown(&format!("{name} in {row}"))
                    );
                }
            }
        }

        let viewer_caller = caller(&both);
        let viewer = Viewer::new(&world.model, &both, &viewer_caller);
        let asker = Asker { viewer: &viewer, is_lax: false };
        let (Some(filter), Some(further)) =
            (asker.filter(&mut world.random, table), asker.filter(&mut world.random, table))
        else {
            continue;
        };
        let (filter, further) = (filter.written(&world.model, table), further.written(&world.model, table));
        let wide = seen(place, &world, &both, &viewer_caller, table, &filter).await.unwrap();
        let narrow = json!({ "_and": [filter, further] });
        let narrow = seen(place, &world, &both, &viewer_caller, table, &narrow).await.unwrap();
        let is_subset = |narrow: &[Value], wide: &[Value]| narrow.iter().all(|row| wide.contains(row));
        assert!(is_subset(&narrow, &wide), "{} {filter} {further}", shown("conditions"));
        assert!(is_subset(&wide, &united), "{} {filter}", shown("a filter"));

        let maker = filter::Maker { model: &world.model, may_name: &everything, is_rule: true };
        let Some(condition) = maker.filter(&mut world.random, table, 2) else { continue };
        let mut narrowed = alone[0].clone();
        for right in narrowed.policies[0].iter_mut().filter(|right| right.table == table) {
            let rows = right.rows.take().into_iter().chain([condition.clone()]);
            right.rows = Some(filter::Filter::And(rows.collect()));
        }
        let fewer = seen(place, &world, &narrowed, &caller(&narrowed), table, &none).await;
        let (fewer, one) = (fewer.unwrap_or_default(), one.unwrap_or_default());
        let one = keys(&one);
        assert!(keys(&fewer).iter().all(|key| one.contains(key)), "{}", shown("a permission's condition"));
    }
    place.clear(&world.model).await;
}

#[tokio::test]
async fn what_is_hidden_is_no_operand() {
    support::each_database(async |engine| {
        let mut place = Place::open(engine).await;
        let mut tried = 0;
        for seed in seeds(engine) {
            tried += hidden(&mut place, seed).await;
        }
        eprintln!("{engine}: {tried} refused");
        assert!(tried > 0 || seeds(engine).len() == 1);
    })
    .await;
}

/// Every field that is hidden, in every place where a query may name one.
async fn hidden(place: &mut Place, seed: u64) -> usize {
    let mut world = World::new(seed, "h");
    place.furnish(&world.model, &world.schema).await;
    let caller = world.any_caller();
    let who = world.context(&world.policies, &caller);
    let viewer = Viewer::new(&world.model, &world.policies, &caller);
    let mut asked: Vec<(usize, Value)> = Vec::new();
    for (table, found) in world.model.tables.iter().enumerate() {
        for (field, hidden) in found.fields.iter().enumerate() {
            if viewer.may_read(table, field) {
                continue;
            }
            let name = &hidden.name;
            // Where the field is, and behind each relation that leads there.
            let mut places: Vec<(usize, Vec<String>, bool)> = vec![(table, Vec::new(), false)];
            for (from, other) in world.model.tables.iter().enumerate() {
                for (at, relation) in other.fields.iter().enumerate() {
                    let leads = match &relation.kind {
                        Kind::ToOne(to) | Kind::ToMany { table: to, .. } => *to == table,
                        Kind::ToAny { .. } | Kind::Plain => false,
                    };
                    if leads && viewer.may_read(from, at) {
                        let is_list = matches!(relation.kind, Kind::ToMany { .. });
                        places.push((from, vec![relation.name.clone()], is_list));
                    }
                }
            }
            for (from, path, is_list) in places {
                let is_open = path.is_empty() || viewer.is_open(table);
                let dotted =
                    |name: &str| path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
                let around = |mut filter: Value| {
                    for relation in path.iter().rev() {
                        filter = if is_list { json!({ "_some": filter }) } else { filter };
                        filter = json!({ relation: filter });
                    }
                    filter
                };
                let list = matches!(hidden.kind, Kind::ToMany { .. });
                let mut tries = vec![json!({ "filter": around(json!({ name: { "_null": true } })) })];
                if is_open {
                    // What lies behind a closed door is left out of `fields`.
                    tries.push(json!({ "fields": [dotted(name)] }));
                    tries.push(json!({ "fields": ["*", dotted(name)] }));
                }
                let sorted = if list { format!("count({name})") } else { name.clone() };
                tries.push(json!({ "fields": [], "sort": [dotted(&sorted)] }));
                tries.push(json!({ "filter": { "_or": [{}, around(json!({ name: { "_nnull": true } }))] } }));
                tries.push(json!({
                    "aggregate": { "count": ["*"] },
                    "filter": around(json!({ "_and": [{ name: { "_null": true } }] })),
                }));
                if path.is_empty() {
                    tries.push(json!({ "fields": ["x"], "alias": { "x": name } }));
                    tries.push(json!({ "fields": ["*"], "alias": { "x": name } }));
                    tries.push(json!({ "aggregate": { "count": [name] } }));
                    tries.push(json!({ "aggregate": { "max": [name] }, "groupBy": ["id"] }));
                    tries.push(json!({ "aggregate": { "count": ["*"] }, "groupBy": [name] }));
                    for function in ["year", "count", "hour"] {
                        tries.push(json!({ "fields": [format!("{function}({name})")] }));
                        tries.push(json!({ "filter": { format!("{function}({name})"): { "_eq": 1 } } }));
                        tries.push(json!({ "sort": [format!("-{function}({name})")] }));
                    }
                    tries.push(json!({ "deep": { name: { "_limit": 1 } } }));
                }
                asked.extend(tries.into_iter().map(|query| (from, query)));
            }
        }
    }
    let count = asked.len();
    for (table, query) in asked {
        let collection = &world.model.tables[table].name;
        let got = place.answer(&who, collection, &Keys::Any, &query).await;
        assert!(
            matches!(got, Err(Error::Forbidden)),
            "{}\ngot {got:?}",
            world.shown(seed, &caller, collection, &Keys::Any, &query)
        );
    }
    place.clear(&world.model).await;
    count
}

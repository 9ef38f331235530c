//! `/graphql`: what is refused, and that it costs little to refuse.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::graphql::ask;
use crate::support::{Client, Database, Project, blog, each_database};

async fn refused(client: &Client, query: &str) -> String {
    let began = Instant::now();
    let errors = ask(client, query, json!({})).await.refused(400, "GRAPHQL_VALIDATION");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "refusing takes {:?}: {}",
        began.elapsed(),
        head(query)
    );
    let told = errors[0]["extensions"]["errors"][0]["message"].as_str();
    told.unwrap_or_else(|| panic!("{}: a reason", head(query))).to_owned()
}

fn head(query: &str) -> &str {
    query.get(..80).unwrap_or(query)
}

#[tokio::test]
async fn bombs_are_refused_at_once() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let mut doubled = String::from("{ articles { ...F0 } }");
        for n in 0..40 {
            let next = n + 1;
            write!(doubled, " fragment F{n} on articles {{ ...F{next} ...F{next} }}").unwrap();
        }
        doubled.push_str(" fragment F40 on articles { id }");
        let mut chain = String::from("{ articles { ...F0 } }");
        for n in 0..400 {
            write!(chain, " fragment F{n} on articles {{ ...F{} }}", n + 1).unwrap();
        }
        chain.push_str(" fragment F400 on articles { id }");
        let deep = |times: usize| {
            format!("{{ writers {{ {} id {} }} }}", "mentor { ".repeat(times), "} ".repeat(times))
        };
        let aliases: String = (0..100).map(|n| format!("a{n}: title ")).collect();
        let roots: String = (0..31).map(|n| format!("a{n}: articles_aggregated {{ countAll }} ")).collect();
        let many: String = (0..300).map(|_| "articles { id comments { id } } ").collect();
        for (query, reason) in [
            (doubled, "GRAPHQL_MAX_COST"),
            (chain, "levels deep"),
            (
                "{ articles { ...A } } fragment A on articles { id ...B } fragment B on articles { ...A }"
                    .to_owned(),
                "leads back",
            ),
            (
                "{ articles { ...A } } fragment A on articles { comments { article { ...A } } }".to_owned(),
                "leads back",
            ),
            ("{ articles { ...Nope } }".to_owned(), "Unknown fragment"),
            (deep(10), "MAX_RELATIONAL_DEPTH"),
            (deep(70), "levels deep"),
            (format!("{{ articles {{ {aliases} }} }}"), "GRAPHQL_MAX_ALIASES"),
            (format!("{{ {roots} }}"), "GRAPHQL_MAX_ALIASES"),
            (format!("{{ articles {{ id {} }} }}", "@skip(if: false) ".repeat(51)), "GRAPHQL_MAX_DIRECTIVES"),
            (format!("{{ {many} }}"), "GRAPHQL_MAX_COST"),
            (format!("{{ articles {{ {} }} }}", "id ".repeat(5000)), "GRAPHQL_QUERY_TOKEN_LIMIT"),
            ("{".repeat(100_000), "levels deep"),
            (format!("{{ articles(filter: {}", "{_and:[".repeat(50_000)), "levels deep"),
            (
                "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
                    .to_owned(),
                "lists within lists",
            ),
        ] {
            let told = refused(admin, &query).await;
            assert!(told.contains(reason), "{}: {told}", head(&query));
        }
        // The same document is refused again from what is kept, and others are served.
        let answer = ask(admin, "{ topics(limit: 1, sort: \"id\") { name } }", json!({})).await.json();
        assert_eq!(answer, json!({ "data": { "topics": [{ "name": "rust" }] } }));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for query in [
            "{",
            "}",
            "{ }",
            "query",
            "{ articles }",
            "{ articles { } }",
            "{ articles { id }",
            "mutation { }",
            "\"",
            "\"\"\"",
            "{ a: }",
            "{ articles(limit: 1, limit: 2) { id } }",
            "{ articles(limit: $x) { id } }",
            "query ($x: Nope) { articles { id } }",
            "query ($x: Int, $x: Int) { articles(limit: $x) { id } }",
            "query ($x: Int) { articles { id } }",
            "{ articles { id @nope } }",
            "{ articles { id { x } } }",
            "{ articles { ... on topics { id } } }",
            "{ articles(filter: { id: { _eq: { a: 1 } } }) { id } }",
            "{ articles(filter: { id: 1 }) { id } }",
            "{ articles(sort: 1) { id } }",
            "{ articles_by_id { id } }",
            "{ articles(limit: 99999999999999999999) { id } }",
            "{ articles { title: id title } }",
            "{ \u{0} }",
            "\u{feff}{ nope }",
            "query A { topics { id } } query A { topics { id } }",
            "{ topics { id } } { topics { id } }",
            "type X { a: Int }",
            "fragment F on topics { id }",
            "{ articles { ...F } } fragment F on Nope { id }",
            "{ directus_users { id } }",
            "{ users { id } }",
        ] {
            refused(admin, query).await;
        }
        // What has the right form and no right value is told like over REST.
        for query in ["{ topics_by_id(id: \"abc\") { id } }", "{ a: topics_by_id(id: \"\") { id } }"] {
            let body = ask(admin, query, json!({})).await.json();
            assert_eq!(body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{query}");
        }
        for query in [
            "{ articles(limit: -2) { id } }",
            "{ articles(page: -1) { id } }",
            "{ articles(search: \"\\u0000\") { id } }",
        ] {
            let body = ask(admin, query, json!({})).await.json();
            assert_eq!(body["errors"][0]["extensions"]["code"], "INVALID_QUERY", "{query}: {body}");
        }
    })
    .await;
}

#[tokio::test]
async fn limits_are_settings() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let things = "collection: things\nfields:\n  id: integer_pk\n  title: string\n";
        let project = Project::new(database, &[("things.yaml", things)]).await;
        let server = project
            .server()
            .set("GRAPHQL_INTROSPECTION", "false")
            .set("GRAPHQL_MAX_BATCH", "2")
            .set("GRAPHQL_MAX_COST", "20")
            .set("GRAPHQL_MAX_ALIASES", "1")
            .set("GRAPHQL_QUERY_TOKEN_LIMIT", "30")
            .start()
            .await;
        let admin = server.admin();
        let one = |query: &str| json!({ "query": query });
        let both = json!([one("{ a: things { id } }"), one("{ nope }")]);
        let answer = admin.post("/graphql", both).await;
        assert_eq!(answer.status, 200);
        let list = answer.json();
        assert_eq!(list[0], json!({ "data": { "a": [] } }));
        assert_eq!(list[1]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
        let three = Value::Array(vec![one("{ __typename }"); 3]);
        admin.post("/graphql", three).await.refused(413, "LIMIT_EXCEEDED");
        for query in [
            "{ __schema { queryType { name } } }",
            "{ __type(name: \"things\") { name } }",
            "{ a: things { id } b: things { id } }",
            "{ things { id } things_by_id(id: 1) { id } }",
            "{ things { id id id id id id id id id id id id id id id id id id id id id id id id id id id } }",
        ] {
            refused(&admin, query).await;
        }
        admin.get("/server/specs/graphql").await.refused(403, "FORBIDDEN");
        assert_eq!(
            ask(&admin, "{ __typename }", json!({})).await.json(),
            json!({ "data": { "__typename": "Query" } })
        );
    })
    .await;
}

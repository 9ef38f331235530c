//! Requests that cannot be served: each gets a clear error with its code and the name of what is wrong.

use serde_json::{Value, json};

use crate::support::server::ADMIN_TOKEN;
use crate::support::{Answer, Client, blog, each_database, raw};

/// Sends a body as it is.
async fn post_raw(admin: &Client, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    admin.request("POST", path).body(body, "application/json").send().await
}

#[tokio::test]
async fn bodies_that_are_no_json_object() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let bodies: Vec<Vec<u8>> = vec![
            b"{\"name\":".to_vec(),
            b"{\"name\":\"x\"".to_vec(),
            b"\"abc\"".to_vec(),
            b"5".to_vec(),
            b"null".to_vec(),
            b"true".to_vec(),
            b"{'name':'x'}".to_vec(),
            b"{\"name\":\"x\"} trailing".to_vec(),
            b"[{\"name\":\"x\"},]".to_vec(),
            b"{\"name\":NaN}".to_vec(),
            b"{\"name\":01}".to_vec(),
            b"{\"name\":\"a\nb\"}".to_vec(),
            b"\xef\xbb\xbf{".to_vec(),
            b"{\"name\":\"\xff\xfe\"}".to_vec(),
            b"{\"\xc3\x28\":1}".to_vec(),
            b"{\"name\":\"\\ud800\"}".to_vec(),
            b"\x00".to_vec(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let answer = post_raw(&admin, "/items/notes", body).await;
            assert_eq!(answer.status, 400, "{shown}: {answer:?}");
            assert_eq!(answer.errors()[0]["extensions"]["code"], "INVALID_PAYLOAD", "{shown}: {answer:?}");
        }
        let scalars = post_raw(&admin, "/items/notes", "[1,\"a\",null]").await;
        assert!((400..500).contains(&scalars.status), "{scalars:?}");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let answer = post_raw(&admin, "/items/notes", deep.clone()).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let answer = post_raw(&admin, "/items/notes", format!("{{\"shape\":{deep}}}")).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let answer = admin
            .request("SEARCH", "/items/notes")
            .body("{\"query\":{\"filter\":", "application/json")
            .send()
            .await;
        answer.refused(400, "INVALID_PAYLOAD");
    })
    .await;
}

#[tokio::test]
async fn bodies_of_another_kind() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for (body, kind) in [
            ("name=x", "application/x-www-form-urlencoded"),
            ("<a/>", "application/xml"),
            ("x", "text/plain"),
        ] {
            let answer = admin.request("POST", "/items/notes").body(body, kind).send().await;
            assert!((400..500).contains(&answer.status), "{kind}: {answer:?}");
            answer.errors();
        }
        let charset = admin
            .request("POST", "/items/notes?fields=name")
            .body("{\"name\":\"x\"}", "application/json; charset=utf-8");
        assert_eq!(charset.send().await.data(), json!({ "name": "x" }));
    })
    .await;
}

#[tokio::test]
async fn bodies_over_the_limit() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let body = json!({ "shape": { "x": "y".repeat(1_500_000) } }).to_string();
        let answer = post_raw(&admin, "/items/notes", body).await;
        assert!(matches!(answer.status, 400 | 413), "{answer:?}");
        answer.errors();
        let announced = "POST /items/notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{";
        let answer = raw::exchange(admin.address(), announced.as_bytes()).await.expect("an answer");
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let just = json!({ "prose": "y".repeat(900_000) });
        assert_eq!(admin.create("values", just).await["prose"].as_str().unwrap().len(), 900_000);
        let many: Vec<Value> = (0..10_001).map(|_| json!({})).collect();
        let answer = admin.post("/items/quiet", Value::Array(many)).await;
        assert!((400..500).contains(&answer.status), "more items than a write may hold: {answer:?}");
        answer.errors();
    })
    .await;
}

#[tokio::test]
async fn names_that_are_not_there() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let odd = [
            "missing",
            "articles;",
            "articles'",
            "\"articles\"",
            "articles--",
            "ünï",
            "..",
            "articles%00",
            "ARTICLES",
            "order by",
        ];
        for name in odd {
            let path = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
            let answer = admin.get(&format!("/items/{path}")).await;
            assert!(matches!(answer.status, 400 | 403 | 404), "{answer:?}");
            answer.errors();
            let field = admin.read("/items/articles", json!({ "fields": name })).await;
            assert!(matches!(field.status, 400 | 403), "{field:?}");
            for query in [
                json!({ "sort": name }),
                json!({ "filter": { name: { "_eq": 1 } } }),
                json!({ "groupBy": name }),
                json!({ "aggregate": { "sum": name } }),
                json!({ "alias": { "x": name }, "fields": "x" }),
                json!({ "deep": { name: { "_limit": 1 } }, "fields": format!("{name}.id") }),
            ] {
                let answer = admin.read("/items/articles", query).await;
                assert!(matches!(answer.status, 400 | 403), "{answer:?}");
                answer.errors();
            }
        }
        admin
            .read("/items/articles", json!({ "filter": { "views": { "_regexp": 1 } } }))
            .await
            .refused(400, "INVALID_QUERY");
        admin
            .read("/items/articles", json!({ "filter": { "decade(day)": { "_eq": 1 } } }))
            .await
            .refused(400, "INVALID_QUERY");
    })
    .await;
}

#[tokio::test]
async fn words_of_sql_are_names_like_any_other() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let made = admin.create("order", json!({ "select": "a'b\"c`d", "from": 1, "where": [{ "select": "child" }] })).await;
        let id = &made["id"];
        assert_eq!(made["select"], "a'b\"c`d");
        let query = json!({
            "fields": "select,group.select,where.select", "filter": { "select": { "_eq": "a'b\"c`d" }, "where": { "select": { "_eq": "child" } } },
            "sort": "-from,select", "deep": { "where": { "_sort": "select", "_limit": 5 } },
        });
        let expected = json!([{ "select": "a'b\"c`d", "group": null, "where": [{ "select": "child" }] }]);
        assert_eq!(admin.items("order", query).await.data(), expected);
        let grouped = json!({ "aggregate": { "count": "*", "sum": "from" }, "groupBy": "select", "sort": "select" });
        assert_eq!(admin.items("order", grouped).await.status, 200);
        admin.patch(&format!("/items/order/{id}"), json!({ "from": 2 })).await.data();
        admin.delete(&format!("/items/order/{id}")).await.no_content();
    })
    .await;
}

#[tokio::test]
async fn numbers_past_every_range() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for (field, number) in [
            ("whole", "1e400"),
            ("whole", "123456789012345678901234567890"),
            ("large", "1e19"),
            ("amount", "1e30"),
            ("fine", "1e-400000"),
        ] {
            let answer = post_raw(&admin, "/items/values", format!("{{\"{field}\":{number}}}")).await;
            assert!(
                answer.status == 400 || (field == "fine" && answer.status == 200),
                "{field} {number}: {answer:?}"
            );
        }
        for filter in [
            json!({ "whole": { "_eq": 99_999_999_999_i64 } }),
            json!({ "whole": { "_gt": "123456789012345678901234567890" } }),
            json!({ "large": { "_lt": 1e300 } }),
            json!({ "id": { "_in": [1, 99_999_999_999_999_i64] } }),
            json!({ "amount": { "_eq": 1e50 } }),
        ] {
            let answer = admin.items("samples", json!({ "filter": filter })).await;
            assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn filters_nested_past_the_limit() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        // Written as text: a value this deep would exhaust the stack of the test.
        let nested = |depth: usize| {
            let (open, close) = ("{\"_and\":[".repeat(depth), "]}".repeat(depth));
            format!("{{\"query\":{{\"filter\":{open}{{\"views\":{{\"_gt\":0}}}}{close}}}}}")
        };
        let search = async |body: String| {
            admin.request("SEARCH", "/items/articles").body(body, "application/json").send().await
        };
        let answer = search(nested(5)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        for depth in [60, 3000, 40_000] {
            let answer = search(nested(depth)).await;
            assert_eq!(answer.status, 400, "{depth} levels: {}", answer.status);
            answer.errors();
        }
        let brackets = format!("/items/articles?filter{}=1", "[_and][0]".repeat(500));
        let answer = admin.get(&brackets).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    })
    .await;
}

#[tokio::test]
async fn addresses_that_are_malformed() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for target in [
            "/items/articles/%ff",
            "/items/%zz",
            "/items/articles?filter=%ff%fe",
            "/items/articles?fields=%",
            "/items//articles",
            "/items/articles/1/2/3",
            "/items/articles?filter[",
            "/items/articles?filter[][]=1",
            "/items/articles?filter[a]b]=1",
            "/items/",
            "/",
            "//",
            "/items/articles?&&&=&=x",
            "/items/articles?fields[x][y]=1",
            "/items/articles?sort[a]=1",
        ] {
            let request =
                format!("GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
            let answer = raw::exchange(admin.address(), request.as_bytes()).await.expect(target);
            assert!(answer.status == 200 || (400..500).contains(&answer.status), "{target}: {answer:?}");
        }
        let long = format!("/items/articles?search={}", "x".repeat(60_000));
        let request =
            format!("GET {long} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
        let answer =
            raw::exchange(admin.address(), request.as_bytes()).await.expect("an answer to a long address");
        assert!(answer.status == 200 || (400..500).contains(&answer.status), "{answer:?}");
        assert_eq!(admin.get("/items/articles/1").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn requests_that_are_no_http() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for request in [
            "GARBAGE\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET /items/articles\r\n\r\n",
            "\x00\x01\x02\x03\r\n\r\n",
            "GET / HTTP/1.1\r\nbad header\r\n\r\n",
            "POST /items/notes HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            "POST /items/notes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            // Such a connection may be closed without a word; what counts is that others are still served.
            if let Ok(answer) = raw::exchange(admin.address(), request.as_bytes()).await {
                assert!((400..600).contains(&answer.status), "{request:?}: {answer:?}");
            }
            assert_eq!(admin.get("/server/ping").await.status, 200, "after {request:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_half_written() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let name = "half written";
        for body in [
            json!([{ "name": name }, { "name": name, "whole": "x" }]),
            json!([{ "name": name }, { "name": "x".repeat(41) }]),
            json!([{ "name": name }, { "name": name, "parent": 99_999_999 }]),
            json!([{ "name": name, "children": [{ "name": name }, { "name": name, "flag": "?" }] }]),
            json!([{ "name": name, "children": [{ "name": name, "children": { "create": "x" } }] }]),
            json!([{ "name": name }, 5]),
        ] {
            let answer = admin.post("/items/notes", body).await;
            assert_eq!(answer.status, 400, "{answer:?}");
            answer.errors();
        }
        let filter = json!({ "filter": { "name": { "_eq": name } } });
        assert_eq!(admin.items("notes", filter).await.data(), json!([]));
    })
    .await;
}

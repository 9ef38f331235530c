//! Values of every type: what goes in comes out, and what the column cannot hold is refused.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

/// Writes a value to a field, and reads it back in the answer, alone and in a list.
async fn check(admin: &Client, field: &str, value: Value, expected: Value) {
    let made = admin.create("values", json!({ field: value })).await;
    assert_eq!(made[field], expected, "{field}: {value} as answered to its creation");
    let id = made["id"].clone();
    let read = admin.get(&format!("/items/values/{id}?fields={field}")).await.data();
    assert_eq!(read[field], expected, "{field}: {value} read back");
    let cleared =
        admin.patch(&format!("/items/values/{id}?fields={field}"), json!({ field: null })).await.data();
    assert_eq!(cleared, json!({ field: null }), "{field} cleared");
    let again =
        admin.patch(&format!("/items/values/{id}?fields={field}"), json!({ field: value })).await.data();
    assert_eq!(again[field], expected, "{field}: {value} as answered to an update");
}

/// Sends a value that has to be refused, naming the field.
async fn refused(admin: &Client, field: &str, value: Value) {
    let answer = admin.post("/items/values", json!({ field: value })).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let error = &answer.errors()[0];
    let named = error["message"].as_str().unwrap().contains(field) || error["extensions"]["field"] == field;
    assert!(named, "{field} is not named: {answer:?}");
    let code = error["extensions"]["code"].as_str().unwrap();
    let known = ["INVALID_PAYLOAD", "FAILED_VALIDATION", "VALUE_OUT_OF_RANGE", "VALUE_TOO_LONG"];
    assert!(known.contains(&code), "{answer:?}");
}

#[tokio::test]
async fn texts() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for text in [
            "",
            " ",
            "plain",
            "🚀 ünïcødé",
            "<b>x</b>",
            "'; drop--",
            "a\\b\"c",
            "tab\tnew\nline",
            "trailing  ",
        ] {
            check(admin, "word", json!(text), json!(text)).await;
            check(admin, "prose", json!(text), json!(text)).await;
        }
        let twenty = "é🚀".repeat(10);
        check(admin, "word", json!(twenty), json!(twenty)).await;
        let long = "0123456789abcdef".repeat(20_000);
        check(admin, "prose", json!(long), json!(long)).await;
        let answer = admin.post("/items/values", json!({ "word": "x".repeat(21) })).await;
        let errors = answer.refused(400, "VALUE_TOO_LONG");
        assert_eq!(
            (&errors[0]["extensions"]["collection"], &errors[0]["extensions"]["field"]),
            (&json!("values"), &json!("word"))
        );
        for wrong in [json!({ "a": 1 }), json!([1]), json!("nul \u{0} byte")] {
            refused(admin, "word", wrong.clone()).await;
            refused(admin, "prose", wrong).await;
        }
        let secret = admin.create("values", json!({ "secret": "hidden" })).await;
        assert_eq!(secret["secret"], "**********");
        assert_eq!(admin.create("values", json!({})).await["secret"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn whole_numbers() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for number in [0, 1, -1, i32::MAX, i32::MIN] {
            check(admin, "whole", json!(number), json!(number)).await;
        }
        check(admin, "whole", json!("42"), json!(42)).await;
        for number in [0, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
            check(admin, "large", json!(number), json!(number.to_string())).await;
            check(admin, "large", json!(number.to_string()), json!(number.to_string())).await;
        }
        for wrong in [json!("abc"), json!(1.5), json!("1.5"), json!(true), json!([1]), json!({}), json!("")] {
            refused(admin, "whole", wrong.clone()).await;
            refused(admin, "large", wrong).await;
        }
        for huge in [json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!(1e300), json!("99999999999")]
        {
            refused(admin, "whole", huge).await;
        }
        refused(admin, "large", json!("9223372036854775808")).await;
        let body = r#"{"large":9223372036854775808}"#;
        let answer = admin.request("POST", "/items/values").body(body, "application/json").send().await;
        assert_eq!(answer.status, 400, "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn money_is_exact() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for (value, expected) in [
            (json!("10.10"), "10.10"),
            (json!(10.1), "10.10"),
            (json!("0"), "0.00"),
            (json!("-0.01"), "-0.01"),
            (json!(1), "1.00"),
            (json!("9999999999.99"), "9999999999.99"),
            (json!("-9999999999.99"), "-9999999999.99"),
            (json!("0.07"), "0.07"),
            (json!("1e2"), "100.00"),
        ] {
            check(admin, "amount", value, json!(expected)).await;
        }
        check(admin, "fine", json!("123456789012.123456"), json!("123456789012.123456")).await;
        check(admin, "fine", json!("0.000001"), json!("0.000001")).await;
        // As a number of JSON, beyond what a float could carry.
        let body = r#"{"fine":123456789012.123456}"#;
        let made = admin.request("POST", "/items/values").body(body, "application/json").send().await.data();
        assert_eq!(made["fine"], "123456789012.123456");
        for wrong in [
            json!("10000000000.00"),
            json!("99999999999"),
            json!("abc"),
            json!(true),
            json!([1]),
            json!("NaN"),
            json!("Infinity"),
            json!(""),
        ] {
            refused(admin, "amount", wrong).await;
        }
    })
    .await;
}

#[tokio::test]
async fn sums_of_money_are_exact() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        // A thousand times a tenth, and amounts whose sum no float holds.
        let mut rows: Vec<Value> = (0..1000).map(|_| json!({ "word": "tenths", "amount": "0.10", "fine": "0.000001" })).collect();
        rows.push(json!({ "word": "tenths", "amount": "9999999999.99", "fine": "999999999999.999999" }));
        rows.push(json!({ "word": "tenths", "amount": "9999999999.99", "fine": "999999999999.999999" }));
        admin.post("/items/values?fields=id&limit=1", Value::Array(rows)).await.data();
        let filter = json!({ "word": { "_eq": "tenths" } });
        let sums = admin.items("values", json!({ "aggregate": { "sum": ["amount", "fine"] }, "filter": filter })).await.data();
        assert_eq!(sums, json!([{ "sum": { "amount": "20000000099.98", "fine": "2000000000000.000998" } }]));
        let grouped = json!({ "aggregate": { "sum": "amount", "min": "amount", "max": "amount" }, "groupBy": "word", "filter": filter });
        let expected = json!([{
            "word": "tenths", "sum": { "amount": "20000000099.98" }, "min": { "amount": "0.10" }, "max": { "amount": "9999999999.99" },
        }]);
        assert_eq!(admin.items("values", grouped).await.data(), expected);
        let equal = json!({ "word": { "_eq": "tenths" }, "amount": { "_eq": 0.1 } });
        let count = admin.items("values", json!({ "aggregate": { "count": "*" }, "filter": equal })).await.data();
        assert_eq!(count, json!([{ "count": "1000" }]));
    })
    .await;
}

#[tokio::test]
async fn floats_and_booleans() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for number in [0.5, -0.25, 1e100, 1.0 / 3.0, 5e-324, 123_456_789.123_456_79, f64::MAX] {
            let made = admin.create("values", json!({ "ratio": number })).await;
            assert_eq!(made["ratio"].as_f64(), Some(number));
            let read = admin.get(&format!("/items/values/{}", made["id"])).await.data();
            assert_eq!(read["ratio"].as_f64(), Some(number));
        }
        for wrong in [json!("abc"), json!(true), json!([]), json!("NaN"), json!("Infinity"), json!("")] {
            refused(admin, "ratio", wrong).await;
        }
        let body = r#"{"ratio":1e400}"#;
        let answer = admin.request("POST", "/items/values").body(body, "application/json").send().await;
        assert_eq!(answer.status, 400, "{answer:?}");
        check(admin, "flag", json!(true), json!(true)).await;
        check(admin, "flag", json!(false), json!(false)).await;
        for wrong in [json!("maybe"), json!(2), json!([]), json!({})] {
            refused(admin, "flag", wrong).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dates_and_times() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for date in ["2024-02-29", "1970-01-01", "1900-12-31", "9999-12-31"] {
            check(admin, "day", json!(date), json!(date)).await;
        }
        check(admin, "clock", json!("23:59:59"), json!("23:59:59")).await;
        check(admin, "clock", json!("07:05"), json!("07:05:00")).await;
        check(admin, "local", json!("2024-03-31T02:30:00"), json!("2024-03-31T02:30:00")).await;
        check(admin, "local", json!("2024-03-31 02:30:00"), json!("2024-03-31T02:30:00")).await;
        check(admin, "moment", json!("2024-03-31T02:30:00.125Z"), json!("2024-03-31T02:30:00.125Z")).await;
        check(admin, "moment", json!("2024-03-31T02:30:00+02:00"), json!("2024-03-31T00:30:00.000Z")).await;
        check(admin, "moment", json!("2024-12-31T23:30:00-05:00"), json!("2025-01-01T04:30:00.000Z")).await;
        for wrong in
            [json!("yesterday"), json!("2023-02-29"), json!("2024-13-01"), json!(true), json!([]), json!("")]
        {
            for field in ["day", "local", "moment"] {
                refused(admin, field, wrong.clone()).await;
            }
        }
        for wrong in [json!("24:00:01"), json!("noon"), json!("12:60:00"), json!(true)] {
            refused(admin, "clock", wrong).await;
        }
    })
    .await;
}

#[tokio::test]
async fn json_lists_and_identifiers() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for value in [
            json!({}),
            json!([]),
            json!({ "b": 1, "a": [null, true, "x", { "z": -1.5 }] }),
            json!(5),
            json!(false),
            json!([[[]]]),
            json!({ "": "empty key", "ünï": "🚀" }),
        ] {
            check(admin, "shape", value.clone(), value).await;
        }
        // A text is JSON text, as the public API takes it.
        check(admin, "shape", json!("{\"a\": [1]}"), json!({ "a": [1] })).await;
        check(admin, "shape", json!("\"text\""), json!("text")).await;
        refused(admin, "shape", json!("text")).await;
        let body = r#"{"shape":{"n":123456789012345678901234567890.5,"z":1,"a":2}}"#;
        let made =
            admin.request("POST", "/items/values?fields=shape").body(body, "application/json").send().await;
        made.data();
        check(admin, "list", json!(["a", "b"]), json!(["a", "b"])).await;
        check(admin, "list", json!([]), json!([])).await;
        check(admin, "list", json!("a,b"), json!(["a", "b"])).await;
        refused(admin, "list", json!({ "a": 1 })).await;
        refused(admin, "list", json!([{ "a": 1 }])).await;
        let code = "0189d5e0-0000-7000-8000-00000000abcd";
        check(admin, "code", json!(code), json!(code)).await;
        check(admin, "code", json!(code.to_uppercase()), json!(code)).await;
        for wrong in [json!("zzz"), json!(5), json!("0189d5e0-0000-7000-8000-00000000abc"), json!("")] {
            refused(admin, "code", wrong).await;
        }
    })
    .await;
}

#[tokio::test]
async fn hashes_and_bytes() {
    each_database(async |engine| {
        let (admin, database) = blog::shared_with_database(engine).await;
        let made = admin.create("values", json!({ "lock": "my password" })).await;
        assert_ne!(made["lock"], "my password");
        let id = &made["id"];
        let select =
            format!("SELECT {} FROM {} WHERE id = {id}", engine.quote("lock"), engine.quote("values"));
        let stored = database.rows(&select).await[0][0].clone();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        check(&admin, "raw", json!("AAECAwT/"), json!("AAECAwT/")).await;
        check(&admin, "raw", json!(""), json!("")).await;
        refused(&admin, "raw", json!("not base64!")).await;
        refused(&admin, "raw", json!(5)).await;
    })
    .await;
}

use serde_json::json;

use super::*;

fn limits() -> QueryLimits {
    QueryLimits { max_limit: 1000, max_depth: 4, max_entries: 5, ..QueryLimits::default() }
}

fn parse(raw: &str) -> Query {
    match parse_string(raw, &limits()) {
        Ok(query) => query,
        Err(error) => panic!("{raw}: {error}"),
    }
}

fn refused(raw: &str, reason: &str) {
    match parse_string(raw, &limits()) {
        Err(Error::InvalidQuery { reason: got }) => assert_eq!(got, reason, "{raw}"),
        other => panic!("{raw}: {other:?}"),
    }
}

#[test]
fn fields() {
    let check = |raw: &str, expected: &[&str]| {
        let got: Vec<String> = parse(raw).fields.iter().map(|path| path.join(".")).collect();
        assert_eq!(got, expected, "{raw}");
    };
    check("fields=id,author.name", &["id", "author.name"]);
    check("fields[]=id&fields[]=title", &["id", "title"]);
    check("fields[]=id,title", &["id", "title"]);
    check("fields=id&fields=title", &["id", "title"]);
    check("fields=", &[]);
    check("fields=*,%20author.*", &["*", "author.*"]);
    check("fields=year(day),item:texts.title", &["year(day)", "item:texts.title"]);
    refused("fields=a.b.c.d.e", "\"a.b.c.d.e\" in \"fields\" is more than 4 levels deep");
    refused("fields=a,b,c,d,e,f", "\"fields\" has more than 5 entries");
    refused("fields[a]=b", "\"fields\" must be a list of names");
}

#[test]
fn sort() {
    let check = |raw: &str, expected: &str| {
        let got: Vec<String> = parse(raw)
            .sort
            .iter()
            .map(|sort| format!("{}{}", if sort.descending { "-" } else { "+" }, sort.path.join(".")))
            .collect();
        assert_eq!(got.join(" "), expected, "{raw}");
    };
    check("sort=-author.country,id", "-author.country +id");
    check("sort[]=-id", "-id");
    check("sort=", "");
}

#[test]
fn numbers() {
    let check = |raw: &str, limit: Option<i64>, offset: Option<u64>, page: Option<u64>| {
        let query = parse(raw);
        assert_eq!((query.limit, query.offset, query.page), (limit, offset, page), "{raw}");
    };
    check("limit=3&offset=2&page=1", Some(3), Some(2), Some(1));
    check("limit=-1", Some(-1), None, None);
    check("limit=", None, None, None);
    refused("limit=-5", "\"limit\" must be -1 or more");
    refused("limit=abc", "\"limit\" must be a whole number");
    refused("limit=1.5", "\"limit\" must be a whole number");
    refused("limit=1001", "\"limit\" must be at most 1000");
    refused("offset=-1", "\"offset\" must be 0 or more");
    refused("page=99999999999999999999", "\"page\" must be a whole number");
}

#[test]
fn filter_forms() {
    let expected = parse("filter={\"int\":{\"_gt\":\"20\"}}").filter;
    assert!(expected.is_some());
    assert_eq!(parse("filter[int][_gt]=20").filter, expected);
    assert_eq!(parse("filter=").filter, None);
    assert_eq!(parse("filter={}").filter, Some(filter::Syntax::And(Vec::new())));
    refused("filter=abc", "\"filter\" is not valid JSON: expected value at line 1 column 1");
    refused("filter=12", "filter must be an object");
    refused("filter[_eq]=1", "\"_eq\" in filter needs a field around it");
}

#[test]
fn search() {
    assert_eq!(parse("search=Article+1").search.as_deref(), Some("Article 1"));
    assert_eq!(parse("search=").search, None);
    refused("search=a%00", "\"search\" must not contain NUL");
    refused("search[a]=b", "\"search\" must be a text");
}

#[test]
fn deep() {
    let expected = parse(r#"deep={"comments":{"_limit":1,"_sort":"-id"}}"#).deep;
    assert_eq!(parse("deep[comments][_limit]=1&deep[comments][_sort]=-id").deep, expected);
    assert_eq!(expected["comments"].limit, Some(1));
    let nested = parse(r#"deep={"a":{"_limit":2,"b":{"_filter":{"x":{"_eq":1}},"_alias":{"n":"m"}}}}"#).deep;
    assert!(nested["a"].deep["b"].filter.is_some());
    assert_eq!(nested["a"].deep["b"].alias["n"], "m");
    refused("deep={bad", "\"deep\" is not valid JSON: key must be a string at line 1 column 2");
    refused("deep[comments][_lmit]=1", "\"_lmit\" in \"deep.comments\" is not a parameter");
    refused("deep[_limit]=1", "parameters in \"deep\" need a relation around them");
    refused("deep[comments]=1", "\"deep.comments\" must be an object");
    refused("deep[comments][_limit]=x", "\"deep.comments._limit\" must be a whole number");
    refused("deep[a][b][c][d][e][_limit]=1", "\"deep\" is nested more than 4 levels deep");
}

#[test]
fn alias_and_aggregate() {
    assert_eq!(parse("alias[head]=title").alias["head"], "title");
    assert_eq!(parse(r#"alias={"head":"title"}"#).alias["head"], "title");
    refused("alias[a.b]=title", "\"a.b\" in \"alias\" must not contain a dot");
    refused("alias[a]=author.name", "\"a\" in \"alias\" must not contain a dot");
    refused("alias=x", "\"alias\" is not valid JSON: expected value at line 1 column 1");
    let query = parse("aggregate[count]=*&aggregate[sum]=views,price&groupBy[]=status");
    assert_eq!(query.aggregate["count"], ["*"]);
    assert_eq!(query.aggregate["sum"], ["views", "price"]);
    assert_eq!(query.group_by, ["status"]);
    assert_eq!(parse("groupBy=status,month(day)").group_by, ["status", "month(day)"]);
    refused("aggregate={bad", "\"aggregate\" is not valid JSON: key must be a string at line 1 column 2");
    refused("aggregate[count]=", "\"count\" in \"aggregate\" names no field");
}

#[test]
fn meta() {
    let check = |raw: &str, total_count: bool, filter_count: bool| {
        assert_eq!(parse(raw).meta, Meta { total_count, filter_count, ..Meta::default() }, "{raw}");
    };
    check("meta=*", true, true);
    check("meta=filter_count", false, true);
    check("meta[]=total_count", true, false);
    check("meta=page_count", false, false);
}

#[test]
fn bodies_and_unknown_parameters() {
    let body = json!({
        "fields": ["id", "name"], "sort": ["-id"], "limit": 2, "version": "main",
        "filter": {"country": {"_eq": "FR"}}, "aggregate": {"count": ["*"]}, "search": 12,
    });
    let Value::Object(body) = body else { panic!("an object") };
    let query = parse_object(&body, &limits()).expect("a query");
    assert_eq!(query.fields.len(), 2);
    assert_eq!(query.limit, Some(2));
    assert_eq!(query.search.as_deref(), Some("12"));
    assert_eq!(parse("access_token=x&backlink=false&export=&version="), Query::default());
    assert_eq!(parse("export=csv").export.as_deref(), Some("csv"));
    let version = parse("version=draft&versionRaw=true");
    assert_eq!((version.version.as_deref(), version.version_raw), (Some("draft"), true));
    refused("versionRaw=maybe", "\"versionRaw\" must be true or false");
    refused("version[]=a", "\"version\" must be a text");
}

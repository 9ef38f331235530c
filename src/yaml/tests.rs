//! Reading what people write, and editing it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn check(yaml: &str, expected: &[&str]) {
    check_bytes(yaml.as_bytes(), expected);
}

fn check_bytes(yaml: &[u8], expected: &[&str]) {
    let (_, findings) = parse("a.yaml", yaml);
    let shown: Vec<String> = findings.iter().map(Diagnostic::to_string).collect();
    assert_eq!(shown, expected, "{}", String::from_utf8_lossy(&yaml[..yaml.len().min(200)]));
}

#[test]
fn trees_carry_places() {
    let (root, findings) = parse("a.yaml", b"a: 1\nb:\n  - x\n  - { c: 'no', d: no }\n");
    assert_eq!(findings, []);
    let root = root.expect("a tree");
    assert_eq!(root.to_json(), json!({ "a": 1, "b": ["x", { "c": "no", "d": "no" }] }));
    let inner = &root.get("b").and_then(Node::as_list).expect("a list")[1];
    assert_eq!((inner.at.line, inner.at.column, inner.style), (4, 5, Style::Flow));
    let value = inner.get("d").expect("a value");
    assert_eq!((value.at.line, value.at.column, value.end), (4, 19, Point { line: 4, column: 21 }));
}

#[test]
fn bad_files_are_findings() {
    check("", &["a.yaml:1:1: the file is empty"]);
    check("# only a comment\n", &["a.yaml:1:1: the file is empty"]);
    check("a: 1\na: 2\n", &["a.yaml:2:1: the key \"a\" stands twice; the first is in line 1"]);
    check("a: {b: 1, b: 2}\n", &["a.yaml:1:11: the key \"b\" stands twice; the first is in line 1"]);
    check("a:\n\tb: 1\n", &["a.yaml:2:1: a tab stands in the indentation; expected spaces"]);
    check("a: 1\n---\nb: 1\n", &["a.yaml:2:1: a second document begins here; a file holds one"]);
    check("a: \0\n", &["a.yaml:1:4: the character U+0000 is not allowed"]);
    check(
        "\u{FEFF}a: 1\n",
        &["a.yaml:1:1: the file begins with a byte order mark; save it as UTF-8 without one"],
    );
    check_bytes(b"a: 1\nb: \xFF\n", &["a.yaml:2:4: this is not UTF-8"]);
    check(
        "a: [1, 2\n",
        &["a.yaml:2:1: this is not YAML: while parsing a flow sequence, expected ',' or ']'"],
    );
    check("? [a]\n: 1\n", &["a.yaml:1:3: a list cannot be a key"]);
    check("a: !ruby/object 1\n", &["a.yaml:1:4: the tag \"!ruby/object\" is not known"]);
    check("a: !!str 1\n", &[]);
    check("a: .inf\n", &["a.yaml:1:4: \".inf\": infinity is not a value"]);
    check("a: &x [*x]\n", &["a.yaml:1:8: this alias stands inside of what it repeats"]);
    check("a: &x 1\nb: *x\n", &[]);
    check(
        &format!("a: {}{}", "[".repeat(70), "]".repeat(70)),
        &["a.yaml:1:67: nested deeper than 64 levels"],
    );
    check_bytes(&vec![b'a'; MOST_BYTES + 1], &["a.yaml:1:1: the file is larger than 2 MB"]);
}

#[test]
fn exploding_aliases_are_cut_short() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = level - 1;
        let list = vec![format!("*a{before}"); 10].join(", ");
        yaml.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let (_, findings) = parse("a.yaml", yaml.as_bytes());
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("200000 values"), "{}", findings[0]);
    let deep: String =
        (0..60).map(|level| format!("&a{level} [")).collect::<String>() + &"x, ".repeat(60_000);
    let (_, findings) = parse("a.yaml", deep.as_bytes());
    assert!(!findings.is_empty());
}

#[test]
fn hostile_shapes_end_in_time() {
    let started = std::time::Instant::now();
    for piece in [
        "[", "{", "- ", "? ", "a: ", "&a ", "!!x ", "\"", "'", "|\n", "*a ", "{a: ", "\t", "%", "a\n", "#",
        "- - - - ",
    ] {
        let _ = parse("a.yaml", piece.repeat(200_000 / piece.len()).as_bytes());
        let nested: String = (0..400).map(|depth| format!("{}{piece}\n", " ".repeat(depth))).collect();
        let _ = parse("a.yaml", nested.as_bytes());
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

const SAMPLE: &str = "\
# What it is
collection: notes # its name
note: \"Notes: all of them\"

fields:
  # Text first
  title: string!   # short
  body: |
    several
    lines

  status: { type: string, choices: [draft, sent], default: draft } # where it stands
  empty:
  long:
    type: string
    # between
    required: true
indexes:
  - [title, status]
  - fields: [body]
    unique: true
";

/// Lines of the outcome that differ, as `-` and `+`.
fn changes(outcome: Result<String, Diagnostic>) -> Vec<String> {
    let after = match outcome {
        Ok(after) => after,
        Err(diagnostic) => return vec![diagnostic.to_string()],
    };
    similar::TextDiff::from_lines(SAMPLE, &after)
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n')))
        .collect()
}

#[test]
fn edits_change_one_place() {
    let set = |path: &[&str], value: Value| changes(edit::set("a.yaml", SAMPLE, path, &value));
    let insert =
        |path: &[&str], key: &str, value: Value| changes(edit::insert("a.yaml", SAMPLE, path, key, &value));
    let remove = |path: &[&str]| changes(edit::remove("a.yaml", SAMPLE, path));
    let rename = |path: &[&str], name: &str| changes(edit::rename("a.yaml", SAMPLE, path, name));

    assert_eq!(
        set(&["collection"], json!("memos")),
        ["-collection: notes # its name", "+collection: memos # its name"]
    );
    assert_eq!(set(&["note"], json!("yes")), ["-note: \"Notes: all of them\"", "+note: \"yes\""]);
    assert_eq!(
        set(&["fields", "status", "default"], json!("sent"))[1],
        "+  status: { type: string, choices: [draft, sent], default: sent } # where it stands"
    );
    assert_eq!(
        set(&["fields", "status", "choices", "1"], json!("gone"))[1],
        "+  status: { type: string, choices: [draft, gone], default: draft } # where it stands"
    );
    assert_eq!(set(&["fields", "empty"], json!("date")), ["-  empty:", "+  empty: date"]);
    assert_eq!(
        set(&["fields", "body"], json!("text")),
        ["-  body: |", "-    several", "-    lines", "+  body: text"]
    );
    assert_eq!(
        set(&["fields", "long"], json!("text")),
        ["-  long:", "-    type: string", "-    # between", "-    required: true", "+  long: text"]
    );
    assert_eq!(
        set(&["fields", "nothing"], json!(1)),
        ["a.yaml:6:3: there is no key \"nothing\" here"]
            .map(|_| { "a.yaml:7:3: there is no key \"nothing\" here".to_owned() })
    );

    assert_eq!(insert(&[], "hidden", json!(true)), ["+hidden: true"]);
    assert_eq!(
        insert(&["fields"], "price", json!({ "type": "decimal(12,2)" })),
        ["+  price: { type: \"decimal(12,2)\" }"]
    );
    assert_eq!(insert(&["fields", "long"], "unique", json!(true)), ["+    unique: true"]);
    assert_eq!(insert(&["fields", "empty"], "type", json!("date")), ["+    type: date"]);
    assert_eq!(
        insert(&["fields", "status"], "index", json!(true))[1],
        "+  status: { type: string, choices: [draft, sent], default: draft, index: true } # where it stands"
    );
    assert_eq!(insert(&["indexes", "1"], "note", json!("x")), ["+    note: x"]);
    assert_eq!(insert(&["fields"], "title", json!("x")), ["a.yaml:7:3: the key \"title\" is already there"]);

    assert_eq!(remove(&["fields", "title"]), ["-  title: string!   # short"]);
    assert_eq!(remove(&["fields", "body"]), ["-  body: |", "-    several", "-    lines"]);
    assert_eq!(
        remove(&["fields", "status", "default"])[1],
        "+  status: { type: string, choices: [draft, sent] } # where it stands"
    );
    assert_eq!(
        remove(&["fields", "status", "type"])[1],
        "+  status: { choices: [draft, sent], default: draft } # where it stands"
    );
    assert_eq!(
        remove(&["indexes", "1", "fields"]),
        ["-  - fields: [body]", "-    unique: true", "+  - unique: true"]
    );
    assert_eq!(remove(&["fields", "empty"]), ["-  empty:"]);

    assert_eq!(
        rename(&["fields", "title"], "name"),
        ["-  title: string!   # short", "+  name: string!   # short"]
    );
    assert_eq!(rename(&["fields", "title"], "body"), ["a.yaml:7:3: the key \"body\" is already there"]);
}

#[test]
fn edits_inside_aliases_are_refused() {
    let text = "a: &x { b: 1 }\nc: *x\n";
    let refused = edit::set("a.yaml", text, &["c", "b"], &json!(2)).expect_err("would change both");
    assert!(refused.message.contains("cannot be changed"), "{refused}");
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z #:{}'\"-]{0,12}".prop_map(Value::from),
        Just(Value::Null),
        prop::collection::vec("[a-z]{1,4}".prop_map(Value::from), 0..3).prop_map(Value::from),
    ]
}

fn map() -> impl Strategy<Value = Value> {
    let entries = |value: BoxedStrategy<Value>| {
        prop::collection::btree_map("[a-z]{1,6}", value, 1..6)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
            .boxed()
    };
    let inner = prop_oneof![leaf(), entries(leaf().boxed())].boxed();
    entries(prop_oneof![leaf(), entries(inner)].boxed())
}

/// A document with comments and empty lines, and for each line without them whether it came from the outside.
fn commented(value: &Value, every: usize) -> String {
    let mut text = String::from("# head\n");
    for (number, line) in emit::document(value).lines().enumerate() {
        text.push_str(line);
        if number % every == 0 {
            text.push_str(" # said beside");
        }
        text.push('\n');
        if number % (every + 1) == 0 {
            text.push_str("\n  # said between\n");
        }
    }
    text
}

/// Paths of all keys.
fn paths(value: &Value, above: &[String], all: &mut Vec<Vec<String>>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            let path = [above, std::slice::from_ref(key)].concat();
            all.push(path.clone());
            paths(value, &path, all);
        }
    }
}

proptest! {
    #[test]
    fn edits_leave_the_other_lines(value in map(), fresh in leaf(), pick in any::<prop::sample::Index>(), every in 1usize..4) {
        let text = commented(&value, every);
        let mut all = Vec::new();
        paths(&value, &[], &mut all);
        let path: Vec<&str> = pick.get(&all).iter().map(String::as_str).collect();
        let (_, above) = path.split_last().expect("a path");
        let shared = |after: &str| {
            let lines = text.lines().collect::<Vec<_>>();
            let kept = after.lines().collect::<Vec<_>>();
            let front = lines.iter().zip(&kept).take_while(|(left, right)| left == right).count();
            let room = lines.len().min(kept.len()) - front;
            let back = lines.iter().rev().zip(kept.iter().rev()).take(room).take_while(|(left, right)| left == right).count();
            // Lines of the old and of the new text that are not common to both.
            (lines.len() - front - back, kept.len() - front - back)
        };
        let old = path.iter().try_fold(&value, |place, step| place.get(step)).expect("is there");
        let is_leaf = !old.is_object() || old.as_object().is_some_and(|map| map.is_empty());

        // The tree itself is checked by every edit before it answers.
        let after = edit::set("a.yaml", &text, &path, &fresh).map_err(|refused| TestCaseError::fail(format!("{refused}\n{text}")))?;
        if is_leaf {
            prop_assert!(shared(&after).0 <= 1 && shared(&after).1 <= 1, "{}\n---\n{}", text, after);
        }
        let after = edit::insert("a.yaml", &text, above, "fresh_key", &fresh).map_err(|refused| TestCaseError::fail(format!("{refused}\n{text}")))?;
        prop_assert!(shared(&after).1 <= 1 && shared(&after).0 <= 1, "{}\n---\n{}", text, after);
        let after = edit::rename("a.yaml", &text, &path, "fresh_key").map_err(|refused| TestCaseError::fail(format!("{refused}\n{text}")))?;
        prop_assert!(shared(&after) == (1, 1), "{}\n---\n{}", text, after);
        let after = edit::remove("a.yaml", &text, &path).map_err(|refused| TestCaseError::fail(format!("{refused}\n{text}")))?;
        prop_assert!(shared(&after).1 <= 1, "{}\n---\n{}", text, after);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse("a.yaml", &bytes);
    }

    #[test]
    fn any_text_is_read_without_harm(text in "[a-c:\\-{}\\[\\],#&*!|>'\"%@`?~ \\n\\t0-9é]{0,200}") {
        let _ = parse("a.yaml", text.as_bytes());
    }
}

#[test]
fn comments_behind_texts_in_quotes_stay() {
    let check = |old: &str| {
        let text = format!("a: {old}   # beside\nb: 1\n");
        let edited = edit::set("a.yaml", &text, &["a"], &json!({ "b": 1 })).expect("edited");
        assert_eq!(edited, "a: { b: 1 }   # beside\nb: 1\n", "{old}");
        let edited = edit::set("a.yaml", &text, &["b"], &json!(2)).expect("edited");
        assert_eq!(edited, text.replace("b: 1", "b: 2"));
    };
    for old in ["\"string(12)!\"", "'old'", "'it''s # old'", "\"a \\\" # b\\\\\"", "\"\"", "''"] {
        check(old);
    }
}

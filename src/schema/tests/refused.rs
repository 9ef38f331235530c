//! What is refused, and in which words.

use super::shown;
use crate::schema::keys::NAME_RULE;

fn check(yaml: &str, expected: &[&str]) {
    let shown: Vec<String> = shown(yaml).iter().map(|line| line.replace(NAME_RULE, "<name>")).collect();
    assert_eq!(shown, expected, "{yaml}");
}

/// Checks `notes` with these fields.
fn field(fields: &str, expected: &[&str]) {
    check(&format!("collection: notes\nfields: {{ {fields} }}\n"), expected);
}

#[test]
fn files_are_checked() {
    check("- a\n", &["notes.yaml:1:1: a collection cannot be a list; expected a map"]);
    check("text\n", &["notes.yaml:1:1: a collection cannot be a text; expected a map"]);
    check("collection: notes\n", &["notes.yaml:1:1: the collection has no \"fields\""]);
    check("fields: { a: text }\n", &["notes.yaml:1:1: the collection has no \"collection\""]);
    check(
        "collection: 1\nfields: {}\n",
        &["notes.yaml:1:13: \"collection\" cannot be a number; expected <name>"],
    );
    check(
        "collection: no-tes\nfields: {}\n",
        &["notes.yaml:1:13: \"no-tes\" is not a name; expected <name>"],
    );
    check(
        "collection: 2notes\nfields: {}\n",
        &["notes.yaml:1:13: \"2notes\" is not a name; expected <name>"],
    );
    check(
        "collection: Tablature_notes\nfields: {}\n",
        &[
            "notes.yaml:1:13: \"Tablature_notes\" cannot be declared: \"tablature_\" is kept for tables of the server",
        ],
    );
    check(
        "collection: notes\ngroup: notes\nfields: {}\n",
        &["notes.yaml:2:8: a collection cannot be its own group"],
    );
    check(
        "collection: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nfields: {}\n",
        &[
            "notes.yaml:1:13: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is not a name; expected <name>",
        ],
    );
    check(
        "collection: directus_notes\nfields: {}\n",
        &[
            "notes.yaml:1:13: there is no system collection \"directus_notes\", and \"directus_\" is kept for those; did you mean \"directus_roles\"?",
        ],
    );
    check(
        "collection: directus_user\nfields: {}\n",
        &[
            "notes.yaml:1:13: there is no system collection \"directus_user\", and \"directus_\" is kept for those; did you mean \"directus_users\"?",
        ],
    );
    check(
        "collection: directus_users\nnote: mine\nfields: { nick: string }\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:2:1: \"note\" cannot be changed: it belongs to the system; expected \"fields\", \"permissions\" or \"tests\"",
        ],
    );
    check(
        "collection: directus_users\nfields: { email: string, key: uuid_pk, nick: strin }\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:2:11: directus_users has a field \"email\" already",
            "notes.yaml:2:26: directus_users has a primary key already",
            "notes.yaml:2:46: unknown type \"strin\"; did you mean \"string\"?",
        ],
    );
    check(
        "collection: directus_users\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:1:1: a file for a system collection adds fields to it; expected \"fields\" with a map",
        ],
    );
    check(
        "collection: companies\nfields: {}\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:1:13: the collection \"companies\" is declared in companies.yaml:1 already",
        ],
    );
    check(
        "collection: Companies\nfields: {}\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:1:13: the collection \"companies\" is declared in companies.yaml:1 already",
        ],
    );
    check(
        "collection: notes\nfields: []\n",
        &["notes.yaml:2:9: \"fields\" cannot be a list; expected a map"],
    );
    field(
        "a: 1",
        &[
            "notes.yaml:2:14: the field \"a\" cannot be a number; expected a type, or a map with \"type\" or a relation",
        ],
    );
    check(
        "collection: notes\nfeilds: {}\n",
        &[
            "notes.yaml:1:1: the collection has no \"fields\"",
            "notes.yaml:2:1: unknown key \"feilds\"; did you mean \"fields\"?",
        ],
    );
    check(
        "collection: notes\nfields: {}\nhiden: true\n",
        &["notes.yaml:3:1: unknown key \"hiden\"; did you mean \"hidden\"?"],
    );
    check(
        "collection: notes\nfields: {}\nhidden: yes\n",
        &["notes.yaml:3:9: \"hidden\" cannot be a text; expected true or false"],
    );
    check(
        "collection: notes\nfields: {}\nnote: [a]\n",
        &["notes.yaml:3:7: \"note\" cannot be a list; expected a text"],
    );
    check(
        "collection: notes\nfields: {}\naccountability: some\n",
        &["notes.yaml:3:17: \"accountability\" cannot be \"some\"; expected all, activity or none"],
    );
    check(
        "collection: notes\nwas: companies\nfields: {}\n",
        &["notes.yaml:2:6: \"companies\" is declared, so it cannot be the former name of another"],
    );
    check(
        "collection: notes\nwas: [old, old]\nfields: {}\n",
        &["notes.yaml:2:12: \"old\" is already the former name of \"notes\""],
    );
    check(
        "collection: notes\nwas: old notes\nfields: {}\n",
        &["notes.yaml:2:6: \"old notes\" is not a name; expected <name>"],
    );
    field("a: text, a: text", &["notes.yaml:2:20: the key \"a\" stands twice; the first is in line 2"]);
}

#[test]
fn fields_are_checked() {
    field("a-b: text", &["notes.yaml:2:11: \"a-b\" cannot name a field; expected <name>"]);
    field("\"\": text", &["notes.yaml:2:11: \"\" cannot name a field; expected <name>"]);
    field("a: text, A: text", &["notes.yaml:2:20: \"A\" claims the column of \"a\" in line 2"]);
    field(
        "id: string",
        &[
            "notes.yaml:2:11: no field is the primary key, and \"id\" cannot be added because it is declared as something else; expected \"uuid_pk\", \"integer_pk\", \"bigint_pk\" or \"string_pk\"",
        ],
    );
    field(
        "ID: string",
        &[
            "notes.yaml:2:11: no field is the primary key, and \"id\" cannot be added because it is declared as something else; expected \"uuid_pk\", \"integer_pk\", \"bigint_pk\" or \"string_pk\"",
        ],
    );
    field(
        "id: uuid_pk, other: integer_pk",
        &["notes.yaml:2:24: \"other\" is a second primary key; \"id\" is one already"],
    );
    field("a: strng", &["notes.yaml:2:14: unknown type \"strng\"; did you mean \"string\"?"]);
    field("a: string(x)", &["notes.yaml:2:14: string takes a length from 1 to 16383, as in string(32)"]);
    field("a: string(99999)", &["notes.yaml:2:14: string takes a length from 1 to 16383, as in string(32)"]);
    field("a: text(1)", &["notes.yaml:2:14: text takes nothing in parentheses"]);
    field(
        "a: decimal",
        &[
            "notes.yaml:2:14: decimal takes its digits and how many of them stand behind the point, as in decimal(12,2), at most 18",
        ],
    );
    field(
        "a: \"decimal(30,2)\"",
        &[
            "notes.yaml:2:14: decimal takes its digits and how many of them stand behind the point, as in decimal(12,2), at most 18",
        ],
    );
    field(
        "a: \"decimal(2,3)\"",
        &[
            "notes.yaml:2:14: decimal takes its digits and how many of them stand behind the point, as in decimal(12,2), at most 18",
        ],
    );
    field("a: string(", &["notes.yaml:2:14: \"string(\" has no closing parenthesis"]);
    field(
        "a: { type: string! }",
        &[
            "notes.yaml:2:22: \"!\" is only for the short notation; expected \"required: true\" beside the type",
        ],
    );
    field("a: { tpye: string }", &["notes.yaml:2:16: unknown key \"tpye\"; did you mean \"type\"?"]);
    field(
        "a: { requird: true }",
        &[
            "notes.yaml:2:14: the field \"a\" has neither a type nor a relation; expected \"type\" or a relation",
        ],
    );
    field(
        "a: { required: true }",
        &[
            "notes.yaml:2:14: the field \"a\" has neither a type nor a relation; expected \"type\" or a relation",
        ],
    );
    field(
        "a: { type: string, requird: true }",
        &["notes.yaml:2:30: unknown key \"requird\"; did you mean \"required\"?"],
    );
    field(
        "a: { type: string, required: yes }",
        &["notes.yaml:2:40: \"required\" cannot be a text; expected true or false"],
    );
    field(
        "a: { type: string, m2o: companies }",
        &["notes.yaml:2:14: a field has either \"type\" or \"m2o\""],
    );
    field(
        "a: { type: string, on_delete: cascade }",
        &["notes.yaml:2:30: \"on_delete\" does not apply to a field of this type"],
    );
    field(
        "a: { o2m: companies.note, default: 1 }",
        &[
            "notes.yaml:2:21: companies has no field \"note\"",
            "notes.yaml:2:37: \"default\" does not apply to \"o2m\"",
        ],
    );
    field("a: { m2o: companies, sort: x }", &["notes.yaml:2:32: \"sort\" does not apply to \"m2o\""]);
    field(
        "a: { alias: divider, required: true }",
        &["notes.yaml:2:32: \"required\" does not apply to \"alias\""],
    );
    field(
        "a: { alias: divider, note: 1 }",
        &["notes.yaml:2:38: \"note\" cannot be a number; expected a text"],
    );
    field(
        "a: o2m(companies.note)!",
        &[
            "notes.yaml:2:14: \"!\" says nothing about a field without a column",
            "notes.yaml:2:14: companies has no field \"note\"",
        ],
    );
    field("a: { type: [string] }", &["notes.yaml:2:22: \"type\" cannot be a list; expected a type"]);
    field(
        "a: ~",
        &[
            "notes.yaml:2:14: the field \"a\" cannot be nothing; expected a type, or a map with \"type\" or a relation",
        ],
    );
    field("a: { type: string, was: a-b }", &["notes.yaml:2:35: \"a-b\" is not a name; expected <name>"]);
    field(
        "a: { type: string, was: b }, b: text",
        &["notes.yaml:2:11: \"b\" is declared, so it cannot be the former name of another"],
    );
}

#[test]
fn rules_are_checked() {
    field(
        "a: { type: integer, default: x }",
        &[
            "notes.yaml:2:40: the default \"x\" does not fit the type integer; expected a whole number of 32 bits",
        ],
    );
    field(
        "a: { type: integer, default: 1.5 }",
        &[
            "notes.yaml:2:40: the default 1.5 does not fit the type integer; expected a whole number of 32 bits",
        ],
    );
    field(
        "a: { type: integer, default: 3000000000 }",
        &[
            "notes.yaml:2:40: the default 3000000000 does not fit the type integer; expected a whole number of 32 bits",
        ],
    );
    field(
        "a: { type: bigint, default: 9223372036854775808 }",
        &[
            "notes.yaml:2:39: the default 9223372036854775808 does not fit the type bigint; expected a whole number of 64 bits",
        ],
    );
    field(
        "a: { type: string(3), default: four }",
        &[
            "notes.yaml:2:42: the default \"four\" does not fit the type string(3); expected a text of at most 3 characters",
        ],
    );
    field(
        "a: { type: string, default: 1 }",
        &[
            "notes.yaml:2:39: the default 1 does not fit the type string(255); expected a text of at most 255 characters",
        ],
    );
    field(
        "a: { type: boolean, default: yes }",
        &["notes.yaml:2:40: the default \"yes\" does not fit the type boolean; expected true or false"],
    );
    field(
        "a: { type: \"decimal(4,2)\", default: 100 }",
        &[
            "notes.yaml:2:47: the default 100 does not fit the type decimal(4,2); expected a number with at most 2 digits before the point and 2 behind it",
        ],
    );
    field(
        "a: { type: \"decimal(4,2)\", default: 1.001 }",
        &[
            "notes.yaml:2:47: the default 1.001 does not fit the type decimal(4,2); expected a number with at most 2 digits before the point and 2 behind it",
        ],
    );
    field("a: { type: decimal(4,2), default: 99.99 }", &[]);
    field(
        "a: { type: date, default: 2026-02-30 }",
        &[
            "notes.yaml:2:37: the default \"2026-02-30\" does not fit the type date; expected now, or a date like 2026-03-02",
        ],
    );
    field("a: { type: date, default: now }", &[]);
    field(
        "a: { type: time, default: 25:00:00 }",
        &[
            "notes.yaml:2:37: the default \"25:00:00\" does not fit the type time; expected now, or a time like 10:00:00",
        ],
    );
    field(
        "a: { type: datetime, default: 2026-01-01 }",
        &[
            "notes.yaml:2:41: the default \"2026-01-01\" does not fit the type datetime; expected now, or a date and time like 2026-03-02T10:00:00",
        ],
    );
    field(
        "a: { type: timestamp, default: yesterday }",
        &[
            "notes.yaml:2:42: the default \"yesterday\" does not fit the type timestamp; expected now, or a moment like 2026-03-02T10:00:00Z",
        ],
    );
    field("a: { type: timestamp, default: 2026-01-01T10:00:00+02:00 }", &[]);
    field("a: { type: uuid, default: uuid }", &[]);
    field(
        "a: { type: uuid, default: 12 }",
        &[
            "notes.yaml:2:37: the default 12 does not fit the type uuid; expected uuid, or a UUID like 01890a5d-ac96-774b-bcce-b302099a8057",
        ],
    );
    field("a: { type: csv, default: [a, b] }", &[]);
    field(
        "a: { type: csv, default: a }",
        &[
            "notes.yaml:2:36: the default \"a\" does not fit the type csv; expected a list of texts without commas",
        ],
    );
    field(
        "a: { type: csv, default: [\"a,b\"] }",
        &[
            "notes.yaml:2:36: the default (a list) does not fit the type csv; expected a list of texts without commas",
        ],
    );
    field("a: { type: json, default: { a: [1] } }", &[]);
    field(
        "a: { type: hash, default: secret }",
        &["notes.yaml:2:37: the default \"secret\" does not fit the type hash; expected no value"],
    );
    field(
        "a: { type: binary, default: \"!!\" }",
        &["notes.yaml:2:39: the default \"!!\" does not fit the type binary; expected bytes in base64"],
    );
    field(
        "a: { type: string, choices: [a, b], default: c }",
        &["notes.yaml:2:56: the default \"c\" is not among the choices"],
    );
    field(
        "a: { type: string, choices: [draft, sent], default: draf }",
        &["notes.yaml:2:63: the default \"draf\" is not among the choices; did you mean \"draft\"?"],
    );
    field(
        "a: { type: string, choices: [1, 2] }",
        &[
            "notes.yaml:2:40: the choice 1 does not fit the type string(255); expected a text of at most 255 characters",
            "notes.yaml:2:43: the choice 2 does not fit the type string(255); expected a text of at most 255 characters",
        ],
    );
    field(
        "a: { type: integer, choices: [1, two] }",
        &[
            "notes.yaml:2:44: the choice \"two\" does not fit the type integer; expected a whole number of 32 bits",
        ],
    );
    field(
        "a: { type: integer, choices: { 1: One, 2: Two }, default: 3 }",
        &["notes.yaml:2:69: the default 3 is not among the choices"],
    );
    field("a: { type: string, choices: { 1: One, 2: Two }, default: \"2\" }", &[]);
    field("a: { type: string, choices: [a, a] }", &["notes.yaml:2:43: the choice \"a\" stands twice"]);
    field("a: { type: string, choices: [] }", &["notes.yaml:2:39: the list of \"choices\" is empty"]);
    field("a: { type: string, choices: {} }", &["notes.yaml:2:39: there are no choices"]);
    field(
        "a: { type: string, choices: a }",
        &["notes.yaml:2:39: \"choices\" cannot be a text; expected a list, or a map"],
    );
    field(
        "a: { type: boolean, choices: [true] }",
        &["notes.yaml:2:40: \"choices\" does not apply to the type boolean"],
    );
    field(
        "a: { type: csv, choices: [a, b], default: [c] }",
        &["notes.yaml:2:53: the default (a list) is not among the choices"],
    );
    field(
        "a: { type: string, min: 1 }",
        &["notes.yaml:2:35: \"min\" does not apply to the type string(255); expected \"min_length\""],
    );
    field(
        "a: { type: integer, min: x }",
        &["notes.yaml:2:36: min \"x\" does not fit the type integer; expected a whole number of 32 bits"],
    );
    field("a: { type: integer, min: 2, max: 1 }", &["notes.yaml:2:44: max is smaller than min"]);
    field(
        "a: { type: integer, min: 2, default: 1 }",
        &["notes.yaml:2:48: the default 1 is smaller than min"],
    );
    field(
        "a: { type: \"decimal(5,2)\", max: 9.99, default: 10 }",
        &["notes.yaml:2:58: the default 10 is larger than max"],
    );
    field(
        "a: { type: date, min: 2026-01-01, max: 2025-01-01 }",
        &["notes.yaml:2:50: max is smaller than min"],
    );
    field(
        "a: { type: integer, min_length: 1 }",
        &["notes.yaml:2:43: \"min_length\" does not apply to the type integer"],
    );
    field(
        "a: { type: text, min_length: -1 }",
        &["notes.yaml:2:40: \"min_length\" cannot be -1; expected a whole number"],
    );
    field(
        "a: { type: text, min_length: 3, max_length: 2 }",
        &["notes.yaml:2:55: max_length is smaller than min_length"],
    );
    field(
        "a: { type: text, min_length: 3, default: ab }",
        &["notes.yaml:2:52: the default \"ab\" is shorter than min_length"],
    );
    field(
        "a: { type: csv, max_length: 1, default: [a, b] }",
        &["notes.yaml:2:51: the default (a list) is longer than max_length"],
    );
    field(
        "a: { type: text, pattern: \"(\" }",
        &["notes.yaml:2:37: the pattern does not compile: unclosed group"],
    );
    field(
        "a: { type: text, pattern: \"\\\\w{1000}{1000}\" }",
        &[
            "notes.yaml:2:37: the pattern does not compile: Compiled regex exceeds size limit of 4194304 bytes.",
        ],
    );
    field(
        "a: { type: integer, pattern: \"1\" }",
        &["notes.yaml:2:40: \"pattern\" does not apply to the type integer"],
    );
    field(
        "a: { type: text, pattern: \"^a\", default: b }",
        &["notes.yaml:2:52: the default \"b\" does not match the pattern"],
    );
    field("a: { type: json, index: true }", &["notes.yaml:2:11: the type json cannot have an index"]);
    field(
        "a: { m2o: tags, default: x }",
        &[
            "notes.yaml:2:36: the default \"x\" does not fit the type integer; expected a whole number of 32 bits",
        ],
    );
    field("a: { m2o: tags, default: 1 }", &[]);
}

#[test]
fn relations_are_checked() {
    field(
        "a: m2o(company)",
        &["notes.yaml:2:14: there is no collection \"company\"; did you mean \"companies\"?"],
    );
    field("a: m2o()", &["notes.yaml:2:14: m2o takes the name of a collection, as in m2o(companies)"]);
    field(
        "a: { m2o: companies, on_delete: casacde }",
        &[
            "notes.yaml:2:43: \"on_delete\" cannot be \"casacde\"; expected restrict, cascade, set_null or no_action; did you mean \"cascade\"?",
        ],
    );
    field(
        "a: { m2o: companies, required: true, on_delete: set_null }",
        &[
            "notes.yaml:2:59: set_null needs a reference that may be null, and this one is required; expected restrict, cascade or no_action",
        ],
    );
    field(
        "a: o2m(companies)",
        &["notes.yaml:2:14: o2m takes a collection and its field, as in o2m(invoice_lines.invoice)"],
    );
    field(
        "a: { o2m: companies }",
        &[
            "notes.yaml:2:21: \"o2m\" cannot be \"companies\"; expected a collection and its field, as in invoice_lines.invoice",
        ],
    );
    field(
        "a: o2m(companies.nme)",
        &["notes.yaml:2:14: companies has no field \"nme\"; did you mean \"name\"?"],
    );
    field("a: o2m(companies.name)", &["notes.yaml:2:14: companies.name is not an m2o field"]);
    field(
        "a: o2m(contacts.company)",
        &[
            "notes.yaml:2:14: contacts.company points at companies, not at notes; did you mean \"contacts.note\"?",
        ],
    );
    field("a: o2m(contacts.note)", &[]);
    field("a: { o2m: contacts.note, sort: name }", &[]);
    field(
        "a: { o2m: contacts.note, sort: nmae }",
        &["notes.yaml:2:42: contacts has no field \"nmae\"; did you mean \"name\"?"],
    );
    field(
        "a: { o2m: contacts.note, on_deselect: remove }",
        &["notes.yaml:2:49: \"on_deselect\" cannot be \"remove\"; expected nullify or delete"],
    );
    field("a: m2m(tag)", &["notes.yaml:2:14: there is no collection \"tag\"; did you mean \"tags\"?"]);
    field(
        "a: m2m(tags), b: m2m(tags)",
        &[
            "notes.yaml:2:25: notes.b would make the collection \"notes_tags\", which notes.a makes already; expected \"through\" with an own junction for one of them",
        ],
    );
    field(
        "a: { m2m: tags, sort: position }",
        &["notes.yaml:2:33: a field to sort by can only be named with \"through\"; expected \"sort: true\""],
    );
    field("a: { m2m: companies, through: contacts }", &[]);
    field(
        "a: { m2m: companies, through: contact }",
        &["notes.yaml:2:41: there is no collection \"contact\"; did you mean \"contacts\"?"],
    );
    field(
        "a: { m2m: tags, through: contacts }",
        &[
            "notes.yaml:2:36: no m2o field of contacts points at tags; expected a junction with an m2o to each side",
        ],
    );
    field(
        "a: { m2m: companies, through: { collection: contacts, from: company, to: company } }",
        &["notes.yaml:2:71: contacts.company points at companies, not at notes"],
    );
    field(
        "a: { m2m: companies, through: { collection: contacts, from: name, to: company } }",
        &["notes.yaml:2:71: contacts.name is not an m2o field"],
    );
    field(
        "a: { m2m: companies, through: { collection: contacts, from: note } }",
        &["notes.yaml:2:41: through has no \"to\""],
    );
    field(
        "a: { m2m: companies, through: contacts, sort: true }",
        &["notes.yaml:2:57: contacts has no field \"sort\""],
    );
    field("a: { m2m: companies, through: contacts, sort: name }", &[]);
    field(
        "a: { m2m: notes, through: links } }\n=== links.yaml\ncollection: links\nfields: { x: m2o(notes), y: m2o(notes)",
        &[
            "notes.yaml:2:37: several fields of links point at notes: x, y; expected \"through: { collection: links, from: ..., to: ... }\"",
        ],
    );
    field(
        "a: { m2m: notes, through: links } }\n=== links.yaml\ncollection: links\nfields: { x: m2o(notes), y: text",
        &["notes.yaml:2:37: links has one m2o to notes and needs two"],
    );
    check(
        "collection: notes\nfields: { a: m2m(tags) }\n=== notes_tags.yaml\ncollection: notes_tags\nfields: {}\n",
        &[
            "notes.yaml:2:11: this relation would make the collection \"notes_tags\", which is declared; expected \"through: notes_tags\"",
        ],
    );
    field(
        "a: { m2a: [tags, tgas] }",
        &["notes.yaml:2:28: there is no collection \"tgas\"; did you mean \"tags\"?"],
    );
    field("a: { m2a: tags }", &["notes.yaml:2:21: \"m2a\" cannot be a text; expected a list of names"]);
    field("a: { m2a: [] }", &["notes.yaml:2:21: the list of \"m2a\" is empty"]);
    field("a: { a2o: [tags], collection_field: kind }", &["notes.yaml:2:47: notes has no field \"kind\""]);
    field("a: { a2o: [tags] }", &["notes.yaml:2:14: the field \"a\" has no \"collection_field\""]);
    field(
        "a: { a2o: [tags, companys], collection_field: kind }, kind: integer",
        &[
            "notes.yaml:2:28: there is no collection \"companys\"; did you mean \"companies\"?",
            "notes.yaml:2:57: \"kind\" cannot name collections; expected a field of type string",
        ],
    );
    field(
        "a: { translations: { title: string } } }\n=== languages.yaml\ncollection: languages\nfields: { code: string_pk",
        &[],
    );
    field(
        "a: { translations: { title: string } }",
        &["notes.yaml:2:30: there is no collection \"languages\""],
    );
    field(
        "a: { translations: { notes_id: string, tags: m2m(tags), x: strng }, languages: tags }",
        &[
            "notes.yaml:2:32: \"notes_id\" is a column that the translations have already",
            "notes.yaml:2:50: \"tags\" cannot be translated; expected a field with a column that is not a key",
            "notes.yaml:2:70: unknown type \"strng\"; did you mean \"string\"?",
        ],
    );
    field(
        "a: { translations: { title: string }, languages: tags }, b: { translations: { title: string }, languages: tags }",
        &[
            "notes.yaml:2:68: notes.b would make the collection \"notes_translations\", which notes.a makes already; expected \"through\" with an own junction for one of them",
        ],
    );
    field(
        "next: m2o(notes)!",
        &[
            "notes.yaml:2:11: no item could be the first: notes.next -> notes are all required; expected one of these references to be allowed to be null",
        ],
    );
    field(
        "a: m2o(other)! }\n=== other.yaml\ncollection: other\nfields: { b: m2o(third)! }\n=== third.yaml\ncollection: third\nfields: { c: m2o(notes)!",
        &[
            "notes.yaml:2:11: no item could be the first: notes.a -> other.b -> third.c -> notes are all required; expected one of these references to be allowed to be null",
        ],
    );
    field("a: m2o(other)! }\n=== other.yaml\ncollection: other\nfields: { b: m2o(notes)", &[]);
    check(
        "collection: notes\nfields: { a: m2o(broken) }\n=== broken.yaml\ncollection: broken\nfields: [\n",
        &["broken.yaml:3:1: this is not YAML: while parsing a node, did not find expected node content"],
    );
    check(
        "collection: a_name_of_fifty_characters_which_is_rather_too_longish\nfields: { parts: m2m(tags), self: m2m(a_name_of_fifty_characters_which_is_rather_too_longish) }\n",
        &[
            "contacts.yaml:2:56: there is no collection \"notes\"",
            "notes.yaml:2:29: this relation would make the name \"a_name_of_fifty_characters_which_is_rather_too_longish_a_name_of_fifty_character…\", which is too long; expected at most 63 characters",
            "notes.yaml:2:29: this relation would make the name \"related_a_name_of_fifty_characters_which_is_rather_too_longish_id\", which is too long; expected at most 63 characters",
        ],
    );
}

#[test]
fn parts_are_checked() {
    check(
        "collection: notes\nfields: { a: text, b: m2m(tags) }\nsort: c\n",
        &["notes.yaml:3:7: notes has no field \"c\""],
    );
    check(
        "collection: notes\nfields: { a: text, b: m2m(tags) }\nsort: b\n",
        &["notes.yaml:3:7: notes.b holds no column"],
    );
    check(
        "collection: notes\nfields: { a: text }\ntenant: a\n",
        &["notes.yaml:3:9: the tenant \"a\" is not an m2o field"],
    );
    check(
        "collection: notes\nfields: { a: text }\ntenant: b\n",
        &["notes.yaml:3:9: notes has no field \"b\""],
    );
    field(
        "a: text }\narchive: { field: a",
        &["notes.yaml:3:10: archive has no \"archived\"", "notes.yaml:3:10: archive has no \"restored\""],
    );
    field(
        "a: boolean }\narchive: { field: a, archived: yes, restored: false",
        &["notes.yaml:3:32: \"yes\" does not fit the field \"a\"; expected true or false"],
    );
    field(
        "status: { type: string, choices: [draft, gone] } }\narchive: { field: status, archived: gon, restored: draft",
        &["notes.yaml:3:37: \"gon\" is not among the choices of \"status\"; did you mean \"gone\"?"],
    );
    check(
        "collection: notes\nfields: { a: text }\narchive: a\n",
        &["notes.yaml:3:10: \"archive\" cannot be a text; expected a map"],
    );
    check(
        "collection: notes\nfields: { a: text }\nindexes: [a]\n",
        &["notes.yaml:3:11: \"indexes\" cannot be a text; expected a list of names, or a map"],
    );
    check(
        "collection: notes\nfields: { a: text }\nindexes: [[a, b]]\n",
        &["notes.yaml:3:15: notes has no field \"b\""],
    );
    check(
        "collection: notes\nfields: { a: text }\nindexes: [[a, a]]\n",
        &["notes.yaml:3:15: \"a\" stands twice in this index"],
    );
    check(
        "collection: notes\nfields: { a: text }\nindexes: [[]]\n",
        &["notes.yaml:3:11: the list of \"indexes\" is empty"],
    );
    check(
        "collection: notes\nfields: { a: text }\nindexes: [{ fields: [a], uniqe: true }]\n",
        &["notes.yaml:3:26: unknown key \"uniqe\"; did you mean \"unique\"?"],
    );
    check(
        "collection: notes\nfields: { a: text, b: m2m(tags) }\nindexes: [[b]]\n",
        &["notes.yaml:3:12: notes.b holds no column"],
    );
    field(
        "a: text }\npermissions: { public: true",
        &[
            "notes.yaml:3:24: \"public\" cannot be a boolean; expected create, read, update, delete, share, all or none, or a list, or a map",
        ],
    );
    field(
        "a: text }\npermissions: { public: { raed: true }",
        &["notes.yaml:3:26: unknown key \"raed\"; did you mean \"read\"?"],
    );
    field(
        "a: text }\npermissions: { public: { read: yes }",
        &["notes.yaml:3:32: \"read\" cannot be a text; expected true or false, or a map"],
    );
    field(
        "a: text }\npermissions: { public: { read: { fields: [a, c], where: 1 } }",
        &["notes.yaml:3:57: \"where\" cannot be a number; expected a map"],
    );
    field(
        "a: text }\npermissions: { public: { create: { fields: \"*\", presets: { aa: 1 } }, share: false }",
        &["notes.yaml:3:60: notes has no field \"aa\"; did you mean \"a\"?"],
    );
    field(
        "a: text }\npermissions: { public: { create: { fields: a, filter: {} } }",
        &[
            "notes.yaml:3:44: \"fields\" cannot be \"a\"; expected \"*\"",
            "notes.yaml:3:47: unknown key \"filter\"",
        ],
    );
    check(
        "collection: notes\nfields: { title: text }\ndisplay_template: \"{{ titel }} {{ title.x }} {{ title\"\n",
        &[
            "notes.yaml:3:19: warning: the display template names \"titel\", which is no field of notes; did you mean \"title\"?",
            "notes.yaml:3:19: warning: a \"{{\" of the display template is not closed",
        ],
    );
    check(
        "collection: notes\nfields: {}\nui: x\n",
        &["notes.yaml:3:5: \"ui\" cannot be a text; expected a map"],
    );
    check(
        "collection: notes\nfields: {}\ngroup: 1\n",
        &["notes.yaml:3:8: \"group\" cannot be a number; expected a text, or null"],
    );
}

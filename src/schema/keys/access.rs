//! Keys that say who may do what: `permissions:` of a collection, `_access.yaml`, and the tests of both.

use super::{Key, Shape, key, needed};

/// Everything that may be done to items.
pub const ACTION_NAMES: &[&str] = &["create", "read", "update", "delete", "share"];

/// What may stand for a map of actions: one of them, all of them, none.
const WORDS: &[&str] = &["create", "read", "update", "delete", "share", "all", "none"];

const RIGHT: Shape = Shape::Either(&[
    Shape::Flag,
    Shape::Object(&[
        key("where", Shape::AnyMap, "Filter that items must satisfy"),
        key(
            "fields",
            Shape::Either(&[Shape::OneOf(&["*"]), Shape::ListOf(&Shape::Text)]),
            "Fields that may be used; all when left out",
        ),
        key("validation", Shape::AnyMap, "Filter that what is written must satisfy"),
        key("presets", Shape::AnyMap, "Values set when none are sent"),
    ]),
]);

/// What a policy may do, action by action.
pub const ACTIONS: &[Key] = &[
    key("create", RIGHT, "May add items"),
    key("read", RIGHT, "May read items"),
    key("update", RIGHT, "May change items"),
    key("delete", RIGHT, "May delete items"),
    key("share", RIGHT, "May share items"),
];

/// What a policy may do in a collection: a word, a list of actions, or a map of them.
pub const RIGHTS: Shape =
    Shape::Either(&[Shape::OneOf(WORDS), Shape::ListOf(&Shape::OneOf(ACTION_NAMES)), Shape::Object(ACTIONS)]);

const ID: Key = key("id", Shape::Text, "UUID of the row; derived from the key when left out");
const NAME: Key = key("name", Shape::Text, "What people call it; the key when left out");
const ICON: Key = key("icon", Shape::Text, "Icon in the admin UI");
const DESCRIPTION: Key = key("description", Shape::Text, "What it is for");

const ROLE: &[Key] = &[
    ID,
    NAME,
    ICON,
    DESCRIPTION,
    key("parent", Shape::Text, "The role above, whose policies this one has as well"),
    key("policies", Shape::ListOf(&Shape::Text), "Policies that users with this role have"),
];

const POLICY: &[Key] = &[
    ID,
    NAME,
    ICON,
    DESCRIPTION,
    key("admin", Shape::Flag, "Allows everything"),
    key("app", Shape::Flag, "Opens the admin UI"),
    key("enforce_tfa", Shape::Flag, "Demands a second factor"),
    key(
        "ip_access",
        Shape::ListOf(&Shape::Text),
        "Addresses, networks and ranges from which it is in force; everywhere when left out",
    ),
    key("roles", Shape::ListOf(&Shape::Text), "Roles that have it"),
    key("users", Shape::ListOf(&Shape::Text), "Users that have it, by e-mail or UUID"),
    key("visitors", Shape::Flag, "Visitors have it; so they do with the policy called public"),
    key(
        "collections",
        Shape::MapOf(&RIGHTS),
        "Collection, name pattern (client_*), group (finance/*) or * for all, to what may be done there",
    ),
];

const SERVICE_ACCOUNT: &[Key] = &[
    ID,
    NAME,
    key("role", Shape::Text, "Its role"),
    key("policies", Shape::ListOf(&Shape::Text), "Policies that it has besides those of its role"),
    needed("token_env", Shape::Text, "Environment variable that holds its token"),
];

/// Keys of `_access.yaml`.
pub const FILE: &[Key] = &[
    key(
        "roles",
        Shape::MapOf(&Shape::Either(&[Shape::Object(ROLE), Shape::Null])),
        "Groups of users, by key",
    ),
    key(
        "policies",
        Shape::MapOf(&Shape::Either(&[Shape::Object(POLICY), Shape::Null])),
        "Bundles of rights, by key; the one called public is that of visitors",
    ),
    key("service_accounts", Shape::MapOf(&Shape::Object(SERVICE_ACCOUNT)), "Programs that sign in, by key"),
    key("tests", TESTS, "Requests and what must become of them, run by `tablature check`"),
];

/// Keys of somebody who asks in a test.
pub const PERSON: &[Key] = &[
    key("role", Shape::Text, "Key of their role"),
    key("policies", Shape::ListOf(&Shape::Text), "Keys of policies of their own"),
    key("user", Shape::AnyMap, "Further fields of the user"),
];

/// Keys of what a test expects.
pub const EXPECTATION: &[Key] = &[
    key("rows", Shape::AnyList, "The rows of the answer, each with at least these values"),
    key("keys", Shape::AnyList, "The keys of the rows of the answer, in any order"),
    key("count", Shape::Count, "How many rows the answer has"),
    key("fields", Shape::ListOf(&Shape::Text), "The fields that each row of the answer has, no others"),
    key("stored", Shape::AnyMap, "Values of the item afterwards, as an administrator sees it"),
    key("error", Shape::Text, "Code of the error that the request is refused with"),
];

/// Keys of one test.
pub const CASE: &[Key] = &[
    key("it", Shape::Text, "What it shows, in a few words"),
    needed("as", Shape::Either(&[Shape::Text, Shape::Object(PERSON)]), "Who asks; public for a visitor"),
    key("from", Shape::Text, "Address of the client"),
    key("tenant", Shape::Scalar, "The tenant chosen, as the header X-Tenant would"),
    key("given", Shape::AnyMap, "Rows that are there before: collection to label to values"),
    key("read", Shape::Name, "Collection to read"),
    key("create", Shape::Name, "Collection to add items to"),
    key("update", Shape::Name, "Collection to change an item of"),
    key("delete", Shape::Name, "Collection to delete an item of"),
    key("item", Shape::Scalar, "Key of the item meant, or $label of a given row"),
    key("query", Shape::AnyMap, "Parameters of the request: fields, filter, sort, aggregate, ..."),
    key("payload", Shape::Either(&[Shape::AnyMap, Shape::AnyList]), "What is sent"),
    needed(
        "expect",
        Shape::Either(&[Shape::OneOf(&["refused", "allowed"]), Shape::Object(EXPECTATION)]),
        "What must become of it",
    ),
];

const CASES: Shape = Shape::ListOf(&Shape::Object(CASE));

/// Tests of a file: a list of them, or a map with what they share.
pub const TESTS: Shape = Shape::Either(&[
    CASES,
    Shape::Object(&[
        key("people", Shape::MapOf(&Shape::Object(PERSON)), "Who asks, by label; the label is also a $label"),
        key("given", Shape::AnyMap, "Rows that are there in every test: collection to label to values"),
        key("cases", CASES, "The tests"),
    ]),
]);

//! What `/graphql/system` has beside the items of system collections: which request of REST each field stands for.

/// A field of a root.
#[derive(Debug)]
pub(super) struct Stands {
    /// Its name.
    pub(super) name: &'static str,
    /// Its arguments, as the language of schemas writes them.
    pub(super) takes: &'static str,
    /// Its type.
    pub(super) gives: &'static str,
    /// Method and path; what stands in braces is an argument. The other arguments are the body, or parameters where there is none.
    pub(super) request: &'static str,
    /// What of the answer is told.
    pub(super) told: Told,
    /// Who has it in their schema. What may be done in the end, the request says.
    pub(super) shown_to: ShownTo,
}

/// What of an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// What it holds under `data`, or the whole of it.
    Data,
    /// That it was done.
    Done,
    /// Nothing.
    Nothing,
    /// The arguments.
    Arguments,
    /// The items of this collection that it names.
    Items(&'static str),
}

/// Who has a field in their schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownTo {
    /// Everybody.
    All,
    /// Whoever is signed in.
    Users,
    /// Administrators.
    Administrators,
    /// Whoever may read this collection.
    Readers(&'static str),
    /// Whoever may make items of this collection.
    Makers(&'static str),
    /// Whoever may change items of any collection.
    Changers,
}

use ShownTo::{Administrators, All, Changers, Makers, Readers, Users};

const COLLECTIONS: ShownTo = Readers("directus_collections");
const FIELDS: ShownTo = Readers("directus_fields");
const RELATIONS: ShownTo = Readers("directus_relations");

const fn stands(
    (name, takes, gives): (&'static str, &'static str, &'static str),
    request: &'static str,
    told: Told,
    shown_to: ShownTo,
) -> Stands {
    Stands { name, takes, gives, request, told, shown_to }
}

/// What can be asked.
pub(super) const QUERIES: &[Stands] = &[
    stands(("server_specs_oas", "", "JSON"), "GET /server/specs/oas", Told::Data, All),
    stands(
        ("server_specs_graphql", "scope: graphql_sdl_scope", "String"),
        "GET /server/specs/graphql/{scope}",
        Told::Data,
        All,
    ),
    stands(("server_ping", "", "String"), "GET /server/ping", Told::Data, All),
    stands(("server_info", "", "server_info"), "GET /server/info", Told::Data, All),
    stands(("server_health", "", "JSON"), "GET /server/health", Told::Data, All),
    stands(("collections", "", "[directus_collections!]!"), "GET /collections", Told::Data, COLLECTIONS),
    stands(
        ("collections_by_name", "name: String!", "directus_collections"),
        "GET /collections/{name}",
        Told::Data,
        COLLECTIONS,
    ),
    stands(("fields", "", "[directus_fields!]!"), "GET /fields", Told::Data, FIELDS),
    stands(
        ("fields_in_collection", "collection: String!", "[directus_fields!]!"),
        "GET /fields/{collection}",
        Told::Data,
        FIELDS,
    ),
    stands(
        ("fields_by_name", "collection: String!, field: String!", "directus_fields"),
        "GET /fields/{collection}/{field}",
        Told::Data,
        FIELDS,
    ),
    stands(("relations", "", "[directus_relations!]!"), "GET /relations", Told::Data, RELATIONS),
    stands(
        ("relations_in_collection", "collection: String!", "[directus_relations!]!"),
        "GET /relations/{collection}",
        Told::Data,
        RELATIONS,
    ),
    stands(
        ("relations_by_name", "collection: String!, field: String!", "directus_relations"),
        "GET /relations/{collection}/{field}",
        Told::Data,
        RELATIONS,
    ),
    stands(("users_me", "", "directus_users"), "GET /users/me", Told::Items("directus_users"), Users),
    stands(("roles_me", "", "[directus_roles]"), "GET /roles/me", Told::Items("directus_roles"), Users),
    stands(("permissions_me", "", "JSON"), "GET /permissions/me", Told::Data, Users),
    stands(
        ("policies_me_globals", "", "policy_me_globals_type"),
        "GET /policies/me/globals",
        Told::Data,
        Users,
    ),
    stands(("extensions", "", "[directus_extensions!]!"), "GET /extensions", Told::Data, Administrators),
];

/// What can be done.
pub(super) const MUTATIONS: &[Stands] = &[
    stands(
        ("auth_login", "email: String!, password: String!, mode: auth_mode, otp: String", "auth_tokens"),
        "POST /auth/login",
        Told::Data,
        All,
    ),
    stands(
        ("auth_refresh", "refresh_token: String, mode: auth_mode", "auth_tokens"),
        "POST /auth/refresh",
        Told::Data,
        All,
    ),
    stands(
        ("auth_logout", "refresh_token: String, mode: auth_mode", "Boolean"),
        "POST /auth/logout",
        Told::Done,
        All,
    ),
    stands(
        ("auth_password_request", "email: String!, reset_url: String", "Boolean"),
        "POST /auth/password/request",
        Told::Done,
        All,
    ),
    stands(
        ("auth_password_reset", "token: String!, password: String!", "Boolean"),
        "POST /auth/password/reset",
        Told::Done,
        All,
    ),
    stands(
        (
            "users_register",
            "email: String!, password: String!, verification_url: String, first_name: String, last_name: String",
            "Boolean",
        ),
        "POST /users/register",
        Told::Done,
        All,
    ),
    stands(
        ("users_register_verify", "token: String!", "Boolean"),
        "GET /users/register/verify-email",
        Told::Done,
        All,
    ),
    stands(
        ("users_invite", "email: String!, role: String!, invite_url: String", "Boolean"),
        "POST /users/invite",
        Told::Done,
        Makers("directus_users"),
    ),
    stands(
        ("users_invite_accept", "token: String!, password: String!", "Boolean"),
        "POST /users/invite/accept",
        Told::Done,
        All,
    ),
    stands(
        ("users_me_tfa_generate", "password: String!", "users_me_tfa_generate_data"),
        "POST /users/me/tfa/generate",
        Told::Data,
        Users,
    ),
    // The codes that replace a lost device are shown this once only; a client that expects `true` gets something that is.
    stands(
        ("users_me_tfa_enable", "otp: String!, secret: String!", "JSON"),
        "POST /users/me/tfa/enable",
        Told::Data,
        Users,
    ),
    stands(
        ("users_me_tfa_disable", "otp: String!", "Boolean"),
        "POST /users/me/tfa/disable",
        Told::Done,
        Users,
    ),
    stands(
        ("update_users_me", "data: update_directus_users_input", "directus_users"),
        "PATCH /users/me",
        Told::Items("directus_users"),
        Users,
    ),
    stands(
        ("import_file", "url: String!, data: create_directus_files_input", "directus_files"),
        "POST /files/import",
        Told::Items("directus_files"),
        Makers("directus_files"),
    ),
    stands(
        ("create_collections_item", "data: write_directus_collections_input!", "write_directus_collections"),
        "POST /collections",
        Told::Data,
        Administrators,
    ),
    stands(
        (
            "update_collections_item",
            "collection: String!, data: write_directus_collections_input!",
            "write_directus_collections",
        ),
        "PATCH /collections/{collection}",
        Told::Data,
        Administrators,
    ),
    stands(
        ("delete_collections_item", "collection: String!", "delete_collection"),
        "DELETE /collections/{collection}",
        Told::Arguments,
        Administrators,
    ),
    stands(
        (
            "create_fields_item",
            "collection: String!, data: write_directus_fields_input!",
            "write_directus_fields",
        ),
        "POST /fields/{collection}",
        Told::Data,
        Administrators,
    ),
    stands(
        (
            "update_fields_item",
            "collection: String!, field: String!, data: write_directus_fields_input!",
            "write_directus_fields",
        ),
        "PATCH /fields/{collection}/{field}",
        Told::Data,
        Administrators,
    ),
    stands(
        (
            "update_fields_items",
            "collection: String!, data: [write_directus_fields_input!]!",
            "[write_directus_fields!]",
        ),
        "PATCH /fields/{collection}",
        Told::Data,
        Administrators,
    ),
    stands(
        ("delete_fields_item", "collection: String!, field: String!", "delete_field"),
        "DELETE /fields/{collection}/{field}",
        Told::Arguments,
        Administrators,
    ),
    stands(
        ("create_relations_item", "data: write_directus_relations_input!", "write_directus_relations"),
        "POST /relations",
        Told::Data,
        Administrators,
    ),
    stands(
        (
            "update_relations_item",
            "collection: String!, field: String!, data: write_directus_relations_input!",
            "write_directus_relations",
        ),
        "PATCH /relations/{collection}/{field}",
        Told::Data,
        Administrators,
    ),
    stands(
        ("delete_relations_item", "collection: String!, field: String!", "delete_relation"),
        "DELETE /relations/{collection}/{field}",
        Told::Arguments,
        Administrators,
    ),
    stands(
        ("update_extensions_item", "id: ID, data: update_directus_extensions_input", "directus_extensions"),
        "PATCH /extensions/{id}",
        Told::Data,
        Administrators,
    ),
    stands(("utils_random_string", "length: Int", "String"), "GET /utils/random/string", Told::Data, All),
    stands(
        ("utils_hash_generate", "string: String!", "String"),
        "POST /utils/hash/generate",
        Told::Data,
        Users,
    ),
    stands(
        ("utils_hash_verify", "string: String!, hash: String!", "Boolean"),
        "POST /utils/hash/verify",
        Told::Data,
        Users,
    ),
    stands(
        ("utils_sort", "collection: String!, item: ID!, to: ID!", "Boolean"),
        "POST /utils/sort/{collection}",
        Told::Done,
        Changers,
    ),
    stands(
        ("utils_revert", "revision: ID!", "Boolean"),
        "POST /utils/revert/{revision}",
        Told::Done,
        Changers,
    ),
    stands(("utils_cache_clear", "", "Void"), "POST /utils/cache/clear", Told::Nothing, Administrators),
];

/// Types that have a name of their own: their fields, and those that only arguments have.
///
/// A name here stands for itself; for what is answered after a change with `write_` before it; and for what a change says with
/// `_input` behind that. `meta` of the model has the columns of the system's own tables.
pub(super) const TYPES: &[(&str, &str, &str)] = &[
    ("auth_tokens", "access_token: String, expires: GraphQLBigInt, refresh_token: String", ""),
    ("users_me_tfa_generate_data", "secret: String, otpauth_url: String", ""),
    ("policy_me_globals_type", "enforce_tfa: Boolean, app_access: Boolean, admin_access: Boolean", ""),
    ("delete_collection", "collection: String", ""),
    ("delete_field", "collection: String, field: String", ""),
    ("delete_relation", "collection: String, field: String", ""),
    (
        "directus_collections",
        "collection: String, meta: directus_collections_meta, schema: directus_collections_schema",
        "fields: [directus_fields!]",
    ),
    ("directus_collections_schema", "name: String, comment: String", ""),
    (
        "directus_fields",
        "collection: String, field: String, type: String, meta: directus_fields_meta, \
         schema: directus_fields_schema",
        "",
    ),
    (
        "directus_fields_schema",
        "name: String, table: String, data_type: String, default_value: JSON, max_length: Int, \
         numeric_precision: Int, numeric_scale: Int, is_generated: Boolean, generation_expression: String, \
         is_indexed: Boolean, is_nullable: Boolean, is_unique: Boolean, is_primary_key: Boolean, \
         has_auto_increment: Boolean, foreign_key_column: String, foreign_key_table: String, comment: String",
        "",
    ),
    (
        "directus_relations",
        "collection: String, field: String, related_collection: String, schema: directus_relations_schema, \
         meta: directus_relations_meta",
        "",
    ),
    (
        "directus_relations_schema",
        "table: String, column: String, foreign_key_table: String, foreign_key_column: String, \
         constraint_name: String, on_update: String, on_delete: String",
        "",
    ),
    (
        "directus_extensions",
        "id: ID, bundle: String, name: String, schema: directus_extensions_schema, \
         meta: directus_extensions_meta",
        "",
    ),
    ("directus_extensions_schema", "type: String, local: Boolean", ""),
    ("directus_extensions_meta", "enabled: Boolean", ""),
    ("update_directus_extensions", "meta: directus_extensions_meta", ""),
    (
        "server_info_project",
        "project_name: String, project_descriptor: String, project_logo: String, project_color: String, \
         default_language: String, default_appearance: String, default_theme_light: String, \
         default_theme_dark: String, theme_light_overrides: JSON, theme_dark_overrides: JSON, \
         public_foreground: String, public_background: String, public_favicon: String, public_note: String, \
         public_registration: Boolean, public_registration_verify_email: Boolean, custom_css: String",
        "",
    ),
    ("server_info_query_limit", "default: Int, max: Int", ""),
    (
        "server_info_websocket",
        "rest: server_info_websocket_way, graphql: server_info_websocket_way, heartbeat: JSON",
        "",
    ),
    ("server_info_websocket_way", "authentication: String, path: String", ""),
];

/// What the server says of itself to everybody, to those who are signed in, and to administrators.
pub(super) const SERVER_INFO: [&str; 3] = [
    "project: server_info_project",
    "rateLimit: JSON, rateLimitGlobal: JSON, websocket: server_info_websocket, queryLimit: server_info_query_limit",
    "version: String",
];

/// Types that are one of a few words.
pub(super) const ENUMS: &[(&str, &[&str])] =
    &[("auth_mode", &["json", "cookie", "session"]), ("graphql_sdl_scope", &["items", "system"])];

/// The model's parts: what a type has beside, and the tables whose columns it has.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("directus_collections_meta", "directus_collections"),
    ("directus_fields_meta", "directus_fields"),
    ("directus_relations_meta", "directus_relations"),
];

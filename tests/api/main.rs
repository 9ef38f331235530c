//! Black-box suite: the real binary, over the wire, on real databases.
//!
//! One file per subject; helpers live in `tests/support/`. Each scenario is written once and runs on every
//! database named in `TEST_DATABASES`; those that compare databases with each other stand in `across`.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "what a scenario measured or was about is shown when it fails")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod access_files;
mod accounts;
mod access_matrix;
mod access_nodes;
mod across;
mod archives;
mod assets;
mod adopting;
mod auth;
mod bad_input;
mod batches;
mod comments;
mod cursors;
mod durability;
mod edge;
mod elsewhere;
mod events;
mod exports;
mod fields;
mod files;
mod files_s3;
mod files_tenants;
mod filters;
mod filters_related;
mod fuzz;
mod graphql;
mod graphql_documents;
mod graphql_limits;
mod graphql_names;
mod graphql_system;
mod graphql_writes;
mod guesses;
mod history;
mod idempotency;
mod imports;
mod invitations;
mod items;
mod mail;
mod models;
mod nested_writes;
mod oidc;
mod numbers;
mod operation;
mod outage;
mod preconditions;
mod query;
mod query_aggregate;
mod realtime;
mod realtime_changes;
mod realtime_filters;
mod realtime_graphql;
mod realtime_limits;
mod realtime_load;
mod realtime_nodes;
mod realtime_slow;
mod relations;
mod remodel;
mod schema;
mod schema_errors;
mod schemathesis;
mod shares;
mod shutdown;
mod singleton;
mod specs;
mod statements;
mod transactions;
mod system;
mod utils;
mod trash;
mod validation;
mod tenancy;
mod tus;
mod values;
mod versions;
mod watch;
mod writes;

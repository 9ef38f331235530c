//! Settings of GraphQL.

use super::Reader;
use crate::config::GraphqlConfig;
use crate::config::value;

pub(super) fn graphql(reader: &mut Reader<'_>) -> GraphqlConfig {
    let usual = GraphqlConfig::default();
    GraphqlConfig {
        introspection: reader.or("GRAPHQL_INTROSPECTION", usual.introspection, value::boolean),
        tokens: reader.or("GRAPHQL_QUERY_TOKEN_LIMIT", usual.tokens, value::whole(1, 1_000_000)),
        aliases: reader.or("GRAPHQL_MAX_ALIASES", usual.aliases, value::whole(0, 100_000)),
        directives: reader.or("GRAPHQL_MAX_DIRECTIVES", usual.directives, value::whole(0, 100_000)),
        cost: reader.or("GRAPHQL_MAX_COST", usual.cost, value::whole(1, 1_000_000)),
        batch: reader.or("GRAPHQL_MAX_BATCH", usual.batch, value::whole(0, 1000)),
        schemas: reader.or("GRAPHQL_SCHEMA_CACHE_CAPACITY", usual.schemas, value::whole(1, 10_000)),
    }
}

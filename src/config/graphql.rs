//! What the operator decides about GraphQL.

/// How much a GraphQL request may ask for, and what it is told of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlConfig {
    /// Whoever may use something may ask for its description.
    pub introspection: bool,
    /// Most tokens of a document.
    pub tokens: usize,
    /// Most aliases of a document.
    pub aliases: usize,
    /// Most directives of a document.
    pub directives: usize,
    /// Most that one operation may cost: see `docs/graphql.md`.
    pub cost: usize,
    /// Most operations of one request; 0 for no lists of them.
    pub batch: usize,
    /// Schemas that are kept, one per model and set of rights.
    pub schemas: u64,
}

impl Default for GraphqlConfig {
    fn default() -> Self {
        GraphqlConfig {
            introspection: true,
            tokens: 5000,
            aliases: 30,
            directives: 50,
            cost: 2000,
            batch: 0,
            schemas: 100,
        }
    }
}

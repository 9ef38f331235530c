//! Where async-graphql checks documents and describes its schema, and where it is kept from doing anything else.

use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::parser::Error as SyntaxError;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{
    CacheControl, Name, Pos, Positioned, Request, Response, ServerError, ValidationResult, Value as Literal,
};
use serde_json::{Map, Value, json};

use super::build::Built;
use super::document::{Fragments, Operation};
use crate::error::{Error, Result, shortened};

/// A request that the schema answers about itself; any other is checked only.
struct AboutItself;

/// Stops requests where fields would be resolved.
pub(super) struct Intercept;

impl ExtensionFactory for Intercept {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Intercept)
    }
}

#[async_trait]
impl Extension for Intercept {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        // It was cut out of a document that was checked.
        if ctx.data_opt::<AboutItself>().is_some() {
            return Ok(ValidationResult { cache_control: CacheControl::default(), complexity: 0, depth: 0 });
        }
        next.run(ctx).await
    }

    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        if ctx.data_opt::<AboutItself>().is_some() {
            return next.run(ctx, operation_name).await;
        }
        Response::new(Literal::Null)
    }
}

/// Checks a document against a schema, whatever its variables hold. Fails with `GraphqlValidation`.
pub(super) async fn validate(built: &Built, document: ExecutableDocument) -> Result<()> {
    let mut request = Request::new("");
    // With several operations one has to be named; all of them are checked.
    if let DocumentOperations::Multiple(operations) = &document.operations {
        request.operation_name = operations.keys().min().map(ToString::to_string);
    }
    request.set_parsed_query(document);
    let response = built.checker.execute(request).await;
    if response.errors.is_empty() { Ok(()) } else { Err(refused(&response.errors)) }
}

/// Most mistakes of a document that are told.
const MOST_TOLD: usize = 50;

/// What was wrong, in the words of the public API.
pub(super) fn refused(errors: &[ServerError]) -> Error {
    let mut told: Vec<Value> = Vec::new();
    for error in errors {
        let mut entry = json!({ "message": shortened(error.message.clone()) });
        if !error.locations.is_empty() {
            entry["locations"] = error.locations.iter().map(place).collect();
        }
        if told.len() < MOST_TOLD && !told.contains(&entry) {
            told.push(entry);
        }
    }
    Error::GraphqlValidation { errors: told }
}

/// The same for a document that cannot be read.
pub(super) fn unreadable(error: SyntaxError) -> Error {
    let mut told = ServerError::from(error.clone());
    if let SyntaxError::Syntax { message, .. } = &error {
        // The lines before the last repeat the document.
        let expected = message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
        told.message = format!("Syntax Error: {expected}.");
    }
    refused(&[told])
}

/// A place of a document, as errors name it.
pub(super) fn place(place: &Pos) -> Value {
    json!({ "line": place.line, "column": place.column })
}

/// What the schema says of itself: `__schema` and `__type`, by the names in the answer.
pub(super) async fn describe(
    built: &Built,
    fragments: &Fragments,
    operation: &Operation,
    fields: Vec<Field>,
    variables: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let place = Pos::default();
    let items = fields
        .into_iter()
        .map(|field| Positioned::new(Selection::Field(Positioned::new(field, place)), place));
    let definition = OperationDefinition {
        ty: OperationType::Query,
        variable_definitions: operation.variables.clone(),
        directives: Vec::new(),
        selection_set: Positioned::new(SelectionSet { items: items.collect() }, place),
    };
    let mut request = Request::new("").data(AboutItself);
    request.set_parsed_query(ExecutableDocument {
        operations: DocumentOperations::Single(Positioned::new(definition, place)),
        fragments: fragments.clone(),
    });
    for (name, value) in variables {
        if let Ok(literal) = Literal::from_json(value.clone()) {
            request.variables.insert(Name::new(name), literal);
        }
    }
    let response = built.checker.execute(request).await;
    if !response.errors.is_empty() {
        return Err(refused(&response.errors));
    }
    match response.data.into_json() {
        Ok(Value::Object(described)) => Ok(described),
        _ => Err(Error::internal(anyhow::anyhow!("a schema did not describe itself"))),
    }
}

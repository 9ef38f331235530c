//! A document, read and checked once for all requests that send it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
    OperationType, Selection, SelectionSet, VariableDefinition,
};
use async_graphql::{Name, Positioned};

use super::build::{Built, Root};
use super::{introspect, measure, text, values};
use crate::config::GraphqlConfig;
use crate::error::{Error, Result};

/// The fragments of a document, by name.
pub(super) type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// A document that fits a schema.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Like no other's.
    pub(super) id: u64,
    pub(super) fragments: Fragments,
    /// It is expected again: what is found out about it is worth keeping.
    pub(super) is_kept: bool,
    operations: Vec<Operation>,
    /// What it takes in memory, roughly.
    pub(super) size_bytes: usize,
}

/// One operation of a document.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: Option<String>,
    pub(super) kind: OperationType,
    pub(super) variables: Vec<Positioned<VariableDefinition>>,
    pub(super) roots: Vec<RootField>,
}

/// One member of the answer to an operation.
#[derive(Debug)]
pub(super) struct RootField {
    /// Name in the answer.
    pub(super) key: String,
    /// What it means; `None` for what the schema says of itself.
    pub(super) root: Option<Root>,
    /// The places of the document that ask for it: what each selects counts where it is not skipped.
    pub(super) entries: Vec<Entry>,
    /// The variables that what is read depends on, beside the key of the item.
    pub(super) uses: Vec<String>,
    /// Its type may not be null.
    pub(super) is_required: bool,
}

/// One place that asks for a member.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) conditions: Vec<Positioned<Directive>>,
    pub(super) field: Field,
}

/// Reads and checks a document.
///
/// Fails with `GraphqlValidation` for one that cannot be read, passes a limit, or does not fit the schema.
pub(super) async fn prepare(
    built: &Built,
    query: &str,
    config: &GraphqlConfig,
    most_depth: usize,
    is_kept: bool,
) -> Result<Prepared> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    text::check(query, config.tokens)?;
    let document = parse_query(text::unescaped(query)).map_err(introspect::unreadable)?;
    measure::check(&document, config, most_depth)?;
    introspect::validate(built, document.clone()).await?;
    let ExecutableDocument { operations, fragments } = document;
    let operations = match operations {
        DocumentOperations::Single(operation) => vec![(None, operation)],
        DocumentOperations::Multiple(all) => {
            all.into_iter().map(|(name, operation)| (Some(name.to_string()), operation)).collect()
        }
    };
    let make = |(name, operation): (Option<String>, Positioned<OperationDefinition>)| {
        Operation::new(built, &fragments, name, operation.node, config)
    };
    let operations = operations.into_iter().map(make).collect::<Result<_>>()?;
    Ok(Prepared {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        fragments,
        is_kept,
        operations,
        // As measured: a syntax tree takes some thirty times its text, and the roots hold a part of it again.
        size_bytes: 2000 + 60 * query.len(),
    })
}

impl Prepared {
    /// The operation that is meant; its position names it, too. Fails with `GraphqlValidation` where that is not clear.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<(usize, &Operation)> {
        let mut all = self.operations.iter().enumerate();
        let found = match name {
            Some(name) => all.find(|(_, operation)| operation.name.as_deref() == Some(name)),
            None if self.operations.len() == 1 => all.next(),
            None => {
                return Err(Error::graphql(
                    "Must provide operation name if query contains multiple operations.",
                ));
            }
        };
        found.ok_or_else(|| Error::graphql("There is no operation of this name."))
    }
}

impl Operation {
    fn new(
        built: &Built,
        fragments: &Fragments,
        name: Option<String>,
        definition: OperationDefinition,
        config: &GraphqlConfig,
    ) -> Result<Self> {
        let registry = built.checker.registry();
        let (known, type_name) = match definition.ty {
            OperationType::Query => (&built.queries, Some(registry.query_type.as_str())),
            OperationType::Mutation => (&built.mutations, registry.mutation_type.as_deref()),
            OperationType::Subscription => (&built.subscriptions, registry.subscription_type.as_deref()),
        };
        let mut roots = Roots { fragments, type_name: type_name.unwrap_or_default(), found: Vec::new() };
        roots.gather(definition.selection_set.node, &[]);
        let mut finished = Vec::with_capacity(roots.found.len());
        for (key, entries) in roots.found {
            let Some(first) = entries.first() else { continue };
            let field = first.field.name.node.as_str();
            let root = known.get(field).cloned();
            if root.is_none() && field != "__typename" && !config.introspection {
                return Err(Error::graphql("GraphQL introspection is not allowed (GRAPHQL_INTROSPECTION)."));
            }
            let of = built.field(roots.type_name, field).map(|field| field.ty.as_str());
            finished.push(RootField {
                is_required: of.is_some_and(|of| of.ends_with('!')),
                uses: uses(fragments, &entries, root.as_ref()),
                key,
                root,
                entries,
            });
        }
        let variables = definition.variable_definitions;
        Ok(Operation { name, kind: definition.ty, variables, roots: finished })
    }
}

/// The fields of a root, by their names in the answer.
struct Roots<'d> {
    fragments: &'d Fragments,
    type_name: &'d str,
    found: Vec<(String, Vec<Entry>)>,
}

impl Roots<'_> {
    fn gather(&mut self, set: SelectionSet, above: &[Positioned<Directive>]) {
        for selection in set.items {
            let conditions = [above, selection.node.directives().as_slice()].concat();
            match selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.to_string();
                    let entry = Entry { conditions, field: field.node };
                    match self.found.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, entries)) => entries.push(entry),
                        None => self.found.push((key, vec![entry])),
                    }
                }
                Selection::InlineFragment(inline) => {
                    let is_meant = inline
                        .node
                        .type_condition
                        .as_ref()
                        .is_none_or(|condition| condition.node.on.node == self.type_name);
                    if is_meant {
                        self.gather(inline.node.selection_set.node, &conditions);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.gather(fragment.node.selection_set.node.clone(), &conditions);
                    }
                }
            }
        }
    }
}

/// The variables that entries name. The key of one item is none of them: its plan serves every key.
fn uses(fragments: &Fragments, entries: &[Entry], root: Option<&Root>) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for Entry { conditions, field } in entries {
        conditions.iter().for_each(|directive| of_directive(&directive.node, &mut names));
        for (name, argument) in &field.arguments {
            if !(matches!(root, Some(Root::ById(_))) && name.node == "id") {
                values::names_in(&argument.node, &mut names);
            }
        }
        of_set(fragments, &field.selection_set.node, &mut names, &mut seen);
    }
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn of_directive<'d>(directive: &'d Directive, names: &mut Vec<&'d str>) {
    directive.arguments.iter().for_each(|(_, argument)| values::names_in(&argument.node, names));
}

fn of_set<'d>(
    fragments: &'d Fragments,
    set: &'d SelectionSet,
    names: &mut Vec<&'d str>,
    seen: &mut HashSet<&'d str>,
) {
    for selection in &set.items {
        selection.node.directives().iter().for_each(|directive| of_directive(&directive.node, names));
        match &selection.node {
            Selection::Field(field) => {
                let arguments = &field.node.arguments;
                arguments.iter().for_each(|(_, argument)| values::names_in(&argument.node, names));
                of_set(fragments, &field.node.selection_set.node, names, seen);
            }
            Selection::InlineFragment(inline) => {
                of_set(fragments, &inline.node.selection_set.node, names, seen)
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if let Some(fragment) = fragments.get(name)
                    && seen.insert(name)
                {
                    of_set(fragments, &fragment.node.selection_set.node, names, seen);
                }
            }
        }
    }
}

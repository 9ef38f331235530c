//! How much a document asks for, before anything is done with it.
//!
//! Fragments are measured once each, however often they are spread, so that a document that would unfold to millions of fields
//! costs no more to refuse than it took to send.

use std::collections::HashMap;

use async_graphql::Positioned;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, VariableDefinition,
};

use super::values;
use crate::config::GraphqlConfig;
use crate::error::{Error, Result};

/// Most selection sets one within the other, fragments included.
const MOST_NESTING: usize = 64;
/// Most lists one within the other in what is asked about the schema: each multiplies the answer by its length.
const MOST_LISTS: usize = 2;

/// What a field costs.
const FIELD: usize = 1;
/// What a field with fields of its own costs: a relation is another statement.
const OBJECT: usize = 5;
/// What a field of a root costs.
const ROOT: usize = 10;
/// What the whole schema costs.
const SCHEMA: usize = 200;
/// What one type of it costs.
const TYPE: usize = 20;

/// The size of a selection set with its fragments unfolded.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    cost: usize,
    /// Fields one within the other.
    depth: usize,
    /// Lists of the schema one within the other.
    lists: usize,
    /// Selection sets one within the other.
    nesting: usize,
}

impl Size {
    fn beside(self, other: Size) -> Size {
        Size {
            cost: self.cost.saturating_add(other.cost),
            depth: self.depth.max(other.depth),
            lists: self.lists.max(other.lists),
            nesting: self.nesting.max(other.nesting),
        }
    }
}

/// Refuses documents that ask for more than the limits; `most_depth` counts fields one within the other below the roots.
///
/// Fails with `GraphqlValidation`.
pub(super) fn check(document: &ExecutableDocument, config: &GraphqlConfig, most_depth: usize) -> Result<()> {
    let mut measure =
        Measure { document, config, most_depth, known: HashMap::new(), aliases: 0, directives: Vec::new() };
    for fragment in document.fragments.keys() {
        measure.fragment(fragment, 0)?;
    }
    for (_, operation) in document.operations.iter() {
        measure.directives.extend(&operation.node.directives);
        let variables = operation.node.variable_definitions.iter();
        measure.directives.extend(variables.flat_map(|variable| &variable.node.directives));
        let set = &operation.node.selection_set.node;
        measure.count(set, 0)?;
        let cost = measure.root(set)?;
        if cost > config.cost {
            let most = config.cost;
            return Err(Error::graphql(format_args!(
                "The operation costs {cost}, more than {most} (GRAPHQL_MAX_COST)."
            )));
        }
    }
    let directives = measure.directives.len();
    let counts = [
        ("aliases", measure.aliases, config.aliases, "GRAPHQL_MAX_ALIASES"),
        ("directives", directives, config.directives, "GRAPHQL_MAX_DIRECTIVES"),
    ];
    for (what, count, most, setting) in counts {
        if count > most {
            return Err(Error::graphql(format_args!(
                "The document has more than {most} {what} ({setting})."
            )));
        }
    }
    document.operations.iter().try_for_each(|(_, operation)| conditions(&operation.node, &measure.directives))
}

/// A directive cannot wait and see whether its condition is null, as an argument of a field can.
fn conditions(operation: &OperationDefinition, directives: &[&Positioned<Directive>]) -> Result<()> {
    let mut names = Vec::new();
    let arguments = directives.iter().flat_map(|directive| &directive.node.arguments);
    arguments.for_each(|(_, argument)| values::names_in(&argument.node, &mut names));
    for variable in &operation.variable_definitions {
        let Positioned { node: VariableDefinition { name, var_type, default_value, .. }, .. } = variable;
        let may_be_null = var_type.node.nullable && default_value.is_none();
        if may_be_null && names.contains(&name.node.as_str()) {
            return Err(Error::graphql(format_args!(
                "Variable \"${name}\" of type \"{var_type}\" used in position expecting type \"Boolean!\"."
            )));
        }
    }
    Ok(())
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    config: &'a GraphqlConfig,
    most_depth: usize,
    /// By fragment; `None` while it is being measured.
    known: HashMap<&'a str, Option<Size>>,
    aliases: usize,
    directives: Vec<&'a Positioned<Directive>>,
}

impl<'a> Measure<'a> {
    /// Fails for a fragment that leads back to itself.
    fn fragment(&mut self, name: &str, level: usize) -> Result<Size> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Err(Error::graphql(format_args!("Unknown fragment: \"{name}\"")));
        };
        match self.known.get(name.as_str()) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(Error::graphql(format_args!("Fragment \"{name}\" leads back to itself.")));
            }
            None => {}
        }
        self.known.insert(name, None);
        self.directives.extend(&fragment.node.directives);
        self.count(&fragment.node.selection_set.node, 0)?;
        let size = self.set(&fragment.node.selection_set.node, level)?;
        self.known.insert(name, Some(size));
        Ok(size)
    }

    fn set(&mut self, set: &'a SelectionSet, level: usize) -> Result<Size> {
        if level > MOST_NESTING {
            return Err(too_deep());
        }
        let mut size = Size::default();
        for selection in &set.items {
            let here = match &selection.node {
                Selection::Field(field) => {
                    let below = self.set(&field.node.selection_set.node, level + 1)?;
                    let name = field.node.name.node.as_str();
                    let is_object = !field.node.selection_set.node.items.is_empty();
                    let is_list =
                        ["types", "fields", "inputFields", "interfaces", "possibleTypes"].contains(&name);
                    Size {
                        cost: below.cost.saturating_add(if is_object { OBJECT } else { FIELD }),
                        depth: below.depth + 1,
                        lists: below.lists + usize::from(is_list),
                        nesting: below.nesting,
                    }
                }
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, level + 1)?
                }
            };
            size = size.beside(here);
        }
        if !set.items.is_empty() {
            size.nesting += 1;
        }
        // However fragments were met: what was measured before is not walked again.
        if size.nesting > MOST_NESTING { Err(too_deep()) } else { Ok(size) }
    }

    /// The cost of an operation. Depth means nothing where the schema describes itself.
    fn root(&mut self, set: &'a SelectionSet) -> Result<usize> {
        let mut cost = 0_usize;
        for selection in &set.items {
            let more = match &selection.node {
                Selection::Field(field) => {
                    let below = self.set(&field.node.selection_set.node, 1)?;
                    let own = match field.node.name.node.as_str() {
                        "__schema" => SCHEMA,
                        "__type" => TYPE,
                        _ => ROOT,
                    };
                    if own == ROOT && below.depth > self.most_depth {
                        return Err(Error::graphql(format_args!(
                            "The operation is nested more than {} levels deep (MAX_RELATIONAL_DEPTH).",
                            self.most_depth
                        )));
                    }
                    if own != ROOT && below.lists > MOST_LISTS {
                        return Err(Error::graphql("The schema is asked for too many lists within lists."));
                    }
                    below.cost.saturating_add(own)
                }
                Selection::InlineFragment(inline) => self.root(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    match self.document.fragments.get(&spread.node.fragment_name.node) {
                        Some(fragment) => self.root(&fragment.node.selection_set.node)?,
                        None => 0,
                    }
                }
            };
            cost = cost.saturating_add(more);
            if cost > self.config.cost {
                break;
            }
        }
        Ok(cost)
    }

    /// Counts what a selection set itself is written with, fragments not unfolded.
    fn count(&mut self, set: &'a SelectionSet, level: usize) -> Result<()> {
        if level > MOST_NESTING {
            return Err(too_deep());
        }
        for selection in &set.items {
            self.directives.extend(selection.node.directives());
            match &selection.node {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.node.alias.is_some());
                    self.count(&field.node.selection_set.node, level + 1)?;
                }
                Selection::InlineFragment(inline) => {
                    self.count(&inline.node.selection_set.node, level + 1)?;
                }
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }
}

fn too_deep() -> Error {
    Error::graphql(format_args!("The document is nested more than {MOST_NESTING} levels deep."))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::*;

    fn refusal(text: &str) -> Option<String> {
        let document = parse_query(text).expect("a document");
        match check(&document, &GraphqlConfig::default(), 10) {
            Ok(()) => None,
            Err(Error::GraphqlValidation { errors }) => errors[0]["message"].as_str().map(str::to_owned),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_unfolds_without_end_is_refused_at_once() {
        assert_eq!(refusal("{ a { b } c(d: 1) { ...F } } fragment F on X { e }"), None);
        assert!(refusal("{ ...A } fragment A on Q { a { ...B } } fragment B on Q { a { ...A } }").is_some());
        let mut bomb = String::from("{ ...F0 }");
        for n in 0..40 {
            write!(bomb, " fragment F{n} on Q {{ ...F{} ...F{} }}", n + 1, n + 1).expect("text");
        }
        bomb.push_str(" fragment F40 on Q { a }");
        assert!(refusal(&bomb).is_some_and(|text| text.contains("GRAPHQL_MAX_COST")));
    }

    #[test]
    fn depth_aliases_directives() {
        let deep = |levels: usize| format!("{{ r {} x {} }}", "{ a".repeat(levels), "}".repeat(levels));
        assert_eq!(refusal(&deep(10)), None);
        assert!(refusal(&deep(11)).is_some_and(|text| text.contains("MAX_RELATIONAL_DEPTH")));
        let aliases: String = (0..31).map(|n| format!("a{n}: b ")).collect();
        assert!(refusal(&format!("{{ r {{ {aliases} }} }}")).is_some_and(|text| text.contains("ALIASES")));
        let directives = "@skip(if: true) ".repeat(51);
        assert!(
            refusal(&format!("{{ r {{ a {directives} }} }}")).is_some_and(|text| text.contains("DIRECTIVES"))
        );
    }

    #[test]
    fn conditions_are_there() {
        let asked =
            |variables: &str| refusal(&format!("query({variables}) {{ r @skip(if: $a) {{ b(c: $d) }} }}"));
        assert_eq!(asked("$a: Boolean!, $d: Int"), None);
        assert_eq!(asked("$a: Boolean = true, $d: Int"), None);
        assert!(
            asked("$a: Boolean, $d: Int").is_some_and(|text| text.contains("\"$a\" of type \"Boolean\""))
        );
    }

    #[test]
    fn a_schema_is_not_multiplied_by_itself() {
        assert_eq!(
            refusal("{ __schema { types { fields { args { type { ofType { ofType { name } } } } } } } }"),
            None
        );
        assert!(refusal("{ __schema { types { fields { type { fields { name } } } } } }").is_some());
    }
}

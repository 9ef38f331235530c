//! From a shape to a schema.
//!
//! Start at [`build`]. Types are made when something first leads to them, so that a schema has no more than its roots need. The
//! schema parses, checks and describes; what its fields resolve to is never asked.

mod fixed;
mod inputs;
mod outputs;
mod roots;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::dynamic::{Schema as Checker, Type};
use async_graphql::registry::{MetaField, MetaType};

use super::introspect::Intercept;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::schema::{Collection, CollectionId, Field, FieldId, Schema};

pub use outputs::output;
pub use roots::{Describe, Roots};
pub(super) use roots::{Number, Root};

/// The schema of one model and one shape.
pub(super) struct Built {
    /// Like no other's.
    pub(super) id: u64,
    pub(super) checker: Checker,
    /// What the fields of the roots mean; names of queries, mutations and subscriptions may be alike.
    pub(super) queries: HashMap<String, Root>,
    pub(super) mutations: HashMap<String, Root>,
    pub(super) subscriptions: HashMap<String, Root>,
    /// What it takes in memory, roughly.
    pub(super) size_bytes: usize,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Built {
    /// The field of a type.
    pub(super) fn field(&self, type_name: &str, field: &str) -> Option<&MetaField> {
        self.checker.registry().types.get(type_name)?.field_by_name(field)
    }

    /// The types of a union; those of any other type, itself.
    pub(super) fn possible(&self, type_name: &str) -> Vec<&str> {
        match self.checker.registry().types.get(type_name) {
            Some(MetaType::Union { possible_types, .. }) => {
                possible_types.iter().map(String::as_str).collect()
            }
            Some(found) => vec![found.name()],
            None => Vec::new(),
        }
    }
}

/// The name inside brackets and exclamation marks.
pub(super) fn bare_name(type_name: &str) -> &str {
    type_name.trim_matches(|letter| matches!(letter, '[' | ']' | '!'))
}

/// Builds the schema of a shape.
pub(super) fn build(schema: &Schema, shape: &Shape, describe: Describe) -> Result<Built> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut types = Types::new(schema, shape);
    let mut roots = Roots::new(&mut types);
    roots.of_collections();
    describe(shape.scope, &shape.caller, &mut roots);
    let finished = roots.finish();
    types.make_all();
    let mut builder = Checker::build(
        fixed::QUERY,
        finished.mutation.as_ref().map(|root| root.type_name()),
        finished.subscription.as_ref().map(|root| root.type_name()),
    )
    .disable_suggestions()
    .limit_recursive_depth(super::text::MOST_NESTING * 2)
    .extension(Intercept)
    .register(finished.query);
    if let Some(root) = finished.mutation {
        builder = builder.register(root);
    }
    if let Some(root) = finished.subscription {
        builder = builder.register(root);
    }
    let mut fields = 0;
    for made in types.made {
        fields += made.fields;
        builder = builder.register(made.of);
    }
    let checker = builder.finish().map_err(|error| Error::internal(anyhow::anyhow!("{error}")))?;
    Ok(Built {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        checker,
        queries: finished.queries,
        mutations: finished.mutations,
        subscriptions: finished.subscriptions,
        // As measured: a field with its names and arguments is held twice.
        size_bytes: 200_000 + fields * 3000,
    })
}

/// A type that a schema may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Make {
    /// An item.
    Item(CollectionId),
    /// A filter of items.
    Filter(CollectionId),
    /// A filter of items that there are many of.
    Quantified(CollectionId),
    /// A new item.
    Create(CollectionId),
    /// Changes of an item.
    Update(CollectionId),
    /// Figures.
    Aggregated(CollectionId),
    /// Counts.
    Counts(CollectionId),
    /// Figures of numbers.
    Numbers(CollectionId),
    /// What happened to an item.
    Mutated(CollectionId),
    /// An item as a version has it.
    Version(CollectionId),
    /// Items that a many-to-any leads to.
    Union(CollectionId, FieldId),
    /// One that every schema may have.
    Fixed(&'static str),
}

/// A finished type with the number of its fields.
struct Made {
    of: Type,
    fields: usize,
}

/// The types of a schema, as they are asked for.
pub(super) struct Types<'a> {
    schema: &'a Schema,
    shape: &'a Shape,
    names: HashMap<Make, Arc<str>>,
    taken: HashSet<Arc<str>>,
    queue: VecDeque<Make>,
    made: Vec<Made>,
}

impl<'a> Types<'a> {
    fn new(schema: &'a Schema, shape: &'a Shape) -> Self {
        // The type of an item has the name of its collection; all others step aside for it.
        let names = schema.collections().map(|(_, collection)| collection.name.clone());
        let taken =
            names.filter(|name| is_type_name(name)).chain(fixed::NAMES.iter().map(|name| (*name).into()));
        Types {
            schema,
            shape,
            names: HashMap::new(),
            taken: taken.collect(),
            queue: VecDeque::new(),
            made: Vec::new(),
        }
    }

    fn collection(&self, id: CollectionId) -> &'a Collection {
        self.schema.collection(id)
    }

    /// The name of a type, which is made if it was not yet.
    fn name(&mut self, make: Make) -> String {
        if let Some(name) = self.names.get(&make) {
            return name.to_string();
        }
        let of = |id: CollectionId| &*self.schema.collection(id).name;
        let mut name = match make {
            Make::Item(id) => of(id).to_owned(),
            Make::Filter(id) => format!("{}_filter", of(id)),
            Make::Quantified(id) => format!("{}_quantifier_filter", of(id)),
            Make::Create(id) => format!("create_{}_input", of(id)),
            Make::Update(id) => format!("update_{}_input", of(id)),
            Make::Aggregated(id) => format!("{}_aggregated", of(id)),
            Make::Counts(id) => format!("{}_aggregated_count", of(id)),
            Make::Numbers(id) => format!("{}_aggregated_fields", of(id)),
            Make::Mutated(id) => format!("{}_mutated", of(id)),
            Make::Version(id) => format!("version_{}", of(id)),
            Make::Union(id, field) => format!("{}_{}_union", of(id), self.schema.field(id, field).name),
            Make::Fixed(name) => name.to_owned(),
        };
        if !matches!(make, Make::Item(_) | Make::Fixed(_)) {
            while self.taken.contains(name.as_str()) {
                name.push('_');
            }
            self.taken.insert(name.as_str().into());
        }
        self.names.insert(make, name.as_str().into());
        self.queue.push_back(make);
        name
    }

    fn fixed(&mut self, name: &'static str) -> String {
        self.name(Make::Fixed(name))
    }

    fn make_all(&mut self) {
        while let Some(make) = self.queue.pop_front() {
            let name = self.name(make);
            let (of, fields) = match make {
                Make::Item(id) => self.item(id, name),
                Make::Filter(id) => self.filter(id, name, false),
                Make::Quantified(id) => self.filter(id, name, true),
                Make::Create(id) => self.create(id, name),
                Make::Update(id) => self.update(id, name),
                Make::Aggregated(id) => self.aggregated(id, name),
                Make::Counts(id) => self.counts(id, name),
                Make::Numbers(id) => self.numbers(id, name),
                Make::Mutated(id) => self.mutated(id, name),
                Make::Version(id) => self.version(id, name),
                Make::Union(id, field) => self.union(id, field, name),
                Make::Fixed(name) => self.make_fixed(name),
            };
            self.made.push(Made { of, fields });
        }
    }

    /// The fields of a collection that may be read and have a name that GraphQL takes.
    fn readable(&self, id: CollectionId) -> impl Iterator<Item = (FieldId, &'a Field)> + use<'a> {
        let fields = self.shape.read(id);
        let may = move |field: FieldId| fields.is_some_and(|fields| fields.contains(field));
        self.collection(id).fields().filter(move |(field, found)| may(*field) && is_field_name(&found.name))
    }

    /// Whether items of this collection have a type.
    fn has_items(&self, id: CollectionId) -> bool {
        self.has_types(id) && self.readable(id).any(|(_, field)| field.column.is_some())
    }

    /// Whether this collection can have types.
    fn has_types(&self, id: CollectionId) -> bool {
        let name = &*self.collection(id).name;
        !MODEL.contains(&name) && is_type_name(name)
    }

    /// The collections that a many-to-any leads to and whose items have a type.
    fn open_targets(&self, allowed: &[CollectionId]) -> Vec<CollectionId> {
        allowed.iter().copied().filter(|related| self.has_items(*related)).collect()
    }
}

/// The tables that the model is kept in. Whoever asks for the system is shown the model, not these: what refers to them (the collection
/// of a comment) is a name.
const MODEL: &[&str] =
    &["directus_collections", "directus_fields", "directus_relations", "directus_extensions"];

/// Whether a collection with this name can have types.
fn is_type_name(name: &str) -> bool {
    is_field_name(name) && !fixed::NAMES.contains(&name)
}

/// Whether GraphQL takes the name.
fn is_field_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
        && !name.starts_with("__")
}

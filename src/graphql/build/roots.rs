//! The roots: what can be asked, done and listened to.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dynamic::{
    Field as Output, InputValue, Object, Subscription, SubscriptionField, SubscriptionFieldFuture, Type,
    TypeRef,
};

use super::outputs::output;
use super::{Made, Make, Types, fixed};
use crate::graphql::shape::{Caller, Scope};
use crate::schema::{Collection, CollectionId, ColumnType, Field};

/// Adds to the roots what a scope has beside the items of collections.
pub type Describe = fn(Scope, &Caller, &mut Roots<'_, '_>);

/// What a field of a root means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::graphql) enum Root {
    /// A list of items, or the one item of a singleton.
    Items(CollectionId),
    /// One item by its key.
    ById(CollectionId),
    /// Figures.
    Aggregated(CollectionId),
    /// One item as a version has it.
    ByVersion(CollectionId),
    /// Makes items; one or many.
    Create(CollectionId, Number),
    /// Changes items.
    Update(CollectionId, Number),
    /// Changes items, each in its way.
    UpdateBatch(CollectionId),
    /// Changes the item of a singleton.
    UpdateSingleton(CollectionId),
    /// Removes items.
    Delete(CollectionId, Number),
    /// Listens to what happens to items.
    Mutated(CollectionId),
    /// What whoever described it answers.
    Extra(Arc<str>),
    /// Nothing: a root has to have a field.
    Empty,
}

/// One or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum Number {
    /// One.
    One,
    /// Many.
    Many,
}

/// The roots while they are made.
pub struct Roots<'t, 'a> {
    types: &'t mut Types<'a>,
    query: Object,
    mutation: Object,
    subscription: Subscription,
    queries: HashMap<String, Root>,
    mutations: HashMap<String, Root>,
    subscriptions: HashMap<String, Root>,
}

/// The roots, finished.
pub(super) struct FinishedRoots {
    pub(super) query: Object,
    pub(super) mutation: Option<Object>,
    pub(super) subscription: Option<Subscription>,
    pub(super) queries: HashMap<String, Root>,
    pub(super) mutations: HashMap<String, Root>,
    pub(super) subscriptions: HashMap<String, Root>,
}

impl<'t, 'a> Roots<'t, 'a> {
    pub(super) fn new(types: &'t mut Types<'a>) -> Self {
        Roots {
            types,
            query: Object::new(fixed::QUERY),
            mutation: Object::new(fixed::MUTATION),
            subscription: Subscription::new(fixed::SUBSCRIPTION),
            queries: HashMap::new(),
            mutations: HashMap::new(),
            subscriptions: HashMap::new(),
        }
    }

    /// The type of the items of this collection; `None` where none may be read.
    pub fn item(&mut self, collection: &str) -> Option<String> {
        let id = self.types.schema.find(collection)?;
        self.types.has_items(id).then(|| self.types.name(Make::Item(id)))
    }

    /// The type of new items of this collection; `None` where none may be made.
    pub fn create_input(&mut self, collection: &str) -> Option<String> {
        let id = self.types.schema.find(collection)?;
        self.types.has_create(id).then(|| self.types.name(Make::Create(id)))
    }

    /// The type of changes of items of this collection; `None` where none may be changed.
    pub fn update_input(&mut self, collection: &str) -> Option<String> {
        let id = self.types.schema.find(collection)?;
        self.types.has_update(id).then(|| self.types.name(Make::Update(id)))
    }

    /// Whether items of this collection may be read.
    pub fn reads(&self, collection: &str) -> bool {
        self.types.schema.find(collection).is_some_and(|id| self.types.shape.read(id).is_some())
    }

    /// Whether items of any collection may be changed.
    pub fn changes_anything(&self) -> bool {
        self.types.schema.collections().any(|(id, _)| self.types.shape.update(id).is_some())
    }

    /// The columns of a collection with their types, as the language of schemas writes them.
    pub fn columns(&self, collection: &str) -> Vec<String> {
        let Some(collection) = self.types.schema.get(collection) else { return Vec::new() };
        let written = |field: &Field| {
            let column = field.column.as_ref()?;
            let scalar = fixed::scalar(field);
            let of =
                if column.column_type == ColumnType::Csv { format!("[{scalar}]") } else { scalar.to_owned() };
            Some(format!("{}: {of}", field.name))
        };
        collection.fields().filter_map(|(_, field)| written(field)).collect()
    }

    /// The scalar for any JSON.
    pub fn json(&mut self) -> &'static str {
        self.types.scalar(fixed::JSON)
    }

    /// The scalar for numbers of 64 bits.
    pub fn big_int(&mut self) -> &'static str {
        self.types.scalar(fixed::BIG_INT)
    }

    /// The scalar for dates.
    pub fn date(&mut self) -> &'static str {
        self.types.scalar(fixed::DATE)
    }

    /// The scalar for nothing.
    pub fn void(&mut self) -> &'static str {
        self.types.scalar(fixed::VOID)
    }

    /// Adds a type of one's own; its name must be nobody's.
    pub fn register(&mut self, name: &str, of: impl Into<Type>) {
        self.types.taken.insert(name.into());
        self.types.made.push(Made { of: of.into(), fields: 10 });
    }

    /// Adds something to ask that the adapter answers by itself.
    pub fn query(&mut self, name: &str, of: TypeRef, arguments: Vec<InputValue>) {
        self.add_query(name, Root::Extra(name.into()), of, arguments);
    }

    /// Adds something to do that the adapter does by itself.
    pub fn mutation(&mut self, name: &str, of: TypeRef, arguments: Vec<InputValue>) {
        self.add_mutation(name, Root::Extra(name.into()), of, arguments);
    }

    fn add_query(&mut self, name: &str, root: Root, of: TypeRef, arguments: Vec<InputValue>) {
        if self.queries.contains_key(name) {
            return;
        }
        self.queries.insert(name.to_owned(), root);
        let query = std::mem::replace(&mut self.query, Object::new(fixed::QUERY));
        self.query = query.field(arguments.into_iter().fold(output(name, of), Output::argument));
    }

    fn add_mutation(&mut self, name: &str, root: Root, of: TypeRef, arguments: Vec<InputValue>) {
        if self.mutations.contains_key(name) {
            return;
        }
        self.mutations.insert(name.to_owned(), root);
        let mutation = std::mem::replace(&mut self.mutation, Object::new(fixed::MUTATION));
        self.mutation = mutation.field(arguments.into_iter().fold(output(name, of), Output::argument));
    }

    /// Fields for every collection of the scope. Lists first: where names meet, they win.
    pub(super) fn of_collections(&mut self) {
        let collections: Vec<(CollectionId, &str)> = self
            .types
            .schema
            .collections()
            .filter_map(|(id, collection)| Some((id, root_name(self.types.shape.scope, collection)?)))
            .collect();
        for (id, name) in &collections {
            self.items(*id, name);
        }
        for (id, name) in &collections {
            self.beside_items(*id, name);
            self.changes(*id, name);
            self.mutated(*id, name);
        }
        if self.types.shape.scope == Scope::Items {
            // Sockets are at the door of items, and tell of the system, too.
            let system = self.types.schema.collections().filter(|(_, collection)| is_told(collection));
            let system: Vec<(CollectionId, &str)> =
                system.map(|(id, collection)| (id, &*collection.name)).collect();
            system.into_iter().for_each(|(id, name)| self.mutated(id, name));
        }
    }

    fn items(&mut self, id: CollectionId, name: &str) {
        if !self.types.has_items(id) {
            return;
        }
        let item = self.types.name(Make::Item(id));
        let (of, arguments) = if self.types.collection(id).singleton {
            (TypeRef::named(item), vec![InputValue::new("version", TypeRef::named(TypeRef::STRING))])
        } else {
            (TypeRef::named_nn_list_nn(item), self.types.list_arguments(id))
        };
        self.add_query(name, Root::Items(id), of, arguments);
    }

    fn beside_items(&mut self, id: CollectionId, name: &str) {
        if !self.types.has_items(id) {
            return;
        }
        let collection = self.types.collection(id);
        let string = || TypeRef::named(TypeRef::STRING);
        let key = || InputValue::new("id", TypeRef::named_nn(TypeRef::ID));
        if !collection.singleton {
            if collection.key().is_some() {
                let item = TypeRef::named(self.types.name(Make::Item(id)));
                let arguments = vec![key(), InputValue::new("version", string())];
                self.add_query(&format!("{name}_by_id"), Root::ById(id), item, arguments);
            }
            let of = TypeRef::named_nn_list_nn(self.types.name(Make::Aggregated(id)));
            let groups = InputValue::new("groupBy", TypeRef::named_list(TypeRef::STRING));
            let arguments = std::iter::once(groups).chain(self.types.list_arguments(id)).collect();
            self.add_query(&format!("{name}_aggregated"), Root::Aggregated(id), of, arguments);
        }
        if self.types.shape.scope == Scope::Items && collection.versioning && collection.key().is_some() {
            let of = TypeRef::named(self.types.name(Make::Version(id)));
            let mut arguments = vec![InputValue::new("version", TypeRef::named_nn(TypeRef::STRING))];
            if !collection.singleton {
                arguments.push(key());
            }
            self.add_query(&format!("{name}_by_version"), Root::ByVersion(id), of, arguments);
        }
    }

    fn changes(&mut self, id: CollectionId, name: &str) {
        let collection = self.types.collection(id);
        let is_history = HISTORY.contains(&&*collection.name);
        if is_history || collection.key().is_none() || !super::is_type_name(&collection.name) {
            return;
        }
        let is_read = self.types.has_items(id);
        // Whoever may not read what was written is told that it was.
        let one = |types: &mut Types<'_>| match is_read {
            true => TypeRef::named(types.name(Make::Item(id))),
            false => TypeRef::named(TypeRef::BOOLEAN),
        };
        let many = |types: &mut Types<'_>| match is_read {
            true => TypeRef::named_nn_list_nn(types.name(Make::Item(id))),
            false => TypeRef::named(TypeRef::BOOLEAN),
        };
        let key = || InputValue::new("id", TypeRef::named_nn(TypeRef::ID));
        let keys = || InputValue::new("ids", TypeRef::named_list_nn(TypeRef::ID));
        let about = |types: &mut Types<'_>| if is_read { types.list_arguments(id) } else { Vec::new() };
        if self.types.has_create(id) && !collection.singleton {
            let input = self.types.name(Make::Create(id));
            let of = one(self.types);
            let data = vec![InputValue::new("data", TypeRef::named_nn(input.as_str()))];
            self.add_mutation(&format!("create_{name}_item"), Root::Create(id, Number::One), of, data);
            let of = many(self.types);
            let mut arguments = vec![InputValue::new("data", TypeRef::named_nn_list(input))];
            arguments.extend(about(self.types));
            self.add_mutation(&format!("create_{name}_items"), Root::Create(id, Number::Many), of, arguments);
        }
        if self.types.has_update(id) {
            let input = self.types.name(Make::Update(id));
            let data = || InputValue::new("data", TypeRef::named_nn(input.as_str()));
            if collection.singleton {
                let of = one(self.types);
                self.add_mutation(&format!("update_{name}"), Root::UpdateSingleton(id), of, vec![data()]);
            } else {
                let of = one(self.types);
                let arguments = vec![key(), data()];
                self.add_mutation(
                    &format!("update_{name}_item"),
                    Root::Update(id, Number::One),
                    of,
                    arguments,
                );
                let of = many(self.types);
                let mut arguments = vec![keys(), data()];
                arguments.extend(about(self.types));
                self.add_mutation(
                    &format!("update_{name}_items"),
                    Root::Update(id, Number::Many),
                    of.clone(),
                    arguments,
                );
                let mut arguments = vec![InputValue::new("data", TypeRef::named_nn_list(input.as_str()))];
                arguments.extend(about(self.types));
                self.add_mutation(&format!("update_{name}_batch"), Root::UpdateBatch(id), of, arguments);
            }
        }
        if self.types.shape.deletes(id) && !collection.singleton {
            let of = TypeRef::named(self.types.fixed(fixed::DELETED_ONE));
            self.add_mutation(&format!("delete_{name}_item"), Root::Delete(id, Number::One), of, vec![key()]);
            let of = TypeRef::named(self.types.fixed(fixed::DELETED_MANY));
            self.add_mutation(
                &format!("delete_{name}_items"),
                Root::Delete(id, Number::Many),
                of,
                vec![keys()],
            );
        }
    }

    fn mutated(&mut self, id: CollectionId, name: &str) {
        // No socket leads there.
        if self.types.shape.scope == Scope::System {
            return;
        }
        let name = format!("{name}_mutated");
        if !self.types.has_items(id) || self.subscriptions.contains_key(&name) {
            return;
        }
        let of = TypeRef::named(self.types.name(Make::Mutated(id)));
        let event = self.types.fixed(fixed::EVENT);
        let field = SubscriptionField::new(&name, of, |_| {
            SubscriptionFieldFuture::new(async {
                Ok(futures::stream::empty::<async_graphql::Result<async_graphql::Value>>())
            })
        });
        let field = field.argument(InputValue::new("event", TypeRef::named(event)));
        let root = std::mem::replace(&mut self.subscription, Subscription::new(fixed::SUBSCRIPTION));
        self.subscription = root.field(field);
        self.subscriptions.insert(name, Root::Mutated(id));
    }

    pub(super) fn finish(mut self) -> FinishedRoots {
        if self.queries.is_empty() {
            let void = self.types.scalar(fixed::VOID);
            self.add_query("_empty", Root::Empty, TypeRef::named(void), Vec::new());
        }
        FinishedRoots {
            query: self.query,
            mutation: (!self.mutations.is_empty()).then_some(self.mutation),
            subscription: (!self.subscriptions.is_empty()).then_some(self.subscription),
            queries: self.queries,
            mutations: self.mutations,
            subscriptions: self.subscriptions,
        }
    }
}

/// What the fields of a collection begin with; `None` for collections that have none in this scope.
fn root_name(scope: Scope, collection: &Collection) -> Option<&str> {
    // A folder has no table behind it.
    collection.fields().next()?;
    match scope {
        Scope::Items => (!collection.is_system()).then_some(&*collection.name),
        Scope::System => {
            let is_open = collection.is_system() && !CLOSED.contains(&&*collection.name);
            collection.name.strip_prefix("directus_").filter(|_| is_open)
        }
    }
}

/// Collections of the system whose changes are events.
fn is_told(collection: &Collection) -> bool {
    let name = &&*collection.name;
    collection.is_system() && !CLOSED.contains(name) && !HISTORY.contains(name)
}

/// What happened is written down by the server, and by nobody else.
const HISTORY: &[&str] = &["directus_activity", "directus_revisions"];

/// System collections that have no items of their own for anybody: the model has other fields, and the rest is the server's alone.
const CLOSED: &[&str] = &[
    "directus_collections",
    "directus_deployment_projects",
    "directus_deployment_runs",
    "directus_deployments",
    "directus_extensions",
    "directus_fields",
    "directus_migrations",
    "directus_relations",
    "directus_sessions",
];

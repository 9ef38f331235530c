//! What a set of rights shows of the model: all that a schema depends on.
//!
//! Many sets of rights (those that name their user, say) differ in rows only; they share one schema.

use crate::access::{Action, CollectionRules, Context, FieldRules};
use crate::schema::{CollectionId, FieldId};

/// Which collections have fields of their own at the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of the project: `/graphql`.
    Items,
    /// Those of the system: `/graphql/system`.
    System,
}

/// What a schema has to know of who asks, beside the rights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Signed in.
    pub is_user: bool,
    /// May use the admin UI.
    pub is_app: bool,
    /// May do everything.
    pub is_admin: bool,
}

impl Caller {
    /// What counts of the caller in this scope: the items of a project look the same to everybody with the same rights.
    pub(super) fn of(ctx: &Context, scope: Scope) -> Self {
        match scope {
            Scope::Items => Caller::default(),
            Scope::System => Caller {
                is_user: ctx.accountability.user.is_some(),
                is_app: ctx.accountability.app,
                is_admin: ctx.rules.is_everything(),
            },
        }
    }
}

/// What may be done, without the rows it may be done to.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) scope: Scope,
    pub(super) caller: Caller,
    /// By position of the collection.
    collections: Vec<CollectionShape>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CollectionShape {
    read: Option<Fields>,
    create: Option<Fields>,
    update: Option<Fields>,
    deletes: bool,
}

/// Fields that may be touched.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Fields {
    /// `None` for all; the flag says that a field may be touched in some rows only.
    named: Option<Vec<(FieldId, bool)>>,
    /// Fields that the server fills in where a request has nothing.
    given: Vec<FieldId>,
}

impl Fields {
    fn of(rules: &CollectionRules, id: CollectionId, ctx: &Context) -> Self {
        let named = match &rules.fields {
            FieldRules::All => None,
            FieldRules::Some(fields) => {
                let mut named: Vec<(FieldId, bool)> =
                    fields.iter().map(|(field, rows)| (*field, rows.is_some())).collect();
                named.sort_unstable();
                Some(named)
            }
        };
        let collection = ctx.schema.collection(id);
        let mut given: Vec<FieldId> = rules.presets.keys().filter_map(|name| collection.find(name)).collect();
        given.extend(rules.tenant.as_ref().map(|tenant| tenant.field));
        given.sort_unstable();
        given.dedup();
        Fields { named, given }
    }

    /// Whether this field may be touched in any row.
    pub(super) fn contains(&self, field: FieldId) -> bool {
        self.place(field).is_none_or(|place| place.is_some())
    }

    /// Whether it may be touched in some rows only.
    pub(super) fn is_gated(&self, field: FieldId) -> bool {
        self.place(field).flatten().is_some_and(|is_gated| is_gated)
    }

    /// Whether the server fills it in.
    pub(super) fn is_given(&self, field: FieldId) -> bool {
        self.given.contains(&field)
    }

    fn place(&self, field: FieldId) -> Option<Option<bool>> {
        let named = self.named.as_ref()?;
        Some(named.binary_search_by_key(&field, |(known, _)| *known).ok().map(|at| named[at].1))
    }
}

impl Shape {
    /// What the rights of this context show.
    pub(super) fn of(ctx: &Context, scope: Scope) -> Self {
        let shaped = |id, action| ctx.allowed(id, action).map(|rules| Fields::of(&rules, id, ctx));
        let collections = ctx
            .schema
            .collections()
            .map(|(id, _)| CollectionShape {
                read: shaped(id, Action::Read),
                create: shaped(id, Action::Create),
                update: shaped(id, Action::Update),
                deletes: ctx.allowed(id, Action::Delete).is_some(),
            })
            .collect();
        Shape { scope, caller: Caller::of(ctx, scope), collections }
    }

    pub(super) fn read(&self, id: CollectionId) -> Option<&Fields> {
        self.collections.get(id.0 as usize)?.read.as_ref()
    }

    pub(super) fn create(&self, id: CollectionId) -> Option<&Fields> {
        self.collections.get(id.0 as usize)?.create.as_ref()
    }

    pub(super) fn update(&self, id: CollectionId) -> Option<&Fields> {
        self.collections.get(id.0 as usize)?.update.as_ref()
    }

    pub(super) fn deletes(&self, id: CollectionId) -> bool {
        self.collections.get(id.0 as usize).is_some_and(|collection| collection.deletes)
    }
}

//! `sort`, made total.

use super::Resolver;
use crate::error::{Error, Result};
use crate::filter::names::Name;
use crate::filter::{Target, names};
use crate::query::{Sort, SortHop, SortPath};
use crate::schema::{CollectionId, FieldId, FieldKind};

impl Resolver<'_> {
    /// The order of a level: what is asked for, else the order of the relation, else that of the collection; then the primary
    /// key, unless it decides already.
    pub(super) fn order(
        &mut self,
        collection: CollectionId,
        asked: &[SortPath],
        relation: Option<FieldId>,
    ) -> Result<Vec<Sort>> {
        let found = self.schema().collection(collection);
        let plain = |field: FieldId| Sort {
            path: Vec::new(),
            target: Target::Field(field),
            descending: false,
            breaks_ties: false,
        };
        let mut order: Vec<Sort> = if asked.is_empty() {
            relation.or(found.sort).map(plain).into_iter().collect()
        } else {
            asked.iter().map(|sort| self.sort(collection, sort)).collect::<Result<_>>()?
        };
        for key in &found.primary_key {
            let is_seen = self.rights.sees_everywhere(collection, *key);
            let decides = |sort: &Sort| is_seen && sort.path.is_empty() && sort.target == Target::Field(*key);
            match order.iter().position(decides) {
                // Behind a single key nothing can differ any more.
                Some(at) if found.primary_key.len() == 1 => order.truncate(at + 1),
                Some(_) => {}
                None => order.push(Sort { breaks_ties: true, ..plain(*key) }),
            }
        }
        Ok(order)
    }

    fn sort(&mut self, collection: CollectionId, sort: &SortPath) -> Result<Sort> {
        let Some((last, hops)) = sort.path.split_last() else {
            return Err(Error::query("\"sort\" has an empty entry"));
        };
        let mut here = collection;
        let mut path = Vec::with_capacity(hops.len());
        for hop in hops {
            let (name, scope) = match Name::parse(hop) {
                Name::Scoped { field, collection } => (field, Some(collection)),
                Name::Field(_) | Name::Function { .. } => (hop.as_str(), None),
            };
            let (id, field) = names::field(&self.env, here, name)?;
            let (related, within) = match (&field.kind, scope) {
                (FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. }, None) => {
                    (*related, None)
                }
                (FieldKind::ManyToAny { allowed, .. }, Some(scope)) => {
                    let related = self.schema().find(scope).filter(|id| allowed.contains(id));
                    (related.ok_or(Error::Forbidden)?, related)
                }
                _ => return Err(Error::query(format_args!("\"sort\" cannot follow field \"{hop}\""))),
            };
            if !self.rights.is_open(related) {
                return Err(Error::Forbidden);
            }
            self.found.touched.insert(related);
            path.push(SortHop { field: id, within });
            here = related;
        }
        let target = names::ordered(&self.env, here, last, "sort")?;
        self.touch_counted(here, &target);
        Ok(Sort { path, target, descending: sort.descending, breaks_ties: false })
    }

    /// Remembers the collection whose items a target counts.
    pub(super) fn touch_counted(&mut self, collection: CollectionId, target: &Target) {
        if let Target::Count(field) = target
            && let FieldKind::OneToMany { related, .. } = self.schema().field(collection, *field).kind
        {
            self.found.touched.insert(related);
        }
    }
}

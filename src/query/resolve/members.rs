//! What each item of an answer holds, where a door tells it member by member.

use super::fields::Source;
use super::{Level, Resolver};
use crate::error::{Error, Result};
use crate::filter::Target;
use crate::query::{DeepQuery, Member, ResolvedOutput, ResolvedRead, ResolvedValue, Wanted};
use crate::schema::{CollectionId, FieldKind};

impl<'a> Resolver<'a> {
    /// The members of the items of a level, as they are told.
    pub(super) fn members<'q>(
        &mut self,
        collection: CollectionId,
        members: &'q [Member],
    ) -> Result<Vec<ResolvedOutput>>
    where
        'a: 'q,
    {
        let resolved = |member: &'q Member| {
            Ok(ResolvedOutput { key: member.key.clone(), value: self.wanted(collection, &member.wanted)? })
        };
        members.iter().map(resolved).collect()
    }

    fn wanted<'q>(&mut self, collection: CollectionId, wanted: &'q Wanted) -> Result<ResolvedValue>
    where
        'a: 'q,
    {
        Ok(match wanted {
            Wanted::Constant(text) => ResolvedValue::Constant(text.clone()),
            Wanted::Object(members) => ResolvedValue::Object(self.members(collection, members)?),
            Wanted::Value(name) => match self.source(collection, name)? {
                Source::Function(target, _) => {
                    self.touch_counted(collection, &target);
                    ResolvedValue::Target(target)
                }
                Source::Field(..) if name.contains(':') => return Err(no_value(name)),
                Source::Field(_, field) if field.column.is_none() => return Err(no_value(name)),
                Source::Field(id, field) if field.conceal => ResolvedValue::Concealed(id),
                Source::Field(id, _) => ResolvedValue::Target(Target::Field(id)),
            },
            Wanted::Related { field: name, query } => {
                let Source::Field(id, field) = self.source(collection, name)? else {
                    return Err(no_value(name));
                };
                match field.kind {
                    FieldKind::ManyToOne { related, .. } => {
                        ResolvedValue::ToOne { field: id, read: Box::new(self.one(related, query)?) }
                    }
                    FieldKind::OneToMany { related, sort, .. } => {
                        if !self.rights.is_open(related) {
                            return Err(Error::Forbidden);
                        }
                        self.touch(related)?;
                        let level = Level::of_deep(query);
                        let output = self.output(related, &[], &level)?;
                        let read = self.listed(related, sort, output, &level)?;
                        ResolvedValue::ToMany { field: id, read: Box::new(read) }
                    }
                    _ => return Err(no_value(name)),
                }
            }
            Wanted::RelatedAny { field: name, queries } => {
                let Source::Field(id, field) = self.source(collection, name)? else {
                    return Err(no_value(name));
                };
                let FieldKind::ManyToAny { allowed, .. } = &field.kind else { return Err(no_value(name)) };
                let mut reads: Vec<ResolvedRead> = Vec::with_capacity(queries.len());
                for (named, query) in queries {
                    let related = self.schema().find(named).filter(|related| allowed.contains(related));
                    reads.push(self.one(related.ok_or(Error::Forbidden)?, query)?);
                }
                ResolvedValue::ToAny { field: id, reads }
            }
        })
    }

    fn one<'q>(&mut self, related: CollectionId, query: &'q DeepQuery) -> Result<ResolvedRead>
    where
        'a: 'q,
    {
        self.follow_one(related, &[], &Level::of_deep(query))?.ok_or(Error::Forbidden)
    }
}

fn no_value(name: &str) -> Error {
    Error::query(format_args!("\"{name}\" has nothing to show here"))
}

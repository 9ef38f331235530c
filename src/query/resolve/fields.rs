//! `fields`: what each item of an answer holds.

use indexmap::IndexMap;

use super::{Level, Resolver};
use crate::error::{Error, Result};
use crate::filter::Target;
use crate::filter::names::{self, Name};
use crate::query::{Document, KeySelection, Meta, ResolvedOutput, ResolvedRead, ResolvedValue};
use crate::schema::{Collection, CollectionId, Field, FieldId, FieldKind};

/// What is wanted of one member of an answer.
#[derive(Debug, Default)]
struct Wish<'q> {
    /// Without anything behind it.
    bare: bool,
    /// Paths behind it.
    below: Vec<Below<'q>>,
}

/// A path behind a relation.
#[derive(Debug, Clone, Copy)]
struct Below<'q> {
    /// The collection it is meant for, of a many-to-any.
    scope: Option<&'q str>,
    path: &'q [String],
}

/// What stands behind a key of an answer.
pub(super) enum Source<'a> {
    Field(FieldId, &'a Field),
    Function(Target, String),
}

impl<'a> Resolver<'a> {
    /// The members of the items of a level. Empty where nothing but paths into scalars was named: items are then bare keys.
    pub(super) fn output<'q>(
        &mut self,
        collection: CollectionId,
        paths: &[&'q [String]],
        level: &Level<'q>,
    ) -> Result<Vec<ResolvedOutput>>
    where
        'a: 'q,
    {
        if let Some(members) = level.members {
            return self.members(collection, members);
        }
        self.check_deep(collection, level)?;
        let wishes = self.wishes(collection, paths, level);
        let mut output = Vec::with_capacity(wishes.len());
        for (key, wish) in &wishes {
            if let Some(member) = self.member(collection, key, wish, level)? {
                output.push(member);
            }
        }
        if output.is_empty() && !self.shows_key(collection) {
            return Err(Error::Forbidden);
        }
        Ok(output)
    }

    /// The key stands for items of which nothing else is shown.
    fn shows_key(&self, collection: CollectionId) -> bool {
        let key = self.schema().collection(collection).key();
        key.is_none_or(|key| self.rights.may_read(collection, key))
    }

    /// Gathers the paths by the member they begin with.
    fn wishes<'q>(
        &self,
        collection: CollectionId,
        paths: &[&'q [String]],
        level: &Level<'q>,
    ) -> IndexMap<&'q str, Wish<'q>>
    where
        'a: 'q,
    {
        let mut wishes: IndexMap<&'q str, Wish<'q>> = IndexMap::new();
        let found: &'a Collection = self.schema().collection(collection);
        let everything: &'q [String] = &[];
        let all = [everything];
        for path in if paths.is_empty() { &all[..] } else { paths } {
            let Some((first, rest)) = path.split_first() else {
                self.expand(collection, found, everything, level, &mut wishes);
                continue;
            };
            if first == "*" {
                self.expand(collection, found, rest, level, &mut wishes);
                continue;
            }
            let (key, scope) = match Name::parse(first) {
                Name::Scoped { field, collection } => (field, Some(collection)),
                Name::Field(_) | Name::Function { .. } => (first.as_str(), None),
            };
            add(wishes.entry(key).or_default(), scope, rest);
        }
        wishes
    }

    /// `*`: every field that may be read, with what stands behind it for the relations.
    fn expand<'q>(
        &self,
        collection: CollectionId,
        found: &'a Collection,
        rest: &'q [String],
        level: &Level<'q>,
        wishes: &mut IndexMap<&'q str, Wish<'q>>,
    ) where
        'a: 'q,
    {
        for (id, field) in found.fields() {
            let rest = if is_relation(field) { rest } else { &[] };
            if !self.rights.may_read(collection, id) || !self.is_shown(field, rest) {
                continue;
            }
            add(wishes.entry(&field.name).or_default(), None, rest);
        }
        for (alias, name) in level.alias.into_iter().flatten() {
            let is_relation = found.find(name).is_some_and(|id| is_relation(found.field(id)));
            add(wishes.entry(alias).or_default(), None, if is_relation { rest } else { &[] });
        }
    }

    /// Fields that hold nothing, and lists of items that may not be read, are no part of `*`.
    fn is_shown(&self, field: &Field, below: &[String]) -> bool {
        match field.kind {
            FieldKind::Presentation => false,
            FieldKind::OneToMany { related, .. } => {
                self.rights.is_open(related) && (!below.is_empty() || self.shows_key(related))
            }
            _ => true,
        }
    }

    fn member<'q>(
        &mut self,
        collection: CollectionId,
        key: &str,
        wish: &Wish<'q>,
        level: &Level<'q>,
    ) -> Result<Option<ResolvedOutput>>
    where
        'a: 'q,
    {
        let alias = level.alias.and_then(|alias| alias.get(key));
        let (id, field) = match self.source(collection, alias.map_or(key, String::as_str))? {
            Source::Field(id, field) => (id, field),
            Source::Function(target, name) => {
                self.touch_counted(collection, &target);
                let key = if alias.is_some() { key } else { &name };
                return Ok(Some(ResolvedOutput { key: key.into(), value: ResolvedValue::Target(target) }));
            }
        };
        let is_scoped = wish.below.iter().any(|below| below.scope.is_some());
        if is_scoped && !matches!(field.kind, FieldKind::ManyToAny { .. }) {
            return Err(Error::query(format_args!("field \"{key}\" takes no collection behind a colon")));
        }
        let value = match &field.kind {
            _ if field.conceal && field.column.is_some() => wish.bare.then_some(ResolvedValue::Concealed(id)),
            FieldKind::Plain => wish.bare.then_some(ResolvedValue::Target(Target::Field(id))),
            FieldKind::Presentation => None,
            FieldKind::ManyToOne { .. } | FieldKind::ManyToAny { .. } if wish.below.is_empty() => {
                Some(ResolvedValue::Target(Target::Field(id)))
            }
            FieldKind::ManyToOne { related, .. } => {
                let paths: Vec<&[String]> = wish.below.iter().map(|below| below.path).collect();
                let read = self.follow_one(*related, &paths, &level.below(key))?;
                read.map(|read| ResolvedValue::ToOne { field: id, read: Box::new(read) })
            }
            FieldKind::ManyToAny { allowed, .. } => {
                let reads = self.follow_any(key, allowed, wish, level)?;
                Some(ResolvedValue::ToAny { field: id, reads })
            }
            FieldKind::OneToMany { related, sort, .. } => {
                self.follow_many(*related, *sort, wish, &level.below(key))?.map(|read| {
                    let read = Box::new(read);
                    if wish.below.is_empty() {
                        ResolvedValue::ToManyKeys { field: id, read }
                    } else {
                        ResolvedValue::ToMany { field: id, read }
                    }
                })
            }
        };
        Ok(value.map(|value| ResolvedOutput { key: key.into(), value }))
    }

    pub(super) fn source(&self, collection: CollectionId, name: &str) -> Result<Source<'a>> {
        Ok(match Name::parse(name) {
            Name::Function { function, field } => {
                let target = names::function(&self.env, collection, function, field)?;
                Source::Function(target, format!("{field}_{function}"))
            }
            Name::Field(name) | Name::Scoped { field: name, .. } => {
                let (id, field) = names::field(&self.env, collection, name)?;
                Source::Field(id, field)
            }
        })
    }

    /// A collection that may not be read at all hides the member, as in the public API.
    pub(super) fn follow_one<'q>(
        &mut self,
        related: CollectionId,
        paths: &[&'q [String]],
        level: &Level<'q>,
    ) -> Result<Option<ResolvedRead>>
    where
        'a: 'q,
    {
        if !self.rights.is_open(related) {
            return Ok(None);
        }
        self.touch(related)?;
        Ok(Some(ResolvedRead {
            collection: related,
            document: Document::List,
            selection: KeySelection::Any,
            output: self.output(related, paths, level)?,
            filter: self.filter(related, level)?,
            sort: Vec::new(),
            limit: None,
            offset: 0,
            meta: Meta::default(),
            continuation: None,
        }))
    }

    /// One read per collection that is named. A path without a scope is meant for every collection that has such a field.
    fn follow_any<'q>(
        &mut self,
        key: &str,
        allowed: &[CollectionId],
        wish: &Wish<'q>,
        level: &Level<'q>,
    ) -> Result<Vec<ResolvedRead>>
    where
        'a: 'q,
    {
        let schema = self.schema();
        for below in &wish.below {
            let is_known = match (below.scope, below.path.first()) {
                (Some(scope), _) => schema.find(scope).is_some_and(|id| allowed.contains(&id)),
                (None, Some(first)) => allowed.iter().any(|id| self.has(*id, first)),
                (None, None) => true,
            };
            if !is_known {
                return Err(Error::Forbidden);
            }
        }
        let mut reads = Vec::new();
        for related in allowed {
            let name = &schema.collection(*related).name;
            let meant = |below: &&Below<'q>| match (below.scope, below.path.first()) {
                (Some(scope), _) => *scope == **name,
                (None, Some(first)) => self.has(*related, first),
                (None, None) => true,
            };
            let paths: Vec<&[String]> = wish.below.iter().filter(meant).map(|below| below.path).collect();
            if paths.is_empty() {
                continue;
            }
            reads.extend(self.follow_one(*related, &paths, &level.below(&format!("{key}:{name}")))?);
        }
        Ok(reads)
    }

    fn has(&self, collection: CollectionId, name: &str) -> bool {
        name == "*" || self.source(collection, name).is_ok()
    }

    fn follow_many<'q>(
        &mut self,
        related: CollectionId,
        sort: Option<FieldId>,
        wish: &Wish<'q>,
        level: &Level<'q>,
    ) -> Result<Option<ResolvedRead>>
    where
        'a: 'q,
    {
        // A list of bare keys is hidden together with the keys.
        if !self.rights.is_open(related) || (wish.below.is_empty() && !self.shows_key(related)) {
            return Ok(None);
        }
        self.touch(related)?;
        let output = if wish.below.is_empty() {
            Vec::new()
        } else {
            let paths: Vec<&[String]> = wish.below.iter().map(|below| below.path).collect();
            self.output(related, &paths, level)?
        };
        self.listed(related, sort, output, level).map(Some)
    }

    /// The items of a one-to-many, with what they hold.
    pub(super) fn listed(
        &mut self,
        related: CollectionId,
        sort: Option<FieldId>,
        output: Vec<ResolvedOutput>,
        level: &Level<'_>,
    ) -> Result<ResolvedRead> {
        let window = self.window(level);
        Ok(ResolvedRead {
            collection: related,
            document: Document::List,
            selection: KeySelection::Any,
            output,
            filter: self.filter(related, level)?,
            sort: self.order(related, level.sort, sort)?,
            limit: window.limit,
            offset: window.offset,
            meta: Meta::default(),
            continuation: None,
        })
    }

    /// Every relation that `deep` names must be there, so that a misspelt one is noticed.
    fn check_deep(&self, collection: CollectionId, level: &Level<'_>) -> Result<()> {
        for key in level.deep.into_iter().flat_map(IndexMap::keys) {
            let (name, scope) = match Name::parse(key) {
                Name::Scoped { field, collection } => (field, Some(collection)),
                Name::Field(_) | Name::Function { .. } => (key.as_str(), None),
            };
            let name = level.alias.and_then(|alias| alias.get(name)).map_or(name, String::as_str);
            let (_, field) = names::field(&self.env, collection, name)?;
            if !is_relation(field) {
                return Err(Error::query(format_args!("\"{key}\" in \"deep\" is not a relation")));
            }
            if let (Some(scope), FieldKind::ManyToAny { allowed, .. }) = (scope, &field.kind)
                && !self.schema().find(scope).is_some_and(|id| allowed.contains(&id))
            {
                return Err(Error::Forbidden);
            }
        }
        Ok(())
    }
}

fn add<'q>(wish: &mut Wish<'q>, scope: Option<&'q str>, path: &'q [String]) {
    if path.is_empty() {
        wish.bare = true;
    } else {
        wish.below.push(Below { scope, path });
    }
}

fn is_relation(field: &Field) -> bool {
    !matches!(field.kind, FieldKind::Plain | FieldKind::Presentation)
}

//! The to-many half of a write: items that point at the one above are linked, made, changed and taken out.

use super::defaults;
use super::nested::as_text;
use super::plan::{Child, ItemWrite, Target, ToMany, ToManyChange, ToManyLink};
use super::run::{Run, first_value, key_field};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{FieldId, OnDeselect};
use crate::sql::write::{self as statements, Match};

/// An item above: its key, its entry in the journal, whether it is new, and what is below.
pub(super) type Parent = (Scalar, usize, bool, Vec<ToMany>);

impl Run<'_> {
    /// Writes what is below several items of one collection; new items of one relation go together.
    pub(super) async fn write_to_many(&mut self, parents: Vec<Parent>) -> Result<()> {
        let mut batches: Vec<(ToManyLink, Vec<ItemWrite>)> = Vec::new();
        for (key, entry, is_new, relations) in parents {
            for ToMany { link, change } in relations {
                let above = Above { reference: reference(&link, key.clone()), entry, is_new };
                let created = match change {
                    ToManyChange::Replace(children) => self.replace(&link, &above, children).await?,
                    ToManyChange::Detailed { create, update, delete } => {
                        self.adjust(&link, &above, create, update, delete).await?
                    }
                };
                match batches.iter_mut().find(|(known, _)| *known == link) {
                    Some((_, items)) => items.extend(created),
                    None => batches.push((link, created)),
                }
            }
        }
        for (_, items) in batches {
            if !items.is_empty() {
                self.create_all(items).await?;
            }
        }
        Ok(())
    }

    /// The full list: what is not in it is taken out. Gives the items that are new.
    async fn replace(
        &mut self,
        link: &ToManyLink,
        above: &Above,
        children: Vec<Child>,
    ) -> Result<Vec<ItemWrite>> {
        let mut linked = Vec::new();
        let mut created = Vec::new();
        let mut changed = Vec::new();
        for child in children {
            match child {
                Child::Key(key) => linked.push(key),
                Child::Item(mut item) => {
                    point(above, &mut item);
                    if item.target == Target::Create { created.push(item) } else { changed.push(item) }
                }
            }
        }
        if !above.is_new {
            let present = self.present(link, above).await?;
            let kept = |key: &Scalar| {
                linked.contains(key) || changed.iter().any(|item| item.key.as_ref() == Some(key))
            };
            let (kept, gone): (Vec<Scalar>, Vec<Scalar>) = present.into_iter().partition(kept);
            self.take_out(link, above, gone).await?;
            linked.retain(|key| !kept.contains(key));
        }
        self.link(link, above, linked).await?;
        self.change_below(changed).await?;
        Ok(created)
    }

    /// Only what is named changes. Gives the items that are new, put behind the others.
    async fn adjust(
        &mut self,
        link: &ToManyLink,
        above: &Above,
        mut create: Vec<ItemWrite>,
        mut update: Vec<ItemWrite>,
        delete: Vec<Scalar>,
    ) -> Result<Vec<ItemWrite>> {
        if !delete.is_empty() && !above.is_new {
            let present = self.present(link, above).await?;
            let gone = delete.into_iter().filter(|key| present.contains(key)).collect();
            self.take_out(link, above, gone).await?;
        }
        for item in create.iter_mut().chain(&mut update) {
            point(above, item);
        }
        if let Some(sort) = link.sort.filter(|_| !create.is_empty()) {
            let mut last = if above.is_new { 0 } else { self.last_position(link, above, sort).await? };
            for item in &mut create {
                last += 1;
                if matches!(item.value(sort), None | Some(Scalar::Null)) {
                    item.set(sort, Scalar::Int(last));
                }
            }
        }
        self.change_below(update).await?;
        let (created, changed) = create.into_iter().partition(|item| item.target == Target::Create);
        self.change_below(changed).await?;
        Ok(created)
    }

    async fn change_below(&mut self, items: Vec<ItemWrite>) -> Result<()> {
        for item in items {
            self.change(item).await?.ok_or(Error::Forbidden)?;
        }
        Ok(())
    }

    /// Keys of the items that point here.
    async fn present(&mut self, link: &ToManyLink, above: &Above) -> Result<Vec<Scalar>> {
        let schema = self.schema();
        let collection = schema.collection(link.collection);
        let key = key_field(collection)?;
        let matches = above.matches();
        let statement = statements::select(self.tx.dialect(), collection, &[key], &matches);
        Ok(self.tx.rows(&statement).await?.into_iter().filter_map(first_value).collect())
    }

    async fn last_position(&mut self, link: &ToManyLink, above: &Above, sort: FieldId) -> Result<i64> {
        let schema = self.schema();
        let collection = schema.collection(link.collection);
        let statement = statements::select_largest(self.tx.dialect(), collection, sort, &above.matches());
        let rows = self.tx.rows(&statement).await?;
        Ok(rows.first().and_then(|row| row.int(0)).unwrap_or(0))
    }

    /// Lets items that are there point here.
    async fn link(&mut self, link: &ToManyLink, above: &Above, keys: Vec<Scalar>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let wanted = keys.len();
        let changed = self.set_reference(link, above, &above.reference, keys).await?;
        if changed.len() < wanted { Err(Error::Forbidden) } else { Ok(()) }
    }

    /// Items that no longer belong here.
    async fn take_out(&mut self, link: &ToManyLink, above: &Above, keys: Vec<Scalar>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        match link.on_deselect {
            OnDeselect::Delete => self.delete(link.collection, &keys, Some(above.entry)).await.map(|_| ()),
            OnDeselect::Nullify => {
                let nothing =
                    above.reference.iter().map(|(field, _)| (*field, Scalar::Null)).collect::<Vec<_>>();
                self.set_reference(link, above, &nothing, keys).await.map(|_| ())
            }
        }
    }

    async fn set_reference(
        &mut self,
        link: &ToManyLink,
        above: &Above,
        values: &[(FieldId, Scalar)],
        keys: Vec<Scalar>,
    ) -> Result<Vec<Scalar>> {
        let schema = self.schema();
        let mut item = ItemWrite {
            collection: link.collection,
            key: None,
            target: Target::Update,
            values: Vec::new(),
            sent: values.iter().map(|(field, _)| *field).collect(),
            named: values.iter().map(|(field, _)| *field).collect(),
            upserted: None,
            given: Vec::new(),
            to_one: Vec::new(),
            to_many: Vec::new(),
            parent: Some(above.entry),
        };
        for (field, value) in values {
            item.set(*field, value.clone());
        }
        defaults::complete_change(&self.with.ctx, schema.collection(link.collection), &mut item);
        self.change_many(item, keys).await.map(|(keys, _)| keys)
    }
}

/// The item above, as seen from below.
struct Above {
    /// Columns of the item below with the values that point here.
    reference: Vec<(FieldId, Scalar)>,
    entry: usize,
    is_new: bool,
}

impl Above {
    fn matches(&self) -> Vec<Match<'_>> {
        self.reference
            .iter()
            .map(|(field, value)| Match { field: *field, values: std::slice::from_ref(value) })
            .collect()
    }
}

fn reference(link: &ToManyLink, key: Scalar) -> Vec<(FieldId, Scalar)> {
    match &link.any {
        Some((naming, name)) => {
            vec![(link.field, as_text(key)), (*naming, Scalar::Text(name.clone()))]
        }
        None => vec![(link.field, key)],
    }
}

fn point(above: &Above, item: &mut ItemWrite) {
    for (field, value) in &above.reference {
        item.set(*field, value.clone());
    }
    item.parent = Some(above.entry);
}

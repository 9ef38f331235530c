//! Events that came together, put in an order in which each item is read once.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::events::{EventAction, ItemEvent};

/// One event, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) action: EventAction,
    pub(super) collection: Arc<str>,
    pub(super) key: Arc<str>,
    /// Grows with every change of one and the same item.
    pub(super) order: i64,
}

impl Change {
    /// `None` for events that are nobody's business but the server's.
    pub(super) fn of(event: &ItemEvent) -> Option<Self> {
        let action = match event.event.rsplit('.').next() {
            Some("create") => EventAction::Create,
            Some("update") => EventAction::Update,
            Some("delete") => EventAction::Delete,
            _ => return None,
        };
        let (collection, key) = (event.collection.clone(), event.key.clone());
        Some(Change { action, collection, key, order: event.outbox_id })
    }
}

/// What happened to the items of one collection: keys, in the order in which these lists are told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Changes {
    /// Gone, and made anew since then.
    pub(super) replaced: Vec<Arc<str>>,
    pub(super) created: Vec<Arc<str>>,
    pub(super) updated: Vec<Arc<str>>,
    pub(super) deleted: Vec<Arc<str>>,
}

impl Changes {
    /// What happened in all of these, which came one after the other, as though it had come together.
    pub(super) fn joined<'c>(all: impl IntoIterator<Item = &'c Changes>) -> Self {
        use EventAction::{Create, Delete, Update};
        let mut fates = Fates::default();
        for changes in all {
            let lists = [
                (Delete, &changes.replaced),
                (Create, &changes.created),
                (Update, &changes.updated),
                (Delete, &changes.deleted),
            ];
            for (action, keys) in lists {
                keys.iter().for_each(|key| fates.meet(key, action));
            }
        }
        fates.into_changes()
    }

    /// How many things there are to tell.
    pub(super) fn count(&self) -> usize {
        [&self.replaced, &self.created, &self.updated, &self.deleted].iter().map(|keys| keys.len()).sum()
    }

    /// Whether something is gone.
    pub(super) fn has_deletions(&self) -> bool {
        !self.replaced.is_empty() || !self.deleted.is_empty()
    }
}

/// What became of one item.
#[derive(Default)]
struct Fate {
    is_replaced: bool,
    is_created: bool,
    is_updated: bool,
    is_deleted: bool,
}

impl Fate {
    fn meet(&mut self, action: EventAction) {
        match action {
            EventAction::Create => {
                self.is_replaced |= std::mem::take(&mut self.is_deleted);
                self.is_created = true;
            }
            EventAction::Update => self.is_updated = !self.is_deleted,
            EventAction::Delete => {
                *self = Fate { is_replaced: self.is_replaced, is_deleted: true, ..Fate::default() };
            }
        }
    }
}

/// What became of the items of one collection, by key.
#[derive(Default)]
struct Fates(IndexMap<Arc<str>, Fate>);

impl Fates {
    fn meet(&mut self, key: &Arc<str>, action: EventAction) {
        self.0.entry(key.clone()).or_default().meet(action);
    }

    fn into_changes(self) -> Changes {
        let mut lists = Changes::default();
        for (key, fate) in self.0 {
            // What was replaced and is gone again is gone.
            if fate.is_replaced && !fate.is_deleted {
                lists.replaced.push(key.clone());
            }
            if fate.is_created {
                lists.created.push(key.clone());
            }
            if fate.is_updated {
                lists.updated.push(key.clone());
            }
            if fate.is_deleted {
                lists.deleted.push(key);
            }
        }
        lists
    }
}

/// Sorts changes by item and by what became of it. Changes of different items may change places, those of one item never do: what
/// is gone in the end was made or changed for nobody.
pub(super) fn arrange(changes: &mut [Change]) -> IndexMap<Arc<str>, Changes> {
    changes.sort_by_key(|change| change.order);
    let mut fates: IndexMap<Arc<str>, Fates> = IndexMap::new();
    for change in changes.iter() {
        fates.entry(change.collection.clone()).or_default().meet(&change.key, change.action);
    }
    fates.into_iter().map(|(collection, fates)| (collection, fates.into_changes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventAction::{Create, Delete, Update};

    fn change(action: EventAction, key: &str, order: i64) -> Change {
        Change { action, collection: Arc::from("c"), key: Arc::from(key), order }
    }

    fn arranged(mut changes: Vec<Change>) -> Changes {
        arrange(&mut changes).get("c").cloned().unwrap_or_default()
    }

    fn check(events: &[(EventAction, &str)], expected: [&[&str]; 4]) {
        let mut changes: Vec<Change> =
            events.iter().zip(1..).map(|((action, key), order)| change(*action, key, order)).collect();
        // However they are cut into batches.
        for cut in 0..=changes.len() {
            let (first, second) = changes.split_at(cut);
            let joined = Changes::joined(&[arranged(first.to_vec()), arranged(second.to_vec())]);
            assert_eq!(sorted(joined), sorted(arranged(changes.clone())), "{events:?} cut at {cut}");
        }
        // They may come in any order.
        changes.reverse();
        let Changes { replaced, created, updated, deleted } = arranged(changes);
        let found = [replaced, created, updated, deleted];
        let found: Vec<Vec<&str>> =
            found.iter().map(|keys| keys.iter().map(AsRef::as_ref).collect()).collect();
        assert_eq!(found, expected.map(<[&str]>::to_vec), "{events:?}");
    }

    fn sorted(mut changes: Changes) -> Changes {
        let Changes { replaced, created, updated, deleted } = &mut changes;
        [replaced, created, updated, deleted].into_iter().for_each(|keys| keys.sort());
        changes
    }

    #[test]
    fn the_end_of_an_item_is_the_last_that_is_told_of_it() {
        check(&[(Create, "a"), (Update, "a"), (Create, "b")], [&[], &["a", "b"], &["a"], &[]]);
        check(&[(Update, "a"), (Update, "a")], [&[], &[], &["a"], &[]]);
        check(&[(Create, "a"), (Update, "a"), (Delete, "a")], [&[], &[], &[], &["a"]]);
        check(&[(Delete, "a"), (Create, "a")], [&["a"], &["a"], &[], &[]]);
        check(&[(Delete, "a"), (Create, "a"), (Delete, "a")], [&[], &[], &[], &["a"]]);
        check(&[(Update, "a"), (Delete, "a"), (Create, "a"), (Update, "a")], [&["a"], &["a"], &["a"], &[]]);
        check(&[(Update, "b"), (Delete, "a")], [&[], &[], &["b"], &["a"]]);
        check(&[], [&[], &[], &[], &[]]);
    }
}

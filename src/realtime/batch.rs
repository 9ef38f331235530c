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
    /// Whether something is gone.
    pub(super) fn has_deletions(&self) -> bool {
        !self.replaced.is_empty() || !self.deleted.is_empty()
    }
}

#[derive(Default)]
struct Fate {
    is_replaced: bool,
    is_created: bool,
    is_updated: bool,
    is_deleted: bool,
}

/// Sorts changes by item and by what became of it. Changes of different items may change places, those of one item never do: what
/// is gone in the end was made or changed for nobody.
pub(super) fn arrange(changes: &mut [Change]) -> IndexMap<Arc<str>, Changes> {
    changes.sort_by_key(|change| change.order);
    let mut fates: IndexMap<(Arc<str>, Arc<str>), Fate> = IndexMap::new();
    for change in changes.iter() {
        let fate = fates.entry((change.collection.clone(), change.key.clone())).or_default();
        match change.action {
            EventAction::Create => {
                fate.is_replaced |= std::mem::take(&mut fate.is_deleted);
                fate.is_created = true;
            }
            EventAction::Update => fate.is_updated = !fate.is_deleted,
            EventAction::Delete => {
                *fate = Fate { is_replaced: fate.is_replaced, is_deleted: true, ..Fate::default() };
            }
        }
    }
    let mut arranged: IndexMap<Arc<str>, Changes> = IndexMap::new();
    for ((collection, key), fate) in fates {
        let lists = arranged.entry(collection).or_default();
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
    arranged
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventAction::{Create, Delete, Update};

    fn check(events: &[(EventAction, &str)], expected: [&[&str]; 4]) {
        let mut changes: Vec<Change> = events
            .iter()
            .zip(1..)
            .map(|((action, key), order)| Change {
                action: *action,
                collection: Arc::from("c"),
                key: Arc::from(*key),
                order,
            })
            .collect();
        // They may come in any order.
        changes.reverse();
        let arranged = arrange(&mut changes);
        let Changes { replaced, created, updated, deleted } = arranged.get("c").cloned().unwrap_or_default();
        let found = [replaced, created, updated, deleted];
        let found: Vec<Vec<&str>> =
            found.iter().map(|keys| keys.iter().map(AsRef::as_ref).collect()).collect();
        assert_eq!(found, expected.map(<[&str]>::to_vec), "{events:?}");
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

//! What came before, so that only what comes again is kept: documents that are sent once would drive out those that are not.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Things that are remembered; eight bytes each.
const PLACES: usize = 4096;

/// What was met lately, by its hash. A hash that falls on the place of another drives it out, so that it is met anew; that two are
/// taken for one does no harm.
pub(super) struct Met {
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

impl Default for Met {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Met { hasher: RandomState::new(), places }
    }
}

impl Met {
    /// Whether this was met before; from now on it was.
    pub(super) fn before(&self, key: &impl Hash) -> bool {
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash).unwrap_or_default() % PLACES;
        self.places.get(place).is_some_and(|place| place.swap(hash, Ordering::Relaxed) == hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_known() {
        let met = Met::default();
        assert!(!met.before(&"a"));
        assert!(met.before(&"a"));
        assert!(!met.before(&"b"));
        let known = (0..10_000).filter(|number| met.before(number)).count();
        assert_eq!(known, 0, "nothing is known before it came");
        let again = (0..10_000).filter(|number| met.before(number)).count();
        assert!(again < 10_000, "what came long ago is forgotten");
    }
}

//! Texts kept for those who write the same columns again.

use std::sync::{PoisonError, RwLock};

use crate::schema::FieldId;
use crate::sql::Statement;

/// Most texts that are kept for one collection. Who writes more different sets of columns has the others made each time.
const MOST: usize = 64;

/// Texts of writes of one collection of one model, by what they write.
#[derive(Debug, Default)]
pub struct Texts {
    known: RwLock<Vec<Known>>,
}

/// What a statement does with which columns, and the statement.
type Known = (Kind, Box<[FieldId]>, Statement);

/// What a text does with its columns. All else that it depends on follows from the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Inserts one row and, if so, returns its key.
    Insert {
        /// Whether it does.
        counted: bool,
    },
    /// Inserts any number of rows with one list per column and, if so, returns their keys.
    InsertLists {
        /// Whether it does.
        counted: bool,
    },
    /// Changes the row with one key and returns it.
    Update,
    /// Inserts with all that goes with it; one row or any number.
    InsertAtOnce {
        /// Whether it is one row.
        is_single: bool,
    },
    /// Changes one row with all that goes with it.
    UpdateAtOnce,
}

impl Texts {
    /// The statement for these columns, without parameters.
    pub fn get(&self, kind: Kind, columns: &[FieldId], make: impl FnOnce() -> Statement) -> Statement {
        let is_meant = |known: &&Known| known.0 == kind && *known.1 == *columns;
        // Some ten numbers are compared faster than hashed.
        if let Some((.., statement)) =
            self.known.read().unwrap_or_else(PoisonError::into_inner).iter().find(is_meant)
        {
            return statement.clone();
        }
        let made = make();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST && !known.iter().any(|entry| is_meant(&entry)) {
            known.push((kind, columns.into(), made.clone()));
        }
        made
    }
}

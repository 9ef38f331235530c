//! The last events, for those who come back after a gap.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::batch::Change;

/// A place in the stream of events of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Names the stream: no two have the same name.
    pub(super) stream: Arc<str>,
    /// Events of it up to there.
    pub(super) number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.number)
    }
}

impl Position {
    /// `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, number) = text.rsplit_once('-')?;
        (text.len() <= 100).then_some(())?;
        Some(Position { stream: stream.into(), number: number.parse().ok()? })
    }
}

/// The events of one stream, as many as are kept.
pub(super) struct History {
    stream: Arc<str>,
    number: u64,
    kept: VecDeque<Change>,
    most: usize,
    /// Whatever came before is not known.
    begins: u64,
}

impl History {
    pub(super) fn new(stream: Arc<str>, most: usize) -> Self {
        History { stream, number: 0, kept: VecDeque::new(), most, begins: 0 }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.number += 1;
        self.kept.push_back(change);
        while self.kept.len() > self.most {
            self.kept.pop_front();
            self.begins += 1;
        }
    }

    /// Something is missing here: who comes back from before it is told so.
    pub(super) fn interrupt(&mut self) {
        self.number += 1;
        self.kept.clear();
        self.begins = self.number;
    }

    pub(super) fn position(&self) -> Position {
        Position { stream: self.stream.clone(), number: self.number }
    }

    /// What happened in a collection since then; `None` when that is not known any more.
    pub(super) fn since(&self, position: &Position, collection: &str) -> Option<Vec<Change>> {
        if position.stream != self.stream || position.number < self.begins || position.number > self.number {
            return None;
        }
        let skipped = usize::try_from(position.number - self.begins).ok()?;
        let changes = self.kept.iter().skip(skipped);
        Some(changes.filter(|change| *change.collection == *collection).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventAction;

    fn change(key: &str) -> Change {
        let (collection, key) = (Arc::from("c"), Arc::from(key));
        Change { action: EventAction::Create, collection, key, order: 0 }
    }

    #[test]
    fn whoever_comes_back_gets_what_is_kept_or_knows_that_it_is_not() {
        let mut history = History::new("s".into(), 3);
        let begin = history.position();
        assert_eq!(history.since(&begin, "c"), Some(Vec::new()));
        for key in ["1", "2", "3"] {
            history.push(change(key));
        }
        assert_eq!(history.since(&begin, "c").map(|changes| changes.len()), Some(3));
        assert_eq!(history.since(&begin, "other"), Some(Vec::new()));
        let at = Position { number: 2, ..begin.clone() };
        assert_eq!(history.since(&at, "c"), Some(vec![change("3")]));
        history.push(change("4"));
        assert_eq!(history.since(&begin, "c"), None, "the first is forgotten");
        assert_eq!(history.since(&at, "c").map(|changes| changes.len()), Some(2));
        let future = Position { number: 9, ..begin.clone() };
        assert_eq!(history.since(&future, "c"), None);
        assert_eq!(history.since(&Position { stream: "t".into(), number: 4 }, "c"), None);
        history.interrupt();
        assert_eq!(history.since(&at, "c"), None);
        assert_eq!(history.since(&history.position(), "c"), Some(Vec::new()));
    }

    #[test]
    fn positions_as_text() {
        let position = Position { stream: "a-b".into(), number: 12 };
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        for wrong in ["", "-", "a", "a-", "a-x", "a--1x"] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }
}

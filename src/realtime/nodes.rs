//! Events of other nodes, over a list in Redis.
//!
//! Each node adds what it committed and follows what others add. Entries of a node are numbered: a gap in the numbers, another
//! process behind the address of Redis, and a node that had to forget entries while Redis was away all mean that something is
//! missing, which listeners are told. Redis holds nothing that is not in the database, and is asked by nobody who writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;
use uuid::Uuid;

use super::batch::Change;
use super::hub::Intake;
use crate::cache::{SharedStream, StreamConnection};
use crate::error::Result;
use crate::events::{EventAction, ItemEvent};

/// Entries that Redis keeps, roughly.
const MOST_ENTRIES: usize = 10_000;
/// Changes of one entry.
const MOST_CHANGES: usize = 500;
/// Changes that wait while Redis is away.
const MOST_WAITING: usize = 20_000;
/// How long an answer waits for entries.
const WAIT: Duration = Duration::from_secs(1);
/// How long nobody asks a Redis that did not answer.
const RETRY: Duration = Duration::from_millis(300);

/// What a node tells others.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Entry {
    node: String,
    /// Of this node, from 1.
    number: u64,
    /// Something before this is missing.
    has_lost: bool,
    changes: Vec<(char, Arc<str>, Arc<str>, i64)>,
}

fn letter(action: EventAction) -> char {
    match action {
        EventAction::Create => 'c',
        EventAction::Update => 'u',
        EventAction::Delete => 'd',
    }
}

fn action(letter: char) -> Option<EventAction> {
    [EventAction::Create, EventAction::Update, EventAction::Delete]
        .into_iter()
        .find(|action| self::letter(*action) == letter)
}

/// Begins to tell and to follow, for as long as the process lives.
pub(super) fn start(stream: SharedStream, events: broadcast::Receiver<Arc<ItemEvent>>, intake: Intake) {
    let stream = Arc::new(stream);
    let node = Uuid::now_v7().simple().to_string();
    tokio::spawn(tell(stream.clone(), events, node.clone()));
    tokio::spawn(follow(stream, intake, node));
}

/// What is to be told to other nodes.
struct Outgoing {
    node: String,
    /// Of the last entry.
    number: u64,
    has_lost: bool,
    waiting: Vec<Change>,
    /// It is added until Redis says that it is. That it says nothing does not mean that others have not read it: what is added
    /// again is the very same, which they pass over.
    entry: Option<Entry>,
}

impl Outgoing {
    fn new(node: String) -> Self {
        Outgoing { node, number: 0, has_lost: false, waiting: Vec::new(), entry: None }
    }

    fn is_empty(&self) -> bool {
        self.entry.is_none() && self.waiting.is_empty() && !self.has_lost
    }

    fn take(&mut self, change: Option<Change>) {
        self.waiting.extend(change);
    }

    /// Forgets what waits for too long.
    fn limit(&mut self) {
        if self.waiting.len() > MOST_WAITING {
            tracing::warn!(
                count = self.waiting.len(),
                "events wait for Redis for too long; other nodes are told that they miss some"
            );
            self.waiting = Vec::new();
            self.has_lost = true;
        }
    }

    /// What is added next.
    fn entry(&mut self) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        Some(self.entry.get_or_insert_with(|| {
            self.number += 1;
            let count = self.waiting.len().min(MOST_CHANGES);
            let changes = self.waiting.drain(..count);
            let changes =
                changes.map(|change| (letter(change.action), change.collection, change.key, change.order));
            Entry {
                node: self.node.clone(),
                number: self.number,
                has_lost: std::mem::take(&mut self.has_lost),
                changes: changes.collect(),
            }
        }))
    }

    /// The entry is there.
    fn added(&mut self) {
        self.entry = None;
    }
}

/// Adds what is committed here.
async fn tell(stream: Arc<SharedStream>, mut events: broadcast::Receiver<Arc<ItemEvent>>, node: String) {
    let mut outgoing = Outgoing::new(node);
    let mut connection: Option<StreamConnection> = None;
    loop {
        if outgoing.is_empty() {
            match events.recv().await {
                Ok(event) => outgoing.take(Change::of(&event)),
                Err(RecvError::Lagged(_)) => outgoing.has_lost = true,
                Err(RecvError::Closed) => return,
            }
        }
        loop {
            match events.try_recv() {
                Ok(event) => outgoing.take(Change::of(&event)),
                Err(TryRecvError::Lagged(_)) => outgoing.has_lost = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        outgoing.limit();
        let Some(entry) = outgoing.entry() else { continue };
        match append(&stream, &mut connection, entry).await {
            Ok(()) => outgoing.added(),
            Err(error) => {
                tracing::debug!(%error, "events could not be told to other nodes yet");
                connection = None;
                sleep(RETRY).await;
            }
        }
    }
}

async fn append(
    stream: &SharedStream,
    connection: &mut Option<StreamConnection>,
    entry: &Entry,
) -> Result<()> {
    let text = serde_json::to_vec(entry).map_err(crate::error::Error::internal)?;
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(stream.connect(Duration::ZERO).await?),
    };
    connection.append(&text, MOST_ENTRIES).await
}

/// How far this node has read, and of whom.
struct Follower {
    node: String,
    /// The process that kept the list, and the last entry read; nothing before the first connection.
    place: Option<(String, String)>,
    /// The number of the last entry of each node.
    numbers: HashMap<String, u64>,
}

/// Takes in what others add.
async fn follow(stream: Arc<SharedStream>, intake: Intake, node: String) {
    let mut follower = Follower { node, place: None, numbers: HashMap::new() };
    let mut was_away = false;
    loop {
        let error = match follower.follow(&stream, &intake, &mut was_away).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if !std::mem::replace(&mut was_away, true) {
            tracing::warn!(%error, "Redis is away; events of other nodes wait");
        }
        sleep(RETRY).await;
    }
}

impl Follower {
    async fn follow(
        &mut self,
        stream: &SharedStream,
        intake: &Intake,
        was_away: &mut bool,
    ) -> Result<std::convert::Infallible> {
        let mut connection = stream.connect(WAIT).await?;
        let keeper = connection.keeper().await?;
        let mut last = match &self.place {
            Some((before, last)) if *before == keeper => last.clone(),
            before => {
                let is_other = before.is_some();
                let end = connection.end().await?;
                // A Redis that began anew may have forgotten what nobody had read, and one that could not be reached from the
                // beginning may hold what was told meanwhile.
                if is_other || *was_away {
                    intake.lose();
                }
                end
            }
        };
        self.place = Some((keeper.clone(), last.clone()));
        if std::mem::take(was_away) {
            tracing::info!("Redis answers again");
        }
        loop {
            for (id, text) in connection.read(&last, WAIT).await? {
                last = id;
                match serde_json::from_slice::<Entry>(&text) {
                    Ok(entry) => self.take(entry, intake),
                    Err(error) => {
                        tracing::warn!(%error, "an entry of another node cannot be read");
                        intake.lose();
                    }
                }
            }
            self.place = Some((keeper.clone(), last.clone()));
        }
    }

    fn take(&mut self, entry: Entry, intake: &Intake) {
        if entry.node == self.node {
            return;
        }
        // A node that is heard of for the first time may have told things before this one began to listen.
        let before = self.numbers.get(&entry.node).copied().unwrap_or(entry.number.saturating_sub(1));
        if entry.number <= before {
            // Added twice, since the first answer did not arrive.
            return;
        }
        if entry.has_lost || entry.number - before > 1 {
            intake.lose();
        }
        self.numbers.insert(entry.node, entry.number);
        for (letter, collection, key, order) in entry.changes {
            if let Some(action) = action(letter) {
                intake.take(Change { action, collection, key, order }, Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: usize) -> Change {
        let (collection, key) = (Arc::from("c"), key.to_string().into());
        Change { action: EventAction::Update, collection, key, order: 0 }
    }

    fn keys(entry: Option<&Entry>) -> Option<(u64, bool, Vec<&str>)> {
        let entry = entry?;
        Some((entry.number, entry.has_lost, entry.changes.iter().map(|(_, _, key, _)| &**key).collect()))
    }

    #[test]
    fn an_entry_that_is_added_again_is_the_same() {
        let mut outgoing = Outgoing::new("n".to_owned());
        assert!(outgoing.is_empty() && outgoing.entry().is_none());
        outgoing.take(Some(change(1)));
        outgoing.take(None);
        assert_eq!(keys(outgoing.entry()), Some((1, false, vec!["1"])));
        // Redis did not answer, and more happened.
        outgoing.take(Some(change(2)));
        outgoing.has_lost = true;
        assert_eq!(keys(outgoing.entry()), Some((1, false, vec!["1"])));
        outgoing.added();
        assert_eq!(keys(outgoing.entry()), Some((2, true, vec!["2"])));
        outgoing.added();
        assert!(outgoing.is_empty() && outgoing.entry().is_none());
    }

    #[test]
    fn too_much_that_waits_is_told_as_a_gap() {
        let mut outgoing = Outgoing::new("n".to_owned());
        (0..MOST_CHANGES + 1).for_each(|key| outgoing.take(Some(change(key))));
        outgoing.limit();
        assert_eq!(outgoing.entry().map(|entry| entry.changes.len()), Some(MOST_CHANGES));
        outgoing.added();
        (0..MOST_WAITING).for_each(|key| outgoing.take(Some(change(key))));
        outgoing.limit();
        assert_eq!(keys(outgoing.entry()), Some((2, true, Vec::new())));
    }
}

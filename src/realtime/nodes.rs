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

/// Adds what is committed here.
async fn tell(stream: Arc<SharedStream>, mut events: broadcast::Receiver<Arc<ItemEvent>>, node: String) {
    let mut waiting: Vec<Change> = Vec::new();
    let (mut has_lost, mut number) = (false, 0);
    let mut connection: Option<StreamConnection> = None;
    loop {
        if waiting.is_empty() && !has_lost {
            match events.recv().await {
                Ok(event) => waiting.extend(Change::of(&event)),
                Err(RecvError::Lagged(_)) => has_lost = true,
                Err(RecvError::Closed) => return,
            }
        }
        loop {
            match events.try_recv() {
                Ok(event) => waiting.extend(Change::of(&event)),
                Err(TryRecvError::Lagged(_)) => has_lost = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if waiting.len() > MOST_WAITING {
            tracing::warn!(
                count = waiting.len(),
                "events wait for Redis for too long; other nodes are told that they miss some"
            );
            waiting = Vec::new();
            has_lost = true;
        }
        if waiting.is_empty() && !has_lost {
            continue;
        }
        let count = waiting.len().min(MOST_CHANGES);
        let changes = waiting.iter().take(count);
        let changes = changes.map(|change| {
            (letter(change.action), change.collection.clone(), change.key.clone(), change.order)
        });
        let entry = Entry { node: node.clone(), number: number + 1, has_lost, changes: changes.collect() };
        match append(&stream, &mut connection, &entry).await {
            Ok(()) => {
                waiting.drain(..count);
                number += 1;
                has_lost = false;
            }
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
        let mut last = match self.place.take() {
            Some((before, last)) if before == keeper => last,
            before => {
                let end = connection.end().await?;
                if before.is_some() {
                    // A Redis that began anew may have forgotten what nobody had read.
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

//! What waits to be sent to one client: bounded in number and size.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use tokio::sync::Notify;

use crate::error::Error;

/// Messages to one client, in order.
pub(super) struct Outbox {
    state: Mutex<State>,
    /// There is something to send, or an end.
    ready: Notify,
    /// Something is to be done at once by who reads.
    urgent: Notify,
    /// Nothing more is to be written.
    given_up: Notify,
    most_frames: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    frames: VecDeque<ByteString>,
    bytes: usize,
    ending: Option<Ending>,
    revoked: Option<Error>,
}

/// How a socket comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client is gone.
    Left,
    /// The client closed it, with this code or none.
    Closed(Option<u16>),
    /// Without a code: what is wrong was told in a message.
    Refused,
    /// The client reads more slowly than it is told things.
    Slow,
    /// It sends more messages than it may.
    Flood,
    /// It did not answer when asked whether it is there.
    Silent,
    /// A message is too large.
    TooLarge,
    /// What it sends is no WebSocket.
    Malformed,
    /// It sends bytes where text is expected.
    Binary,
    /// It sends text that is not UTF-8.
    NotText,
    /// The server goes away.
    GoingAway,
    /// Something nobody expected.
    Broken,
    /// As the protocol has it: its own code, and why.
    Protocol(u16, &'static str),
}

/// What the writing side does next.
pub(super) enum Next {
    Frame(ByteString),
    End(Ending),
}

impl Outbox {
    pub(super) fn new(most_frames: usize, most_bytes: usize) -> Self {
        Outbox {
            state: Mutex::default(),
            ready: Notify::new(),
            urgent: Notify::new(),
            given_up: Notify::new(),
            most_frames,
            most_bytes,
        }
    }

    /// Sends this behind what waits. Past the limit, what waits is forgotten and the socket closed.
    pub(super) fn push(&self, frame: ByteString) {
        let mut state = self.state();
        if state.ending.is_some() {
            return;
        }
        // A message of any size is let through where nothing else waits.
        let is_full = state.frames.len() >= self.most_frames
            || (!state.frames.is_empty() && state.bytes + frame.len() > self.most_bytes);
        if is_full {
            state.ending = Some(Ending::Slow);
            state.frames = VecDeque::new();
            state.bytes = 0;
            drop(state);
            self.urgent.notify_one();
            self.given_up.notify_one();
        } else {
            state.bytes += frame.len();
            state.frames.push_back(frame);
            drop(state);
        }
        self.ready.notify_one();
    }

    /// Nothing is sent behind what waits now; the first reason counts.
    pub(super) fn end(&self, ending: Ending) {
        self.state().ending.get_or_insert(ending);
        self.ready.notify_one();
        self.urgent.notify_one();
    }

    /// The caller may not go on as who they were.
    pub(super) fn revoke(&self, error: Error) {
        self.state().revoked = Some(error);
        self.urgent.notify_one();
    }

    /// What the writing side does next.
    pub(super) async fn next(&self) -> Next {
        loop {
            {
                let mut state = self.state();
                if let Some(frame) = state.frames.pop_front() {
                    state.bytes -= frame.len();
                    return Next::Frame(frame);
                }
                if let Some(ending) = state.ending {
                    return Next::End(ending);
                }
            }
            self.ready.notified().await;
        }
    }

    /// Returns when the caller may not go on as who they were, or when a slow client is given up.
    pub(super) async fn interrupted(&self) -> Result<Ending, Error> {
        loop {
            {
                let mut state = self.state();
                if let Some(error) = state.revoked.take() {
                    return Err(error);
                }
                if let Some(ending) = state.ending {
                    return Ok(ending);
                }
            }
            self.urgent.notified().await;
        }
    }

    /// Returns when the client is given up: what is being written to it is not waited for.
    pub(super) async fn given_up(&self) {
        while !self.is_slow() {
            self.given_up.notified().await;
        }
    }

    fn is_slow(&self) -> bool {
        self.state().ending == Some(Ending::Slow)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(outbox: &Outbox) -> Result<String, Ending> {
        match outbox.next().await {
            Next::Frame(frame) => Ok(frame.to_string()),
            Next::End(ending) => Err(ending),
        }
    }

    #[tokio::test]
    async fn what_waits_is_sent_before_the_end() {
        let outbox = Outbox::new(3, 100);
        outbox.push("a".into());
        outbox.push("b".into());
        outbox.end(Ending::GoingAway);
        outbox.push("c".into());
        outbox.end(Ending::Broken);
        assert_eq!(next(&outbox).await, Ok("a".to_owned()));
        assert_eq!(next(&outbox).await, Ok("b".to_owned()));
        assert_eq!(next(&outbox).await, Err(Ending::GoingAway));
    }

    #[tokio::test]
    async fn past_a_limit_nothing_is_kept() {
        for (most_frames, most_bytes) in [(2, 100), (100, 5)] {
            let outbox = Outbox::new(most_frames, most_bytes);
            outbox.push("aa".into());
            outbox.push("bb".into());
            assert!(!outbox.is_slow());
            outbox.push("cc".into());
            assert!(outbox.is_slow());
            assert!(matches!(outbox.interrupted().await, Ok(Ending::Slow)));
            assert_eq!(next(&outbox).await, Err(Ending::Slow));
        }
    }

    #[tokio::test]
    async fn one_large_message_passes_alone() {
        let outbox = Outbox::new(10, 5);
        outbox.push("longer than that".into());
        assert!(!outbox.is_slow());
        assert_eq!(next(&outbox).await, Ok("longer than that".to_owned()));
    }

    #[tokio::test]
    async fn a_revocation_is_told_once() {
        let outbox = Outbox::new(10, 5);
        outbox.revoke(Error::TokenExpired);
        assert!(matches!(outbox.interrupted().await, Err(Error::TokenExpired)));
        outbox.end(Ending::Left);
        assert!(matches!(outbox.interrupted().await, Ok(Ending::Left)));
    }
}

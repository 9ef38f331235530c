//! How often somebody may guess: per account, whether there is such an account or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::token;
use crate::error::{Error, Result};

/// Most wrong guesses in [`MINUTE`].
const MOST_A_MINUTE: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// How long an account is locked after too many wrong guesses in a row.
const LOCKED: Duration = Duration::from_secs(15 * 60);
/// Most accounts that are remembered, and for how long after the last guess.
const MOST_ACCOUNTS: u64 = 100_000;
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Guesses at one account that are worked on at once.
const AT_ONCE: usize = 2;

/// Wrong guesses of this process, by account.
pub(super) struct Guesses {
    accounts: Cache<[u8; 32], Arc<Account>>,
}

struct Account {
    turns: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    lately: VecDeque<Instant>,
    in_a_row: u64,
    locked_until: Option<Instant>,
}

/// One guess. Others at the same account wait until it is judged.
pub(super) struct Guess {
    account: Arc<Account>,
    _turn: OwnedSemaphorePermit,
}

impl Guesses {
    pub(super) fn new() -> Self {
        let accounts = Cache::builder().max_capacity(MOST_ACCOUNTS).time_to_idle(REMEMBERED).build();
        Guesses { accounts }
    }

    /// Whoever proves by other means who they are may guess anew.
    pub(super) fn forget(&self, account: &str) {
        self.accounts.invalidate(&key(account));
    }

    /// Begins a guess at an account. Fails with `RequestsExceeded` after too many wrong ones; `most_in_a_row` is how many of those
    /// lock it for a while, `None` for any number.
    pub(super) async fn begin(
        &self,
        account: &str,
        most_in_a_row: Option<u64>,
        now: Timestamp,
    ) -> Result<Guess> {
        let account = self.accounts.get_with(key(account), || {
            let failures = Mutex::new(Failures::default());
            Arc::new(Account { turns: Arc::new(Semaphore::new(AT_ONCE)), failures })
        });
        let turn = account.turns.clone().acquire_owned().await.map_err(Error::internal)?;
        let wait = account.failures().wait(Instant::now(), most_in_a_row);
        match wait {
            None => Ok(Guess { account, _turn: turn }),
            Some(wait) => {
                let retry_after_s = wait.as_secs().saturating_add(1).min(u64::from(u32::MAX)) as u32;
                let reset = now.checked_add(SignedDuration::from_secs(i64::from(retry_after_s)));
                Err(Error::RequestsExceeded {
                    limit: MOST_A_MINUTE as u32,
                    retry_after_s,
                    reset: reset.unwrap_or(now),
                })
            }
        }
    }
}

fn key(account: &str) -> [u8; 32] {
    token::digest(&account.to_ascii_lowercase())
}

impl Account {
    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        // Nothing in here can be half changed.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess {
    /// It was wrong.
    pub(super) fn failed(self) {
        self.account.failures().failed(Instant::now());
    }

    /// It was right: what was wrong before is forgotten.
    pub(super) fn succeeded(self) {
        *self.account.failures() = Failures::default();
    }
}

impl Failures {
    /// How long the next guess has to wait; `None` when it need not.
    fn wait(&mut self, now: Instant, most_in_a_row: Option<u64>) -> Option<Duration> {
        if self.locked_until.is_some_and(|until| until <= now) {
            // One more guess may be right; if it is wrong, the account is locked again.
            self.locked_until = None;
        } else if most_in_a_row.is_some_and(|most| self.in_a_row >= most) && self.locked_until.is_none() {
            let last = self.lately.back().copied().unwrap_or(now);
            self.locked_until = Some(last + LOCKED);
        }
        self.lately.retain(|at| now.duration_since(*at) < MINUTE);
        let locked = self.locked_until.map(|until| until.duration_since(now));
        let full = self.lately.len() >= MOST_A_MINUTE;
        let lately = self.lately.front().filter(|_| full).map(|first| MINUTE - now.duration_since(*first));
        locked.max(lately)
    }

    fn failed(&mut self, now: Instant) {
        self.lately.push_back(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_guesses_a_minute() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(failures.wait(at(second), Some(25)), None, "{second}");
            failures.failed(at(second));
        }
        assert_eq!(failures.wait(at(10), Some(25)), Some(Duration::from_secs(50)));
        assert_eq!(failures.wait(at(60), Some(25)), None, "the first is a minute old");
        failures.failed(at(60));
        assert_eq!(failures.wait(at(60), Some(25)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn many_in_a_row_lock_the_account_for_a_while() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for guess in 0..25 {
            assert_eq!(failures.wait(at(guess * 100), Some(25)), None, "{guess}");
            failures.failed(at(guess * 100));
        }
        assert_eq!(failures.wait(at(2500), Some(25)), Some(Duration::from_secs(800)));
        assert_eq!(failures.wait(at(2600), None), Some(Duration::from_secs(700)), "it stays locked");
        assert_eq!(failures.wait(at(3300), Some(25)), None);
        failures.failed(at(3300));
        assert_eq!(failures.wait(at(3301), Some(25)), Some(Duration::from_secs(899)), "at once again");
    }

    #[tokio::test]
    async fn a_right_guess_forgets_the_wrong_ones() {
        let guesses = Guesses::new();
        let now = Timestamp::now();
        for _ in 0..9 {
            guesses.begin("a@example.com", Some(25), now).await.expect("admitted").failed();
        }
        guesses.begin("A@example.com", Some(25), now).await.expect("admitted").succeeded();
        for _ in 0..10 {
            guesses.begin("a@example.com", Some(25), now).await.expect("admitted").failed();
        }
        let refused = guesses.begin("a@EXAMPLE.com", Some(25), now).await;
        assert!(matches!(refused, Err(Error::RequestsExceeded { limit: 10, retry_after_s: 50..=61, .. })));
        guesses.begin("b@example.com", Some(25), now).await.expect("another account");
    }
}

//! How often somebody may guess: per account, whether there is such an account or not.
//!
//! A guess counts before it is judged, so that many of them at once, on whichever nodes, pass no more often than one after the
//! other would; one that turns out to be none is given back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::token::{self, Keys};
use crate::cache::{Quota, RateLimiter, Redis};
use crate::error::{Error, Result};

/// Ten wrong guesses, then one every half minute.
const LATELY: Quota = Quota { name: "guesses", most: 10, window: Duration::from_secs(300) };
/// One every quarter of an hour; how many may come before is the project's choice.
const IN_A_ROW: Quota = Quota { name: "guesses-in-a-row", most: 96, window: Duration::from_secs(24 * 3600) };
/// Ten letters to one address, then one every half minute.
const LETTERS: Quota = Quota { name: "letters", ..LATELY };
/// Guesses at one account that this node works on at once: those who know their password are not refused for the others of their
/// own that are not judged yet.
const AT_ONCE: usize = 2;
/// Most accounts whose turns are remembered, and for how long after the last.
const MOST_ACCOUNTS: u64 = 100_000;
const REMEMBERED: Duration = Duration::from_secs(600);

/// Wrong guesses by account, and letters by address. Nodes that share a Redis count together.
pub(super) struct Guesses {
    keys: Keys,
    lately: RateLimiter,
    in_a_row: RateLimiter,
    letters: RateLimiter,
    turns: Cache<String, Arc<Semaphore>>,
}

/// One guess, which counts as wrong unless something else is said of it.
pub(super) struct Guess<'a> {
    guesses: &'a Guesses,
    key: String,
    is_in_a_row: bool,
    _turn: OwnedSemaphorePermit,
}

impl Guesses {
    pub(super) fn new(keys: Keys, redis: Option<Redis>) -> Self {
        Guesses {
            keys,
            lately: RateLimiter::new(LATELY, redis.clone()),
            in_a_row: RateLimiter::new(IN_A_ROW, redis.clone()),
            letters: RateLimiter::new(LETTERS, redis),
            turns: Cache::builder().max_capacity(MOST_ACCOUNTS).time_to_idle(REMEMBERED).build(),
        }
    }

    /// Whoever proves by other means who they are may guess anew.
    pub(super) async fn forget(&self, account: &str) {
        self.forget_key(&self.key(account)).await;
    }

    /// Begins a guess at an account. Fails with `RequestsExceeded` after too many wrong ones; `most_in_a_row` is how many of those
    /// may follow each other, `None` for any number.
    pub(super) async fn begin(
        &self,
        account: &str,
        most_in_a_row: Option<u64>,
        now: Timestamp,
    ) -> Result<Guess<'_>> {
        let key = self.key(account);
        let turns = self.turns.get_with_by_ref(&key, || Arc::new(Semaphore::new(AT_ONCE)));
        let turn = turns.acquire_owned().await.map_err(Error::internal)?;
        if let Some(most) = most_in_a_row {
            self.in_a_row.take_at_most(&key, u32::try_from(most).unwrap_or(u32::MAX)).await.admit(now)?;
        }
        let is_in_a_row = most_in_a_row.is_some();
        if let Err(refused) = self.lately.take(&key).await.admit(now) {
            // Whoever is refused has not guessed.
            if is_in_a_row {
                self.in_a_row.give_back(&key).await;
            }
            return Err(refused);
        }
        Ok(Guess { guesses: self, key, is_in_a_row, _turn: turn })
    }

    /// Whether one more letter may go to this address.
    pub(super) async fn may_write_to(&self, address: &str) -> bool {
        self.letters.take(&self.key(address)).await.is_allowed
    }

    async fn forget_key(&self, key: &str) {
        self.lately.forget(key).await;
        self.in_a_row.forget(key).await;
    }

    /// Tells nobody who sees Redis whose account it is, and is another one in another project.
    fn key(&self, account: &str) -> String {
        token::base64(&self.keys.mark("guesses at an account", &[account.to_ascii_lowercase().as_bytes()]))
    }
}

impl Guess<'_> {
    /// It was wrong.
    pub(super) fn failed(self) {}

    /// It was right: what was wrong before is forgotten.
    pub(super) async fn succeeded(self) {
        self.guesses.forget_key(&self.key).await;
    }

    /// It was neither: it does not count.
    pub(super) async fn withdrawn(self) {
        self.guesses.lately.give_back(&self.key).await;
        if self.is_in_a_row {
            self.guesses.in_a_row.give_back(&self.key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn guesses() -> Guesses {
        Guesses::new(Keys::new(&Secret::new("a secret of some length".to_owned())), None)
    }

    async fn fail(guesses: &Guesses, account: &str, most_in_a_row: Option<u64>, times: usize) {
        for at in 0..times {
            let guess = guesses.begin(account, most_in_a_row, Timestamp::now()).await;
            guess.unwrap_or_else(|error| panic!("guess {at}: {error}")).failed();
        }
    }

    /// How many guesses may come, and how long the next one has to wait then.
    async fn refused(guesses: &Guesses, account: &str, most_in_a_row: Option<u64>) -> (u32, u32) {
        match guesses.begin(account, most_in_a_row, Timestamp::now()).await {
            Err(Error::RequestsExceeded { limit, retry_after_s, .. }) => (limit, retry_after_s),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("admitted"),
        }
    }

    #[tokio::test]
    async fn ten_wrong_guesses_then_one_every_half_minute() {
        let guesses = guesses();
        fail(&guesses, "a@example.com", Some(25), 10).await;
        let (limit, wait_s) = refused(&guesses, "A@EXAMPLE.com", Some(25)).await;
        assert!(limit == 10 && (25..=30).contains(&wait_s), "{limit}, {wait_s}");
        fail(&guesses, "b@example.com", Some(25), 1).await;
    }

    #[tokio::test]
    async fn many_in_a_row_then_one_every_quarter_of_an_hour() {
        let guesses = guesses();
        fail(&guesses, "a@example.com", Some(3), 3).await;
        let (limit, wait_s) = refused(&guesses, "a@example.com", Some(3)).await;
        assert!(limit == 3 && (895..=900).contains(&wait_s), "{limit}, {wait_s}");
        fail(&guesses, "a@example.com", None, 7).await;
        assert_eq!(refused(&guesses, "a@example.com", None).await.0, 10);
        guesses.forget("A@example.com").await;
        fail(&guesses, "a@example.com", Some(3), 3).await;
    }

    #[tokio::test]
    async fn whoever_is_refused_has_not_guessed() {
        let guesses = guesses();
        fail(&guesses, "a@example.com", Some(12), 10).await;
        for _ in 0..5 {
            assert_eq!(refused(&guesses, "a@example.com", Some(12)).await.0, 10);
        }
        guesses.lately.forget(&guesses.key("a@example.com")).await;
        fail(&guesses, "a@example.com", Some(12), 2).await;
        assert_eq!(refused(&guesses, "a@example.com", Some(12)).await.0, 12);
    }

    #[tokio::test]
    async fn a_right_guess_forgets_the_wrong_ones_and_none_counts_for_nothing() {
        let guesses = guesses();
        let now = Timestamp::now();
        fail(&guesses, "a@example.com", Some(10), 9).await;
        for _ in 0..3 {
            guesses.begin("a@example.com", Some(10), now).await.expect("admitted").withdrawn().await;
        }
        guesses.begin("A@example.com", Some(10), now).await.expect("admitted").succeeded().await;
        fail(&guesses, "a@example.com", Some(10), 10).await;
        refused(&guesses, "a@example.com", Some(10)).await;
    }

    #[tokio::test]
    async fn many_at_once_are_no_more_than_one_after_the_other() {
        let guesses = guesses();
        let tries = (0..40).map(|_| async {
            let guess = guesses.begin("a@example.com", Some(25), Timestamp::now()).await;
            tokio::task::yield_now().await;
            guess.map(Guess::failed).is_ok()
        });
        let admitted = futures::future::join_all(tries).await.into_iter().filter(|is_ok| *is_ok).count();
        assert_eq!(admitted, 10);
    }

    #[tokio::test]
    async fn nobody_is_written_to_all_the_time() {
        let guesses = guesses();
        for _ in 0..10 {
            assert!(guesses.may_write_to("a@example.com").await);
        }
        assert!(!guesses.may_write_to("A@example.com").await);
        assert!(guesses.may_write_to("b@example.com").await);
        fail(&guesses, "a@example.com", Some(25), 1).await;
    }
}

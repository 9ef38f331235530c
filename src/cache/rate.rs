//! How often somebody may ask: the generic cell rate algorithm.
//!
//! One number per key, the moment at which everything that was taken is given back. A quota can be taken at once, and comes back
//! evenly over its window; there is no edge between windows where twice as much would pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;

use super::Redis;
use crate::error::{Error, Result};

/// Most keys of one quota that are remembered on this node.
const MOST_KEYS: u64 = 100_000;

/// How much of something somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Tells quotas apart, in headers and in Redis.
    pub name: &'static str,
    /// Most requests.
    pub most: u32,
    /// In this time.
    pub window: Duration,
}

impl Quota {
    fn window_us(&self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Time after which one request is given back.
    fn step_us(&self) -> u64 {
        (self.window_us() / u64::from(self.most.max(1))).max(1)
    }

    /// What a key whose last debt ends so far in the future has left.
    fn verdict(&self, outcome: Outcome) -> Verdict {
        let left = self.window_us().saturating_sub(outcome.debt_us) / self.step_us();
        let remaining = if outcome.wait_us > 0 { 0 } else { u32::try_from(left).unwrap_or(u32::MAX) };
        Verdict {
            quota: *self,
            is_allowed: outcome.wait_us == 0,
            remaining: remaining.min(self.most),
            retry_after: Duration::from_micros(outcome.wait_us),
            reset: Duration::from_micros(outcome.debt_us),
        }
    }
}

/// Whether a request may pass, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// By what it was judged.
    pub quota: Quota,
    /// It may pass.
    pub is_allowed: bool,
    /// How many more may follow at once.
    pub remaining: u32,
    /// When the next one may pass; nothing when this one may.
    pub retry_after: Duration,
    /// When everything is given back.
    pub reset: Duration,
}

impl Verdict {
    /// Fails with `RequestsExceeded` when it may not pass.
    pub fn admit(&self, now: Timestamp) -> Result<()> {
        if self.is_allowed {
            return Ok(());
        }
        let retry_after_s = seconds_up(self.retry_after);
        let reset = now.checked_add(SignedDuration::from_secs(retry_after_s.into()));
        Err(Error::RequestsExceeded {
            limit: self.quota.most,
            retry_after_s,
            reset: reset.unwrap_or(Timestamp::MAX),
        })
    }
}

/// Whole seconds, never too few.
pub fn seconds_up(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// How a taking ended: the debt of the key in microseconds, and how long it has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) debt_us: u64,
    pub(super) wait_us: u64,
}

/// Counts against one quota, per key.
pub struct RateLimiter {
    quota: Quota,
    began: Instant,
    /// For each key the moment, in microseconds since `began`, at which its debt ends.
    debts: Cache<String, Arc<AtomicU64>>,
    redis: Option<Redis>,
}

impl RateLimiter {
    /// Counts in Redis where there is one and it answers, otherwise on this node.
    pub fn new(quota: Quota, redis: Option<Redis>) -> Self {
        // A key that was silent for a whole window owes nothing, like one that was never seen.
        let debts = Cache::builder().max_capacity(MOST_KEYS).time_to_idle(quota.window * 2).build();
        RateLimiter { quota, began: Instant::now(), debts, redis }
    }

    /// Takes one from the quota of this key.
    pub async fn take(&self, key: &str) -> Verdict {
        self.take_of(&self.quota, key).await
    }

    /// Takes one where so many may be taken at once, one at least; they come back as fast as those of the quota do.
    pub async fn take_at_most(&self, key: &str, most: u32) -> Verdict {
        let (step, most) = (Duration::from_micros(self.quota.step_us()), most.max(1));
        self.take_of(&Quota { most, window: step.saturating_mul(most), ..self.quota }, key).await
    }

    /// Gives back one that was taken: it is not to count.
    pub async fn give_back(&self, key: &str) {
        let step_us = self.quota.step_us();
        if let Some(debt) = self.debts.get(key) {
            let less = |ends: u64| Some(ends.saturating_sub(step_us));
            debt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
        }
        if let Some(redis) = &self.redis {
            redis.give_back(&self.shared_key(key), step_us).await;
        }
    }

    /// Gives back everything that was taken.
    pub async fn forget(&self, key: &str) {
        self.debts.invalidate(key);
        if let Some(redis) = &self.redis {
            redis.forget(&self.shared_key(key)).await;
        }
    }

    async fn take_of(&self, quota: &Quota, key: &str) -> Verdict {
        if let Some(redis) = &self.redis {
            let taken = redis.take(&self.shared_key(key), quota.step_us(), quota.window_us()).await;
            if let Some(outcome) = taken {
                // Should Redis be away next time, this node goes on from here.
                self.debt(key).store(self.now_us().saturating_add(outcome.debt_us), Ordering::Relaxed);
                return quota.verdict(outcome);
            }
        }
        self.take_here(quota, key, self.now_us())
    }

    fn shared_key(&self, key: &str) -> String {
        format!("tablature:rate:{}:{key}", self.quota.name)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn debt(&self, key: &str) -> Arc<AtomicU64> {
        match self.debts.get(key) {
            Some(debt) => debt,
            None => self.debts.get_with_by_ref(key, Arc::default),
        }
    }

    fn take_here(&self, quota: &Quota, key: &str, now_us: u64) -> Verdict {
        let (step_us, window_us) = (quota.step_us(), quota.window_us());
        let debt = self.debt(key);
        let add = |ends: u64| {
            let next = ends.max(now_us) + step_us;
            (next - now_us <= window_us).then_some(next)
        };
        let outcome = match debt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(before) => Outcome { debt_us: before.max(now_us) + step_us - now_us, wait_us: 0 },
            Err(ends) => {
                let debt_us = ends.saturating_sub(now_us);
                Outcome { debt_us, wait_us: (debt_us + step_us).saturating_sub(window_us).max(1) }
            }
        };
        quota.verdict(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(most: u32, window_ms: u64) -> RateLimiter {
        let quota = Quota { name: "test", most, window: Duration::from_millis(window_ms) };
        RateLimiter::new(quota, None)
    }

    #[test]
    fn a_quota_is_taken_at_once_and_comes_back_evenly() {
        let limiter = limiter(4, 1000);
        let check = |at_ms: u64, expected: Option<u32>| {
            let verdict = limiter.take_here(&limiter.quota, "a", at_ms * 1000);
            assert_eq!(verdict.is_allowed.then_some(verdict.remaining), expected, "at {at_ms}: {verdict:?}");
        };
        for left in [3, 2, 1, 0] {
            check(0, Some(left));
        }
        check(0, None);
        check(249, None);
        check(250, Some(0));
        check(251, None);
        check(1000, Some(2));
        check(9000, Some(3));
    }

    #[test]
    fn who_waits_as_long_as_told_may_pass() {
        let limiter = limiter(3, 900);
        for _ in 0..3 {
            assert!(limiter.take_here(&limiter.quota, "a", 0).is_allowed);
        }
        let refused = limiter.take_here(&limiter.quota, "a", 10_000);
        assert_eq!((refused.is_allowed, refused.retry_after), (false, Duration::from_millis(290)));
        assert_eq!(refused.reset, Duration::from_millis(890));
        assert!(limiter.take_here(&limiter.quota, "a", 10_000 + 290_000).is_allowed);
    }

    #[test]
    fn keys_do_not_share() {
        let limiter = limiter(1, 1000);
        assert!(limiter.take_here(&limiter.quota, "a", 0).is_allowed);
        assert!(!limiter.take_here(&limiter.quota, "a", 0).is_allowed);
        assert!(limiter.take_here(&limiter.quota, "b", 0).is_allowed);
    }

    #[test]
    fn no_more_than_the_quota_passes_together() {
        let limiter = limiter(50, 60_000);
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| limiter.take_here(&limiter.quota, "a", 7).is_allowed).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(passed, 50);
    }

    #[tokio::test]
    async fn what_is_given_back_may_be_taken_again() {
        let limiter = limiter(2, 3_600_000);
        let takes = async |key, expected: &[bool]| {
            for (at, expected) in expected.iter().enumerate() {
                assert_eq!(limiter.take(key).await.is_allowed, *expected, "{at} of {key}");
            }
        };
        takes("a", &[true, true, false]).await;
        limiter.give_back("a").await;
        takes("a", &[true, false]).await;
        limiter.forget("a").await;
        takes("a", &[true, true, false]).await;
        limiter.give_back("b").await;
        takes("b", &[true, true, false]).await;
    }

    #[tokio::test]
    async fn more_or_less_may_be_taken_at_once() {
        let limiter = limiter(2, 3_600_000);
        assert!(limiter.take_at_most("a", 1).await.is_allowed);
        let refused = limiter.take_at_most("a", 1).await;
        // Which comes back after half the window, like each of two.
        assert!(!refused.is_allowed && refused.retry_after > Duration::from_secs(1790), "{refused:?}");
        assert!(limiter.take("a").await.is_allowed, "two may be taken otherwise");
        assert!(limiter.take_at_most("a", 3).await.is_allowed);
        assert!(!limiter.take_at_most("a", 3).await.is_allowed);
    }

    #[tokio::test]
    async fn without_redis_a_node_counts_by_itself() {
        let quota = Quota { name: "test", most: 2, window: Duration::from_secs(60) };
        // Nobody listens on the first port.
        let redis = Redis::new("redis://127.0.0.1:1/0").expect("an address");
        let limiter = RateLimiter::new(quota, Some(redis));
        let began = Instant::now();
        let verdicts = [limiter.take("a").await, limiter.take("a").await, limiter.take("a").await];
        assert_eq!(verdicts.map(|verdict| verdict.is_allowed), [true, true, false]);
        assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for what is away");
    }
}

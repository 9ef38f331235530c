//! Who was seen lately, so that a request seldom has to ask the database who sends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;

use super::store::{Rights, User};
use crate::access::{AccessRules, Accountability};
use crate::error::{Error, Result};

/// How long what was found is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// From then on one request asks again while the others go on.
const DOUBTED: Duration = Duration::from_millis(700);
/// Most tokens that are remembered.
const MOST_CALLERS: u64 = 10_000;
/// How far clocks of nodes may be apart.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// Longest text of a header that goes into activity records.
const MOST_CHARACTERS: usize = 255;

/// From where a request comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// Address.
    pub address: Option<IpAddr>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
}

/// Somebody with a valid token.
pub(super) struct Caller {
    expires: Option<Timestamp>,
    rules: Arc<AccessRules>,
    /// As of the last request; a client that sends several has it made once.
    last: ArcSwap<Accountability>,
    checked: Instant,
    is_checked_again: AtomicBool,
}

impl Caller {
    pub(super) fn new(user: User, rights: Rights, expires: Option<Timestamp>) -> Self {
        let rules = if rights.admin { AccessRules::Everything } else { AccessRules::Nothing };
        let accountability = Accountability {
            user: Some(user.id),
            role: user.role,
            roles: rights.roles,
            policies: rights.policies,
            admin: rights.admin,
            ..Accountability::default()
        };
        Caller {
            expires,
            rules: Arc::new(rules),
            last: ArcSwap::from_pointee(accountability),
            checked: Instant::now(),
            is_checked_again: AtomicBool::new(false),
        }
    }

    /// The accountability of one request. Fails with `TokenExpired` when the token's time is over.
    pub(super) fn speak(
        &self,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Accountability>, Arc<AccessRules>)> {
        if self.expires.is_some_and(|expires| now > expires + CLOCK_TOLERANCE) {
            return Err(Error::TokenExpired);
        }
        let last = self.last.load_full();
        let user_agent = client.user_agent.map(cut);
        let origin = client.origin.map(cut);
        if last.ip == client.address
            && last.user_agent.as_deref() == user_agent
            && last.origin.as_deref() == origin
        {
            return Ok((last, self.rules.clone()));
        }
        let accountability = Arc::new(Accountability {
            ip: client.address,
            user_agent: user_agent.map(str::to_owned),
            origin: origin.map(str::to_owned),
            ..Accountability::clone(&last)
        });
        self.last.store(accountability.clone());
        Ok((accountability, self.rules.clone()))
    }

    /// Whether whoever asks may rely on this. Shortly before the end it is `false` for one of them.
    fn is_believed(&self) -> bool {
        let age = self.checked.elapsed();
        age < DOUBTED || (age < BELIEVED && self.is_checked_again.swap(true, Ordering::Relaxed))
    }
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Callers by the digest of their token.
pub(super) struct Callers {
    seen: Cache<[u8; 32], Arc<Caller>>,
    generation: AtomicU64,
}

impl Callers {
    pub(super) fn new() -> Self {
        Callers { seen: Cache::new(MOST_CALLERS), generation: AtomicU64::new(0) }
    }

    pub(super) fn find(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        self.seen.get(digest).filter(|caller| caller.is_believed())
    }

    /// Counts how often all were forgotten; taken before the database is asked.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Remembers what was found, unless it may be older than what made all be forgotten.
    pub(super) fn keep(&self, digest: [u8; 32], caller: Arc<Caller>, generation: u64) {
        self.seen.insert(digest, caller);
        if generation != self.generation() {
            self.seen.invalidate(&digest);
        }
    }

    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.seen.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(expires: Option<Timestamp>) -> Caller {
        let user = User { id: "u".to_owned(), ..User::default() };
        Caller::new(user, Rights { admin: true, ..Rights::default() }, expires)
    }

    #[test]
    fn one_accountability_for_equal_requests() {
        let caller = caller(None);
        let now = Timestamp::now();
        let client = Client { user_agent: Some("curl"), ..Client::default() };
        let (first, rules) = caller.speak(client, now).expect("believed");
        let (second, _) = caller.speak(client, now).expect("believed");
        assert!(Arc::ptr_eq(&first, &second) && *rules == AccessRules::Everything);
        let (third, _) = caller.speak(Client::default(), now).expect("believed");
        assert_eq!((third.user_agent.as_deref(), third.user.as_deref()), (None, Some("u")));
    }

    #[test]
    fn time_ends_tokens_with_some_tolerance() {
        let now = Timestamp::now();
        let at =
            |seconds| caller(Some(now)).speak(Client::default(), now + SignedDuration::from_secs(seconds));
        assert!(at(59).is_ok());
        assert!(matches!(at(61), Err(Error::TokenExpired)));
    }

    #[test]
    fn what_was_looked_up_before_a_change_is_not_kept() {
        let callers = Callers::new();
        let generation = callers.generation();
        callers.forget_all();
        callers.keep([0; 32], Arc::new(caller(None)), generation);
        assert!(callers.find(&[0; 32]).is_none());
        callers.keep([0; 32], Arc::new(caller(None)), callers.generation());
        assert!(callers.find(&[0; 32]).is_some());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(300)).chars().count(), 255);
        assert_eq!(cut("short"), "short");
    }
}

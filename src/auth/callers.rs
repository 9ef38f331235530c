//! Who was seen lately, so that a request seldom has to ask the database who sends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;

use super::store::User;
use crate::access::{AccessRules, Accountability, Directory, Share, Who};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// How long a node believes what it read of users, roles, policies and sessions without asking again.
pub const BELIEVED: Duration = Duration::from_secs(1);
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
    /// The tenant chosen, `X-Tenant`.
    pub tenant: Option<&'a str>,
}

/// Somebody with a valid token, or a visitor.
pub(super) struct Caller {
    user: Option<String>,
    role: Option<String>,
    share: Option<Share>,
    session: Option<String>,
    expires: Option<Timestamp>,
    has_second_factor: bool,
    /// As of the last request; a client that sends several has it made once.
    last: ArcSwapOption<Spoken>,
    checked: Instant,
    is_checked_again: AtomicBool,
}

/// What a caller was in one request, and what that was found by.
struct Spoken {
    accountability: Arc<Accountability>,
    rules: Arc<AccessRules>,
    directory: Arc<Directory>,
    schema: u64,
}

impl Caller {
    pub(super) fn new(user: User, expires: Option<Timestamp>) -> Self {
        let has_second_factor = user.second_factor.is_some();
        Caller { user: Some(user.id), role: user.role, expires, has_second_factor, ..Caller::visitor() }
    }

    /// The same, with the session that the token was issued in.
    pub(super) fn in_session(self, session: Option<String>) -> Self {
        Caller { session, ..self }
    }

    /// Somebody who opened a share.
    pub(super) fn of_share(share: Share, expires: Timestamp) -> Self {
        Caller { share: Some(share), expires: Some(expires), ..Caller::visitor() }
    }

    /// Somebody without a token.
    pub(super) fn visitor() -> Self {
        Caller {
            user: None,
            role: None,
            share: None,
            session: None,
            expires: None,
            has_second_factor: false,
            last: ArcSwapOption::empty(),
            checked: Instant::now(),
            is_checked_again: AtomicBool::new(false),
        }
    }

    /// The accountability of one request and what it allows. Fails with `TokenExpired` when the token's time is over.
    pub(super) fn speak(
        &self,
        directory: &Arc<Directory>,
        schema: &Arc<Schema>,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Accountability>, Arc<AccessRules>)> {
        if self.expires.is_some_and(|expires| now > expires + CLOCK_TOLERANCE) {
            return Err(Error::TokenExpired);
        }
        let user_agent = client.user_agent.map(cut);
        let origin = client.origin.map(cut);
        let is_same = |last: &&Arc<Spoken>| {
            Arc::ptr_eq(&last.directory, directory)
                && last.schema == schema.version
                && last.accountability.ip == client.address
                && last.accountability.user_agent.as_deref() == user_agent
                && last.accountability.origin.as_deref() == origin
                && last.accountability.tenant.as_deref() == client.tenant
        };
        if let Some(last) = self.last.load().as_ref().filter(is_same) {
            return Ok((last.accountability.clone(), last.rules.clone()));
        }
        let (who, rules) = match &self.share {
            Some(share) => directory.shared(schema, share, client.address),
            None => {
                let mut who = directory.who(self.user.as_deref(), self.role.as_deref(), client.address);
                who.tenant = client.tenant.map(str::to_owned);
                if who.enforce_tfa && !self.has_second_factor {
                    // Nothing but to get one.
                    who = Who { user: who.user, role: who.role, tenant: who.tenant, ..Who::default() };
                }
                let rules = directory.rules(schema, &who);
                (who, rules)
            }
        };
        let accountability = Arc::new(Accountability {
            user: who.user,
            role: who.role,
            roles: who.roles,
            policies: who.policies,
            admin: who.admin,
            app: who.app,
            tenant: who.tenant,
            ip: client.address,
            user_agent: user_agent.map(str::to_owned),
            origin: origin.map(str::to_owned),
            own: None,
            session: self.session.clone(),
        });
        let spoken = Spoken {
            accountability: accountability.clone(),
            rules: rules.clone(),
            directory: directory.clone(),
            schema: schema.version,
        };
        self.last.store(Some(Arc::new(spoken)));
        Ok((accountability, rules))
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
    use crate::access::{Grant, PolicyRow};

    fn caller(expires: Option<Timestamp>) -> Caller {
        Caller::new(User { id: "u".to_owned(), ..User::default() }, expires)
    }

    /// One policy, given to the user `u`, that makes an administrator.
    fn directory() -> Arc<Directory> {
        let policy = PolicyRow {
            id: "p".to_owned(),
            name: "Administrator".to_owned(),
            admin: true,
            app: true,
            enforce_tfa: false,
            ip_access: String::new(),
        };
        let grant = Grant { role: None, user: Some("u".to_owned()), policy: "p".to_owned(), sort: 0 };
        Arc::new(Directory::new(Vec::new(), vec![policy], vec![grant], &[]))
    }

    #[test]
    fn one_accountability_for_equal_requests() {
        let caller = caller(None);
        let now = Timestamp::now();
        let client = Client { user_agent: Some("curl"), ..Client::default() };
        let (directory, schema) = (directory(), Arc::new(Schema::default()));
        let speak = |client| caller.speak(&directory, &schema, client, now).expect("believed");
        let ((first, rules), (second, _)) = (speak(client), speak(client));
        assert!(Arc::ptr_eq(&first, &second) && rules.is_everything());
        let (third, _) = speak(Client::default());
        assert_eq!((third.user_agent.as_deref(), third.user.as_deref()), (None, Some("u")));
    }

    #[test]
    fn time_ends_tokens_with_some_tolerance() {
        let now = Timestamp::now();
        let (directory, schema) = (directory(), Arc::new(Schema::default()));
        let at = |seconds| {
            let later = now + SignedDuration::from_secs(seconds);
            caller(Some(now)).speak(&directory, &schema, Client::default(), later)
        };
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

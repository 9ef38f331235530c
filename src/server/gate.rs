//! How often somebody may ask, and how an answer says so.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::cache::{Quota, RateLimiter, Redis, Verdict, seconds_up};
use crate::config::{Rate, RateLimitsConfig};
use crate::error::Result;

/// What the limits say of a request as it stands, the tightest of them (draft-ietf-httpapi-ratelimit-headers).
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What that limit is.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a route is, for the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteClass {
    /// Tells whether the server lives; never counted.
    Free,
    /// Signs in, or may be used to guess, or sends mail.
    SignIn,
    /// Makes users out of visitors.
    Registration,
    /// All others.
    Other,
}

/// The limits of this server.
#[derive(Default)]
pub struct Gate {
    per_address: Option<RateLimiter>,
    per_user: Option<RateLimiter>,
    global: Option<RateLimiter>,
    sign_in: Option<RateLimiter>,
    registration: Option<RateLimiter>,
}

impl Gate {
    /// Limits as configured, counted in Redis where nodes share them.
    pub fn new(config: &RateLimitsConfig, redis: Option<Redis>) -> Self {
        let redis = redis.filter(|_| config.is_shared);
        let limiter = |name: &'static str, rate: Option<Rate>| {
            let quota = |rate: Rate| Quota { name, most: rate.points, window: rate.duration };
            rate.map(|rate| RateLimiter::new(quota(rate), redis.clone()))
        };
        Gate {
            per_address: limiter("address", config.requests),
            per_user: limiter("user", config.requests),
            global: limiter("global", config.global),
            sign_in: limiter("sign-in", config.sign_in),
            registration: limiter("registration", config.registration),
        }
    }

    /// Counts a request before anything is done for it. Fails with `RequestsExceeded`.
    pub(super) async fn admit(
        &self,
        class: RouteClass,
        address: Option<IpAddr>,
        now: Timestamp,
        tally: &Tally,
    ) -> Result<()> {
        if class == RouteClass::Free {
            return Ok(());
        }
        if let Some(limiter) = &self.per_address {
            tally.note(limiter.take(&address_key(address)).await, now)?;
        }
        self.admit_within(class, address, now, tally).await?;
        // Last, so that what is refused to one does not use up what is there for all.
        if let Some(global) = &self.global {
            tally.note(global.take("all").await, now)?;
        }
        Ok(())
    }

    /// Counts what is asked for inside a request against the limits of its class; those of all requests have counted the whole.
    /// Fails with `RequestsExceeded`.
    pub(super) async fn admit_within(
        &self,
        class: RouteClass,
        address: Option<IpAddr>,
        now: Timestamp,
        tally: &Tally,
    ) -> Result<()> {
        let limiters = match class {
            RouteClass::Free | RouteClass::Other => return Ok(()),
            RouteClass::SignIn => [self.sign_in.as_ref(), None],
            RouteClass::Registration => [self.sign_in.as_ref(), self.registration.as_ref()],
        };
        let mut key = None;
        for limiter in limiters.into_iter().flatten() {
            let key = key.get_or_insert_with(|| address_key(address));
            tally.note(limiter.take(key).await, now)?;
        }
        Ok(())
    }

    /// Counts a request of this user, whatever address it comes from. Fails with `RequestsExceeded`.
    pub(super) async fn admit_user(&self, user: &str, now: Timestamp, tally: &Tally) -> Result<()> {
        match &self.per_user {
            Some(limiter) => tally.note(limiter.take(user).await, now),
            None => Ok(()),
        }
    }
}

/// The tightest verdict on one request.
#[derive(Default)]
pub(super) struct Tally(Cell<Option<Verdict>>);

impl Tally {
    fn note(&self, verdict: Verdict, now: Timestamp) -> Result<()> {
        let is_tighter = self.0.get().is_none_or(|other| verdict.remaining <= other.remaining);
        if is_tighter {
            self.0.set(Some(verdict));
        }
        verdict.admit(now)
    }

    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let Some(Verdict { quota, remaining, reset, .. }) = self.0.get() else { return };
        let (name, most, window) = (quota.name, quota.most, seconds_up(quota.window));
        let policy = HeaderValue::try_from(format!("\"{name}\";q={most};w={window}"));
        let limit = HeaderValue::try_from(format!("\"{name}\";r={remaining};t={}", seconds_up(reset)));
        if let (Ok(policy), Ok(limit)) = (policy, limit) {
            headers.insert(POLICY, policy);
            headers.insert(LIMIT, limit);
        }
    }
}

/// One customer has a whole /64 of IPv6 addresses, so these count as one.
fn address_key(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(IpAddr::V6(v6)) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).to_string(),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let check = |address: &str, expected| {
            assert_eq!(address_key(Some(address.parse().expect("an address"))), expected, "{address}");
        };
        check("203.0.113.9", "203.0.113.9");
        check("::ffff:203.0.113.9", "203.0.113.9");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        assert_eq!(address_key(None), "unknown");
    }

    #[tokio::test]
    async fn limits_apply_by_the_kind_of_route() {
        let minute = |points| Some(Rate { points, duration: Duration::from_secs(60) });
        let config = RateLimitsConfig {
            requests: minute(4),
            global: None,
            sign_in: minute(2),
            registration: minute(1),
            is_shared: false,
        };
        let gate = Gate::new(&config, None);
        let now = Timestamp::now();
        let check = async |address: &str, class, expected: Option<u32>| {
            let tally = Tally::default();
            let result = gate.admit(class, Some(address.parse().expect("an address")), now, &tally).await;
            let refused = match &result {
                Ok(()) => None,
                Err(Error::RequestsExceeded { limit, .. }) => Some(*limit),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(refused, expected, "{address} {class:?}");
        };
        check("1.1.1.1", RouteClass::SignIn, None).await;
        check("1.1.1.1", RouteClass::Registration, None).await;
        check("1.1.1.1", RouteClass::SignIn, Some(2)).await;
        check("2.2.2.2", RouteClass::Registration, None).await;
        check("2.2.2.2", RouteClass::Registration, Some(1)).await;
        check("1.1.1.1", RouteClass::Other, None).await;
        check("1.1.1.1", RouteClass::Other, Some(4)).await;
        check("1.1.1.1", RouteClass::Free, None).await;
        let tally = Tally::default();
        for _ in 0..4 {
            gate.admit_user("u", now, &tally).await.expect("within the limit");
        }
        let refused = gate.admit_user("u", now, &tally).await;
        assert!(
            matches!(refused, Err(Error::RequestsExceeded { limit: 4, retry_after_s: 15, .. })),
            "{refused:?}"
        );
    }
}

//! What a browser carries while somebody signs in elsewhere: signed, so that only we can make it, for a while, for one provider.
//!
//! State, nonce and verifier are not in it. They come of our key and of a number in it that nobody can guess, so that whoever reads
//! the cookie, or the addresses on the way, has none of the others.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::auth::token;
use crate::config::Secret;
use crate::error::{Error, Result};

/// What it is for (RFC 8725, 3.11).
const TYPE: &str = "journey+jwt";

/// What somebody who sets out wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Where to be sent afterwards.
    pub redirect: Option<String>,
    /// Code of their second factor here.
    pub otp: Option<String>,
    /// What the provider shall ask for.
    #[serde(skip)]
    pub prompt: Option<String>,
}

/// Somebody who is signing in elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journey {
    /// What they want.
    pub wish: Wish,
    /// The address of ours that they come back to.
    pub(super) home: String,
    provider: String,
    seed: String,
    exp: i64,
}

/// Our key for journeys, which is none of the keys for tokens.
pub(super) struct Seal {
    key: Vec<u8>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Seal {
    pub(super) fn new(secret: &Secret<String>) -> Self {
        let key = mac(secret.expose().as_bytes(), "tablature sign-in elsewhere", "");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp"]);
        validation.leeway = 0;
        Seal {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            key,
            validation,
        }
    }

    pub(super) fn close(
        &self,
        provider: &str,
        wish: Wish,
        home: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<(String, Journey)> {
        let exp = now.as_second() + life.as_secs() as i64;
        let journey = Journey {
            wish,
            home: home.to_owned(),
            provider: provider.to_owned(),
            seed: token::random(),
            exp,
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        let cookie = jsonwebtoken::encode(&header, &journey, &self.encoding).map_err(Error::internal)?;
        Ok((cookie, journey))
    }

    pub(super) fn open(&self, provider: &str, cookie: &str) -> Option<Journey> {
        let opened = jsonwebtoken::decode::<Journey>(cookie, &self.decoding, &self.validation).ok()?;
        let is_ours = opened.header.typ.as_deref() == Some(TYPE) && opened.claims.provider == provider;
        is_ours.then_some(opened.claims)
    }

    pub(super) fn state(&self, journey: &Journey) -> String {
        self.derive("state", journey)
    }

    pub(super) fn nonce(&self, journey: &Journey) -> String {
        self.derive("nonce", journey)
    }

    /// The secret of PKCE: 43 characters (RFC 7636, 4.1).
    pub(super) fn verifier(&self, journey: &Journey) -> String {
        self.derive("verifier", journey)
    }

    fn derive(&self, purpose: &str, journey: &Journey) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.key, purpose, &journey.seed))
    }
}

fn mac(key: &[u8], purpose: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is taken");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "https://api.example/";

    fn seal(secret: &str) -> Seal {
        Seal::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn journeys_come_back_to_where_they_began() {
        let ours = seal("ours");
        let wish = Wish { redirect: Some("/a".to_owned()), ..Wish::default() };
        let now = Timestamp::now();
        let (cookie, journey) =
            ours.close("a", wish.clone(), HOME, now, Duration::from_secs(60)).expect("closed");
        let opened = ours.open("a", &cookie).expect("opened");
        assert_eq!((&opened.wish, opened.home.as_str()), (&wish, HOME));
        assert_eq!(ours.verifier(&opened), ours.verifier(&journey));
        assert!(ours.open("b", &cookie).is_none(), "another provider");
        assert!(seal("theirs").open("a", &cookie).is_none(), "another installation");
        let old = Timestamp::from_second(now.as_second() - 61).expect("a time");
        let (late, _) = ours.close("a", wish, HOME, old, Duration::from_secs(60)).expect("closed");
        assert!(ours.open("a", &late).is_none(), "too late");
        let access = Header::new(Algorithm::HS256);
        let other = jsonwebtoken::encode(&access, &journey, &ours.encoding).expect("signed");
        assert!(ours.open("a", &other).is_none(), "another purpose");
    }

    #[test]
    fn what_is_derived_differs_by_purpose_and_journey() {
        let seal = seal("ours");
        let close = || {
            seal.close("a", Wish::default(), HOME, Timestamp::now(), Duration::from_secs(60))
                .expect("closed")
                .1
        };
        let (first, second) = (close(), close());
        let all = [seal.state(&first), seal.nonce(&first), seal.verifier(&first), seal.state(&second)];
        assert_eq!(std::collections::HashSet::from(all.clone()).len(), 4);
        assert!(all.iter().all(|text| text.len() == 43));
    }
}

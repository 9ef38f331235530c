//! Tokens: made, signed, verified, and hashed for keeping.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::Secret;
use crate::error::{Error, Result};
use crate::items::hashing;

/// Who signs, as the public API names it: programs that verify tokens themselves look for it.
const ISSUER: &str = "directus";
/// What an access token is for (RFC 8725, 3.11): a token of another kind is none, whatever it claims.
const ACCESS_TYPE: &str = "at+jwt";
/// Member of the header that names the session, whose hash is not among the claims of the public API.
const SESSION: &str = "sid";

/// What an access token says, as in the public API.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    role: Option<String>,
    app_access: bool,
    admin_access: bool,
    /// Names the session, where the token stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    iat: i64,
    exp: i64,
    iss: String,
}

/// What a letter is good for; a token of one purpose is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new password.
    PasswordReset,
    /// Becoming a user who was invited.
    Invitation,
    /// Confirming an e-mail.
    Registration,
}

impl Purpose {
    fn typ(self) -> &'static str {
        match self {
            Purpose::PasswordReset => "password-reset+jwt",
            Purpose::Invitation => "invitation+jwt",
            Purpose::Registration => "registration+jwt",
        }
    }
}

/// What a letter holds.
#[derive(Debug, Serialize, Deserialize)]
struct LetterClaims {
    id: String,
    state: String,
    iat: i64,
    exp: i64,
    iss: String,
}

/// Whom a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user, by key.
    User(String),
    /// Whoever opened a share, by its key.
    Share(String),
}

/// What is signed.
#[derive(Debug, Clone)]
pub(super) struct NewToken<'a> {
    pub(super) owner: &'a Owner,
    pub(super) role: Option<String>,
    pub(super) app: bool,
    pub(super) admin: bool,
    /// Hash of the refresh token that it is issued with.
    pub(super) session: &'a str,
    /// The token stands for the session: it is kept in a cookie and renewed by itself.
    pub(super) is_session: bool,
    pub(super) life: Duration,
}

/// Whom a valid access token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessToken {
    pub(super) owner: Owner,
    /// Hash of the refresh token that it was issued with.
    pub(super) session: String,
    pub(super) is_session: bool,
    pub(super) expires: Timestamp,
}

/// The key of this installation.
#[derive(Clone)]
pub(super) struct Keys {
    mac: Hmac<Sha256>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Keys {
    pub(super) fn new(secret: &Secret<String>) -> Self {
        let secret = secret.expose().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        validation.leeway = 60;
        Keys {
            // A key of any length is taken.
            mac: Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())),
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A mark that nobody else can make, for one purpose and these parts. It is never taken for a signature of a token, which has
    /// no null character in what it signs.
    pub(super) fn mark(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(purpose.as_bytes());
        for part in parts {
            mac.update(&[0]);
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Signs what a letter holds: for one purpose, for a user in this state.
    pub(super) fn sign_letter(
        &self,
        purpose: Purpose,
        user: &str,
        state: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<String> {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(purpose.typ().to_owned());
        let claims = LetterClaims {
            id: user.to_owned(),
            state: state.to_owned(),
            iat: now.as_second(),
            exp: now.as_second() + life.as_secs() as i64,
            iss: ISSUER.to_owned(),
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(Error::internal)
    }

    /// The user and the state that a letter of this purpose was for. Fails with `InvalidToken` or `TokenExpired`.
    pub(super) fn verify_letter(&self, purpose: Purpose, token: &str) -> Result<(String, String)> {
        let valid = jsonwebtoken::decode::<LetterClaims>(token, &self.decoding, &self.validation)
            .map_err(|error| refusal(&error))?;
        if valid.header.typ.as_deref() != Some(purpose.typ()) {
            return Err(Error::InvalidToken);
        }
        Ok((valid.claims.id, valid.claims.state))
    }

    /// Signs an access token.
    pub(super) fn sign(&self, token: NewToken<'_>, now: Timestamp) -> Result<String> {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(ACCESS_TYPE.to_owned());
        header.extras.insert(SESSION, token.session);
        let (id, share) = match token.owner {
            Owner::User(user) => (Some(user.clone()), None),
            Owner::Share(share) => (None, Some(share.clone())),
        };
        let claims = Claims {
            id,
            share,
            role: token.role,
            app_access: token.app,
            admin_access: token.admin,
            session: token.is_session.then(|| token.session.to_owned()),
            iat: now.as_second(),
            exp: now.as_second() + token.life.as_secs() as i64,
            iss: ISSUER.to_owned(),
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(Error::internal)
    }

    /// Verifies an access token. `None` when it is none of ours by its looks, and so may be a static token.
    ///
    /// Fails with `TokenExpired` or, for whatever else is wrong with it, with `InvalidToken`.
    pub(super) fn verify(&self, token: &str) -> Result<Option<AccessToken>> {
        if !claims_to_be_ours(token) {
            return Ok(None);
        }
        let valid = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| refusal(&error))?;
        let Claims { id, share, session: claimed, exp, .. } = valid.claims;
        let session = valid.header.extras.get::<String>(SESSION).ok().flatten();
        let owner = match (id, share) {
            (Some(user), None) => Owner::User(user),
            (None, Some(share)) => Owner::Share(share),
            _ => return Err(Error::InvalidToken),
        };
        match (valid.header.typ.as_deref(), session) {
            (Some(ACCESS_TYPE), Some(session)) => {
                let expires = Timestamp::from_second(exp).map_err(|_| Error::InvalidToken)?;
                let is_session = claimed.is_some();
                Ok(Some(AccessToken { owner, session, is_session, expires }))
            }
            _ => Err(Error::InvalidToken),
        }
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> Error {
    match error.kind() {
        ErrorKind::ExpiredSignature => Error::TokenExpired,
        _ => Error::InvalidToken,
    }
}

/// Three parts, the middle one naming us as issuer.
fn claims_to_be_ours(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    token.bytes().filter(|byte| *byte == b'.').count() == 2
        && insecure_decode_claims::<Issuer>(token).is_ok_and(|claims| claims.iss == ISSUER)
}

/// A token nobody can guess: 244 random bits.
pub(super) fn random() -> String {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Bytes as text that stands in addresses as it is.
pub(super) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Digest of a token: the key of caches.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Digest of a token as text: what is kept of refresh tokens.
pub(super) fn hash(token: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(token) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether a text can be a static token at all.
pub(super) fn may_be_static(token: &str) -> bool {
    !token.is_empty() && token.len() <= 255 && !hashing::is_token_hash(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&Secret::new("0123456789abcdef0123456789abcdef".to_owned()))
    }

    fn sign_access(now: Timestamp) -> String {
        let owner = Owner::User("u".to_owned());
        let token = NewToken {
            owner: &owner,
            role: Some("r".to_owned()),
            app: true,
            admin: true,
            session: "s",
            is_session: false,
            life: Duration::from_secs(900),
        };
        keys().sign(token, now).expect("signed")
    }

    #[test]
    fn access_tokens_come_back() {
        let now = Timestamp::now();
        let token = keys().verify(&sign_access(now)).expect("valid").expect("ours");
        assert_eq!((token.owner, token.session.as_str()), (Owner::User("u".to_owned()), "s"));
        assert_eq!(token.expires.as_second(), now.as_second() + 900);
    }

    #[test]
    fn old_and_changed_tokens_are_refused() {
        let old = sign_access(Timestamp::from_second(1_000_000_000).expect("a time"));
        assert!(matches!(keys().verify(&old), Err(Error::TokenExpired)));

        let mut changed = sign_access(Timestamp::now());
        changed.truncate(changed.len() - 4);
        changed.push_str("AAAA");
        assert!(matches!(keys().verify(&changed), Err(Error::InvalidToken)));

        let other = Keys::new(&Secret::new("another key, thirty two characters".to_owned()));
        assert!(matches!(other.verify(&sign_access(Timestamp::now())), Err(Error::InvalidToken)));
    }

    #[test]
    fn other_purposes_and_algorithms_are_refused() {
        let claims = Claims {
            id: Some("u".to_owned()),
            share: None,
            session: None,
            role: None,
            app_access: true,
            admin_access: true,
            iat: 0,
            exp: Timestamp::now().as_second() + 900,
            iss: ISSUER.to_owned(),
        };
        for header in [Header::new(Algorithm::HS256), Header::new(Algorithm::HS512)] {
            let token = jsonwebtoken::encode(&header, &claims, &keys().encoding).expect("signed");
            assert!(matches!(keys().verify(&token), Err(Error::InvalidToken)), "{header:?}");
        }
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","sid":"s"}"#),
            URL_SAFE_NO_PAD.encode(serde_json::to_string(&claims).expect("JSON"))
        );
        assert!(matches!(keys().verify(&unsigned), Err(Error::InvalidToken)));
    }

    #[test]
    fn letters_are_good_for_one_purpose() {
        let now = Timestamp::now();
        let sign = |now| {
            keys()
                .sign_letter(Purpose::Invitation, "u", "state", now, Duration::from_secs(900))
                .expect("signed")
        };
        let token = sign(now);
        let found = keys().verify_letter(Purpose::Invitation, &token).expect("valid");
        assert_eq!(found, ("u".to_owned(), "state".to_owned()));
        for purpose in [Purpose::PasswordReset, Purpose::Registration] {
            assert!(matches!(keys().verify_letter(purpose, &token), Err(Error::InvalidToken)));
        }
        assert!(matches!(keys().verify(&token), Err(Error::InvalidToken)), "it is no access token");
        let access = sign_access(now);
        assert!(matches!(keys().verify_letter(Purpose::Invitation, &access), Err(Error::InvalidToken)));
        assert!(matches!(keys().verify_letter(Purpose::Invitation, "bad"), Err(Error::InvalidToken)));
        let old = sign(Timestamp::from_second(1_000_000_000).expect("a time"));
        assert!(matches!(keys().verify_letter(Purpose::Invitation, &old), Err(Error::TokenExpired)));
    }

    #[test]
    fn what_is_no_token_of_ours_may_be_a_static_one() {
        for token in ["", "abc", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30.aaaa"] {
            assert_eq!(keys().verify(token).expect("no error"), None, "{token}");
        }
        assert!(may_be_static("abc"));
        assert!(!may_be_static(&hashing::token_hash("abc")));
        assert_eq!(hash("abc").len(), 64);
    }

    #[test]
    fn random_tokens_differ() {
        assert_ne!(random(), random());
        assert!(random().len() >= 43);
    }
}

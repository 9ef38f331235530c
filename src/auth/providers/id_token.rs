//! Judging id tokens (OpenID Connect Core 1.0, 3.1.3.7; RFC 8725).

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

/// How far clocks may be apart.
const TOLERANCE_S: u64 = 60;

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// The header of a token. Only signatures by private keys are taken; addresses and keys in it mean nothing to us.
pub(super) fn header(token: &str) -> Result<Header, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    match header.alg {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Err("signed with a shared key".to_owned()),
        _ => Ok(header),
    }
}

/// The claims of a token that one of these keys signed for us.
pub(super) fn verify(
    token: &str,
    header: &Header,
    keys: &[Jwk],
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, String> {
    let fits = |key: &&Jwk| {
        let is_named = header.kid.is_none() || key.common.key_id == header.kid;
        let is_of_algorithm =
            key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{:?}", header.alg));
        // A shared key has no business among public ones.
        is_named && is_of_algorithm && !matches!(key.algorithm, AlgorithmParameters::OctetKey(_))
    };
    let mut fitting = keys.iter().filter(fits);
    let key = fitting.next().ok_or("signed with an unknown key")?;
    if header.kid.is_none() && fitting.next().is_some() {
        return Err("does not say with which key it is signed".to_owned());
    }
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.validate_nbf = true;
    validation.leeway = TOLERANCE_S;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|error| error.to_string())?
        .claims;

    let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err("made for another sign-in".to_owned());
    }
    let is_for_several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    match claims.get("azp").and_then(Value::as_str) {
        Some(party) if party != expected.client_id => return Err("given to somebody else".to_owned()),
        None if is_for_several => return Err("does not say to whom it was given".to_owned()),
        _ => {}
    }
    let issued = claims.get("iat").and_then(Value::as_f64).ok_or("does not say when it was made")?;
    if issued > expected.now.as_second() as f64 + TOLERANCE_S as f64 {
        return Err("made in the future".to_owned());
    }
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if !subject.is_empty() => Ok(claims),
        _ => Err("is about nobody".to_owned()),
    }
}

//! Giving oneself a second factor, and giving it up.

use std::sync::Arc;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::second_factor::{self, SecondFactor};
use super::sessions::{end_sessions, note};
use super::store::{Table, USER_COLUMNS, User, text};
use super::{Authenticator, Client};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::Schema;

/// A secret for a device that makes codes.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// In base32.
    pub secret: String,
    /// The same as an address that devices read from a picture.
    pub url: String,
}

/// Who changes a second factor, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Key of the user.
    pub user: &'a str,
    /// Their access token: its session goes on, others end.
    pub token: Option<&'a str>,
    /// From where they ask.
    pub client: Client<'a>,
}

impl Authenticator {
    /// A secret for a user who proves the password. It is good for this user as long as the password stays.
    ///
    /// Fails with `InvalidCredentials` for a wrong password, with `InvalidPayload` when there is a second factor already.
    pub async fn new_second_factor(
        &self,
        schema: &Arc<Schema>,
        user: &str,
        password: String,
        now: Timestamp,
    ) -> Result<NewSecret> {
        let user = self.store.user_by_id(schema, user).await?.ok_or(Error::InvalidCredentials)?;
        self.prove_password(schema, &user, password, now).await?;
        if user.second_factor.is_some() {
            return Err(Error::payload("there is a second factor already."));
        }
        let mut secret = [0; 20];
        secret[..SEED_BYTES].copy_from_slice(&Uuid::new_v4().as_bytes()[..SEED_BYTES]);
        // Two of its bits are fixed where the version stands; another draw covers them.
        for (byte, other) in secret[..SEED_BYTES].iter_mut().zip(Uuid::new_v4().as_bytes().iter().rev()) {
            *byte ^= other;
        }
        let mark = self.enrolment_mark(&user, &secret[..SEED_BYTES]);
        secret[SEED_BYTES..].copy_from_slice(&mark);
        let secret = second_factor::base32(secret);
        let name = self.store.settings(schema, &["project_name"]).await?;
        let name = name.and_then(|row| row.text(0).map(|name| name.to_string()));
        let issuer = encode(name.as_deref().unwrap_or("Tablature"));
        let account = encode(user.account());
        let url = format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
        );
        Ok(NewSecret { secret, url })
    }

    /// Takes a secret into use when the code made with it is right, and gives the recovery codes. Other sessions end.
    ///
    /// Fails with `InvalidPayload` for a wrong code or a secret that was not made for this user and password, then, unless the user
    /// `may` change their second factor, with `Forbidden`.
    pub async fn enable_second_factor(
        &self,
        schema: &Arc<Schema>,
        holder: Holder<'_>,
        secret: &str,
        code: &str,
        may: bool,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let user = self.store.user_by_id(schema, holder.user).await?.ok_or(Error::InvalidCredentials)?;
        let guess = self.guess(schema, user.account(), now).await?;
        let is_ours = second_factor::from_base32(secret).is_some_and(|secret| {
            let (seed, mark) = secret.split_at(SEED_BYTES);
            bool::from(subtle::ConstantTimeEq::ct_eq(&self.enrolment_mark(&user, seed)[..], mark))
        });
        let (mut factor, codes) = SecondFactor::new(secret);
        if !is_ours || !factor.accept(code, now) {
            guess.failed();
            return Err(Error::payload("the code or the secret is wrong."));
        }
        guess.withdrawn().await;
        if !may {
            return Err(Error::Forbidden);
        }
        self.change_second_factor(schema, holder, now, move |kept| match kept {
            Some(_) => Err(Error::payload("there is a second factor already.")),
            None => Ok(Some(factor)),
        })
        .await?;
        Ok(codes)
    }

    /// Gives up the second factor of a user who proves a code. Other sessions end. Fails with `InvalidPayload`.
    pub async fn disable_second_factor(
        &self,
        schema: &Arc<Schema>,
        holder: Holder<'_>,
        code: &str,
        now: Timestamp,
    ) -> Result<()> {
        let user = self.store.user_by_id(schema, holder.user).await?.ok_or(Error::InvalidCredentials)?;
        let guess = self.guess(schema, user.account(), now).await?;
        let code = code.to_owned();
        let changed = self.change_second_factor(schema, holder, now, move |kept| match kept {
            Some(mut factor) => {
                if factor.accept(&code, now) {
                    Ok(None)
                } else {
                    Err(Error::payload("the code is wrong."))
                }
            }
            None => Err(Error::payload("there is no second factor.")),
        });
        let outcome = changed.await;
        match &outcome {
            Err(Error::InvalidPayload { .. }) => guess.failed(),
            _ => guess.withdrawn().await,
        }
        outcome
    }

    /// Takes away the second factor of somebody who lost it; all their sessions end. Who may do that is judged by the caller.
    pub async fn reset_second_factor(
        &self,
        schema: &Arc<Schema>,
        holder: Holder<'_>,
        now: Timestamp,
    ) -> Result<()> {
        self.change_second_factor(schema, holder, now, |_| Ok(None)).await
    }

    async fn change_second_factor(
        &self,
        schema: &Arc<Schema>,
        holder: Holder<'_>,
        now: Timestamp,
        change: impl FnOnce(Option<SecondFactor>) -> Result<Option<SecondFactor>> + Clone + Send + 'static,
    ) -> Result<()> {
        let session = holder.token.and_then(|token| self.session_of(token));
        let record = self.record(holder.client, "update", holder.user, now);
        let (schema, id) = (schema.clone(), holder.user.to_owned());
        let changed = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let users = Table::new(&schema, "directus_users")?;
                let rows = users.locked(tx, USER_COLUMNS, "id", &id).await?;
                let user = rows.first().map(User::from_row).ok_or(Error::Forbidden)?;
                let factor = change(user.second_factor.as_deref().map(SecondFactor::parse))?;
                let kept = factor.map_or(Scalar::Null, |factor| text(&factor.text()));
                users.update(tx, &id, vec![("tfa_secret", kept)]).await?;
                note(tx, &schema, record).await?;
                end_sessions(tx, &schema, &id, session.as_deref()).await
            })
        });
        changed.await?.into_inner();
        self.forget_everywhere().await;
        Ok(())
    }

    /// What makes a secret one that was made here, for this user, while the password was the one it is.
    fn enrolment_mark(&self, user: &User, seed: &[u8]) -> [u8; 20 - SEED_BYTES] {
        let password = user.password.as_deref().unwrap_or_default();
        let mark = self.keys.mark("second factor", &[user.id.as_bytes(), password.as_bytes(), seed]);
        let mut short = [0; 20 - SEED_BYTES];
        short.copy_from_slice(&mark[..20 - SEED_BYTES]);
        short
    }
}

/// Random bytes of a secret; the others say that it was made here.
const SEED_BYTES: usize = 12;

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

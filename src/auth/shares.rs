//! Shares: one item, opened to whoever has the link, and perhaps a password.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::sessions::{Mode, Tokens};
use super::store::{Table, User};
use super::token::Owner;
use super::{Authenticator, Client, password};
use crate::access::Share;
use crate::db::Row;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::Schema;

const SHARES: &str = "directus_shares";

/// Every refusal takes this long, longer than any of its branches, so that time tells nothing.
const FAILURE_TIME: Duration = Duration::from_millis(500);

/// One share.
#[derive(Debug, Clone, Default)]
struct ShareRow {
    id: String,
    collection: String,
    item: String,
    role: Option<String>,
    password: Option<String>,
    maker: Option<String>,
    starts: Option<Timestamp>,
    ends: Option<Timestamp>,
    times_used: i64,
    max_uses: Option<i64>,
}

const SHARE_COLUMNS: &[&str] = &[
    "id",
    "collection",
    "item",
    "role",
    "password",
    "user_created",
    "date_start",
    "date_end",
    "times_used",
    "max_uses",
];

impl ShareRow {
    fn from_row(row: &Row) -> Result<Self> {
        let text = |column| row.text(column).map(|text| text.to_string());
        let time = |column| row.text(column).map(|text| text.parse().map_err(Error::internal)).transpose();
        Ok(ShareRow {
            id: text(0).unwrap_or_default(),
            collection: text(1).unwrap_or_default(),
            item: text(2).unwrap_or_default(),
            role: text(3),
            password: text(4),
            maker: text(5),
            starts: time(6)?,
            ends: time(7)?,
            times_used: row.int(8).unwrap_or(0),
            max_uses: row.int(9),
        })
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.starts.is_none_or(|starts| starts <= now) && self.ends.is_none_or(|ends| now < ends)
    }

    fn is_used_up(&self) -> bool {
        self.max_uses.is_some_and(|most| self.times_used >= most)
    }
}

impl Authenticator {
    /// Opens a share, which counts as a use of it.
    ///
    /// Fails with `InvalidCredentials`, alike in words and time, when there is none, when it is not open now, used up or its maker
    /// is gone, and when the password is wrong; with `RequestsExceeded` after too many wrong passwords.
    pub async fn open_share(
        &self,
        schema: &Arc<Schema>,
        share: &str,
        given: Option<String>,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let end = Instant::now() + FAILURE_TIME;
        let guess = match &given {
            Some(_) => Some(self.guess(schema, &format!("share {share}"), now).await?),
            None => None,
        };
        let outcome = self.try_open(schema, share, given, mode, client, now).await;
        match (&outcome, guess) {
            (Ok(_), Some(guess)) => guess.succeeded().await,
            (Err(Error::InvalidCredentials), Some(guess)) => guess.failed(),
            (Err(_), Some(guess)) => guess.withdrawn().await,
            (_, None) => {}
        }
        if outcome.is_err() {
            tokio::time::sleep_until(end).await;
        }
        outcome
    }

    async fn try_open(
        &self,
        schema: &Arc<Schema>,
        share: &str,
        given: Option<String>,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let refused = || Error::InvalidCredentials;
        let id = Uuid::try_parse(share).map_err(|_| refused())?.to_string();
        let found = self.share(schema, &id).await?;
        let hash = found.as_ref().and_then(|share| share.password.clone());
        let has_password = hash.is_some();
        let is_right = password::verify(given.unwrap_or_default(), hash).await?;
        if found.is_none() || (has_password && !is_right) {
            return Err(refused());
        }
        self.opened_share(schema, &id, now).await?;

        let (schema_here, id_here) = (schema.clone(), id.clone());
        let counted = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let shares = Table::new(&schema_here, SHARES)?;
                let rows = shares.locked(tx, SHARE_COLUMNS, "id", &id_here).await?;
                let share = rows.first().map(ShareRow::from_row).transpose()?;
                let share = share.filter(|share| share.is_open(now) && !share.is_used_up());
                let share = share.ok_or(Error::InvalidCredentials)?;
                let times_used = Scalar::Int(share.times_used.saturating_add(1));
                shares.update(tx, &id_here, vec![("times_used", times_used)]).await
            })
        });
        counted.await?.into_inner();
        self.open_session(schema, Owner::Share(id), mode, client, now).await
    }

    /// The role of a share.
    pub(super) async fn role_of_share(&self, schema: &Schema, id: &str) -> Result<Option<String>> {
        Ok(self.share(schema, id).await?.and_then(|share| share.role))
    }

    async fn share(&self, schema: &Schema, id: &str) -> Result<Option<ShareRow>> {
        let rows = self.store.rows(schema, SHARES, SHARE_COLUMNS, "id", &[id]).await?;
        rows.first().map(ShareRow::from_row).transpose()
    }

    /// What an open share gives, and until when. Fails with `InvalidCredentials` when it is not open now, or nobody answers for it.
    pub(super) async fn opened_share(
        &self,
        schema: &Schema,
        id: &str,
        now: Timestamp,
    ) -> Result<(Share, Timestamp)> {
        let share = self.share(schema, id).await?.filter(|share| share.is_open(now));
        let share = share.ok_or(Error::InvalidCredentials)?;
        let maker = match &share.maker {
            Some(maker) => self.store.user_by_id(schema, maker).await?.filter(User::is_active),
            None => None,
        };
        // It gives what its maker could give, so without one it gives nothing.
        let maker = maker.ok_or(Error::InvalidCredentials)?;
        let ends = share.ends.unwrap_or(Timestamp::MAX);
        let ShareRow { id, collection, item, role, .. } = share;
        let share = Share {
            id,
            collection,
            item,
            role,
            maker: maker.id,
            maker_role: maker.role,
            maker_has_second_factor: maker.second_factor.is_some(),
        };
        Ok((share, ends))
    }
}

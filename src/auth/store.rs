//! The rows behind users, their rights and their sessions.

use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq;

use super::token::Owner;
use crate::db::{Database, Row, Transaction};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::items::hashing;
use crate::schema::{Collection, FieldId, Schema};
use crate::sql::write::{self, Insert, Match, Texts};

/// One user, as far as signing in needs it.
#[derive(Debug, Clone, Default)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
    pub(super) status: String,
    pub(super) role: Option<String>,
    pub(super) token: Option<String>,
    pub(super) provider: String,
    pub(super) second_factor: Option<String>,
    pub(super) language: Option<String>,
}

pub(super) const USER_COLUMNS: &[&str] =
    &["id", "email", "password", "status", "role", "token", "provider", "tfa_secret", "language"];

impl User {
    pub(super) fn from_row(row: &Row) -> Self {
        let text = |column| row.text(column).map(|text| text.to_string());
        User {
            id: text(0).unwrap_or_default(),
            email: text(1),
            password: text(2),
            status: text(3).unwrap_or_default(),
            role: text(4),
            token: text(5),
            provider: text(6).unwrap_or_default(),
            second_factor: text(7),
            language: text(8),
        }
    }

    /// What guesses at this user are counted under.
    pub(super) fn account(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.id)
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// One session, by the hash of its refresh token.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) token: String,
    pub(super) user: Option<String>,
    pub(super) expires: Timestamp,
    pub(super) next_token: Option<String>,
    pub(super) share: Option<String>,
}

pub(super) const SESSION_COLUMNS: &[&str] = &["token", "user", "expires", "next_token", "share"];

impl Session {
    /// Whom it belongs to; `None` when that is nobody.
    pub(super) fn owner(&self) -> Option<Owner> {
        match (&self.user, &self.share) {
            (Some(user), None) => Some(Owner::User(user.clone())),
            (None, Some(share)) => Some(Owner::Share(share.clone())),
            _ => None,
        }
    }

    pub(super) fn from_row(row: &Row) -> Result<Self> {
        let text = |column| row.text(column).map(|text| text.to_string());
        let expires = text(2).unwrap_or_default();
        Ok(Session {
            token: text(0).unwrap_or_default(),
            user: text(1),
            expires: expires.parse().map_err(Error::internal)?,
            next_token: text(3),
            share: text(4),
        })
    }
}

/// A session as its user sees it.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Names it until it is renewed.
    pub id: String,
    /// When it ends unless it is renewed.
    pub expires: Timestamp,
    /// Address that opened or renewed it.
    pub ip: Option<String>,
    /// Program that did.
    pub user_agent: Option<String>,
    /// Page that did.
    pub origin: Option<String>,
}

pub(super) struct Store {
    pub(super) db: Database,
}

impl Store {
    pub(super) fn new(db: Database) -> Self {
        Store { db }
    }

    pub(super) async fn user_by_id(&self, schema: &Schema, id: &str) -> Result<Option<User>> {
        let users = self.users(schema, "id", &[id]).await?;
        Ok(users.into_iter().next())
    }

    /// The user with this static token. Databases that were served by others may hold it as it is instead of its hash.
    pub(super) async fn user_by_token(&self, schema: &Schema, token: &str) -> Result<Option<User>> {
        let hash = hashing::token_hash(token);
        let users = self.users(schema, "token", &[&hash, token]).await?;
        // Collations may take different texts for equal; here they must be the same byte for byte.
        Ok(users.into_iter().find(|user| {
            let kept = user.token.as_deref().unwrap_or_default().as_bytes();
            bool::from(kept.ct_eq(hash.as_bytes()) | kept.ct_eq(token.as_bytes()))
        }))
    }

    /// The user with this e-mail, upper and lower case of `a` to `z` being the same, on every database alike.
    pub(super) async fn user_by_email(&self, schema: &Schema, email: &str) -> Result<Option<User>> {
        let is_theirs =
            |user: &User| user.email.as_deref().is_some_and(|kept| kept.eq_ignore_ascii_case(email));
        let as_written = self.users(schema, "email", &[email, &email.to_ascii_lowercase()]).await?;
        if let Some(user) = as_written.into_iter().find(is_theirs) {
            return Ok(Some(user));
        }
        let users = collection(schema, "directus_users")?;
        let columns = fields(users, USER_COLUMNS)?;
        let statement =
            write::lookup_ignoring_case(self.db.dialect(), users, &columns, field(users, "email")?, email);
        Ok(self.db.rows(&statement).await?.iter().map(User::from_row).find(is_theirs))
    }

    pub(super) async fn users(&self, schema: &Schema, by: &str, values: &[&str]) -> Result<Vec<User>> {
        let rows = self.rows(schema, "directus_users", USER_COLUMNS, by, values).await?;
        Ok(rows.iter().map(User::from_row).collect())
    }

    pub(super) async fn session(&self, schema: &Schema, token_hash: &str) -> Result<Option<Session>> {
        let rows = self.rows(schema, "directus_sessions", SESSION_COLUMNS, "token", &[token_hash]).await?;
        rows.first().map(Session::from_row).transpose()
    }

    /// The sessions of a user that were neither renewed nor are over, the latest to end first.
    pub(super) async fn open_sessions(
        &self,
        schema: &Schema,
        user: &str,
        now: Timestamp,
    ) -> Result<Vec<OpenSession>> {
        let columns = ["token", "user", "expires", "next_token", "share", "ip", "user_agent", "origin"];
        let rows = self.rows(schema, "directus_sessions", &columns, "user", &[user]).await?;
        let mut open = Vec::with_capacity(rows.len());
        for row in &rows {
            let session = Session::from_row(row)?;
            if session.next_token.is_none() && session.expires > now {
                let text = |column| row.text(column).map(|text| text.to_string());
                open.push(OpenSession {
                    id: session.token,
                    expires: session.expires,
                    ip: text(5),
                    user_agent: text(6),
                    origin: text(7),
                });
            }
        }
        open.sort_by_key(|session| std::cmp::Reverse(session.expires));
        Ok(open)
    }

    /// These settings of the project; `None` when it has none yet.
    pub(super) async fn settings(&self, schema: &Schema, columns: &[&str]) -> Result<Option<Row>> {
        Ok(self.all(schema, "directus_settings", columns).await?.into_iter().next())
    }

    /// These columns of every row.
    pub(super) async fn all(&self, schema: &Schema, name: &str, columns: &[&str]) -> Result<Vec<Row>> {
        let collection = collection(schema, name)?;
        let statement = write::lookup(self.db.dialect(), collection, &fields(collection, columns)?, &[]);
        self.db.rows(&statement).await
    }

    pub(super) async fn rows(
        &self,
        schema: &Schema,
        name: &str,
        columns: &[&str],
        by: &str,
        values: &[&str],
    ) -> Result<Vec<Row>> {
        let collection = collection(schema, name)?;
        let values: Vec<Scalar> = values.iter().map(|value| text(value)).collect();
        let matches = [Match { field: field(collection, by)?, values: &values }];
        let statement = write::lookup(self.db.dialect(), collection, &fields(collection, columns)?, &matches);
        self.db.rows(&statement).await
    }
}

/// A statement with the names of a system collection, for whoever has a transaction.
pub(super) struct Table<'a> {
    collection: &'a Collection,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: &'a Schema, name: &str) -> Result<Self> {
        Ok(Table { collection: collection(schema, name)? })
    }

    pub(super) async fn insert(&self, tx: &mut Transaction, row: Vec<(&str, Scalar)>) -> Result<()> {
        let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let columns = fields(self.collection, &names)?;
        let values = row.into_iter().map(|(_, value)| value).collect();
        match write::insert(tx.dialect(), self.collection, &columns, vec![values], None, &Texts::default()) {
            Insert::Statements(statements) => {
                for statement in &statements {
                    tx.execute(statement).await?;
                }
            }
            Insert::Each(statement, rows) => {
                tx.execute_each(&statement, &rows).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn update(
        &self,
        tx: &mut Transaction,
        key: &str,
        row: Vec<(&str, Scalar)>,
    ) -> Result<u64> {
        let values = row
            .into_iter()
            .map(|(name, value)| Ok((field(self.collection, name)?, value)))
            .collect::<Result<Vec<_>>>()?;
        let key_field = self.key()?;
        let statement = write::update(tx.dialect(), self.collection, values, key_field, &[text(key)], &[]);
        tx.execute(&statement).await
    }

    pub(super) async fn delete(&self, tx: &mut Transaction, by: &str, values: &[Scalar]) -> Result<u64> {
        let matches = [Match { field: field(self.collection, by)?, values }];
        tx.execute(&write::delete(tx.dialect(), self.collection, &matches, &[])).await
    }

    /// Reads rows, and keeps others from changing them until the end of the transaction.
    pub(super) async fn locked(
        &self,
        tx: &mut Transaction,
        columns: &[&str],
        by: &str,
        value: &str,
    ) -> Result<Vec<Row>> {
        let values = [text(value)];
        let matches = [Match { field: field(self.collection, by)?, values: &values }];
        let columns = fields(self.collection, columns)?;
        tx.rows(&write::select(tx.dialect(), self.collection, &columns, &matches)).await
    }

    fn key(&self) -> Result<FieldId> {
        self.collection.key().ok_or_else(|| missing(&self.collection.name, "key"))
    }
}

pub(super) fn text(value: &str) -> Scalar {
    Scalar::Text(value.into())
}

/// A moment in the form that timestamp columns take.
pub(super) fn moment(moment: Timestamp) -> Scalar {
    Scalar::Text(moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
}

/// A moment that lies this much later; never before, whatever the clock says.
pub(super) fn later(now: Timestamp, by: std::time::Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn collection<'a>(schema: &'a Schema, name: &str) -> Result<&'a Collection> {
    schema.get(name).ok_or_else(|| missing(name, "collection"))
}

fn field(collection: &Collection, name: &str) -> Result<FieldId> {
    collection.find(name).ok_or_else(|| missing(&collection.name, name))
}

fn fields(collection: &Collection, names: &[&str]) -> Result<Vec<FieldId>> {
    names.iter().map(|name| field(collection, name)).collect()
}

fn missing(collection: &str, what: &str) -> Error {
    Error::internal(anyhow::anyhow!("the model lacks {collection}: {what}"))
}

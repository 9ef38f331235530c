//! The first administrator, and those made from the shell.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::store::{Table, moment, text};
use super::token;
use crate::config::{AdminConfig, Secret};
use crate::db::{Database, Transaction};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::items::hashing;
use crate::schema::Schema;
use crate::sql::rows;

/// An administrator that was just made.
#[derive(Debug, Clone)]
pub struct NewAdministrator {
    /// E-mail to sign in with.
    pub email: String,
    /// The password, when it was generated: it is known nowhere else.
    pub generated_password: Option<Secret<String>>,
}

/// Makes an administrator when there is nobody who could sign in as a person. `None` when there is. Programs with accounts of
/// their own have neither e-mail nor provider, and files may have made those before.
pub async fn ensure_administrator(
    db: &Database,
    schema: &Arc<Schema>,
    config: &AdminConfig,
) -> Result<Option<NewAdministrator>> {
    for column in ["email", "external_identifier"] {
        let somebody = rows::select_any_with(db.dialect(), "directus_users", column);
        if !db.rows(&somebody).await?.is_empty() {
            return Ok(None);
        }
    }
    let token = config.token.as_ref();
    match create_administrator(db, schema, &config.email, config.password.as_ref(), token).await {
        Ok(new) => Ok(Some(new)),
        // Another node that starts at the same time was first.
        Err(Error::RecordNotUnique { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes an administrator: a user with the role Administrator, which is made if there is none that gives everything.
///
/// Fails with `RecordNotUnique` when the e-mail is taken.
pub async fn create_administrator(
    db: &Database,
    schema: &Arc<Schema>,
    email: &str,
    password: Option<&Secret<String>>,
    static_token: Option<&Secret<String>>,
) -> Result<NewAdministrator> {
    let generated_password = password.is_none().then(|| Secret::new(token::random()));
    let password = password.or(generated_password.as_ref()).map_or("", |password| password.expose().as_str());
    let hash = hashing::hash(password.into()).await?;
    let token = static_token.map_or(Scalar::Null, |token| text(&hashing::token_hash(token.expose())));
    let email_here = email.to_owned();
    let schema = schema.clone();
    let made = db.transaction(move |tx| {
        Box::pin(async move {
            let role = administrator_role(tx, &schema).await?;
            let user = vec![
                ("id", new_id()),
                ("first_name", text("Admin")),
                ("last_name", text("User")),
                ("email", text(&email_here)),
                ("password", Scalar::Text(hash)),
                ("status", text("active")),
                ("provider", text("default")),
                ("role", text(&role)),
                ("token", token),
                ("last_access", moment(Timestamp::now())),
            ];
            Table::new(&schema, "directus_users")?.insert(tx, user).await
        })
    });
    made.await?.into_inner();
    Ok(NewAdministrator { email: email.to_owned(), generated_password })
}

/// Gives a user a new static token, whose only copy is returned. Fails with `Forbidden` when there is no such user.
pub async fn renew_static_token(db: &Database, schema: &Arc<Schema>, email: &str) -> Result<Secret<String>> {
    let token = token::random();
    let hash = hashing::token_hash(&token);
    let store = super::Store::new(db.clone());
    let user = store.user_by_email(schema, email).await?.ok_or(Error::Forbidden)?;
    let schema = schema.clone();
    let renewed = db.transaction(move |tx| {
        Box::pin(async move {
            let users = Table::new(&schema, "directus_users")?;
            users.update(tx, &user.id, vec![("token", text(&hash))]).await
        })
    });
    renewed.await?.into_inner();
    Ok(Secret::new(token))
}

/// The role that the policy for everything is given to.
async fn administrator_role(tx: &mut Transaction, schema: &Schema) -> Result<String> {
    let roles = Table::new(schema, "directus_roles")?;
    let known = roles.locked(tx, &["id"], "name", "Administrator").await?;
    if let Some(id) = known.first().and_then(|row| row.text(0)) {
        return Ok(id.to_string());
    }
    let role = Uuid::now_v7().to_string();
    let policy = Uuid::now_v7().to_string();
    let administrators = vec![
        ("id", text(&role)),
        ("name", text("Administrator")),
        ("icon", text("verified")),
        ("description", text("May do everything")),
    ];
    roles.insert(tx, administrators).await?;
    let everything = vec![
        ("id", text(&policy)),
        ("name", text("Administrator")),
        ("icon", text("verified")),
        ("description", text("Allows everything")),
        ("admin_access", Scalar::Bool(true)),
        ("app_access", Scalar::Bool(true)),
        ("enforce_tfa", Scalar::Bool(false)),
    ];
    Table::new(schema, "directus_policies")?.insert(tx, everything).await?;
    let given = vec![("id", new_id()), ("role", text(&role)), ("policy", text(&policy))];
    Table::new(schema, "directus_access")?.insert(tx, given).await?;
    Ok(role)
}

fn new_id() -> Scalar {
    text(&Uuid::now_v7().to_string())
}

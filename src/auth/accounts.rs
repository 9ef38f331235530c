//! Becoming a user and choosing a password: by invitation, by registration, and when the old password is lost.
//!
//! Each begins with a letter. What it holds is signed for one purpose, for one user in the state they are in, so it works once: what
//! it is good for changes that state. Answers are alike, in words and time, whoever has an account.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::providers::check_target;
use super::store::User;
use super::token::Purpose;
use super::{Authenticator, Client, password};
use crate::access::{AccessRules, Accountability, Action, Context};
use crate::config::LinksConfig;
use crate::error::{Error, Result};
use crate::filter::{self, Limits, Missing};
use crate::items::{ItemPayload, ItemsService, Operation, Targets, is_address};
use crate::mail::{Language, Letter, Mailer, Occasion};
use crate::query::{Query, Selection};
use crate::schema::Schema;

const USERS: &str = "directus_users";
const SHARES: &str = "directus_shares";
/// Every answer to somebody unknown takes this long, longer than any of its branches.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// How large the filter of those who may register may be.
const FILTER_LIMITS: Limits = Limits { max_depth: 20, max_conditions: 2000 };
/// How long a lost password can be replaced.
const PASSWORD_RESET_TTL: Duration = Duration::from_secs(24 * 3600);
/// Most addresses in one invitation.
const MOST_INVITED: usize = 100;

/// Where letters lead.
#[derive(Debug, Clone)]
pub struct Links {
    public_url: Url,
    config: LinksConfig,
}

impl Links {
    /// Links to this server and to what is listed. Fails when `PUBLIC_URL` is no address.
    pub fn new(public_url: &str, config: &LinksConfig) -> Result<Self> {
        let public_url = Url::parse(public_url).map_err(Error::internal)?;
        Ok(Links { public_url, config: config.clone() })
    }

    /// The address to put a token into: what the request asks for, when it is listed, or the page of this server.
    fn base(&self, purpose: Purpose, asked_for: Option<&str>) -> Result<Url> {
        let (page, allowed) = match purpose {
            Purpose::PasswordReset => ("admin/reset-password", &self.config.password_reset),
            Purpose::Invitation => ("admin/accept-invite", &self.config.invitation),
            Purpose::Registration => ("users/register/verify-email", &self.config.registration),
        };
        match asked_for {
            Some(target) => {
                let refused = || Error::payload("the address for the letter is not listed.");
                check_target(target, &self.public_url, allowed).map_err(|_| refused())?;
                self.public_url.join(target).map_err(|_| refused())
            }
            None => Ok(self.page(page)),
        }
    }

    /// A page of this server.
    fn page(&self, page: &str) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(&format!("{}/{page}", self.public_url.path().trim_end_matches('/')));
        url
    }

    /// A page of this server below these parts of a path, whatever characters they hold.
    pub fn page_of(&self, parts: &[&str]) -> Url {
        let mut url = self.public_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    fn life(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::PasswordReset => PASSWORD_RESET_TTL,
            Purpose::Invitation => self.config.invitation_ttl,
            Purpose::Registration => self.config.registration_ttl,
        }
    }
}

/// Who asks for something about an account, when, and under which model.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The model.
    pub schema: &'a Arc<Schema>,
    /// From where.
    pub client: Client<'a>,
    /// When.
    pub now: Timestamp,
    /// Names the request.
    pub id: Uuid,
}

/// Somebody who registers.
#[derive(Clone)]
pub struct NewUser {
    /// E-mail.
    pub email: String,
    /// Password.
    pub password: String,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
}

/// What accounts need of the other rooms.
#[derive(Clone, Copy)]
pub struct Accounts<'a> {
    /// Who is there.
    pub auth: &'a Authenticator,
    /// Rows.
    pub items: &'a ItemsService,
    /// Letters.
    pub mailer: &'a Mailer,
    /// Where they lead.
    pub links: &'a Links,
}

/// The settings of the project that matter here.
#[derive(Default)]
struct Settings {
    project: Option<String>,
    language: Option<String>,
    registration: bool,
    verify_email: bool,
    role: Option<String>,
    email_filter: Option<Value>,
}

impl Accounts<'_> {
    /// Sends a letter with which a user chooses a new password, if this is the e-mail of one who keeps a password here.
    ///
    /// Fails with `InvalidPayload` for an address that is not listed.
    pub async fn request_password(&self, request: Request<'_>, email: &str, url: Option<&str>) -> Result<()> {
        let base = self.links.base(Purpose::PasswordReset, url)?;
        in_fixed_time(async {
            let user = self.auth.store.user_by_email(request.schema, email).await?;
            match user.filter(|user| user.is_active() && user.provider == "default") {
                Some(user) => self.write(request, Purpose::PasswordReset, base, &user).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Sets the password of the user that a letter was for. Fails with `InvalidToken`, `TokenExpired` or `FailedValidation`.
    pub async fn reset_password(&self, request: Request<'_>, token: &str, password: &str) -> Result<()> {
        let user = self.user_of_letter(request, Purpose::PasswordReset, token, "active").await?;
        self.change(request, &user, json!({ "password": password })).await?;
        self.auth.guesses.forget(user.account()).await;
        Ok(())
    }

    /// Makes users with this role who have yet to accept, as far as the caller may, and writes to them. Those who are users already
    /// are left alone, those who have not accepted yet are written to again.
    ///
    /// Fails with `InvalidPayload` for an address that is not listed, with `Forbidden` when the caller may not make users.
    pub async fn invite(
        &self,
        ctx: &Context,
        request: Request<'_>,
        emails: &[String],
        role: Option<&Value>,
        url: Option<&str>,
    ) -> Result<()> {
        let base = self.links.base(Purpose::Invitation, url)?;
        if emails.len() > MOST_INVITED {
            return Err(Error::payload(format_args!("\"email\" may name {MOST_INVITED} addresses at most.")));
        }
        let mut new = Vec::new();
        for email in emails {
            check_email(email)?;
            let is_known = self.auth.store.user_by_email(request.schema, email).await?.is_some();
            if !is_known {
                let mut user = ItemPayload::new();
                user.insert("email".to_owned(), json!(email));
                user.insert("status".to_owned(), json!("invited"));
                if let Some(role) = role {
                    user.insert("role".to_owned(), role.clone());
                }
                new.push(user);
            }
        }
        if new.is_empty() {
            // Whoever may not make users learns nothing about who is one, and has nobody written to.
            let users = ctx.schema.find(USERS).ok_or(Error::Forbidden)?;
            ctx.allowed(users, Action::Create).ok_or(Error::Forbidden)?;
        } else {
            self.items.change(ctx, USERS, Operation::CreateMany(new)).await?;
        }
        for email in emails {
            let user = self.auth.store.user_by_email(request.schema, email).await?;
            if let Some(user) = user.filter(|user| user.status == "invited") {
                self.write(request, Purpose::Invitation, base.clone(), &user).await?;
            }
        }
        Ok(())
    }

    /// Gives a password to whom an invitation was for, who is a user from now on. Fails with `InvalidToken`, `TokenExpired` or
    /// `FailedValidation`.
    pub async fn accept_invitation(&self, request: Request<'_>, token: &str, password: &str) -> Result<()> {
        let user = self.user_of_letter(request, Purpose::Invitation, token, "invited").await?;
        self.change(request, &user, json!({ "password": password, "status": "active" })).await
    }

    /// Makes somebody a user, where the project lets everybody register, and has them confirm their e-mail.
    ///
    /// Fails with `Forbidden` where it does not, or not with such an e-mail; with `FailedValidation` for a password that does not fit.
    pub async fn register(&self, request: Request<'_>, new: NewUser, url: Option<&str>) -> Result<()> {
        let base = self.links.base(Purpose::Registration, url)?;
        check_email(&new.email)?;
        let settings = self.settings(request.schema).await?;
        if !settings.registration || !is_admitted(&settings, &new.email, request.now) {
            return Err(Error::Forbidden);
        }
        self.items.check_passwords(request.schema, &[new.password.as_str().into()]).await?;
        in_fixed_time(self.try_register(request, new, &settings, base)).await
    }

    async fn try_register(
        &self,
        request: Request<'_>,
        new: NewUser,
        settings: &Settings,
        base: Url,
    ) -> Result<()> {
        let email = new.email.clone();
        let known = self.auth.store.user_by_email(request.schema, &email).await?;
        if known.is_some() {
            // The work that a new user takes.
            password::verify(new.password, None).await?;
        } else {
            let status = if settings.verify_email { "unverified" } else { "active" };
            let mut user = ItemPayload::new();
            user.insert("email".to_owned(), json!(new.email));
            user.insert("password".to_owned(), json!(new.password));
            user.insert("status".to_owned(), json!(status));
            user.insert("role".to_owned(), json!(settings.role));
            for (name, value) in [("first_name", new.first_name), ("last_name", new.last_name)] {
                if let Some(value) = value {
                    user.insert(name.to_owned(), json!(value));
                }
            }
            let made = self.items.change(&system(request), USERS, Operation::Create(user)).await;
            match made {
                // Somebody else was faster, and is known now.
                Ok(_) | Err(Error::RecordNotUnique { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let user = self.auth.store.user_by_email(request.schema, &email).await?;
        match user.filter(|user| user.status == "unverified") {
            Some(user) => self.write(request, Purpose::Registration, base, &user).await,
            None => Ok(()),
        }
    }

    /// The e-mail of somebody who registered is theirs: gives their key. Fails with `InvalidToken` or `TokenExpired`.
    pub async fn verify_email(&self, request: Request<'_>, token: &str) -> Result<String> {
        let user = self.user_of_letter(request, Purpose::Registration, token, "unverified").await?;
        self.change(request, &user, json!({ "status": "active" })).await?;
        Ok(user.id)
    }

    /// Writes to people about a share that the caller may see. Who they are is nobody's business here.
    ///
    /// Fails with `Forbidden` for a share that is not there or may not be read, with `InvalidPayload` for what no letter can be sent to.
    pub async fn invite_to_share(
        &self,
        ctx: &Context,
        request: Request<'_>,
        share: &str,
        emails: &[String],
    ) -> Result<()> {
        if emails.len() > MOST_INVITED {
            return Err(Error::payload(format_args!(
                "\"emails\" may name {MOST_INVITED} addresses at most."
            )));
        }
        emails.iter().try_for_each(|email| check_email(email))?;
        // Only those who may make shares send letters about them.
        let shares = ctx.schema.find(SHARES).ok_or(Error::Forbidden)?;
        ctx.allowed(shares, Action::Create).ok_or(Error::Forbidden)?;
        let key = Query { fields: vec![vec!["id".to_owned()]], ..Query::default() };
        self.items.read(ctx, SHARES, Selection::Key(share.to_owned()), key).await?;
        let settings = self.settings(request.schema).await?;
        let url = self.links.page(&format!("admin/shared/{share}"));
        let letter = Letter {
            occasion: Occasion::Share,
            language: Language::of(settings.language.as_deref().unwrap_or_default()),
            project: settings.project.as_deref().unwrap_or("Tablature"),
            url: url.as_str(),
            hours: 0,
            told: None,
        };
        for email in emails {
            // Nobody is written to all the time, whoever asks for it.
            if self.auth.guesses.may_write_to(email).await {
                self.mailer.send(email, &letter);
            }
        }
        Ok(())
    }

    /// Writes to a user, unless they are written to all the time.
    async fn write(&self, request: Request<'_>, purpose: Purpose, mut url: Url, user: &User) -> Result<()> {
        let Some(email) = &user.email else { return Ok(()) };
        // Whoever asks too often for somebody else is told nothing, and neither are they.
        if !self.auth.guesses.may_write_to(email).await {
            return Ok(());
        }
        let life = self.links.life(purpose);
        let token =
            self.auth.keys.sign_letter(purpose, &user.id, &self.auth.state_of(user), request.now, life)?;
        url.query_pairs_mut().append_pair("token", &token);
        let settings = self.settings(request.schema).await?;
        let language = user.language.as_ref().or(settings.language.as_ref());
        let letter = Letter {
            occasion: occasion(purpose),
            language: Language::of(language.map(String::as_str).unwrap_or_default()),
            project: settings.project.as_deref().unwrap_or("Tablature"),
            url: url.as_str(),
            hours: life.as_secs() / 3600,
            told: None,
        };
        self.mailer.send(email, &letter);
        Ok(())
    }

    /// The user that a letter was for, when they are still as they were. Fails with `InvalidToken` or `TokenExpired`.
    async fn user_of_letter(
        &self,
        request: Request<'_>,
        purpose: Purpose,
        token: &str,
        status: &str,
    ) -> Result<User> {
        let (id, state) = self.auth.keys.verify_letter(purpose, token)?;
        let user = self.auth.store.user_by_id(request.schema, &id).await?.ok_or(Error::InvalidToken)?;
        let is_same: bool =
            subtle::ConstantTimeEq::ct_eq(self.auth.state_of(&user).as_bytes(), state.as_bytes()).into();
        if is_same && user.status == status && user.provider == "default" {
            Ok(user)
        } else {
            Err(Error::InvalidToken)
        }
    }

    async fn change(&self, request: Request<'_>, user: &User, change: Value) -> Result<()> {
        let Value::Object(change) = change else { return Ok(()) };
        let operation = Operation::Update(Targets::Key(user.id.clone()), change);
        let ctx = Context {
            accountability: Arc::new(Accountability {
                user: Some(user.id.clone()),
                role: user.role.clone(),
                ..Accountability::clone(&system(request).accountability)
            }),
            ..system(request)
        };
        self.items.change(&ctx, USERS, operation).await?;
        self.auth.forget_all();
        Ok(())
    }

    async fn settings(&self, schema: &Schema) -> Result<Settings> {
        let columns = [
            "project_name",
            "default_language",
            "public_registration",
            "public_registration_verify_email",
            "public_registration_role",
            "public_registration_email_filter",
        ];
        let Some(row) = self.auth.store.settings(schema, &columns).await? else {
            return Ok(Settings { verify_email: true, ..Settings::default() });
        };
        let text = |column| row.text(column).map(|text| text.to_string());
        Ok(Settings {
            project: text(0),
            language: text(1),
            registration: row.bool(2) == Some(true),
            verify_email: row.bool(3) != Some(false),
            role: text(4),
            // What is no JSON is no filter either, and admits nobody.
            email_filter: text(5).map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))),
        })
    }
}

impl Authenticator {
    /// Differs as soon as a user's password, status or e-mail does.
    fn state_of(&self, user: &User) -> String {
        let password = user.password.as_deref().unwrap_or_default();
        let email = user.email.as_deref().unwrap_or_default();
        let parts = [user.id.as_bytes(), password.as_bytes(), user.status.as_bytes(), email.as_bytes()];
        super::token::base64(&self.keys.mark("state of a user", &parts)[..16])
    }
}

fn occasion(purpose: Purpose) -> Occasion {
    match purpose {
        Purpose::PasswordReset => Occasion::PasswordReset,
        Purpose::Invitation => Occasion::Invitation,
        Purpose::Registration => Occasion::Registration,
    }
}

/// The server itself, on behalf of somebody who is nobody yet.
fn system(request: Request<'_>) -> Context {
    let cut = |header: &str| header.chars().take(255).collect();
    Context {
        accountability: Arc::new(Accountability {
            ip: request.client.address,
            user_agent: request.client.user_agent.map(cut),
            origin: request.client.origin.map(cut),
            ..Accountability::default()
        }),
        rules: Arc::new(AccessRules::Everything),
        schema: request.schema.clone(),
        now: request.now,
        request_id: request.id,
    }
}

/// Whether the project lets somebody with this e-mail register.
fn is_admitted(settings: &Settings, email: &str, now: Timestamp) -> bool {
    let Some(wanted) = settings.email_filter.as_ref().filter(|filter| !filter.is_null()) else { return true };
    let Ok(syntax) = filter::parse(wanted, "public_registration_email_filter", FILTER_LIMITS) else {
        return false;
    };
    let mut item = Map::new();
    item.insert("email".to_owned(), json!(email));
    let variables = Accountability::default();
    let broken = filter::evaluate(&syntax, &item, &variables.variables(now), Missing::Null);
    broken.is_ok_and(|broken| broken.is_empty())
}

/// Fails with `InvalidPayload` for what no letter can be sent to.
fn check_email(email: &str) -> Result<()> {
    if is_address(email) { Ok(()) } else { Err(Error::payload("\"email\" must be an e-mail address.")) }
}

/// Runs something so that its time tells nothing about what it found.
async fn in_fixed_time(work: impl Future<Output = Result<()>>) -> Result<()> {
    let end = Instant::now() + ANSWER_TIME;
    let outcome = work.await;
    tokio::time::sleep_until(end).await;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
        let config = LinksConfig {
            password_reset: list(&["https://app.example/reset", "https://other.example"]),
            invitation: list(&[]),
            registration: list(&[]),
            invitation_ttl: Duration::from_secs(7 * 86_400),
            registration_ttl: Duration::from_secs(7 * 86_400),
        };
        Links::new("https://api.example/base", &config).expect("links")
    }

    #[test]
    fn letters_lead_to_listed_addresses_only() {
        let check = |asked_for: Option<&str>, expected: Option<&str>| {
            let found = links().base(Purpose::PasswordReset, asked_for).ok();
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{asked_for:?}");
        };
        check(None, Some("https://api.example/base/admin/reset-password"));
        check(Some("https://app.example/reset?lang=fr"), Some("https://app.example/reset?lang=fr"));
        check(Some("https://other.example/any/page"), Some("https://other.example/any/page"));
        for wrong in [
            "https://app.example/elsewhere",
            "https://app.example.evil/reset",
            "https://app.example@evil.example/reset",
            "http://app.example/reset",
            "//evil.example",
            "javascript:alert(1)",
        ] {
            check(Some(wrong), None);
        }
        assert!(links().base(Purpose::Invitation, Some("https://app.example/reset")).is_err());
    }

    #[test]
    fn registration_is_for_those_whom_the_filter_finds() {
        let check = |filter: Value, expected| {
            let settings = Settings { email_filter: Some(filter.clone()), ..Settings::default() };
            assert_eq!(is_admitted(&settings, "a@good.example", Timestamp::now()), expected, "{filter}");
        };
        check(Value::Null, true);
        check(json!({ "email": { "_ends_with": "@good.example" } }), true);
        check(json!({ "email": { "_ends_with": "@other.example" } }), false);
        check(json!("nonsense"), false);
        check(json!({ "email": { "_nope": 1 } }), false);
    }
}

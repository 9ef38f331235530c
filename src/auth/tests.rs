//! Signing in against a real database.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::{Config, Sources};
use crate::db::{Settings, Target, migrations};
use crate::schema;

const PASSWORD: &str = "correct horse";

struct House {
    auth: Authenticator,
    db: Database,
    schema: Arc<Schema>,
    now: Timestamp,
    _folder: tempfile::TempDir,
}

impl House {
    /// A database with one administrator, who has the static token `static-token`.
    async fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target::Sqlite { path: folder.path().join("test.db") };
        let db = Database::connect(&Settings::new(target)).await.expect("connected");
        migrations::migrate(&db).await.expect("migrated");
        let (loaded, findings) = schema::load(&[], 1);
        let schema = Arc::new(loaded.unwrap_or_else(|| panic!("{findings:?}")).schema);
        let environment = [
            ("ADMIN_EMAIL", "Admin@Example.com"),
            ("ADMIN_PASSWORD", PASSWORD),
            ("ADMIN_TOKEN", "static-token"),
            ("SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        let config =
            Sources::from_texts(&environment, "", "").and_then(|sources| Config::from_sources(&sources));
        let config = config.expect("valid");
        let new = ensure_administrator(&db, &schema, &config.admin).await.expect("made").expect("the first");
        assert_eq!((new.email.as_str(), new.generated_password), ("Admin@Example.com", None));
        let again = ensure_administrator(&db, &schema, &config.admin).await.expect("looked");
        assert!(again.is_none());
        let secret = config.auth.secret.as_ref().expect("given");
        let auth = Authenticator::new(db.clone(), secret, &config.auth);
        House { auth, db, schema, now: Timestamp::now(), _folder: folder }
    }

    async fn speak(&self, token: &str) -> Result<Arc<Accountability>> {
        self.auth.forget_all();
        let spoken = self.auth.authenticate(&self.schema, token, Client::default(), self.now).await;
        spoken.map(|(accountability, _)| accountability)
    }

    async fn login(&self, email: &str, password: &str) -> Result<Tokens> {
        let credentials = Credentials { email: email.to_owned(), password: password.to_owned(), otp: None };
        self.auth.login(&self.schema, credentials, Mode::Json, Client::default(), self.now).await
    }

    async fn refresh(&self, tokens: &Tokens, after_s: i64) -> Result<Tokens> {
        self.renew(tokens.refresh_token.as_deref().expect("a refresh token"), Mode::Json, after_s).await
    }

    async fn renew(&self, token: &str, mode: Mode, after_s: i64) -> Result<Tokens> {
        let now = self.now + SignedDuration::from_secs(after_s);
        self.auth.refresh(&self.schema, token, mode, Client::default(), now).await
    }

    async fn open(&self, mode: Mode) -> Tokens {
        let credentials =
            Credentials { email: "admin@example.com".to_owned(), password: PASSWORD.to_owned(), otp: None };
        let opened = self.auth.login(&self.schema, credentials, mode, Client::default(), self.now).await;
        opened.expect("signed in")
    }

    async fn set_status(&self, status: &str) {
        self.set("status", status).await;
    }

    /// Changes the only user behind everybody's back.
    async fn set(&self, column: &'static str, value: &str) {
        let (schema, value) = (self.schema.clone(), value.to_owned());
        let changed = self.db.transaction(move |tx| {
            Box::pin(async move {
                let users = store::Table::new(&schema, "directus_users")?;
                let rows = users.locked(tx, &["id"], "provider", "default").await?;
                let id = rows[0].text(0).expect("a key").to_string();
                users.update(tx, &id, vec![(column, store::text(&value))]).await
            })
        });
        assert_eq!(changed.await.expect("changed").into_inner(), 1);
    }
}

fn is_unknown<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::InvalidCredentials))
}

#[tokio::test]
async fn static_tokens() {
    let house = House::new().await;
    let who = house.speak("static-token").await.expect("known");
    assert!(who.admin && who.user.is_some() && who.role.is_some());
    assert_eq!((who.roles.len(), who.policies.len()), (1, 1));
    assert!(is_unknown(house.speak("Static-token").await));
    assert!(is_unknown(house.speak(&static_hash("static-token")).await), "what is kept is no token");
    house.set_status("suspended").await;
    assert!(is_unknown(house.speak("static-token").await));
    let renewed = renew_static_token(&house.db, &house.schema, "admin@example.com").await.expect("renewed");
    assert!(is_unknown(house.speak("static-token").await));
    house.set_status("active").await;
    assert!(house.speak(renewed.expose()).await.expect("known").admin);
}

#[tokio::test]
async fn signing_in() {
    let house = House::new().await;
    let tokens = house.login("ADMIN@example.COM", PASSWORD).await.expect("signed in");
    assert_eq!(tokens.expires, Duration::from_secs(900));
    assert!(house.speak(&tokens.access_token).await.expect("known").admin);

    let began = std::time::Instant::now();
    assert!(is_unknown(house.login("admin@example.com", "wrong").await));
    assert!(is_unknown(house.login("nobody@example.com", PASSWORD).await));
    house.set_status("suspended").await;
    assert!(is_unknown(house.login("admin@example.com", PASSWORD).await));
    assert!(began.elapsed() >= Duration::from_millis(1500), "failures take their time");
    assert!(is_unknown(house.speak(&tokens.access_token).await), "a suspended user's tokens end at once");
    assert!(is_unknown(house.refresh(&tokens, 1).await));
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let second = house.refresh(&first, 1).await.expect("refreshed");
    assert!(house.speak(&first.access_token).await.is_ok(), "the old access token lives on");
    house
        .auth
        .logout(&house.schema, second.refresh_token.as_deref().expect("one"), Mode::Json)
        .await
        .expect("signed out");
    for tokens in [&first, &second] {
        assert!(is_unknown(house.speak(&tokens.access_token).await));
        assert!(is_unknown(house.refresh(tokens, 2).await));
    }
    house.auth.logout(&house.schema, "unknown", Mode::Json).await.expect("nothing to do");
}

#[tokio::test]
async fn refresh_tokens_work_once() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let second = house.refresh(&first, 1).await.expect("refreshed");
    assert_ne!(first.refresh_token, second.refresh_token);
    assert!(is_unknown(house.refresh(&first, 5).await), "used already");
    let third = house.refresh(&second, 6).await.expect("sending it twice harms nobody");
    assert!(is_unknown(house.refresh(&first, 60).await));
    assert!(is_unknown(house.refresh(&third, 61).await), "a stolen token ends the family");
    assert!(is_unknown(house.renew("nonsense", Mode::Json, 0).await));
}

#[tokio::test]
async fn concurrent_refreshes_have_one_successor() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let all = (0..8).map(|_| house.refresh(&first, 1));
    let successes = futures::future::join_all(all).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(successes, 1);
}

#[tokio::test]
async fn a_stolen_token_is_known_after_days_and_another_sign_in() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let second = house.refresh(&first, 1).await.expect("refreshed");
    let other = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let third = house.refresh(&second, 3 * 86_400).await.expect("refreshed");
    assert!(is_unknown(house.refresh(&first, 4 * 86_400).await));
    assert!(is_unknown(house.refresh(&third, 4 * 86_400).await), "the whole family ended");
    assert!(house.refresh(&other, 4 * 86_400).await.is_ok(), "another session goes on");
}

#[tokio::test]
async fn a_session_is_one_token_that_is_renewed_by_itself() {
    let house = House::new().await;
    let first = house.open(Mode::Session).await;
    assert_eq!((first.expires, &first.refresh_token), (Duration::from_secs(86_400), &None));
    assert!(house.speak(&first.access_token).await.expect("known").admin);
    assert!(is_unknown(house.renew(&first.access_token, Mode::Json, 1).await), "it is no refresh token");
    let second = house.renew(&first.access_token, Mode::Session, 1).await.expect("renewed");
    assert_ne!(first.access_token, second.access_token);
    assert!(house.speak(&first.access_token).await.is_ok(), "requests on their way are answered");
    assert!(is_unknown(house.renew(&first.access_token, Mode::Session, 5).await), "used already");
    let third = house.renew(&second.access_token, Mode::Session, 6).await.expect("renewed");
    assert!(is_unknown(house.renew(&first.access_token, Mode::Session, 60).await));
    assert!(is_unknown(house.speak(&third.access_token).await), "a stolen token ends the family");

    let tokens = house.open(Mode::Cookie).await;
    assert!(is_unknown(house.renew(&tokens.access_token, Mode::Session, 1).await), "that is no session");
    let session = house.open(Mode::Session).await;
    house.auth.logout(&house.schema, &session.access_token, Mode::Session).await.expect("signed out");
    assert!(is_unknown(house.speak(&session.access_token).await));
}

#[tokio::test]
async fn a_weak_hash_is_renewed_when_its_user_signs_in() {
    let house = House::new().await;
    let params = argon2::Params::new(8_192, 1, 1, None).expect("params");
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let weak = argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).expect("hashed").to_string();
    house.set("password", &weak).await;
    house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let user = house.auth.store.user_by_email(&house.schema, "admin@example.com").await.expect("read");
    let kept = user.expect("there").password.expect("kept");
    assert!(kept != weak && kept.contains("m=19456,t=2,p=1"), "{kept}");
    house.login("admin@example.com", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn old_refresh_tokens_end() {
    let house = House::new().await;
    let tokens = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    assert!(is_unknown(house.refresh(&tokens, 8 * 86_400).await));
}

#[tokio::test]
async fn an_email_belongs_to_one() {
    let house = House::new().await;
    let again = create_administrator(&house.db, &house.schema, "Admin@Example.com", None, None).await;
    assert!(matches!(again, Err(Error::RecordNotUnique { .. })), "{again:?}");
    let other =
        create_administrator(&house.db, &house.schema, "b@example.com", None, None).await.expect("made");
    let password = other.generated_password.expect("generated");
    let tokens = house.login("b@example.com", password.expose()).await.expect("signed in");
    assert!(house.speak(&tokens.access_token).await.expect("known").admin);
}

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
        self.auth.login(&self.schema, email, password.to_owned(), Client::default(), self.now).await
    }

    async fn refresh(&self, token: &str, after_s: i64) -> Result<Tokens> {
        let now = self.now + SignedDuration::from_secs(after_s);
        self.auth.refresh(&self.schema, token, Client::default(), now).await
    }

    async fn set_status(&self, status: &str) {
        let (schema, status) = (self.schema.clone(), status.to_owned());
        let changed = self.db.transaction(move |tx| {
            Box::pin(async move {
                let users = store::Table::new(&schema, "directus_users")?;
                let rows = users.locked(tx, &["id"], "provider", "default").await?;
                let id = rows[0].text(0).expect("a key").to_string();
                users.update(tx, &id, vec![("status", store::text(&status))]).await
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
    assert!(is_unknown(house.refresh(&tokens.refresh_token, 1).await));
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let second = house.refresh(&first.refresh_token, 1).await.expect("refreshed");
    assert!(house.speak(&first.access_token).await.is_ok(), "the old access token lives on");
    house.auth.logout(&house.schema, &second.refresh_token).await.expect("signed out");
    for tokens in [&first, &second] {
        assert!(is_unknown(house.speak(&tokens.access_token).await));
        assert!(is_unknown(house.refresh(&tokens.refresh_token, 2).await));
    }
    house.auth.logout(&house.schema, "unknown").await.expect("nothing to do");
}

#[tokio::test]
async fn refresh_tokens_work_once() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let second = house.refresh(&first.refresh_token, 1).await.expect("refreshed");
    assert_ne!(first.refresh_token, second.refresh_token);
    assert!(is_unknown(house.refresh(&first.refresh_token, 5).await), "used already");
    let third = house.refresh(&second.refresh_token, 6).await.expect("sending it twice harms nobody");
    assert!(is_unknown(house.refresh(&first.refresh_token, 60).await));
    assert!(is_unknown(house.refresh(&third.refresh_token, 61).await), "a stolen token ends the family");
    assert!(is_unknown(house.refresh("nonsense", 0).await));
}

#[tokio::test]
async fn concurrent_refreshes_have_one_successor() {
    let house = House::new().await;
    let first = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    let all = (0..8).map(|_| house.refresh(&first.refresh_token, 1));
    let successes = futures::future::join_all(all).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(successes, 1);
}

#[tokio::test]
async fn old_refresh_tokens_end() {
    let house = House::new().await;
    let tokens = house.login("admin@example.com", PASSWORD).await.expect("signed in");
    assert!(is_unknown(house.refresh(&tokens.refresh_token, 8 * 86_400).await));
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

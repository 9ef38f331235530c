//! A provider of OpenID Connect and OAuth 2.0 on this machine, which does as it is told, also what is wrong.
//!
//! Its keys were made for it and open nothing else.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::web::{Data, Form, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const CLIENT_ID: &str = "tablature";
pub const CLIENT_SECRET: &str = "secret of a client / with + signs";

type Parameters = HashMap<String, String>;

/// A running provider.
pub struct Provider {
    pub address: String,
    behaviour: Arc<Mutex<Behaviour>>,
    handle: actix_web::dev::ServerHandle,
}

/// What it does.
pub struct Behaviour {
    /// Who signs in, as claims.
    pub claims: Value,
    /// Put over the claims of the id token; null takes one away.
    pub twist: Value,
    /// What it tells beside the id token; the claims unless something else is said.
    pub user_info: Option<Value>,
    /// How the id token is signed.
    pub signature: Signature,
    /// Name of the key in its set and in tokens.
    pub key_id: String,
    /// The issuer it says it is.
    pub issuer: Option<String>,
    /// The issuer in the answer by way of the browser.
    pub answered_issuer: Option<String>,
    /// How many requests came, by path.
    pub requests: HashMap<String, usize>,
    /// Codes that were given, with what they were asked for.
    codes: HashMap<String, Parameters>,
}

/// How an id token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// As it should be.
    Right,
    /// With a key that is not in the set, under the name of one that is.
    OtherKey,
    /// Not at all.
    None,
    /// With the secret of the client, as a shared key.
    Shared,
}

impl Provider {
    pub fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let behaviour = Arc::new(Mutex::new(Behaviour {
            claims: json!({}),
            twist: json!({}),
            user_info: None,
            signature: Signature::Right,
            key_id: "first".to_owned(),
            issuer: None,
            answered_issuer: None,
            requests: HashMap::new(),
            codes: HashMap::new(),
        }));
        let state = Data::new(Shared { address: address.clone(), behaviour: behaviour.clone() });
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .app_data(state.clone())
                        .route("/.well-known/openid-configuration", web::get().to(discovery))
                        .route("/authorize", web::get().to(authorize))
                        .route("/token", web::post().to(token))
                        .route("/keys", web::get().to(keys))
                        .route("/userinfo", web::get().to(user_info))
                };
                let server = HttpServer::new(app)
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .expect("a server")
                    .run();
                tell.send(server.handle()).ok();
                server.await.ok();
            });
        });
        Provider { address, behaviour, handle: told.recv().expect("a handle") }
    }

    /// Changes what it does.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.behaviour));
    }

    /// The person who signs in next.
    pub fn person(&self, claims: Value) {
        self.set(|behaviour| behaviour.claims = claims);
    }

    pub fn requests(&self, path: &str) -> usize {
        lock(&self.behaviour).requests.get(path).copied().unwrap_or_default()
    }

    /// Ends it; nobody listens there any more.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

struct Shared {
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Shared {
    fn count(&self, request: &HttpRequest) -> MutexGuard<'_, Behaviour> {
        let mut behaviour = lock(&self.behaviour);
        *behaviour.requests.entry(request.path().to_owned()).or_default() += 1;
        behaviour
    }
}

fn lock(behaviour: &Mutex<Behaviour>) -> MutexGuard<'_, Behaviour> {
    behaviour.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn discovery(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let behaviour = shared.count(&request);
    let address = &shared.address;
    HttpResponse::Ok().json(json!({
        "issuer": behaviour.issuer.as_ref().unwrap_or(address),
        "authorization_endpoint": format!("{address}/authorize?tenant=a"),
        "token_endpoint": format!("{address}/token"),
        "userinfo_endpoint": format!("{address}/userinfo"),
        "jwks_uri": format!("{address}/keys"),
        "authorization_response_iss_parameter_supported": behaviour.answered_issuer.is_some(),
    }))
}

/// Everybody consents at once.
async fn authorize(request: HttpRequest, asked: Query<Parameters>, shared: Data<Shared>) -> HttpResponse {
    let mut behaviour = shared.count(&request);
    let asked = asked.into_inner();
    assert_eq!(asked.get("response_type").map(String::as_str), Some("code"), "{asked:?}");
    assert_eq!(asked.get("client_id").map(String::as_str), Some(CLIENT_ID), "{asked:?}");
    assert_eq!(asked.get("code_challenge_method").map(String::as_str), Some("S256"), "{asked:?}");
    let code = format!("code-{}", behaviour.codes.len());
    let mut location = url::Url::parse(&asked["redirect_uri"]).expect("a URL");
    location.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked["state"]);
    if let Some(issuer) = &behaviour.answered_issuer {
        location.query_pairs_mut().append_pair("iss", issuer);
    }
    behaviour.codes.insert(code, asked);
    HttpResponse::Found().insert_header(("location", location.as_str())).finish()
}

async fn token(request: HttpRequest, form: Form<Parameters>, shared: Data<Shared>) -> HttpResponse {
    let mut behaviour = shared.count(&request);
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let credentials = header.and_then(|value| value.strip_prefix("Basic ")).map(|text| {
        let text = STANDARD.decode(text).expect("Base64");
        let text = String::from_utf8(text).expect("UTF-8");
        let (id, secret) = text.split_once(':').expect("a colon");
        let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        (plain(id), plain(secret))
    });
    let is_client = match &credentials {
        Some((id, secret)) => id == CLIENT_ID && secret == CLIENT_SECRET,
        None => given("client_id") == CLIENT_ID && given("client_secret") == CLIENT_SECRET,
    };
    if !is_client {
        return HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }));
    }
    let Some(asked) = behaviour.codes.remove(given("code")) else {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" }));
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(given("code_verifier").as_bytes()));
    if challenge != asked["code_challenge"] || given("redirect_uri") != asked["redirect_uri"] {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" }));
    }
    let mut answer =
        json!({ "access_token": "token of the provider", "token_type": "Bearer", "expires_in": 60 });
    if let Some(nonce) = asked.get("nonce") {
        answer["id_token"] = json!(id_token(&shared.address, &behaviour, nonce));
    }
    HttpResponse::Ok().json(answer)
}

fn id_token(address: &str, behaviour: &Behaviour, nonce: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let mut claims = behaviour.claims.clone();
    let own = json!({ "iss": address, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": nonce });
    for change in [&own, &behaviour.twist] {
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(behaviour.key_id.clone());
    let sign =
        |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &claims, key).expect("signed");
    match behaviour.signature {
        Signature::Right => sign(&header, &key()),
        Signature::OtherKey => sign(&header, &pem(include_bytes!("provider_other_key.pem"))),
        Signature::None => format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": behaviour.key_id }).to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        ),
        Signature::Shared => {
            header.alg = Algorithm::HS256;
            sign(&header, &EncodingKey::from_secret(CLIENT_SECRET.as_bytes()))
        }
    }
}

async fn keys(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let behaviour = shared.count(&request);
    let mut jwk = Jwk::from_encoding_key(&key(), Algorithm::RS256).expect("a key");
    jwk.common.key_id = Some(behaviour.key_id.clone());
    // Beside it stand a key of a kind that nobody knows and one for something else.
    let strange = json!({ "kty": "strange", "kid": "strange" });
    let mut other = serde_json::to_value(&jwk).expect("JSON");
    other["use"] = json!("enc");
    HttpResponse::Ok().json(json!({ "keys": [strange, other, jwk] }))
}

async fn user_info(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let behaviour = shared.count(&request);
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if token != Some("Bearer token of the provider") {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(behaviour.user_info.as_ref().unwrap_or(&behaviour.claims))
}

fn key() -> EncodingKey {
    pem(include_bytes!("provider_key.pem"))
}

fn pem(text: &[u8]) -> EncodingKey {
    EncodingKey::from_rsa_pem(text).expect("a key")
}

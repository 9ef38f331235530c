//! An object store on this machine that speaks S3: path style, every signature checked, objects in memory.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

pub const KEY: &str = "key-of-the-suite";
pub const SECRET: &str = "secret/of+the/suite";
pub const BUCKET: &str = "bucket";
const REGION: &str = "eu-test-1";

/// A running store.
pub struct Store {
    pub address: String,
    state: Arc<Mutex<State>>,
    handle: actix_web::dev::ServerHandle,
}

/// What it holds, and what it was asked.
#[derive(Default)]
pub struct State {
    pub objects: BTreeMap<String, Bytes>,
    /// Uploads that were begun and not ended, by their number: name and parts.
    pub uploads: BTreeMap<String, (String, BTreeMap<u32, Bytes>)>,
    /// Methods with what they were about.
    pub requests: Vec<String>,
    /// Every request is answered with this.
    pub fails_with: Option<u16>,
    begun: u32,
}

impl Store {
    pub fn start() -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let data = Data::from(state.clone());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let limits = PayloadConfig::new(64 << 20);
                    App::new().app_data(data.clone()).app_data(limits).default_service(web::to(answer))
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
        Store { address, state, handle: told.recv().expect("a handle") }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
    }

    /// The settings of a server that keeps its files here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("STORAGE_LOCATIONS", "cloud".to_owned()),
            ("STORAGE_CLOUD_DRIVER", "s3".to_owned()),
            ("STORAGE_CLOUD_BUCKET", BUCKET.to_owned()),
            ("STORAGE_CLOUD_REGION", REGION.to_owned()),
            ("STORAGE_CLOUD_KEY", KEY.to_owned()),
            ("STORAGE_CLOUD_SECRET", SECRET.to_owned()),
            ("STORAGE_CLOUD_ENDPOINT", self.address.clone()),
            ("STORAGE_CLOUD_FORCE_PATH_STYLE", "true".to_owned()),
            ("STORAGE_CLOUD_ROOT", "a folder".to_owned()),
        ]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn answer(request: HttpRequest, body: Bytes, state: Data<Mutex<State>>) -> HttpResponse {
    let mut state = state.lock().expect("nobody panicked with it");
    if let Some(status) = state.fails_with {
        return HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status"))
            .finish();
    }
    if let Err(problem) = check_signature(&request, &body) {
        state.requests.push(format!("refused: {problem}"));
        return error(403, "SignatureDoesNotMatch", &problem);
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path = decode(request.path());
    let Some(rest) = path.strip_prefix(&format!("/{BUCKET}")) else {
        return error(404, "NoSuchBucket", &path);
    };
    let name = rest.trim_start_matches('/').to_owned();
    let query: BTreeMap<String, String> = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(&value.replace('+', "%20"))))
        .collect();
    let method = request.method().as_str();
    state.requests.push(format!("{method} {name} {}", query.keys().cloned().collect::<Vec<_>>().join(" ")));
    match (method, query.get("uploadId").cloned()) {
        ("GET", _) if name.is_empty() => list(&state, query.get("prefix").map_or("", String::as_str)),
        ("GET" | "HEAD", _) => get(&request, &state, &name),
        ("PUT", Some(upload)) => {
            let number = query.get("partNumber").and_then(|number| number.parse().ok());
            match (state.uploads.get_mut(&upload), number) {
                (Some((of, parts)), Some(number)) if *of == name => {
                    parts.insert(number, body.clone());
                    HttpResponse::Ok().insert_header(("etag", etag(&body))).finish()
                }
                _ => error(404, "NoSuchUpload", &upload),
            }
        }
        ("PUT", None) => {
            state.objects.insert(name, body.clone());
            HttpResponse::Ok().insert_header(("etag", etag(&body))).finish()
        }
        ("POST", None) if query.contains_key("uploads") => {
            state.begun += 1;
            let id = format!("upload-{}", state.begun);
            state.uploads.insert(id.clone(), (name.clone(), BTreeMap::new()));
            xml(&format!(
                "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{name}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        ("POST", None) if query.contains_key("delete") => {
            let text = String::from_utf8_lossy(&body).into_owned();
            let mut gone = String::new();
            for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
                state.objects.remove(key);
                gone.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
            }
            xml(&format!("<DeleteResult>{gone}</DeleteResult>"))
        }
        ("POST", Some(upload)) => {
            let Some((of, parts)) = state.uploads.remove(&upload) else {
                return error(404, "NoSuchUpload", &upload);
            };
            let named = String::from_utf8_lossy(&body).matches("<PartNumber>").count();
            let last = parts.keys().last().copied().unwrap_or_default();
            // All parts but the last have five megabytes, as with the original.
            let is_whole = parts.iter().all(|(number, part)| *number == last || part.len() >= 5 << 20);
            if named != parts.len() || !is_whole {
                return error(400, "EntityTooSmall", &of);
            }
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            let tag = etag(&whole);
            state.objects.insert(of.clone(), whole.into());
            xml(&format!(
                "<CompleteMultipartUploadResult><Key>{of}</Key><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
            ))
        }
        ("DELETE", Some(upload)) => {
            state.uploads.remove(&upload);
            HttpResponse::NoContent().finish()
        }
        ("DELETE", None) => {
            state.objects.remove(&name);
            HttpResponse::NoContent().finish()
        }
        _ => error(405, "MethodNotAllowed", method),
    }
}

fn get(request: &HttpRequest, state: &State, name: &str) -> HttpResponse {
    let Some(object) = state.objects.get(name) else { return error(404, "NoSuchKey", name) };
    let mut response = HttpResponse::Ok();
    let mut content = object.clone();
    let range = request.headers().get("range").and_then(|range| range.to_str().ok()).map(str::to_owned);
    if let Some((from, to)) = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    {
        let from: usize = from.parse().expect("a number");
        let to = to.parse().unwrap_or(object.len() - 1).min(object.len() - 1);
        if from >= object.len() {
            return error(416, "InvalidRange", name);
        }
        content = object.slice(from..=to);
        response = HttpResponse::PartialContent();
        response.insert_header(("content-range", format!("bytes {from}-{to}/{}", object.len())));
    }
    response
        .insert_header(("etag", etag(object)))
        .insert_header(("last-modified", "Sun, 06 Nov 2050 08:49:37 GMT"))
        .body(content)
}

fn list(state: &State, prefix: &str) -> HttpResponse {
    let mut entries = String::new();
    let mut count = 0;
    for (name, object) in state.objects.iter().filter(|(name, _)| name.starts_with(prefix)) {
        count += 1;
        entries.push_str(&format!(
            "<Contents><Key>{name}</Key><LastModified>2050-11-06T08:49:37.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            etag(object),
            object.len()
        ));
    }
    xml(&format!(
        "<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{count}</KeyCount><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    ))
}

fn xml(inner: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/xml")
        .body(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{inner}"))
}

fn error(status: u16, code: &str, message: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    HttpResponse::build(status).content_type("application/xml").body(body)
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(content))[..32])
}

/// AWS Signature Version 4, as its documentation describes it.
fn check_signature(request: &HttpRequest, body: &[u8]) -> Result<(), String> {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}="))?;
        rest.split(',').next().map(str::trim)
    };
    let (Some(credential), Some(signed), Some(signature)) =
        (part("Credential"), part("SignedHeaders"), part("Signature"))
    else {
        return Err("no signature".to_owned());
    };
    let scope = credential.strip_prefix(&format!("{KEY}/")).ok_or("another key")?;
    let date = header("x-amz-date");
    if scope != format!("{}/{REGION}/s3/aws4_request", date.get(..8).unwrap_or_default()) {
        return Err(format!("scope {scope}"));
    }
    let hash = header("x-amz-content-sha256");
    if hash != "UNSIGNED-PAYLOAD" && hash != hex(&Sha256::digest(body)) {
        return Err("another body".to_owned());
    }
    let mut query: Vec<(String, String)> = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    query.sort();
    // A blank is written in two ways, and counts as one of them.
    let query: Vec<String> =
        query.into_iter().map(|(name, value)| format!("{name}={value}").replace('+', "%20")).collect();
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let path = request.uri().path();
    let canonical = format!("{}\n{path}\n{}\n{headers}\n{signed}\n{hash}", request.method(), query.join("&"));
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/').chain([to_sign.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    if hex(&key) == signature { Ok(()) } else { Err(format!("another signature than {canonical:?}")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

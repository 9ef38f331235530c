//! `/server/specs`: the API described for programs.

use std::borrow::Cow;

use super::Api;
use super::route::Route;
use crate::access::Context;
use crate::server::Answer;

/// The OpenAPI document of what the caller may use.
pub(super) fn openapi(api: &Api, ctx: &Context) -> Answer {
    Answer::Text("application/json; charset=utf-8", api.specs.openapi(ctx).to_string())
}

/// Whether there is a route with this method: the places of its path stand in braces.
pub fn is_route(method: &str, pattern: &str) -> bool {
    with_route(pattern, |route| route.takes(method)).unwrap_or(false)
}

/// The route of a pattern, with a sample in each of its places.
fn with_route<T>(pattern: &str, look: impl Fn(Route<'_>) -> T) -> Option<T> {
    let segments = pattern.trim_start_matches('/').split('/');
    let path: Vec<Cow<'_, str>> =
        segments.map(|part| if part.starts_with('{') { "sample".into() } else { part.into() }).collect();
    Route::find(&path).map(look)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::access::{AccessRules, Accountability};
    use crate::schema::{SourceFile, load};

    /// Methods for which OpenAPI 3.1 has no word, or that every route has alike.
    const UNTOLD: &[&str] = &["HEAD", "OPTIONS", "SEARCH"];

    /// The document for an administrator of a model with one collection, `things`.
    fn document() -> Value {
        let text = b"collection: things\nfields:\n  id: integer_pk\n".to_vec();
        let (loaded, findings) = load(&[SourceFile { path: "things.yaml".to_owned(), text }], 1);
        let admin = Accountability { user: Some(String::new()), admin: true, ..Accountability::default() };
        let ctx = Context {
            accountability: Arc::new(admin),
            rules: Arc::new(AccessRules::Everything),
            schema: Arc::new(loaded.unwrap_or_else(|| panic!("{findings:?}")).schema),
            now: Timestamp::UNIX_EPOCH,
            request_id: Uuid::nil(),
        };
        crate::specs::document(&ctx, "http://localhost", is_route)
    }

    /// Every text in the sources of this room that is the pattern of a route.
    fn patterns(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                patterns(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            let texts = text.split('"').filter(|part| part.starts_with('/') && !part.contains(['\n', ' ']));
            found.extend(
                texts
                    .filter(|text| with_route(text, |route| route.pattern() == *text).unwrap_or(false))
                    .map(str::to_owned),
            );
        }
    }

    #[test]
    fn every_route_is_in_the_document() {
        let document = document();
        let told: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods").keys();
                methods.map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let mut found = BTreeSet::new();
        patterns(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/rest")), &mut found);
        assert!(found.len() > 40 && found.contains("/items/{collection}"), "{found:?}");
        let mut missing = Vec::new();
        for pattern in &found {
            let methods = with_route(pattern, |route| route.methods()).expect("a route");
            let path = pattern.replace("/items/{collection}", "/items/things");
            for method in methods.split(", ").filter(|method| !UNTOLD.contains(method)) {
                if !told.contains(&(path.clone(), method.to_owned())) {
                    missing.push(format!("{method} {path}"));
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new(), "routes that the document does not tell of");
    }
}

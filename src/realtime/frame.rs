//! Messages of the public protocol as text.

use serde_json::{Value, json};

use crate::error::Error;
use crate::server::entries;

/// What a client is told went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The kind of message that it is about.
    pub(super) kind: &'static str,
    /// Stable code.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(kind: &'static str, code: &str, message: impl Into<String>) -> Self {
        Fault { kind, code: code.to_owned(), message: message.into() }
    }

    /// Of several findings the first.
    pub(super) fn of(kind: &'static str, error: &Error) -> Self {
        if let Error::Internal { id, cause } = error {
            tracing::error!(error_id = %id, cause = format!("{cause:#}"), kind, "a message of a socket failed");
        }
        let first = entries(error).into_iter().next().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Fault { kind, code: text(&first["extensions"]["code"]), message: text(&first["message"]) }
    }

    pub(super) fn frame(&self, uid: Option<&str>) -> String {
        let error = json!({ "code": self.code, "message": self.message }).to_string();
        message(self.kind, &[("status", "\"error\""), ("error", &error)], uid)
    }
}

/// A message of a kind with these members, whose values are JSON, and with the id that its client gave, which is JSON, too.
pub(super) fn message(kind: &str, members: &[(&str, &str)], uid: Option<&str>) -> String {
    let size: usize = members.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut text = String::with_capacity(size + kind.len() + uid.map_or(0, str::len) + 24);
    text.push_str("{\"type\":\"");
    text.push_str(kind);
    text.push('"');
    for (name, value) in members.iter().copied().chain(uid.map(|uid| ("uid", uid))) {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        text.push_str(value);
    }
    text.push('}');
    text
}

/// The same with members as reads give them, `"data":...` and perhaps more; `None` when they are no text.
pub(super) fn with_members(kind: &str, members: &[u8], uid: Option<&str>) -> Option<String> {
    let members = std::str::from_utf8(members).ok()?;
    let mut text = message(kind, &[], uid);
    let end = text.find(',').unwrap_or(text.len() - 1);
    text.insert_str(end, members);
    text.insert(end, ',');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        assert_eq!(message("pong", &[], None), r#"{"type":"pong"}"#);
        assert_eq!(
            message("auth", &[("status", "\"ok\"")], Some("7")),
            r#"{"type":"auth","status":"ok","uid":7}"#
        );
        let members = br#""data":[1],"meta":{}"#;
        assert_eq!(
            with_members("items", members, Some("\"a\"")).as_deref(),
            Some(r#"{"type":"items","data":[1],"meta":{},"uid":"a"}"#)
        );
        assert_eq!(
            with_members("items", members, None).as_deref(),
            Some(r#"{"type":"items","data":[1],"meta":{}}"#)
        );
        assert_eq!(with_members("items", b"\xff", None), None);
        assert_eq!(
            Fault::of("items", &Error::Forbidden).frame(None),
            r#"{"type":"items","status":"error","error":{"code":"FORBIDDEN","message":"You don't have permission to access this."}}"#
        );
    }
}

//! What `$NOW`, `$CURRENT_USER` and their like stand for.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value};

/// The parts of a request that a filter may name.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// `$NOW`.
    pub now: Timestamp,
    /// `$CURRENT_USER`.
    pub user: Option<&'a str>,
    /// `$CURRENT_ROLE`.
    pub role: Option<&'a str>,
    /// `$CURRENT_ROLES`.
    pub roles: &'a [String],
    /// `$CURRENT_POLICIES`.
    pub policies: &'a [String],
    /// `$CURRENT_USER.path` by its path, where such values were looked up beforehand; `None` where the statement does so.
    pub own: Option<&'a Map<String, Value>>,
}

/// What a text of a filter stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning<'a> {
    /// Itself.
    Text,
    /// A moment.
    Moment(Timestamp),
    /// One key, or none.
    Key(Option<&'a str>),
    /// Several keys.
    Keys(&'a [String]),
    /// A field of the user who asks, by its path.
    UserField(Vec<&'a str>),
    /// A variable with something behind it that means nothing.
    Malformed,
}

impl<'a> Variables<'a> {
    /// What this text stands for.
    pub fn meaning(&self, text: &'a str) -> Meaning<'a> {
        let Some(name) = text.strip_prefix('$') else { return Meaning::Text };
        match name {
            "NOW" => Meaning::Moment(self.now),
            "CURRENT_USER" => Meaning::Key(self.user),
            "CURRENT_ROLE" => Meaning::Key(self.role),
            "CURRENT_ROLES" => Meaning::Keys(self.roles),
            "CURRENT_POLICIES" => Meaning::Keys(self.policies),
            _ => {
                if let Some(path) = name.strip_prefix("CURRENT_USER.") {
                    return Meaning::UserField(path.split('.').collect());
                }
                if let Some(offset) = name.strip_prefix("NOW(") {
                    let moment = offset.strip_suffix(')').and_then(|offset| self.shifted(offset));
                    return moment.map_or(Meaning::Malformed, Meaning::Moment);
                }
                // `$5` and the like are ordinary texts.
                Meaning::Text
            }
        }
    }

    /// Now and some time, `-1 day` say, in the calendar of UTC.
    fn shifted(&self, offset: &str) -> Option<Timestamp> {
        let offset = offset.trim();
        if offset.is_empty() {
            return Some(self.now);
        }
        let span: Span = offset.parse().ok()?;
        let moved = self.now.to_zoned(TimeZone::UTC).checked_add(span).ok()?;
        Some(moved.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let roles = ["r1".to_owned(), "r2".to_owned()];
        let variables = Variables {
            now: "2026-03-02T10:00:00Z".parse().expect("a moment"),
            user: Some("u1"),
            role: None,
            roles: &roles,
            policies: &[],
            own: None,
        };
        let got = match variables.meaning(text) {
            Meaning::Text => "text".to_owned(),
            Meaning::Moment(moment) => moment.to_string(),
            Meaning::Key(key) => format!("key {key:?}"),
            Meaning::Keys(keys) => format!("keys {keys:?}"),
            Meaning::UserField(path) => format!("user {path:?}"),
            Meaning::Malformed => "malformed".to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn meanings() {
        check("hello", "text");
        check("$5", "text");
        check("$NOWHERE", "text");
        check("$NOW", "2026-03-02T10:00:00Z");
        check("$NOW()", "2026-03-02T10:00:00Z");
        check("$NOW(-1 day)", "2026-03-01T10:00:00Z");
        check("$NOW(+2 hours)", "2026-03-02T12:00:00Z");
        check("$NOW(-1 year)", "2025-03-02T10:00:00Z");
        check("$NOW(1 month)", "2026-04-02T10:00:00Z");
        check("$NOW(-30 minutes)", "2026-03-02T09:30:00Z");
        check("$NOW(soon)", "malformed");
        check("$NOW(99999 years)", "malformed");
        check("$NOW(-1 day", "malformed");
        check("$CURRENT_USER", "key Some(\"u1\")");
        check("$CURRENT_ROLE", "key None");
        check("$CURRENT_ROLES", "keys [\"r1\", \"r2\"]");
        check("$CURRENT_POLICIES", "keys []");
        check("$CURRENT_USER.role.name", "user [\"role\", \"name\"]");
    }
}

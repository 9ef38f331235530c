//! Settings of sockets.

use std::time::Duration;

use super::Reader;
use super::edge::seconds;
use crate::config::value::{self, Parsed};
use crate::config::{DoorConfig, SocketAuth, SocketsConfig};

/// The names of the settings of one protocol.
struct DoorSettings {
    enabled: &'static str,
    path: &'static str,
    default_path: &'static str,
    most_connections: &'static str,
    auth: &'static str,
    auth_timeout: &'static str,
}

const REST: DoorSettings = DoorSettings {
    enabled: "WEBSOCKETS_REST_ENABLED",
    path: "WEBSOCKETS_REST_PATH",
    default_path: "/websocket",
    most_connections: "WEBSOCKETS_REST_CONN_LIMIT",
    auth: "WEBSOCKETS_REST_AUTH",
    auth_timeout: "WEBSOCKETS_REST_AUTH_TIMEOUT",
};

const GRAPHQL: DoorSettings = DoorSettings {
    enabled: "WEBSOCKETS_GRAPHQL_ENABLED",
    path: "WEBSOCKETS_GRAPHQL_PATH",
    default_path: "/graphql",
    most_connections: "WEBSOCKETS_GRAPHQL_CONN_LIMIT",
    auth: "WEBSOCKETS_GRAPHQL_AUTH",
    auth_timeout: "WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT",
};

pub(super) fn sockets(reader: &mut Reader<'_>) -> Option<SocketsConfig> {
    let is_enabled = reader.or("WEBSOCKETS_ENABLED", true, value::boolean);
    let has_heartbeat = reader.or("WEBSOCKETS_HEARTBEAT_ENABLED", true, value::boolean);
    let period = reader.or("WEBSOCKETS_HEARTBEAT_PERIOD", Duration::from_secs(30), some_seconds);
    let config = SocketsConfig {
        rest: door(reader, &REST),
        graphql: door(reader, &GRAPHQL),
        heartbeat: has_heartbeat.then_some(period),
        most_per_client: reader.or("WEBSOCKETS_CLIENT_LIMIT", 50, value::whole(1, 1_000_000)),
        most_subscriptions: reader.or("WEBSOCKETS_SUBSCRIPTION_LIMIT", 100, value::whole(1, 100_000)),
        most_message_bytes: reader.or("WEBSOCKETS_MESSAGE_SIZE", 1 << 20, value::size),
        messages_per_second: reader.or("WEBSOCKETS_MESSAGE_RATE", 100, value::whole(1, 1_000_000)),
        queue_messages: reader.or("WEBSOCKETS_QUEUE_MESSAGES", 1000, value::whole(1, 1_000_000)),
        queue_bytes: reader.or("WEBSOCKETS_QUEUE_SIZE", 4 << 20, value::size),
        history: reader.or("WEBSOCKETS_HISTORY", 10_000, value::whole(0, 10_000_000)),
    };
    is_enabled.then_some(config)
}

fn door(reader: &mut Reader<'_>, names: &DoorSettings) -> Option<DoorConfig> {
    let is_enabled = reader.or(names.enabled, true, value::boolean);
    let config = DoorConfig {
        path: reader.or(names.path, names.default_path.to_owned(), path),
        most_connections: reader.or(names.most_connections, None, connections),
        auth: reader.or(names.auth, SocketAuth::Handshake, auth),
        auth_timeout: reader.or(names.auth_timeout, Duration::from_secs(10), some_seconds),
    };
    is_enabled.then_some(config)
}

fn some_seconds(text: &str) -> Parsed<Duration> {
    let duration = seconds(text)?;
    if duration < Duration::from_millis(100) {
        Err("must be at least 100ms".to_owned())
    } else {
        Ok(duration)
    }
}

fn path(text: &str) -> Parsed<String> {
    let is_plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    match text.strip_prefix('/') {
        Some(rest) if rest.split('/').all(is_plain) => Ok(text.to_owned()),
        _ => Err("must be a path such as `/websocket`".to_owned()),
    }
}

/// `Infinity`, as the public API writes it, is no limit.
fn connections(text: &str) -> Parsed<Option<usize>> {
    if text.eq_ignore_ascii_case("infinity") { Ok(None) } else { value::whole(1, 10_000_000)(text).map(Some) }
}

fn auth(text: &str) -> Parsed<SocketAuth> {
    let all = [SocketAuth::Public, SocketAuth::Handshake, SocketAuth::Strict];
    let known = all.into_iter().find(|auth| auth.name() == text);
    known.ok_or_else(|| "must be `public`, `handshake` or `strict`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn load(settings: &[(&str, &str)]) -> Result<Option<SocketsConfig>, String> {
        Sources::from_texts(settings, "", "")
            .and_then(|sources| Config::from_sources(&sources))
            .map(|config| config.sockets)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn settings_of_sockets() {
        let config = load(&[]).expect("valid").expect("on");
        let rest = config.rest.expect("on");
        assert_eq!(
            (rest.path.as_str(), rest.auth, rest.most_connections),
            ("/websocket", SocketAuth::Handshake, None)
        );
        assert_eq!(config.heartbeat, Some(Duration::from_secs(30)));
        assert_eq!(load(&[("WEBSOCKETS_ENABLED", "false")]), Ok(None));
        let config = load(&[
            ("WEBSOCKETS_HEARTBEAT_ENABLED", "false"),
            ("WEBSOCKETS_REST_ENABLED", "false"),
            ("WEBSOCKETS_GRAPHQL_PATH", "/a/b"),
            ("WEBSOCKETS_GRAPHQL_AUTH", "strict"),
            ("WEBSOCKETS_GRAPHQL_CONN_LIMIT", "7"),
        ]);
        let config = config.expect("valid").expect("on");
        let graphql = config.graphql.expect("on");
        assert_eq!((config.heartbeat, config.rest), (None, None));
        assert_eq!(
            (graphql.path.as_str(), graphql.auth, graphql.most_connections),
            ("/a/b", SocketAuth::Strict, Some(7))
        );
        for (name, wrong) in [
            ("WEBSOCKETS_REST_AUTH", "maybe"),
            ("WEBSOCKETS_REST_PATH", "websocket"),
            ("WEBSOCKETS_REST_PATH", "/a//b"),
            ("WEBSOCKETS_REST_CONN_LIMIT", "0"),
            ("WEBSOCKETS_HEARTBEAT_PERIOD", "0"),
            ("WEBSOCKETS_REST_TIMEOUT", "1"),
        ] {
            let message = load(&[(name, wrong)]).expect_err("refused");
            assert!(message.contains(name), "{message}");
        }
    }
}

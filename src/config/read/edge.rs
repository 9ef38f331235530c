//! Settings of the edge.

use std::time::Duration;

use super::{Finding, Reader};
use crate::config::value::{self, Parsed};
use crate::config::{
    CorsConfig, Network, Origins, OutgoingConfig, Rate, RateLimitsConfig, Reachable, Secret,
};

/// The switch, the points and the duration of one limit, and what stands for them when unset.
type RateSettings = ([&'static str; 3], bool, u32, u64);

const REQUESTS: RateSettings =
    (["RATE_LIMITER_ENABLED", "RATE_LIMITER_POINTS", "RATE_LIMITER_DURATION"], false, 50, 1);
const GLOBAL: RateSettings = (
    ["RATE_LIMITER_GLOBAL_ENABLED", "RATE_LIMITER_GLOBAL_POINTS", "RATE_LIMITER_GLOBAL_DURATION"],
    false,
    1000,
    1,
);
const SIGN_IN: RateSettings =
    (["RATE_LIMITER_AUTH_ENABLED", "RATE_LIMITER_AUTH_POINTS", "RATE_LIMITER_AUTH_DURATION"], true, 100, 60);
const REGISTRATION: RateSettings = (
    [
        "RATE_LIMITER_REGISTRATION_ENABLED",
        "RATE_LIMITER_REGISTRATION_POINTS",
        "RATE_LIMITER_REGISTRATION_DURATION",
    ],
    true,
    5,
    60,
);

pub(super) fn redis(reader: &mut Reader<'_>) -> Option<Secret<String>> {
    reader.optional("REDIS", |text| {
        let is_known = ["redis://", "rediss://", "redis+unix://", "unix://"];
        if is_known.iter().any(|scheme| text.starts_with(scheme)) {
            Ok(Secret::new(text.to_owned()))
        } else {
            // Not part of the message: it may hold a password.
            Err("must begin with `redis://`, `rediss://` or `redis+unix://`".to_owned())
        }
    })
}

pub(super) fn rate_limits(reader: &mut Reader<'_>, has_redis: bool) -> RateLimitsConfig {
    let is_shared = reader.or("RATE_LIMITER_STORE", has_redis, |text| match text {
        "redis" if has_redis => Ok(true),
        "redis" => Err("needs REDIS".to_owned()),
        "memory" => Ok(false),
        _ => Err("must be `memory` or `redis`".to_owned()),
    });
    RateLimitsConfig {
        requests: rate(reader, REQUESTS),
        global: rate(reader, GLOBAL),
        sign_in: rate(reader, SIGN_IN),
        registration: rate(reader, REGISTRATION),
        is_shared,
    }
}

fn rate(reader: &mut Reader<'_>, settings: RateSettings) -> Option<Rate> {
    let ([switch, points, duration], enabled, default_points, default_s) = settings;
    let enabled = reader.or(switch, enabled, value::boolean);
    let rate = Rate {
        points: reader.or(points, default_points, value::whole(1, 1_000_000)),
        duration: reader.or(duration, Duration::from_secs(default_s), seconds),
    };
    enabled.then_some(rate)
}

/// A duration whose bare number is seconds, as the public API has it for these settings.
pub(super) fn seconds(text: &str) -> Parsed<Duration> {
    let bare = text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = if bare { value::duration(&format!("{text}s")) } else { value::duration(text) }?;
    if duration > Duration::from_secs(86_400) {
        Err("must be at most a day".to_owned())
    } else {
        Ok(duration)
    }
}

pub(super) fn cors(reader: &mut Reader<'_>) -> Option<CorsConfig> {
    let enabled = reader.or("CORS_ENABLED", false, value::boolean);
    let origins = reader.optional("CORS_ORIGIN", origins);
    let methods = reader.or("CORS_METHODS", "GET, POST, PATCH, DELETE, SEARCH".to_owned(), header_list);
    let allowed_headers =
        reader.or("CORS_ALLOWED_HEADERS", "Content-Type, Authorization".to_owned(), header_list);
    let exposed_headers = reader.or("CORS_EXPOSED_HEADERS", "Content-Range".to_owned(), header_list);
    let credentials = reader.optional("CORS_CREDENTIALS", value::boolean);
    let max_age = reader.or("CORS_MAX_AGE", Duration::from_secs(18_000), seconds);
    if !enabled {
        return None;
    }
    let Some(origins) = origins.flatten() else {
        let place = reader.sources.get("CORS_ORIGIN").or_else(|| reader.sources.get("CORS_ENABLED"));
        if let Some((_, place)) = place {
            reader.findings.push(Finding::new("CORS_ENABLED", place, "needs origins in CORS_ORIGIN"));
        }
        return None;
    };
    // With cookies, every page that its visitor opens would read what the visitor may read.
    if origins == Origins::Any
        && credentials == Some(true)
        && let Some((_, place)) = reader.sources.get("CORS_CREDENTIALS")
    {
        let problem = "needs a list of origins in CORS_ORIGIN: not every page may use its visitor's cookies";
        reader.findings.push(Finding::new("CORS_CREDENTIALS", place, problem));
    }
    let credentials = credentials.unwrap_or(true) && origins != Origins::Any;
    Some(CorsConfig { origins, methods, allowed_headers, exposed_headers, credentials, max_age })
}

fn origins(text: &str) -> Parsed<Option<Origins>> {
    match text {
        "false" => Ok(None),
        "true" | "*" => Ok(Some(Origins::Any)),
        list => list
            .split(',')
            .map(|entry| origin(entry.trim()))
            .collect::<Parsed<_>>()
            .map(|all| Some(Origins::Listed(all))),
    }
}

/// An origin in the one form in which browsers send it.
pub(super) fn origin(text: &str) -> Parsed<String> {
    let expected = || {
        "must be `false`, `true`, or origins such as `https://app.example.com`, without path and wildcard"
            .to_owned()
    };
    let url = url::Url::parse(text).map_err(|_| expected())?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let has_host = url.host_str().is_some_and(|host| !host.contains('*'));
    if is_bare && has_host && matches!(url.scheme(), "http" | "https") {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(expected())
    }
}

/// Names of headers or methods; what goes into a header cannot break out of it.
fn header_list(text: &str) -> Parsed<String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_!#$%&'+.^`|~".contains(&byte))
    };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.iter().all(|name| is_name(name)) {
        Ok(names.join(", "))
    } else {
        Err("must be names with commas between them".to_owned())
    }
}

pub(super) fn outgoing(reader: &mut Reader<'_>) -> OutgoingConfig {
    OutgoingConfig {
        allow: reader.or("OUTGOING_ALLOW", Vec::new(), |text| text.split(',').map(reachable).collect()),
        deny: reader.or("IMPORT_IP_DENY_LIST", Vec::new(), |text| {
            let networks = text.split(',').map(|entry| Network::parse(entry.trim()));
            networks.collect::<Option<_>>().ok_or_else(|| {
                "must be addresses and networks such as `169.254.169.254` or `10.0.0.0/8`".to_owned()
            })
        }),
    }
}

fn reachable(entry: &str) -> Parsed<Reachable> {
    let entry = entry.trim();
    if let Some(network) = Network::parse(entry) {
        return Ok(Reachable::Network(network));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // What ends in a number is an address with a mistake in it.
    let ends_in_number = entry.rsplit('.').next().is_none_or(|last| last.parse::<u64>().is_ok());
    if entry.split('.').all(is_label) && !ends_in_number {
        Ok(Reachable::Host(entry.to_ascii_lowercase()))
    } else {
        Err("must be host names, addresses and networks such as `idp.internal,10.0.0.0/8`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn load(settings: &[(&str, &str)]) -> Result<Config, String> {
        Sources::from_texts(settings, "", "")
            .and_then(|sources| Config::from_sources(&sources))
            .map_err(|errors| errors.to_string())
    }

    fn check_refused(settings: &[(&str, &str)], expected: &str) {
        let message = load(settings).map(drop).expect_err("refused");
        assert!(message.contains(expected), "{message} lacks {expected}");
    }

    #[test]
    fn rates() {
        let limits = load(&[]).expect("valid").rate_limits;
        let minute = Duration::from_secs(60);
        assert_eq!((limits.requests, limits.global), (None, None));
        assert_eq!(limits.sign_in, Some(Rate { points: 100, duration: minute }));
        let limits = load(&[
            ("RATE_LIMITER_ENABLED", "true"),
            ("RATE_LIMITER_DURATION", "2"),
            ("RATE_LIMITER_AUTH_ENABLED", "false"),
            ("RATE_LIMITER_REGISTRATION_DURATION", "5m"),
            ("REDIS", "redis://:hunter2@localhost"),
        ]);
        let limits = limits.expect("valid").rate_limits;
        assert_eq!(limits.requests, Some(Rate { points: 50, duration: Duration::from_secs(2) }));
        assert_eq!((limits.sign_in, limits.is_shared), (None, true));
        assert_eq!(limits.registration.map(|rate| rate.duration), Some(minute * 5));
        check_refused(&[("RATE_LIMITER_STORE", "redis")], "RATE_LIMITER_STORE (environment) needs REDIS");
        check_refused(&[("RATE_LIMITER_POINTS", "0")], "RATE_LIMITER_POINTS");
        check_refused(&[("RATE_LIMITER_POINT", "5")], "did you mean RATE_LIMITER_POINTS?");
        let message = load(&[("REDIS", "hunter2")]).map(drop).expect_err("refused");
        assert!(message.contains("REDIS") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn origins_of_pages() {
        assert_eq!(load(&[("CORS_ORIGIN", "https://a.example")]).expect("valid").server.cors, None);
        let listed = [
            ("CORS_ENABLED", "true"),
            ("CORS_ORIGIN", "https://A.example, http://b.example:80,https://c.example:8443"),
        ];
        let cors = load(&listed).expect("valid").server.cors.expect("on");
        let expected = ["https://a.example", "http://b.example", "https://c.example:8443"].map(str::to_owned);
        assert_eq!(cors.origins, Origins::Listed(expected.to_vec()));
        assert!(cors.credentials);
        let any = load(&[("CORS_ENABLED", "true"), ("CORS_ORIGIN", "true")]).expect("valid").server.cors;
        assert!(any.is_some_and(|cors| cors.origins == Origins::Any && !cors.credentials));
        check_refused(&[("CORS_ENABLED", "true")], "CORS_ENABLED (environment) needs origins");
        let both = [("CORS_ENABLED", "true"), ("CORS_ORIGIN", "*"), ("CORS_CREDENTIALS", "true")];
        check_refused(&both, "CORS_CREDENTIALS");
        for wrong in
            ["null", "app.example", "https://*.example", "https://a.example/path", "https://u@a.example"]
        {
            check_refused(&[("CORS_ORIGIN", wrong)], "CORS_ORIGIN (environment) must be");
        }
        check_refused(&[("CORS_ALLOWED_HEADERS", "A\r\nX: y")], "CORS_ALLOWED_HEADERS");
    }

    #[test]
    fn exceptions_for_own_requests() {
        let outgoing =
            load(&[("OUTGOING_ALLOW", "10.0.0.0/8, IdP.internal"), ("IMPORT_IP_DENY_LIST", "10.1.0.1")]);
        let outgoing = outgoing.expect("valid").outgoing;
        assert_eq!((outgoing.allow.len(), outgoing.deny.len()), (2, 1));
        assert_eq!(outgoing.allow[1], Reachable::Host("idp.internal".to_owned()));
        for wrong in ["10.0.0.0/33", "10.0.0.256", "http://a", "a b", "*.internal", ""] {
            let result = load(&[("OUTGOING_ALLOW", wrong)]);
            assert_eq!(result.is_err(), !wrong.is_empty(), "{wrong}");
        }
        check_refused(&[("IMPORT_IP_DENY_LIST", "idp.internal")], "IMPORT_IP_DENY_LIST");
    }
}

//! From text to values. Each function says what it expects when it is given something else.

use std::net::IpAddr;
use std::time::Duration;

use super::{LogLevel, LogStyle, SameSite, TrustedProxies};

/// A range of addresses, as `10.0.0.0/8`; a single address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8` or a single address; `None` for anything else.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (prefix_bits <= most).then_some(Network { address, prefix_bits })
    }

    /// Whether the address lies in the range. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(other)) => {
                let shift = 32 - self.prefix_bits;
                shift == 32 || network.to_bits() >> shift == other.to_bits() >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(other)) => {
                let shift = 128 - self.prefix_bits;
                shift == 128 || network.to_bits() >> shift == other.to_bits() >> shift
            }
            _ => false,
        }
    }
}

pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn text(value: &str) -> Parsed<String> {
    Ok(value.to_owned())
}

pub(super) fn boolean(value: &str) -> Parsed<bool> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be `true` or `false`".to_owned()),
    }
}

/// A whole number within bounds.
pub(super) fn whole<T>(least: T, most: T) -> impl Fn(&str) -> Parsed<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    move |value| {
        value
            .parse()
            .ok()
            .filter(|number| *number >= least && *number <= most)
            .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
    }
}

/// `15m`, `7d`, `1500ms`; a bare number is milliseconds, as in the public API.
pub(super) fn duration(value: &str) -> Parsed<Duration> {
    let expected = || "must be a duration such as `500ms`, `30s`, `15m`, `2h` or `7d`".to_owned();
    let (number, unit) = split_unit(value);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let unit_ms: u64 = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    // Ten years are more than anything here needs, and keep sums of durations and times in range.
    match number.checked_mul(unit_ms) {
        Some(0) => Err("must be longer than nothing".to_owned()),
        Some(ms) if ms <= 3_650 * 86_400_000 => Ok(Duration::from_millis(ms)),
        _ => Err("must be at most ten years".to_owned()),
    }
}

/// `1mb`, `512kb`; a bare number is bytes.
pub(super) fn size(value: &str) -> Parsed<usize> {
    let expected = || "must be a size such as `512kb`, `1mb` or `1gb`".to_owned();
    let lower = value.to_ascii_lowercase();
    let (number, unit) = split_unit(&lower);
    let number: usize = number.parse().map_err(|_| expected())?;
    let unit_bytes = match unit {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return Err(expected()),
    };
    number.checked_mul(unit_bytes).filter(|bytes| *bytes > 0).ok_or_else(expected)
}

fn split_unit(value: &str) -> (&str, &str) {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    (&value[..digits], value[digits..].trim())
}

pub(super) fn email(value: &str) -> Parsed<String> {
    let well_formed = value
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if well_formed && !value.contains(char::is_whitespace) && value.len() <= 128 {
        Ok(value.to_owned())
    } else {
        Err("must be an e-mail address".to_owned())
    }
}

pub(super) fn public_url(value: &str) -> Parsed<String> {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {
            Ok(value.trim_end_matches('/').to_owned())
        }
        _ => Err("must begin with `http://` or `https://`".to_owned()),
    }
}

/// The name of a cookie: letters, digits and signs that mean nothing in a header.
pub(super) fn cookie_name(value: &str) -> Parsed<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.chars().all(is_plain) && value.len() <= 64 {
        Ok(value.to_owned())
    } else {
        Err("must consist of letters, digits, `-`, `_` and `.`, at most 64".to_owned())
    }
}

pub(super) fn host_name(value: &str) -> Parsed<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if value.chars().all(is_plain) && value.len() <= 253 {
        Ok(value.to_owned())
    } else {
        Err("must be the name of a host".to_owned())
    }
}

pub(super) fn same_site(value: &str) -> Parsed<SameSite> {
    match value.to_ascii_lowercase().as_str() {
        "strict" | "true" => Ok(SameSite::Strict),
        "lax" => Ok(SameSite::Lax),
        "none" => Ok(SameSite::None),
        _ => Err("must be `strict`, `lax` or `none`".to_owned()),
    }
}

pub(super) fn log_level(value: &str) -> Parsed<LogLevel> {
    match value {
        "silent" => Ok(LogLevel::Silent),
        "error" | "fatal" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err("must be `silent`, `error`, `warn`, `info`, `debug` or `trace`".to_owned()),
    }
}

pub(super) fn log_style(value: &str) -> Parsed<LogStyle> {
    match value {
        "raw" | "json" => Ok(LogStyle::Raw),
        "pretty" => Ok(LogStyle::Pretty),
        _ => Err("must be `raw` or `pretty`".to_owned()),
    }
}

/// The name of a header, or `false`.
pub(super) fn header_name(value: &str) -> Parsed<Option<String>> {
    let is_name = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match value {
        "false" => Ok(None),
        _ if is_name && !value.is_empty() => Ok(Some(value.to_ascii_lowercase())),
        _ => Err("must be the name of a header, or `false`".to_owned()),
    }
}

pub(super) fn trusted_proxies(value: &str) -> Parsed<TrustedProxies> {
    match value {
        "true" => return Ok(TrustedProxies::Everybody),
        "false" | "0" => return Ok(TrustedProxies::Nobody),
        _ => {}
    }
    if let Ok(hops) = value.parse() {
        return Ok(TrustedProxies::Hops(hops));
    }
    let networks = value.split(',').map(|entry| Network::parse(entry.trim())).collect::<Option<_>>();
    networks.map(TrustedProxies::Networks).ok_or_else(|| {
        "must be `true`, `false`, a number of proxies, or addresses and networks such as `10.0.0.0/8`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |value, expected: Option<u64>| {
            assert_eq!(duration(value).ok().map(|duration| duration.as_millis() as u64), expected, "{value}");
        };
        check("15m", Some(900_000));
        check("7d", Some(604_800_000));
        check("250", Some(250));
        check("30 s", Some(30_000));
        check("0s", None);
        check("-1s", None);
        check("1y", None);
        check("99999999999999999999s", None);
        check("9999999d", None);
    }

    #[test]
    fn sizes() {
        let check = |value, expected: Option<usize>| assert_eq!(size(value).ok(), expected, "{value}");
        check("1mb", Some(1_048_576));
        check("16KB", Some(16_384));
        check("42", Some(42));
        check("0", None);
        check("1tb", None);
        check("mb", None);
    }

    #[test]
    fn proxies() {
        let check = |setting, address: &str, expected| {
            let proxies = trusted_proxies(setting).expect("valid");
            assert_eq!(proxies.trusts(address.parse().expect("address"), 0), expected, "{setting} {address}");
        };
        check("false", "127.0.0.1", false);
        check("true", "127.0.0.1", true);
        check("10.0.0.0/8, ::1", "10.9.8.7", true);
        check("10.0.0.0/8, ::1", "::ffff:10.9.8.7", true);
        check("10.0.0.0/8, ::1", "::1", true);
        check("10.0.0.0/8, ::1", "11.0.0.1", false);
        check("0.0.0.0/0", "11.0.0.1", true);
        check("0", "11.0.0.1", false);
        check("1", "11.0.0.1", true);
        assert!(trusted_proxies("10.0.0.0/33").is_err());
        assert!(trusted_proxies("nonsense").is_err());
        assert!(trusted_proxies("-1").is_err());
    }
}

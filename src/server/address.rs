//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::config::TrustedProxies;

/// The client's address: that of the connection, unless it belongs to a trusted proxy. Then it is the last address that was
/// forwarded by somebody who is trusted, since everything before it may be invented, or what stands in a header of the proxy's own.
pub(super) fn client_address(
    request: &HttpRequest,
    proxies: &TrustedProxies,
    own_header: Option<&str>,
) -> Option<IpAddr> {
    let connected = request.peer_addr()?.ip().to_canonical();
    if !proxies.trusts(connected, 0) {
        return Some(connected);
    }
    let told = own_header.and_then(|name| request.headers().get(name)).and_then(|value| value.to_str().ok());
    if let Some(Ok(address)) = told.map(|told| told.trim().parse::<IpAddr>()) {
        return Some(address.to_canonical());
    }
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    Some(last_untrusted(connected, &forwarded, proxies))
}

/// Host and port that the client asked: what a trusted proxy says of it, or what the request itself says.
pub(super) fn asked_host<'a>(request: &'a HttpRequest, proxies: &TrustedProxies) -> Option<&'a str> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let connected = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let told = header("x-forwarded-host").filter(|_| connected.is_some_and(|from| proxies.trusts(from, 0)));
    // Proxies add what they were asked at the end, as with addresses.
    let told = told.and_then(|told| told.rsplit(',').next()).map(str::trim).filter(|told| !told.is_empty());
    told.or_else(|| header("host")).or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

fn last_untrusted(connected: IpAddr, forwarded: &[&str], proxies: &TrustedProxies) -> IpAddr {
    let mut client = connected;
    for (passed, entry) in forwarded.iter().rev().enumerate() {
        let Ok(address) = entry.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !proxies.trusts(client, passed + 1) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    #[test]
    fn a_header_of_the_proxy_s_own_is_believed_from_trusted_proxies() {
        let check = |trusted: &str, told: &str, expected: &str| {
            let sources = Sources::from_texts(&[("IP_TRUST_PROXY", trusted)], "", "").expect("valid");
            let proxies = Config::from_sources(&sources).expect("valid").server.trusted_proxies;
            let request = actix_web::test::TestRequest::default()
                .peer_addr("10.0.0.1:80".parse().expect("address"))
                .insert_header(("cf-connecting-ip", told))
                .insert_header(("x-forwarded-for", "198.51.100.7"))
                .to_http_request();
            let found =
                client_address(&request, &proxies, Some("cf-connecting-ip")).map(|found| found.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{trusted} {told}");
        };
        check("10.0.0.0/8", "203.0.113.9", "203.0.113.9");
        check("10.0.0.0/8", "nonsense", "198.51.100.7");
        check("false", "203.0.113.9", "10.0.0.1");
    }

    #[test]
    fn hosts_are_those_of_the_request_or_of_a_trusted_proxy() {
        let check = |trusted: &str, forwarded: Option<&str>, expected: &str| {
            let sources = Sources::from_texts(&[("IP_TRUST_PROXY", trusted)], "", "").expect("valid");
            let proxies = Config::from_sources(&sources).expect("valid").server.trusted_proxies;
            let request = actix_web::test::TestRequest::default()
                .peer_addr("10.0.0.1:80".parse().expect("address"))
                .insert_header(("host", "inner:8055"));
            let request = forwarded
                .into_iter()
                .fold(request, |request, forwarded| request.insert_header(("x-forwarded-host", forwarded)));
            assert_eq!(asked_host(&request.to_http_request(), &proxies), Some(expected), "{forwarded:?}");
        };
        check("10.0.0.0/8", Some("shop.example"), "shop.example");
        check("10.0.0.0/8", Some("invented.example, shop.example:444"), "shop.example:444");
        check("10.0.0.0/8", Some(" "), "inner:8055");
        check("10.0.0.0/8", None, "inner:8055");
        check("false", Some("shop.example"), "inner:8055");
    }

    #[test]
    fn forwarded_addresses() {
        let check = |trusted: &str, forwarded: &[&str], expected: &str| {
            let sources = Sources::from_texts(&[("IP_TRUST_PROXY", trusted)], "", "").expect("valid");
            let proxies = Config::from_sources(&sources).expect("valid").server.trusted_proxies;
            let connected = "10.0.0.1".parse().expect("address");
            let found = last_untrusted(connected, forwarded, &proxies);
            assert_eq!(found.to_string(), expected, "{trusted} {forwarded:?}");
        };
        check("10.0.0.0/8", &[], "10.0.0.1");
        check("10.0.0.0/8", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.0/8", &["1.2.3.4", " 203.0.113.9", " 10.0.0.2"], "203.0.113.9");
        check("10.0.0.0/8", &["1.2.3.4", "nonsense", "10.0.0.2"], "10.0.0.2");
        check("true", &["1.2.3.4", "203.0.113.9"], "1.2.3.4");
        check("1", &["1.2.3.4", "203.0.113.9"], "203.0.113.9");
        check("2", &["8.8.8.8", "1.2.3.4", "203.0.113.9"], "1.2.3.4");
        check("2", &["1.2.3.4"], "1.2.3.4");
    }
}

//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::config::TrustedProxies;

/// The client's address: that of the connection, unless it belongs to a trusted proxy. Then it is the last address that was
/// forwarded by somebody who is trusted, since everything before it may be invented.
pub(super) fn client_address(request: &HttpRequest, proxies: &TrustedProxies) -> Option<IpAddr> {
    let connected = request.peer_addr()?.ip().to_canonical();
    if !proxies.trusts(connected, 0) {
        return Some(connected);
    }
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    Some(last_untrusted(connected, &forwarded, proxies))
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

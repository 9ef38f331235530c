//! Which addresses the server may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Network, Reachable};

/// The judge of addresses.
pub(super) struct Guard {
    allow: Vec<Reachable>,
    deny: Vec<Network>,
}

impl Guard {
    pub(super) fn new(allow: Vec<Reachable>, deny: Vec<Network>) -> Self {
        Guard { allow, deny }
    }

    /// Whether this address, perhaps found under this name, may be connected to. What is denied by name is not allowed by another.
    pub(super) fn judge(&self, host: Option<&str>, address: IpAddr) -> Result<(), ()> {
        let address = address.to_canonical();
        let inner = inner_v4(address).map(IpAddr::V4);
        let is_denied = |address: IpAddr| self.deny.iter().any(|network| network.contains(address));
        if is_denied(address) || inner.is_some_and(is_denied) {
            return Err(());
        }
        let is_exception = self.allow.iter().any(|exception| match exception {
            Reachable::Network(network) => network.contains(address),
            Reachable::Host(name) => {
                host.is_some_and(|host| host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name))
            }
        });
        if is_exception || is_global(address) { Ok(()) } else { Err(()) }
    }
}

/// The IPv4 address that a translator of the well-known prefix would connect to (RFC 6052).
fn inner_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            Some(Ipv4Addr::from_bits(v6.to_bits() as u32))
        }
        _ => None,
    }
}

/// Whether everybody on the internet reaches the same host there (IANA special-purpose address registries).
fn is_global(address: IpAddr) -> bool {
    match (address, inner_v4(address)) {
        (_, Some(inner)) => is_global_v4(inner),
        (IpAddr::V4(v4), None) => is_global_v4(v4),
        (IpAddr::V6(v6), None) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _) // this host, private, loopback
            | (100, 64..=127, _) // behind the translator of a provider
            | (169, 254, _) // link-local, with the metadata services of clouds
            | (172, 16..=31, _) // private
            | (192, 0, 0 | 2) // protocols, documentation
            | (192, 88, 99) // relays of 6to4
            | (192, 168, _) // private
            | (198, 18..=19, _) // benchmarks
            | (198, 51, 100) // documentation
            | (203, 0, 113) // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    );
    !is_special
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Everything outside of 2000::/3 is special: loopback, link-local, unique local, multicast, translated, discarded.
    let is_special = matches!(
        (a, b),
        (0x2001, 0..=0x1ff) // protocols, among them Teredo
            | (0x2001, 0xdb8) // documentation
            | (0x2002, _) // 6to4, which may lead anywhere
            | (0x3fff, 0..=0xfff) // documentation
    );
    (0x2000..=0x3fff).contains(&a) && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, host: Option<&str>, addresses: &[&str], expected: bool) {
        for address in addresses {
            let parsed = address.parse().expect("an address");
            assert_eq!(guard.judge(host, parsed).is_ok(), expected, "{host:?} {address}");
        }
    }

    #[test]
    fn only_what_everybody_reaches() {
        let guard = Guard::new(Vec::new(), Vec::new());
        let global = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00::1",
        ];
        check(&guard, Some("example.com"), &global, true);
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::101:101",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        check(&guard, Some("example.com"), &special, false);
    }

    #[test]
    fn exceptions_of_the_operator() {
        let network = |text: &str| Network::parse(text).expect("a network");
        let allow =
            vec![Reachable::Network(network("10.1.0.0/16")), Reachable::Host("idp.internal".to_owned())];
        let guard = Guard::new(allow, vec![network("10.1.2.0/24"), network("1.1.1.1")]);
        check(&guard, None, &["10.1.1.1", "::ffff:10.1.1.1"], true);
        check(&guard, None, &["10.1.2.1", "10.2.0.1", "1.1.1.1", "64:ff9b::101:101"], false);
        check(&guard, Some("IDP.internal."), &["10.2.0.1", "127.0.0.1"], true);
        check(&guard, Some("other.internal"), &["10.2.0.1"], false);
        check(&guard, Some("idp.internal"), &["10.1.2.9"], false);
    }
}

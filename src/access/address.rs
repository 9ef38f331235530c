//! Addresses from which a policy is in force.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses, networks (`10.0.0.0/8`) and ranges (`10.0.0.1-10.0.0.9`), as `ip_access` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    entries: Vec<Entry>,
    is_restricted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Network(IpNet),
    Range(IpAddr, IpAddr),
}

impl AddressList {
    /// Reads a list separated by commas. What is no address lets nobody in; an empty list lets in everybody.
    pub fn parse(list: &str) -> Self {
        let written = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let is_restricted = written.clone().next().is_some();
        AddressList { entries: written.filter_map(entry).collect(), is_restricted }
    }

    /// Whether this address is on the list; no address is on none.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        if !self.is_restricted {
            return true;
        }
        let Some(address) = address.map(|address| address.to_canonical()) else { return false };
        self.entries.iter().any(|entry| match entry {
            Entry::Network(network) => network.contains(&address),
            Entry::Range(first, last) => {
                first.is_ipv4() == address.is_ipv4() && (*first..=*last).contains(&address)
            }
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    if let Some((first, last)) = text.split_once('-') {
        return Some(Entry::Range(first.trim().parse().ok()?, last.trim().parse().ok()?));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(Entry::Network(network));
    }
    text.parse::<IpAddr>().ok().map(|address| Entry::Network(address.to_canonical().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, address: &str, expected: bool) {
        let address = address.parse().expect("an address");
        assert_eq!(AddressList::parse(list).admits(Some(address)), expected, "{list} {address}");
    }

    #[test]
    fn addresses() {
        check("", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("10.0.0.0/8, ::1", "10.200.0.1", true);
        check("10.0.0.0/8, ::1", "::1", true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.5-10.0.0.9", "10.0.0.7", true);
        check("10.0.0.5-10.0.0.9", "10.0.0.10", false);
        check("10.0.0.5-10.0.0.9", "::1", false);
        check("localhost", "127.0.0.1", false);
        assert!(!AddressList::parse("10.1.2.3").admits(None));
        assert!(AddressList::parse(" , ").admits(None));
    }
}

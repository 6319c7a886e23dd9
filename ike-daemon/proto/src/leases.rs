//! Addresses of clients in tunnel mode: who has which. A client keeps its address over rekeying and
//! reconnecting, until it is gone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::io::Reqid;
use crate::policy::{AddressRange, ModeConfig};

/// All that are given out. Not more than there are clients.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    by_address: BTreeMap<Ipv4Addr, Reqid>,
    by_client: BTreeMap<Reqid, Ipv4Addr>,
    /// The last one given, so that an address rests before it is somebody else's.
    last: Option<Ipv4Addr>,
}

/// An address for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    /// A client of the same user who had it and has to go.
    pub(crate) displaced: Option<Reqid>,
}

impl Leases {
    pub(crate) fn of(&self, client: Reqid) -> Option<Ipv4Addr> {
        self.by_client.get(&client).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// The client is gone.
    pub(crate) fn release(&mut self, client: Reqid) {
        if let Some(address) = self.by_client.remove(&client) {
            self.by_address.remove(&address);
        }
    }

    /// Notes what a client has, taking it from whoever had it.
    pub(crate) fn hold(&mut self, client: Reqid, address: Ipv4Addr) {
        self.release(client);
        if let Some(before) = self.by_address.insert(address, client) {
            self.by_client.remove(&before);
        }
        self.by_client.insert(client, address);
    }

    /// The client's address: the one it has, or one of its user's own, or the one it asks for, or
    /// the next that is free.
    pub(crate) fn lease(
        &mut self,
        client: Reqid,
        config: &ModeConfig,
        user: Option<&str>,
        wanted: Option<Ipv4Addr>,
    ) -> Option<Lease> {
        let own = user
            .and_then(|name| config.users.get(name))
            .and_then(|user| user.addresses);
        let held = self
            .of(client)
            .filter(|address| may_have(config, own, *address));
        let address = held
            .or_else(|| {
                wanted.filter(|address| self.is_free(*address) && may_have(config, own, *address))
            })
            .or_else(|| match own {
                Some(own) => self.next_in(&[own]),
                None => self.next(config),
            })
            // All of a user's own are taken: by clients of that user, of which the newest counts.
            .or_else(|| own.map(|own| own.first))?;
        let displaced = self.by_address.get(&address).copied();
        self.hold(client, address);
        self.last = Some(address);
        Some(Lease {
            address,
            displaced: displaced.filter(|other| *other != client),
        })
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        !self.by_address.contains_key(&address)
    }

    /// The next free address of the pool that is nobody's own, going round.
    fn next(&self, config: &ModeConfig) -> Option<Ipv4Addr> {
        let after = self.last.map_or(0, |last| u32::from(last).wrapping_add(1));
        let mut around: Vec<AddressRange> = Vec::new();
        let mut before: Vec<AddressRange> = Vec::new();
        for range in &config.pool {
            let (first, last) = (u32::from(range.first), u32::from(range.last));
            let part = |first: u32, last: u32| AddressRange {
                first: first.into(),
                last: last.into(),
            };
            if after <= last {
                around.push(part(first.max(after), last));
            }
            if first < after {
                before.push(part(first, last.min(after.saturating_sub(1))));
            }
        }
        around.append(&mut before);
        around
            .iter()
            .flat_map(AddressRange::addresses)
            .find(|address| self.is_free(*address) && !config.is_reserved(*address))
    }

    fn next_in(&self, ranges: &[AddressRange]) -> Option<Ipv4Addr> {
        ranges
            .iter()
            .flat_map(AddressRange::addresses)
            .find(|address| self.is_free(*address))
    }
}

/// Whether an address is one for this user.
fn may_have(config: &ModeConfig, own: Option<AddressRange>, address: Ipv4Addr) -> bool {
    match own {
        Some(own) => own.contains(address),
        None => {
            config.pool.iter().any(|range| range.contains(address)) && !config.is_reserved(address)
        }
    }
}

#[cfg(test)]
mod tests {
    use ike_crypto::Secret;

    use super::*;
    use crate::policy::XauthUser;

    fn range(first: &str, last: &str) -> AddressRange {
        AddressRange {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }

    fn config() -> ModeConfig {
        let bob = XauthUser {
            password: Secret::from(&b"builder"[..]),
            addresses: Some(range("10.0.0.2", "10.0.0.2")),
        };
        ModeConfig {
            pool: vec![range("10.0.0.1", "10.0.0.4")],
            users: [("bob".to_owned(), bob)].into(),
            ..ModeConfig::default()
        }
    }

    #[test]
    fn every_address_once_and_never_a_users_own() {
        let (config, mut leases) = (config(), Leases::default());
        let mut ask = |client, user| leases.lease(Reqid(client), &config, user, None);
        let address = |lease: Option<Lease>| lease.unwrap().address.to_string();
        assert_eq!(address(ask(1, None)), "10.0.0.1");
        assert_eq!(address(ask(2, None)), "10.0.0.3");
        assert_eq!(address(ask(1, None)), "10.0.0.1", "the same again");
        assert_eq!(address(ask(3, Some("ann"))), "10.0.0.4");
        assert_eq!(ask(4, None), None);
        assert_eq!(address(ask(5, Some("bob"))), "10.0.0.2");
        // Bob again, from elsewhere: the newer one counts.
        let again = ask(6, Some("bob")).unwrap();
        assert_eq!(again.displaced, Some(Reqid(5)));
        leases.release(Reqid(5));
        assert_eq!(leases.of(Reqid(6)), Some(again.address));
        leases.release(Reqid(2));
        let free = leases.lease(Reqid(7), &config, None, None);
        assert_eq!(address(free), "10.0.0.3");
    }

    #[test]
    fn what_a_client_asks_for_it_gets_if_it_may() {
        let (config, mut leases) = (config(), Leases::default());
        let mut ask = |client, wanted: &str| {
            let lease = leases.lease(Reqid(client), &config, None, wanted.parse().ok());
            lease.unwrap().address.to_string()
        };
        assert_eq!(ask(1, "10.0.0.4"), "10.0.0.4");
        assert_ne!(ask(2, "10.0.0.4"), "10.0.0.4");
        assert_ne!(ask(3, "10.0.0.2"), "10.0.0.2", "bob's");
    }
}

//! Clients that want a name, a password and an address: XAUTH and Mode Config.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ike_crypto::Secret;
use ipnet::{IpNet, Ipv4Net};

/// What is handed out to clients in tunnel mode (draft-dukes-ike-mode-cfg-02, Cisco Unity), and who
/// may ask for it by XAUTH.
#[derive(Clone, Debug, Default)]
pub struct ModeConfig {
    /// Addresses, first and last of each range. Bounds the number of clients.
    pub pool: Vec<AddressRange>,
    /// INTERNAL_IP4_NETMASK.
    pub netmask: Option<Ipv4Addr>,
    /// INTERNAL_IP4_DNS.
    pub dns: Vec<Ipv4Addr>,
    /// INTERNAL_IP4_NBNS: WINS servers.
    pub nbns: Vec<Ipv4Addr>,
    /// UNITY_DEF_DOMAIN.
    pub default_domain: Option<String>,
    /// UNITY_SPLIT_INCLUDE: what goes through the tunnel; empty is everything.
    pub split_include: Vec<Ipv4Net>,
    /// UNITY_LOCAL_LAN: what does not.
    pub split_exclude: Vec<Ipv4Net>,
    /// UNITY_SPLITDNS_NAME: domains that our name servers are asked for.
    pub split_dns: Vec<String>,
    /// UNITY_BANNER.
    pub banner: Option<String>,
    /// UNITY_SAVE_PASSWD: the client may keep the password.
    pub save_password: bool,
    /// Who may come in by XAUTH.
    pub users: BTreeMap<String, XauthUser>,
}

impl ModeConfig {
    /// Whether an address is for one user only.
    pub(crate) fn is_reserved(&self, address: Ipv4Addr) -> bool {
        self.users
            .values()
            .filter_map(|user| user.addresses)
            .any(|own| own.contains(address))
    }

    /// Whether clients may reach `network` through the tunnel.
    pub(crate) fn reaches(&self, network: &IpNet) -> bool {
        let within = |own: &Ipv4Net| IpNet::V4(*own).contains(network);
        let everything = self.split_include.is_empty() && matches!(network, IpNet::V4(_));
        everything || self.split_include.iter().any(within)
    }
}

/// Who may log in by XAUTH, under the name it is kept by.
#[derive(Clone, Debug)]
pub struct XauthUser {
    /// The password.
    pub password: Secret,
    /// Only addresses from here, and nobody else gets them.
    pub addresses: Option<AddressRange>,
}

/// Consecutive addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The lowest.
    pub first: Ipv4Addr,
    /// The highest.
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// All of them, from the lowest on.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }

    /// Whether `address` lies inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

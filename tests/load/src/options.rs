//! The command line.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use ike_crypto::Group;
use ipnet::IpNet;

use crate::client::ECHO_SIZES;

/// Connects many L2TP/IPsec clients to a server, as fast as asked for, and tells how long each took.
///
/// Every client has a UDP socket of its own, is behind NAT as far as the server can tell (ESP in UDP),
/// offers AES with a pre-shared key (Main Mode), and logs in by MS-CHAPv2. No root is needed, unless
/// for more open files. Give clients addresses of their own with --from: servers limit what one
/// address may have.
///
///   tanuki-load --server 10.9.0.1 --psk secret --user u --password p --clients 1000
///
/// The exit code is 0 when all connected and none was lost.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The server.
    #[arg(long)]
    pub(crate) server: IpAddr,
    /// Its pre-shared key.
    #[arg(long)]
    pub(crate) psk: String,
    /// The user everybody logs in as; {} in it becomes the client's number, from 0.
    #[arg(long, required_unless_present = "ike_only")]
    pub(crate) user: Option<String>,
    /// The password.
    #[arg(long, required_unless_present = "ike_only")]
    pub(crate) password: Option<String>,
    /// Number of clients.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) clients: u32,
    /// Network whose addresses the clients take in turn; they must be this host's (Linux: ip route add
    /// local NETWORK dev lo). Without it all have the address that the routing table gives.
    #[arg(long)]
    pub(crate) from: Option<IpNet>,
    /// Clients that connect at a time; without it all at once.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    /// Clients that begin in a second; without it all at once.
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Seconds a client may take.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Diffie-Hellman group of phase 1: modp1024 to modp4096, ecp256, ecp384, ecp521, curve25519.
    #[arg(long, default_value = "modp2048", value_parser = group)]
    pub(crate) group: Group,
    /// Seconds to stay when all have connected, answering HELLO, LCP echo requests and dead peer
    /// detection; an interrupt (Ctrl-C) or SIGTERM ends it.
    #[arg(long, default_value = "0", value_parser = seconds)]
    pub(crate) hold: Duration,
    /// Echo requests (ping) through the tunnels in a second, all clients together, while they stay.
    #[arg(long, value_parser = positive)]
    pub(crate) echo: Option<f64>,
    /// Seconds of echo requests; then they only stay. Without it as long as they stay.
    #[arg(long, requires = "echo", value_parser = seconds)]
    pub(crate) echo_for: Option<Duration>,
    /// Octets of the IP packet of an echo request.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(ECHO_SIZES))]
    pub(crate) size: u64,
    /// Stop after Quick Mode, without L2TP and PPP: what IKE alone costs. User and password are not used.
    #[arg(long, conflicts_with = "echo")]
    pub(crate) ike_only: bool,
    /// Vanish at the end, without a word to the server.
    #[arg(long)]
    pub(crate) vanish: bool,
    /// Two lines of JSON instead of text: when all have connected, and at the end.
    #[arg(long)]
    pub(crate) json: bool,
    /// Allow a server that is neither private nor this host's. Only with its owner's consent.
    #[arg(long)]
    pub(crate) force: bool,
}

impl Options {
    /// Why the server must not be loaded.
    pub(crate) fn objection(&self) -> Option<String> {
        (!self.force && !is_private(self.server)).then(|| {
            format!(
                "{} is a public address: load may only be put on one's own servers; --force says that \
                 this is one",
                self.server
            )
        })
    }

    /// IKE at the server.
    pub(crate) fn target(&self) -> SocketAddr {
        SocketAddr::new(self.server, 500)
    }

    /// The client's own address, if it has one.
    pub(crate) fn address(&self, number: u32) -> Option<IpAddr> {
        let hosts = self.from?;
        // Addresses of whole networks, without the first and the last one of IPv4.
        match hosts {
            IpNet::V4(net) => {
                let size = 1_u32
                    .checked_shl(32 - u32::from(net.prefix_len()))
                    .unwrap_or(u32::MAX);
                let (first, count) = match size {
                    1 | 2 => (0, size),
                    size => (1, size - 2),
                };
                let base = u32::from(net.network());
                Some(IpAddr::V4((base + first + number % count).into()))
            }
            IpNet::V6(net) => {
                let spread = 1_u128.checked_shl(128 - u32::from(net.prefix_len()));
                let offset = u128::from(number) % spread.unwrap_or(u128::MAX);
                let base = u128::from(net.network());
                Some(IpAddr::V6(Ipv6Addr::from(base + offset)))
            }
        }
    }
}

/// Addresses of one's own networks, and those for documentation, which nobody has.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("a number above 0".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "seconds, such as 60 or 0.5".to_owned())
}

fn group(text: &str) -> Result<Group, String> {
    Group::ALL
        .into_iter()
        .find(|group| group.name() == text)
        .ok_or_else(|| {
            let names: Vec<&str> = Group::ALL.iter().map(|group| group.name()).collect();
            format!("one of {}", names.join(", "))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Options {
        let common = "tanuki-load --psk p --user u --password w --server";
        Options::parse_from(common.split(' ').chain(words.split(' ')))
    }

    #[test]
    fn public_servers_take_consent() {
        for (words, allowed) in [
            ("10.1.2.3", true),
            ("127.0.0.1", true),
            ("203.0.113.10", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("2001:4860::1", false),
            ("8.8.8.8 --force", true),
        ] {
            assert_eq!(parse(words).objection().is_none(), allowed, "{words}");
        }
    }

    #[test]
    fn clients_take_addresses_in_turn() {
        let of = |words: &str, number| parse(words).address(number).map(|ip| ip.to_string());
        assert_eq!(of("10.1.2.3", 5), None);
        let net = "10.1.2.3 --from 10.9.0.0/30";
        assert_eq!(of(net, 0).as_deref(), Some("10.9.0.1"));
        assert_eq!(of(net, 1).as_deref(), Some("10.9.0.2"));
        assert_eq!(of(net, 2).as_deref(), Some("10.9.0.1"));
        let one = "10.1.2.3 --from 10.9.0.7/32";
        assert_eq!(of(one, 9).as_deref(), Some("10.9.0.7"));
        let wide = "10.1.2.3 --from 10.9.0.0/16";
        assert_eq!(of(wide, 9_999).as_deref(), Some("10.9.39.16"));
    }
}

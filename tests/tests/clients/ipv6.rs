//! IPv6: clients at IPv6 addresses, and clients that get a prefix.

use std::net::Ipv6Addr;

use crate::client::{Client, Place, SERVER6};
use crate::l2tp::{IPV6, IPV6CP};
use crate::stack::Stack;
use crate::{models, policy};

const SERVER: &str = tanuki_tests::ike::gateway::SERVER;
const ROUTED: &str = "ipv6: {prefixes: ['2001:db8:77::/48'], dns: ['2001:db8::53']}\n";

#[test]
fn clients_come_by_ipv6() {
    for (name, make) in models::TABLE {
        for nat in [false, true] {
            println!("{name}, translated: {nat}");
            let mut stack = Stack::at(policy(), SERVER6, "");
            let mut client = Client::at(make(), Place::over_ipv6(nat), 5);
            client.connect(&mut stack);
            client.live(&mut stack, 130);
            client.renew(&mut stack);
            client.leave(&mut stack);
        }
    }
}

/// Windows, macOS and iOS negotiate IPV6CP of their own accord.
#[test]
fn windows_and_apple_get_a_prefix() {
    for model in [
        models::windows(false),
        models::windows(true),
        models::macos(false),
    ] {
        let mut stack = Stack::at(policy(), SERVER, ROUTED);
        let mut client = Client::new(model, true, 5);
        client.connect(&mut stack);
        assert!(client.ipv6_is_up, "{:#?}", stack.log);
        let prefix = client.solicit(&mut stack);
        assert_eq!(prefix, "2001:db8:77::".parse::<Ipv6Addr>().unwrap());
        client.ping6(
            &mut stack,
            Ipv6Addr::from_bits(prefix.to_bits() | 0xabcd),
            true,
        );
        client.ping6(&mut stack, "2001:db8:77:1::1".parse().unwrap(), false);
        client.leave(&mut stack);
    }
}

impl Client {
    /// The identifier that the model negotiates, as link-local address.
    fn link_local(&self) -> Ipv6Addr {
        let options = &self
            .model
            .besides
            .iter()
            .find(|own| own.0 == IPV6CP)
            .unwrap()
            .1;
        let identifier: [u8; 8] = options[2..10].try_into().unwrap();
        Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(u64::from_be_bytes(identifier)))
    }

    /// Asks for a router; the prefix that it advertises.
    fn solicit(&mut self, stack: &mut Stack) -> Ipv6Addr {
        let source = self.link_local();
        self.frames.clear();
        self.frame(stack, IPV6, &nd_proto::Solicitation { source }.emit());
        let (protocol, advertisement) = self.frames.pop_back().unwrap();
        assert_eq!(
            (protocol, advertisement[40]),
            (IPV6, 134),
            "{:#?}",
            stack.log
        );
        assert_eq!(advertisement[24..40], source.octets());
        // Prefix information: length, L and A.
        assert_eq!(advertisement[56..60], [3, 4, 64, 0xc0]);
        self.frames.clear();
        Ipv6Addr::from(*advertisement[72..].first_chunk::<16>().unwrap())
    }

    /// An ICMPv6 echo request reaches the server's TUN device and the reply comes back, or not.
    fn ping6(&mut self, stack: &mut Stack, from: Ipv6Addr, reaches: bool) {
        let host: Ipv6Addr = "2001:db8:1::9".parse().unwrap();
        let echo = |kind: u8, from: Ipv6Addr, to: Ipv6Addr| {
            let head = [0x60, 0, 0, 0, 0, 8, 58, 64];
            let body = [kind, 0, 0, 0, 0, 1, 0, 1];
            [&head[..], &from.octets(), &to.octets(), &body].concat()
        };
        let request = echo(128, from, host);
        self.frame(stack, IPV6, &request);
        assert_eq!(stack.kernel.tun.pop_front(), reaches.then_some(request));
        if reaches {
            let reply = echo(129, host, from);
            stack.kernel.tun_packet(&reply);
            stack.esp.append(&mut stack.kernel.outgoing);
            self.pump(stack);
            assert_eq!(self.frames.pop_front(), Some((IPV6, reply)));
        }
    }
}

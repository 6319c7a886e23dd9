//! Against packets that a Cisco router and a Linux host sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hex_literal::hex;
use nd_proto::{
    ALL_NODES, ALL_ROUTERS, Advertisement, Host, Invalid, ON_LINK_AND_AUTONOMOUS, Prefix, Router,
    Settings, Solicitation,
};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// A router's advertisement: source link-layer address, MTU 1500, 2001:db8:0:1::/64 with L and A,
/// 30 and 7 days.
const ADVERTISEMENT: [u8; 104] = hex!(
    "6e000000 0040 3a ff fe80000000000000c00054fffef50000 ff020000000000000000000000000001"
    "8600 c4fe 40 00 0708 00000000 00000000"
    "0101 c20054f50000"
    "0501 0000 000005dc"
    "0304 40 c0 00278d00 00093a80 00000000 20010db8000000010000000000000000"
);

/// A Linux host's solicitation, on a TUN device, to which no link-layer address belongs.
const SOLICITATION: [u8; 48] = hex!(
    "60000000 0008 3a ff fe800000000000000200000000000009 ff020000000000000000000000000002"
    "8500 7b2e 00000000"
);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn settings() -> Settings {
    Settings {
        router: ip("fe80::1"),
        host: ip("fe80::200:0:0:9"),
        prefix: "2001:db8:77:5::/64".parse().unwrap(),
        dns: vec![ip("2001:db8::53")],
        mtu: 1400,
    }
}

#[test]
fn an_advertisement_is_what_a_router_sends() {
    let advertisement = Advertisement {
        hop_limit: 64,
        flags: 0,
        lifetime: 1800,
        prefixes: vec![Prefix {
            network: "2001:db8:0:1::/64".parse().unwrap(),
            flags: ON_LINK_AND_AUTONOMOUS,
            valid: 2_592_000,
            preferred: 604_800,
        }],
        mtu: Some(1500),
        dns: Vec::new(),
        dns_lifetime: 0,
    };
    let packet = advertisement.emit(ip("fe80::c000:54ff:fef5:0"), ALL_NODES);
    let (ours, theirs) = (&packet[..], &ADVERTISEMENT[..]);
    // Next header, hop limit and addresses; the length is that without the link-layer address.
    assert_eq!(ours[6..40], theirs[6..40]);
    assert_eq!(usize::from(ours[5]), usize::from(theirs[5]) - 8);
    assert_eq!(ours[40..42], theirs[40..42]);
    assert_eq!(ours[44..56], theirs[44..56]);
    // The prefix stands before the MTU.
    assert_eq!(ours[56..88], theirs[72..104]);
    assert_eq!(ours[88..], theirs[64..72]);
    // The order of the options does not change the sum, the link-layer address and the length do.
    let sum = |at: &[u8]| u16::from_be_bytes([at[42], at[43]]);
    let without: u32 = [0x0101u32, 0xc200, 0x54f5, 0x0000, 8].iter().sum();
    let expected = !sum(theirs);
    let mut expected = u32::from(expected) + 0x2_fffd - without;
    while expected > 0xffff {
        expected = (expected & 0xffff) + (expected >> 16);
    }
    assert_eq!(u32::from(!sum(ours)), expected);
}

#[test]
fn name_servers_are_told_as_rfc_8106_has_them() {
    let mut router = Router::new(settings(), Instant::now());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let packet = router.handle_timeout(Instant::now(), &mut rng).unwrap();
    assert_eq!(
        packet[packet.len() - 24..],
        hex!("19 03 0000 00000708 20010db8000000000000000000000053")
    );
    assert_eq!(packet[packet.len() - 32..][..8], hex!("0501000000000578"));
    // Less than IPv6 needs is nothing to advertise.
    let mut router = Router::new(
        Settings {
            mtu: 1279,
            dns: Vec::new(),
            ..settings()
        },
        Instant::now(),
    );
    let packet = router.handle_timeout(Instant::now(), &mut rng).unwrap();
    assert_eq!(packet.len(), 40 + 16 + 32);
}

#[test]
fn a_solicitation_is_what_linux_sends() {
    let source = ip("fe80::200:0:0:9");
    assert_eq!(Solicitation { source }.emit(), SOLICITATION);
    assert_eq!(
        Solicitation::parse(&SOLICITATION),
        Ok(Solicitation { source })
    );
    assert_eq!(SOLICITATION[24..40], ALL_ROUTERS.octets());
}

/// RFC 4861 section 6.1.1, one rule after the other.
#[test]
fn invalid_solicitations_are_dropped() {
    let other = |packet: &[u8]| Solicitation::parse(packet) == Err(Invalid::Other);
    assert!(other(&[]) && other(&SOLICITATION[..39]) && other(&ADVERTISEMENT));
    let changed = |at: usize, octet: u8| {
        let mut packet = SOLICITATION;
        packet[at] = octet;
        Solicitation::parse(&packet)
    };
    for (at, octet) in [(7, 254), (41, 1), (42, 0), (44, 1), (5, 7), (5, 9), (23, 8)] {
        assert_eq!(changed(at, octet), Err(Invalid::Malformed), "{at}: {octet}");
    }
    for (at, octet) in [(0, 0x45), (6, 17), (40, 135)] {
        assert_eq!(changed(at, octet), Err(Invalid::Other), "{at}: {octet}");
    }
    // From nowhere with a link-layer address; an option without length; one cut short.
    for (from, options) in [
        (Ipv6Addr::UNSPECIFIED, &hex!("0101 020000000001")[..]),
        (ip("fe80::9"), &hex!("0100 020000000001")),
        (ip("fe80::9"), &hex!("0102 020000000001")),
        (ip("fe80::9"), &hex!("01")),
    ] {
        let packet = with_options(from, options);
        assert_eq!(
            Solicitation::parse(&packet),
            Err(Invalid::Malformed),
            "{options:02x?}"
        );
    }
    let good = with_options(ip("fe80::9"), &hex!("0101 020000000001 0e01 000000000000"));
    assert!(Solicitation::parse(&good).is_ok());
}

/// A solicitation with options, its checksum made right.
fn with_options(source: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut packet = SOLICITATION.to_vec();
    packet[8..24].copy_from_slice(&source.octets());
    packet[42..44].fill(0);
    packet.extend_from_slice(options);
    let length = u16::try_from(packet.len() - 40).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    let words = packet[8..].chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]))
    });
    let mut sum: u32 = words.sum::<u32>() + u32::from(length) + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[42..44].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    packet
}

#[test]
fn a_router_advertises_often_at_first_and_then_seldom() {
    let start = Instant::now();
    let mut now = start;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut router = Router::new(settings(), now);
    let mut gaps = Vec::new();
    for _ in 0..200 {
        assert!(router.handle_timeout(now, &mut rng).is_some());
        assert!(router.handle_timeout(now, &mut rng).is_none());
        let next = router.next_timeout();
        gaps.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(gaps[..2], [16, 16]);
    assert!(gaps[2..].iter().all(|gap| (200..=600).contains(gap)));
    assert!(gaps[2..].iter().any(|gap| *gap > 500) && gaps[2..].iter().any(|gap| *gap < 300));
}

#[test]
fn a_host_is_answered_at_once_but_not_any_number_of_times() {
    let now = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut router = Router::new(settings(), now);
    router.handle_timeout(now, &mut rng).unwrap();
    let ask = |source: &str| Solicitation { source: ip(source) };
    let host = ask("fe80::200:0:0:9");
    let answer = router.handle_solicitation(now, host).unwrap();
    assert_eq!(answer[24..40], host.source.octets());
    let soon = now + Duration::from_millis(999);
    assert_eq!(router.handle_solicitation(soon, host), None);
    assert!(
        router
            .handle_solicitation(now + Duration::from_secs(1), host)
            .is_some()
    );
    // Somebody else's address is not on this link.
    let later = now + Duration::from_secs(5);
    assert_eq!(router.handle_solicitation(later, ask("fe80::8")), None);
    assert_eq!(router.handle_solicitation(later, ask("2001:db8::8")), None);
    // Without an address: all nodes are told, three seconds after they were last.
    let mut router = Router::new(settings(), now);
    router.handle_timeout(now, &mut rng).unwrap();
    assert_eq!(router.handle_solicitation(now, ask("::")), None);
    assert_eq!(router.next_timeout(), now + Duration::from_secs(3));
    assert_eq!(router.handle_solicitation(later, ask("::")), None);
    assert_eq!(router.next_timeout(), now + Duration::from_secs(3));
}

#[test]
fn a_host_asks_three_times() {
    let mut now = Instant::now();
    let mut host = Host::new(ip("fe80::200:0:0:9"), now);
    let mut asked = 0;
    while let Some(next) = host.next_timeout() {
        now = next;
        assert_eq!(host.handle_timeout(now).unwrap(), SOLICITATION);
        assert_eq!(host.handle_timeout(now), None);
        asked += 1;
    }
    assert_eq!(asked, 3);
    assert_eq!(host.handle_timeout(now + Duration::from_secs(60)), None);
}

proptest! {
    #[test]
    fn any_octets_are_a_solicitation_or_not(
        octets in prop::collection::vec(any::<u8>(), 0..80),
        options in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = Solicitation::parse(&octets);
        let _ = Solicitation::parse(&with_options("fe80::9".parse().unwrap(), &options));
    }
}

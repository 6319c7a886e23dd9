//! Any bytes parse or fail without panic, and what is emitted parses to the same message.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use pfkey::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn numbering() -> impl Strategy<Value = Numbering> {
    prop_oneof![Just(Numbering::FreeBsd), Just(Numbering::Linux)]
}

fn socket_address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>())
            .prop_map(|(ip, port)| SocketAddr::V4(SocketAddrV4::new(ip.into(), port))),
        (any::<[u8; 16]>(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
            |(ip, port, flow, scope)| {
                SocketAddr::V6(SocketAddrV6::new(ip.into(), port, flow, scope))
            }
        ),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), 0..=32u8, socket_address()).prop_map(|(protocol, prefix_len, address)| Address {
        protocol,
        prefix_len,
        address,
    })
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(allocations, bytes, add_time, use_time)| Lifetime {
            allocations,
            bytes,
            add_time,
            use_time,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let tunnel = proptest::option::of((socket_address(), socket_address()));
    let request = (any::<u16>(), 0..3u8, 0..4u8, any::<u16>(), tunnel).prop_map(
        |(protocol, mode, level, reqid, tunnel)| PolicyRequest {
            protocol,
            mode: Mode(mode),
            level: Level(level),
            reqid: u32::from(reqid),
            tunnel: tunnel.filter(|(a, b)| a.is_ipv4() == b.is_ipv4()),
        },
    );
    (
        any::<u16>(),
        any::<u8>(),
        any::<u8>(),
        any::<u32>(),
        any::<u32>(),
        vec(request, 0..5),
    )
        .prop_map(|(kind, direction, scope, id, priority, requests)| Policy {
            kind: PolicyType(kind),
            direction: Direction(direction),
            scope,
            id,
            priority,
            requests,
        })
}

fn extension() -> impl Strategy<Value = Extension> {
    let sa = (any::<u32>(), any::<[u8; 4]>(), any::<u32>()).prop_map(|(spi, b, flags)| {
        Extension::Sa(Sa {
            spi,
            replay: b[0],
            state: SaState(b[1]),
            authentication: AuthenticationAlgorithm(b[2]),
            encryption: EncryptionAlgorithm(b[3]),
            flags,
        })
    });
    let key = || vec(any::<u8>(), 1..80).prop_map(|bytes| Key::new(&bytes));
    let algorithm = (any::<u8>(), any::<u8>(), any::<u16>(), any::<u16>()).prop_map(
        |(id, iv_len, min_bits, max_bits)| Algorithm {
            id,
            iv_len,
            min_bits,
            max_bits,
        },
    );
    let combination =
        (lifetime(), lifetime(), any::<u16>()).prop_map(|(soft, hard, bits)| Combination {
            encryption: EncryptionAlgorithm::AES_CBC,
            encryption_bits: (bits, bits),
            soft,
            hard,
            ..Combination::default()
        });
    prop_oneof![
        sa,
        lifetime().prop_map(Extension::LifetimeCurrent),
        lifetime().prop_map(Extension::LifetimeHard),
        address().prop_map(Extension::AddressSource),
        address().prop_map(Extension::NatTOriginalInitiator),
        key().prop_map(Extension::KeyAuthentication),
        key().prop_map(Extension::KeyEncryption),
        // Names come back with their padding, so only padded ones are equal.
        (any::<u16>(), any::<u64>(), vec(any::<[u8; 8]>(), 0..4)).prop_map(|(kind, id, name)| {
            Extension::IdentitySource(Identity {
                kind,
                id,
                name: name.concat(),
            })
        }),
        (any::<u8>(), vec(combination, 0..4)).prop_map(|(replay, combinations)| {
            Extension::Proposal(Proposal {
                replay,
                combinations,
            })
        }),
        vec(algorithm, 0..6).prop_map(Extension::SupportedEncryption),
        (any::<u32>(), any::<u32>())
            .prop_map(|(min, max)| Extension::SpiRange(SpiRange { min, max })),
        policy().prop_map(Extension::Policy),
        (any::<u8>(), any::<u32>(), any::<u32>()).prop_map(|(mode, sequence, reqid)| {
            Extension::Sa2(Sa2 {
                mode: Mode(mode),
                sequence,
                reqid,
            })
        }),
        any::<u8>().prop_map(Extension::NatTType),
        any::<u16>().prop_map(Extension::NatTSourcePort),
        (29..u16::MAX, vec(any::<u8>(), 0..5)).prop_map(|(number, words)| Extension::Other {
            number,
            body: [vec![7; 4], words.repeat(8)].concat().into(),
        }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let header = (any::<[u8; 3]>(), any::<u16>(), any::<u32>(), any::<u32>());
    (header, vec(extension(), 0..8)).prop_map(
        |(([kind, errno, sa_type], reserved, sequence, pid), extensions)| Message {
            // 23 is ours on one side and Linux's on the other.
            kind: MessageType(kind % 23),
            errno,
            sa_type: SaType(sa_type),
            reserved,
            sequence,
            pid,
            extensions,
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), numbering in numbering()) {
        let _ = Message::parse(&bytes, numbering);
        let _ = Message::parse_header(&bytes, numbering);
        let _ = Policy::from_blob(&bytes, numbering);
        let _ = Client::new(numbering, 1).handle(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(
        message in message(),
        numbering in numbering(),
        offset in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = message.emit(numbering).to_vec();
        let offset = offset.index(bytes.len());
        bytes[offset] = value;
        if let Ok(parsed) = Message::parse(&bytes, numbering) {
            let _ = setkey::sa(&parsed, 1, &jiff::tz::TimeZone::UTC);
            let _ = setkey::policy(&parsed, &jiff::tz::TimeZone::UTC);
            let _ = Client::new(numbering, parsed.pid).handle(&bytes);
        }
    }

    #[test]
    fn messages_round_trip(message in message(), numbering in numbering()) {
        let bytes = message.emit(numbering);
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert_eq!(bytes.capacity(), bytes.len());
        prop_assert_eq!(Message::parse(&bytes, numbering), Ok(message));
    }

    #[test]
    fn every_truncation_is_an_error(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = message.emit(Numbering::FreeBsd);
        let cut = cut.index(bytes.len());
        prop_assert!(Message::parse(&bytes[..cut], Numbering::FreeBsd).is_err());
    }

    #[test]
    fn policy_blobs_round_trip(policy in policy(), numbering in numbering()) {
        let blob = policy.to_blob(numbering);
        prop_assert_eq!(Policy::from_blob(&blob, numbering), Ok(policy));
    }

    #[test]
    fn host_addresses_have_full_prefixes(ip in any::<IpAddr>()) {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        prop_assert_eq!(Address::host(ip).prefix_len, bits);
    }
}

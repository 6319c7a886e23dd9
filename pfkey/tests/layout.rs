//! Byte-exact layouts, offsets and numbers, held against what a FreeBSD 14.0-STABLE kernel and its
//! headers said (`sizeof`, offsets and constants of `net/pfkeyv2.h`), and Linux's differences
//! against `linux/pfkeyv2.h`.

#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(target_endian = "little")]

use std::net::SocketAddr;

use hex_literal::hex;
use pfkey::ext::{SAFLAGS_ESN, UDP_ENCAP_ESPINUDP};
use pfkey::*;

const SEQUENCE: u32 = 0x0102_0304;
const PID: u32 = 0x0506_0708;

/// The extension's bytes after the 16-byte header.
fn ext(extension: Extension, numbering: Numbering) -> Vec<u8> {
    let message = Message::new(MessageType::ADD, SaType::ESP, SEQUENCE, PID).with(extension);
    let bytes = message.emit(numbering);
    assert_eq!(Message::parse(&bytes, numbering).unwrap(), message);
    bytes[16..].to_vec()
}

fn address(text: &str) -> Address {
    let address: SocketAddr = text.parse().unwrap();
    Address {
        address,
        ..Address::host(address.ip())
    }
}

#[test]
fn header_is_16_bytes() {
    let mut message = Message::new(MessageType::X_SPDDUMP, SaType::ESP, SEQUENCE, PID);
    message.errno = 17;
    message.reserved = 0x0a0b;
    let bytes = message.emit(Numbering::FreeBsd);
    assert_eq!(bytes[..], hex!("02 12 11 03 0200 0b0a 04030201 08070605"));
}

#[test]
fn sa_spi_at_4_replay_at_8_flags_at_12() {
    let sa = Sa {
        spi: 0xcabb_4141,
        replay: 4,
        state: SaState::MATURE,
        authentication: AuthenticationAlgorithm::SHA2_256,
        encryption: EncryptionAlgorithm::AES_CBC,
        flags: SAFLAGS_ESN,
    };
    let expected = hex!("0200 0100 cabb4141 04 01 05 0c 00040000");
    assert_eq!(ext(Extension::Sa(sa), Numbering::FreeBsd), expected);
    assert_eq!(ext(Extension::Sa(sa), Numbering::Linux), expected);
}

#[test]
fn sa2_mode_at_4_sequence_at_8_reqid_at_12() {
    let sa2 = Sa2 {
        mode: Mode::TRANSPORT,
        sequence: 0x1c2,
        reqid: 16386,
    };
    assert_eq!(
        ext(Extension::Sa2(sa2), Numbering::FreeBsd),
        hex!("0200 1300 01 00 0000 c2010000 02400000")
    );
}

#[test]
fn address_of_ipv4_is_24_bytes_with_sin_len() {
    let source = address("203.0.113.4:4500");
    assert_eq!(
        ext(Extension::AddressSource(source), Numbering::FreeBsd),
        hex!("0300 0500 ff 20 0000 10 02 1194 cb007104 0000000000000000")
    );
    assert_eq!(
        ext(Extension::AddressSource(source), Numbering::Linux),
        hex!("0300 0500 ff 20 0000 0200 1194 cb007104 0000000000000000")
    );
}

#[test]
fn address_of_ipv6_is_40_bytes() {
    let destination = address("[2001:db8::1]:1701");
    assert_eq!(
        ext(
            Extension::AddressDestination(destination),
            Numbering::FreeBsd
        ),
        hex!(
            "0500 0600 ff 80 0000 1c 1c 06a5 00000000"
            "20010db8000000000000000000000001 00000000 00000000"
        )
    );
    // AF_INET6 is 10 on Linux.
    assert_eq!(
        ext(Extension::AddressDestination(destination), Numbering::Linux)[8..12],
        hex!("0a00 06a5")
    );
}

#[test]
fn key_is_padded_to_eight_bytes() {
    let key = Key::new(&hex!("00112233445566778899aabbccddeeff00112233"));
    assert_eq!(
        ext(Extension::KeyAuthentication(key), Numbering::FreeBsd),
        hex!("0400 0800 a000 0000 00112233445566778899aabbccddeeff00112233 00000000")
    );
}

#[test]
fn lifetime_is_32_bytes() {
    let soft = Lifetime {
        allocations: 1,
        bytes: 2,
        add_time: 2880,
        use_time: 4,
    };
    assert_eq!(
        ext(Extension::LifetimeSoft(soft), Numbering::FreeBsd),
        hex!("0400 0400 01000000 0200000000000000 400b000000000000 0400000000000000")
    );
}

#[test]
fn nat_t_and_replay_extensions_are_8_bytes() {
    let freebsd = |extension| ext(extension, Numbering::FreeBsd);
    assert_eq!(
        freebsd(Extension::NatTType(UDP_ENCAP_ESPINUDP)),
        hex!("0100 1400 02 000000")
    );
    assert_eq!(
        freebsd(Extension::NatTSourcePort(31044)),
        hex!("0100 1500 7944 0000")
    );
    assert_eq!(
        freebsd(Extension::NatTDestinationPort(4500)),
        hex!("0100 1600 1194 0000")
    );
    assert_eq!(
        freebsd(Extension::NatTFragment(1280)),
        hex!("0100 1900 0005 0000")
    );
    assert_eq!(
        freebsd(Extension::SaReplay(4096)),
        hex!("0100 1a00 00100000")
    );
}

#[test]
fn numbers_from_23_on_are_freebsds() {
    use ExtensionKind as K;
    for (kind, number) in [
        (K::Policy, 18),
        (K::Sa2, 19),
        (K::NatTType, 20),
        (K::NatTSourcePort, 21),
        (K::NatTDestinationPort, 22),
        (K::NatTOriginalInitiator, 23),
        (K::NatTOriginalResponder, 24),
        (K::NatTFragment, 25),
        (K::SaReplay, 26),
        (K::NewAddressSource, 27),
        (K::NewAddressDestination, 28),
    ] {
        assert_eq!(Numbering::FreeBsd.number(kind), Some(number));
        assert_eq!(Numbering::FreeBsd.kind(number), Some(kind));
    }
    // Linux: 24 is SEC_CTX, there is neither a replay nor a new address extension.
    for kind in [K::NatTOriginalResponder, K::SaReplay, K::NewAddressSource] {
        assert_eq!(Numbering::Linux.number(kind), None);
    }
    assert_eq!(Numbering::Linux.kind(24), None);
}

#[test]
fn policy_scope_at_7_id_at_8_priority_at_12_request_reqid_at_6() {
    let mut policy = Policy::ipsec(Direction::INBOUND, PolicyRequest::esp_transport_unique(12));
    policy.scope = 1;
    policy.id = 7;
    policy.priority = 9;
    let expected = hex!(
        "0300 1200 0200 01 01 07000000 09000000"
        "0800 3200 01 03 0c00"
    );
    assert_eq!(
        ext(Extension::Policy(policy.clone()), Numbering::FreeBsd),
        expected
    );
    // The same bytes are the value of IP_IPSEC_POLICY.
    assert_eq!(policy.to_blob(Numbering::FreeBsd), expected);
    assert_eq!(
        Policy::from_blob(&expected, Numbering::FreeBsd).unwrap(),
        policy
    );
}

#[test]
fn policy_request_of_linux_is_16_bytes() {
    let policy = Policy::ipsec(
        Direction::OUTBOUND,
        PolicyRequest::esp_transport_unique(70_000),
    );
    assert_eq!(
        policy.to_blob(Numbering::Linux),
        hex!("0400 1200 0200 02 00 00000000 00000000" "1000 3200 01 03 0000 70110100 00000000")
    );
}

#[test]
fn policy_of_a_tunnel_carries_its_ends() {
    let request = PolicyRequest {
        mode: Mode::TUNNEL,
        level: Level::REQUIRE,
        reqid: 0,
        tunnel: Some((
            "192.0.2.1:0".parse().unwrap(),
            "192.0.2.2:0".parse().unwrap(),
        )),
        ..PolicyRequest::esp_transport_require()
    };
    assert_eq!(
        Policy::ipsec(Direction::OUTBOUND, request).to_blob(Numbering::FreeBsd)[16..],
        hex!(
            "2800 3200 02 02 0000"
            "10020000 c0000201 0000000000000000"
            "10020000 c0000202 0000000000000000"
        )
    );
}

#[test]
fn spirange_proposal_and_supported() {
    assert_eq!(
        ext(
            Extension::SpiRange(SpiRange {
                min: 0x100,
                max: 0x0fff_ffff
            }),
            Numbering::FreeBsd
        ),
        hex!("0200 1000 00010000 ffffff0f 00000000")
    );
    let algorithm = Algorithm {
        id: 12,
        iv_len: 16,
        min_bits: 128,
        max_bits: 256,
    };
    assert_eq!(
        ext(
            Extension::SupportedEncryption(vec![algorithm]),
            Numbering::FreeBsd
        ),
        hex!("0200 0f00 00000000 0c 10 8000 0001 0000")
    );
    let proposal = Proposal {
        replay: 32,
        combinations: vec![Combination::default(); 2],
    };
    assert_eq!(
        ext(Extension::Proposal(proposal), Numbering::FreeBsd).len(),
        8 + 2 * 72
    );
}

#[test]
fn keys_are_never_printed() {
    let message = Message::default().with(Extension::KeyEncryption(Key::new(&[0xa5; 16])));
    let text = format!("{message:?}");
    assert!(text.contains("Key(128 bits)"), "{text}");
    assert!(!text.contains("165") && !text.contains("a5"), "{text}");
}

#[test]
fn bad_lengths_are_named() {
    let parse = |bytes: &[u8]| Message::parse(bytes, Numbering::FreeBsd).unwrap_err();
    let good = Message::default()
        .with(Extension::Sa(Sa::default()))
        .emit(Numbering::FreeBsd);
    assert_eq!(parse(&good[..15]), WireError::Short(15));
    assert_eq!(
        parse(&good[..24]),
        WireError::Length {
            said: 32,
            received: 24
        }
    );
    let with = |offset: usize, value: u8| {
        let mut bad = good.to_vec();
        bad[offset] = value;
        bad
    };
    assert_eq!(parse(&with(0, 1)), WireError::Version(1));
    assert_eq!(
        parse(&with(16, 0)),
        WireError::ExtensionLength { number: 1 }
    );
    assert_eq!(
        parse(&with(16, 3)),
        WireError::ExtensionLength { number: 1 }
    );
    assert_eq!(parse(&with(18, 2)), WireError::Malformed { number: 2 });
}

#[test]
fn duplicates_are_found() {
    let message = Message::default()
        .with(Extension::SaReplay(1))
        .with(Extension::Sa2(Sa2::default()))
        .with(Extension::SaReplay(2));
    assert_eq!(message.duplicate(), Some(ExtensionKind::SaReplay));
}

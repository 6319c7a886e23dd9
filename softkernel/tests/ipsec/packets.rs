//! Packets between two soft kernels: transport and tunnel mode, NAT, replay, several clients.

use std::time::Duration;

use pfkey::client::SaMove;
use pfkey::ext::SAFLAGS_ESN;
use pfkey::{
    AuthenticationAlgorithm, Direction, EncryptionAlgorithm, Event, Key, Level, Mode, Policy,
    PolicyRequest, SaRequest, SaType,
};
use proptest::prelude::*;
use softkernel::ipsec::{Drop, InboundEsp};

use crate::machine::{Machine, arrived, at, ip, nat_t, sa, udp};

fn unique(reqid: u32) -> Policy {
    Policy::ipsec(
        Direction::OUTBOUND,
        PolicyRequest::esp_transport_unique(reqid),
    )
}

/// Two machines with the same SA.
fn pair(sa: &SaRequest) -> (Machine, Machine) {
    let (mut here, mut there) = (Machine::new(), Machine::new());
    here.add(sa).unwrap();
    there.add(sa).unwrap();
    (here, there)
}

fn combinations() -> Vec<SaRequest> {
    let mut all = Vec::new();
    let macs = [
        (AuthenticationAlgorithm::SHA1_HMAC, 20),
        (AuthenticationAlgorithm::SHA2_256, 32),
        (AuthenticationAlgorithm::SHA2_256_96, 32),
        (AuthenticationAlgorithm::SHA2_384, 48),
        (AuthenticationAlgorithm::SHA2_512, 64),
    ];
    for (authentication, mac_len) in macs {
        let ciphers = [
            (EncryptionAlgorithm::AES_CBC, 16),
            (EncryptionAlgorithm::AES_CBC, 24),
            (EncryptionAlgorithm::AES_CBC, 32),
            (EncryptionAlgorithm::TRIPLE_DES_CBC, 24),
        ];
        for (encryption, len) in ciphers {
            all.push(SaRequest {
                encryption,
                encryption_key: Key::new(&vec![0x31; len]),
                authentication,
                authentication_key: Some(Key::new(&vec![0x32; mac_len])),
                ..sa(1000)
            });
        }
    }
    for len in [20, 28, 36] {
        all.push(SaRequest {
            encryption: EncryptionAlgorithm::AES_GCM_16,
            encryption_key: Key::new(&vec![0x33; len]),
            authentication: AuthenticationAlgorithm::NONE,
            authentication_key: None,
            ..sa(1000)
        });
    }
    all
}

#[test]
fn every_combination_carries_packets() {
    for flags in [0, SAFLAGS_ESN] {
        for sa in combinations() {
            let sa = SaRequest { flags, ..sa };
            let (mut here, mut there) = pair(&sa);
            for len in 0..40 {
                let payload = vec![len as u8; len];
                let (out, packet) = here.send(&sa, Some(&unique(12)), &payload).unwrap();
                let (inbound, received) = there.receive(arrived(&out), &packet).unwrap();
                assert_eq!(received, payload);
                assert_eq!(
                    (inbound.reqid, inbound.spi, inbound.next_header),
                    (12, 1000, 17)
                );
            }
            assert_eq!(there.shown(&sa).lifetime_current().unwrap().allocations, 40);
            assert_eq!(here.shown(&sa).sa2().unwrap().sequence, 40);
        }
    }
}

#[test]
fn raw_esp_goes_between_the_addresses_and_encapsulated_esp_between_the_ports() {
    let raw = sa(1000);
    let mut machine = Machine::new();
    machine.add(&raw).unwrap();
    let (out, _) = machine.send(&raw, Some(&unique(12)), b"x").unwrap();
    assert_eq!(
        (out.source, out.destination),
        (at("203.0.113.4:0"), at("198.51.100.9:0"))
    );
    assert!(!out.encapsulated);

    let natted = SaRequest {
        nat_t: nat_t(4500, 31044),
        reqid: 13,
        ..sa(1001)
    };
    machine.add(&natted).unwrap();
    let (out, _) = machine.send(&natted, Some(&unique(13)), b"x").unwrap();
    assert_eq!(
        (out.source, out.destination),
        (at("203.0.113.4:4500"), at("198.51.100.9:31044"))
    );
    assert!(out.encapsulated);
}

#[test]
fn ipv6_in_udp_works_too() {
    let sa = SaRequest {
        source: ip("2001:db8::1"),
        destination: ip("2001:db8::2"),
        nat_t: nat_t(4500, 31044),
        ..sa(1000)
    };
    let (mut here, mut there) = pair(&sa);
    let (out, packet) = here.send(&sa, Some(&unique(12)), b"six").unwrap();
    assert_eq!(out.destination, at("[2001:db8::2]:31044"));
    assert_eq!(there.receive(arrived(&out), &packet).unwrap().1, b"six");
}

#[test]
fn two_clients_behind_one_nat_are_kept_apart_by_reqid() {
    let mut server = Machine::new();
    let (nat, us) = (ip("192.0.2.1"), ip("198.51.100.9"));
    for (reqid, port) in [(1, 4500), (2, 1024)] {
        let inbound = SaRequest {
            source: nat,
            destination: us,
            reqid,
            nat_t: nat_t(port, 4500),
            encryption_key: Key::new(&[reqid as u8; 16]),
            ..sa(1000 + reqid)
        };
        let outbound = SaRequest {
            source: us,
            destination: nat,
            nat_t: nat_t(4500, port),
            spi: 2000 + reqid,
            ..inbound.clone()
        };
        server.add(&inbound).unwrap();
        server.add(&outbound).unwrap();
    }
    let to_client = SaRequest {
        source: us,
        destination: nat,
        ..sa(0)
    };
    for (reqid, port) in [(1, 4500), (2, 1024), (1, 4500)] {
        let (out, packet) = server
            .send(&to_client, Some(&unique(reqid)), b"hi")
            .unwrap();
        assert_eq!((out.spi, out.destination.port()), (2000 + reqid, port));
        // The client's own kernel has the same SA.
        let mut client = Machine::new();
        let theirs = SaRequest {
            nat_t: nat_t(4500, port),
            reqid,
            encryption_key: Key::new(&[reqid as u8; 16]),
            spi: 2000 + reqid,
            ..to_client.clone()
        };
        client.add(&theirs).unwrap();
        assert_eq!(client.receive(arrived(&out), &packet).unwrap().1, b"hi");
    }
}

#[test]
fn a_replayed_packet_is_dropped_and_a_forged_one_does_not_move_the_window() {
    let sa = sa(1000);
    let (mut here, mut there) = pair(&sa);
    let mut send = || here.send(&sa, Some(&unique(12)), b"data").unwrap();
    let (out, first) = send();
    let from = arrived(&out);
    // An attacker's number far ahead must not push the window.
    let mut forged = first.clone();
    forged[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(there.receive(from, &forged), Err(Drop::Authentication));
    there.receive(from, &first).unwrap();
    assert_eq!(there.receive(from, &first), Err(Drop::Replayed));
    let (_, second) = send();
    for _ in 0..80 {
        there.receive(from, &send().1).unwrap();
    }
    assert_eq!(there.receive(from, &second), Err(Drop::TooOld));
    assert_eq!(there.dropped(Drop::Replayed), 1);
    assert_eq!(there.dropped(Drop::TooOld), 1);
    assert_eq!(there.dropped(Drop::Authentication), 1);
}

#[test]
fn what_is_not_for_an_sa_is_counted_by_reason() {
    let natted = SaRequest {
        nat_t: nat_t(31044, 4500),
        ..sa(1001)
    };
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    machine.add(&natted).unwrap();
    let like = sa(0);
    let request = machine.client.getspi(
        SaType::ESP,
        Mode::TRANSPORT,
        0,
        like.source,
        like.destination,
        Some(pfkey::SpiRange {
            min: 1002,
            max: 1002,
        }),
    );
    machine.ask(request).unwrap();
    let from = |destination, encapsulated| InboundEsp {
        source: at("203.0.113.4:0"),
        destination: at(destination),
        encapsulated,
    };
    let ours = from("198.51.100.9:0", false);
    let packet = |spi: u32| [&spi.to_be_bytes()[..], &[0, 0, 0, 1], &[0xa5; 60]].concat();
    for (spi, from, expected) in [
        (0, ours, Drop::ReservedSpi),
        (255, ours, Drop::ReservedSpi),
        (999, ours, Drop::NoSa),
        (1000, from("198.51.100.10:0", false), Drop::WrongDestination),
        (1000, from("198.51.100.9:4500", true), Drop::Encapsulation),
        (1001, ours, Drop::Encapsulation),
        (1002, ours, Drop::Larval),
        (1000, ours, Drop::Authentication),
    ] {
        assert_eq!(machine.receive(from, &packet(spi)), Err(expected), "{spi}");
    }
    for len in 0..8 {
        assert_eq!(
            machine.receive(ours, &packet(1000)[..len]),
            Err(Drop::Short)
        );
    }
    for len in 8..=40 {
        let refused = machine.receive(ours, &packet(1000)[..len]).unwrap_err();
        assert!(matches!(
            refused,
            Drop::Short | Drop::Misaligned | Drop::Authentication
        ));
    }
    let total: u64 = Drop::ALL
        .iter()
        .map(|reason| machine.dropped(*reason))
        .sum();
    assert_eq!(total, 8 + 8 + 33);
    assert_eq!(machine.ipsec.counters().packets_in, 0);
}

#[test]
fn sequence_zero_is_never_accepted() {
    let (mut here, mut there) = pair(&sa(1000));
    let (out, mut packet) = here.send(&sa(1000), Some(&unique(12)), b"data").unwrap();
    packet[4..8].fill(0);
    assert_eq!(there.receive(arrived(&out), &packet), Err(Drop::TooOld));
}

fn tunnel(spi: u32) -> SaRequest {
    SaRequest {
        mode: Mode::TUNNEL,
        ..sa(spi)
    }
}

fn tunnel_policy() -> Policy {
    Policy::ipsec(
        Direction::OUTBOUND,
        PolicyRequest {
            mode: Mode::TUNNEL,
            level: Level::UNIQUE,
            tunnel: Some((at("203.0.113.4:0"), at("198.51.100.9:0"))),
            ..PolicyRequest::esp_transport_unique(12)
        },
    )
}

#[test]
fn tunnel_mode_carries_whole_ip_packets() {
    let (mut here, mut there) = pair(&tunnel(1000));
    let policy = tunnel_policy();
    // The inner addresses have nothing to do with the SA's.
    let inner = SaRequest {
        source: ip("10.0.0.1"),
        destination: ip("10.1.0.1"),
        ..sa(0)
    };
    for (first, next_header) in [(0x45, 4), (0x60, 41)] {
        let (out, packet) = here.send(&inner, Some(&policy), &[first; 40]).unwrap();
        assert_eq!(out.destination, at("198.51.100.9:0"));
        let (inbound, payload) = there.receive(arrived(&out), &packet).unwrap();
        assert_eq!(
            (inbound.mode, inbound.next_header),
            (Mode::TUNNEL, next_header)
        );
        assert_eq!(payload, [first; 40]);
    }
}

#[test]
fn a_tunnel_sa_carries_nothing_but_ip() {
    // The sender has the same keys in an SA of the wrong mode.
    let mut here = Machine::new();
    here.add(&sa(1000)).unwrap();
    let mut there = Machine::new();
    there.add(&tunnel(1000)).unwrap();
    let (out, packet) = here.send(&sa(1000), Some(&unique(12)), b"udp").unwrap();
    assert_eq!(there.receive(arrived(&out), &packet), Err(Drop::WrongMode));
}

#[test]
fn dummy_packets_are_accounted_and_dropped() {
    let (mut here, mut there) = pair(&sa(1000));
    let mut buffer = softkernel::buffer::Buffer::new(64);
    assert!(buffer.fill(b"nothing"));
    let mut to = udp(sa(0).source, sa(0).destination, None);
    let policy = unique(12);
    (to.protocol, to.policy) = (59, Some(&policy));
    let out = here
        .ipsec
        .output(here.now, here.wall, to, &mut buffer)
        .unwrap();
    assert_eq!(there.receive(arrived(&out), &buffer), Err(Drop::Dummy));
    assert_eq!(there.receive(arrived(&out), &buffer), Err(Drop::Replayed));
}

#[test]
fn the_newest_sa_sends_and_the_old_one_again_when_it_is_gone() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    machine.add(&sa(1001)).unwrap();
    let sent = |machine: &mut Machine| machine.send(&sa(0), Some(&unique(12)), b"x").unwrap().0.spi;
    assert_eq!(sent(&mut machine), 1001);
    machine.delete(&sa(1001)).unwrap();
    assert_eq!(sent(&mut machine), 1000);
}

#[test]
fn an_sa_that_changed_its_address_is_found_at_the_new_one_only() {
    let out = SaRequest {
        nat_t: nat_t(4500, 31044),
        ..sa(1000)
    };
    let mut machine = Machine::new();
    machine.add(&out).unwrap();
    let request = machine.client.update_addresses(&SaMove {
        sa_type: SaType::ESP,
        spi: 1000,
        mode: out.mode,
        reqid: out.reqid,
        source: out.source,
        destination: out.destination,
        new_source: None,
        new_destination: Some(ip("198.51.100.77")),
        nat_t: nat_t(4500, 9999),
    });
    machine.ask(request).unwrap();
    assert_eq!(
        machine.send(&out, Some(&unique(12)), b"x"),
        Err(Drop::NoOutboundSa)
    );
    let new = SaRequest {
        destination: ip("198.51.100.77"),
        ..out
    };
    let (sent, _) = machine.send(&new, Some(&unique(12)), b"x").unwrap();
    assert_eq!(sent.destination, at("198.51.100.77:9999"));
}

#[test]
fn a_new_mapping_is_told_on_authentic_packets_only() {
    let inbound = SaRequest {
        nat_t: nat_t(31044, 4500),
        ..sa(1000)
    };
    let (mut here, mut there) = pair(&inbound);
    there.register();
    let mut packets = Vec::new();
    for _ in 0..6 {
        packets.push(here.send(&inbound, Some(&unique(12)), b"data").unwrap().1);
    }
    let from = |source| InboundEsp {
        source: at(source),
        destination: at("198.51.100.9:4500"),
        encapsulated: true,
    };
    let mappings = |machine: &mut Machine| -> Vec<_> {
        machine
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::NewMapping(mapping) => Some(mapping),
                _ => None,
            })
            .collect()
    };
    there
        .receive(from("203.0.113.4:31044"), &packets[1])
        .unwrap();
    // A forgery from elsewhere says nothing.
    let mut forged = packets[2].clone();
    forged[30] ^= 1;
    assert_eq!(
        there.receive(from("192.0.2.66:6"), &forged),
        Err(Drop::Authentication)
    );
    // Nor does an old packet that was held back on the way.
    there.receive(from("192.0.2.66:6"), &packets[0]).unwrap();
    assert_eq!(mappings(&mut there), []);

    there
        .receive(from("203.0.113.4:40000"), &packets[2])
        .unwrap();
    let told = mappings(&mut there);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].spi, told[0].reqid), (1000, 12));
    assert_eq!(
        (told[0].old, told[0].new),
        (at("203.0.113.4:31044"), at("203.0.113.4:40000"))
    );
    // Not for every packet.
    there
        .receive(from("203.0.113.4:40000"), &packets[3])
        .unwrap();
    assert_eq!(mappings(&mut there), []);

    // Key management heeds it: the SA is at home there now.
    let request = there.client.update_addresses(&SaMove {
        sa_type: SaType::ESP,
        spi: 1000,
        mode: inbound.mode,
        reqid: inbound.reqid,
        source: inbound.source,
        destination: inbound.destination,
        new_source: None,
        new_destination: None,
        nat_t: nat_t(40000, 4500),
    });
    there.ask(request).unwrap();
    there
        .receive(from("203.0.113.4:40000"), &packets[4])
        .unwrap();
    assert_eq!(mappings(&mut there), []);
    // Back again, address and all.
    there.now += Duration::from_secs(1);
    there
        .receive(from("203.0.113.5:31044"), &packets[5])
        .unwrap();
    assert_eq!(mappings(&mut there)[0].new, at("203.0.113.5:31044"));
    assert_eq!(there.ipsec.counters().mappings_changed, 2);
}

proptest! {
    #[test]
    fn any_packet_is_dropped_without_harm(
        spi in prop_oneof![Just(1000u32), Just(1001), any::<u32>()],
        rest in prop::collection::vec(any::<u8>(), 0..200),
        encapsulated in any::<bool>(),
    ) {
        let mut machine = Machine::new();
        machine.add(&sa(1000)).unwrap();
        machine.add(&SaRequest {
            encryption: EncryptionAlgorithm::AES_GCM_16,
            encryption_key: Key::new(&[1; 20]),
            authentication: AuthenticationAlgorithm::NONE,
            authentication_key: None,
            flags: SAFLAGS_ESN,
            nat_t: nat_t(31044, 4500),
            ..sa(1001)
        }).unwrap();
        let from = InboundEsp {
            source: at("203.0.113.4:31044"),
            destination: at("198.51.100.9:4500"),
            encapsulated,
        };
        let packet = [&spi.to_be_bytes()[..], &rest].concat();
        prop_assert!(machine.receive(from, &packet).is_err());
    }
}

/// HMAC-SHA2-256 with this ICV, from one of the two to the other.
fn sha2(spi: u32, authentication: AuthenticationAlgorithm, to_client: bool) -> SaRequest {
    let plain = sa(spi);
    let (source, destination) = match to_client {
        true => (plain.destination, plain.source),
        false => (plain.source, plain.destination),
    };
    SaRequest {
        source,
        destination,
        authentication,
        authentication_key: Some(Key::new(&[0x44; 32])),
        ..plain
    }
}

#[test]
fn the_first_authentic_packet_tells_the_icv_length_for_both_directions() {
    use AuthenticationAlgorithm as A;
    for (client_has, icv) in [(A::SHA2_256_96, 12), (A::SHA2_256, 16)] {
        let (mut server, mut client) = (Machine::new(), Machine::new());
        for (spi, to_client) in [(1000, false), (2000, true)] {
            server
                .add(&sha2(spi, A::SHA2_256_DETECT, to_client))
                .unwrap();
            client.add(&sha2(spi, client_has, to_client)).unwrap();
        }
        let (up, down) = (sha2(1000, client_has, false), sha2(2000, client_has, true));
        let shown = |server: &mut Machine, sa: &SaRequest| {
            server.shown(sa).sa().map(|sa| sa.authentication)
        };
        assert_eq!(shown(&mut server, &down), Some(A::SHA2_256_DETECT));
        let (out, packet) = client.send(&up, Some(&unique(12)), b"SCCRQ").unwrap();
        // Header, IV, one block, ICV.
        assert_eq!(packet.len(), 8 + 16 + 16 + icv);

        // Forgeries of either length decide nothing.
        for forged_icv in [12, 16] {
            let mut forged = packet[..8 + 16 + 16].to_vec();
            forged.resize(8 + 16 + 16 + forged_icv, 0xee);
            let refused = server.receive(arrived(&out), &forged);
            assert_eq!(refused.unwrap_err(), Drop::Authentication);
        }
        assert_eq!(shown(&mut server, &up), Some(A::SHA2_256_DETECT));

        assert_eq!(server.receive(arrived(&out), &packet).unwrap().1, b"SCCRQ");
        for sa in [&up, &down] {
            assert_eq!(shown(&mut server, sa), Some(client_has));
        }
        let (out, packet) = server.send(&down, Some(&unique(12)), b"SCCRP").unwrap();
        assert_eq!(client.receive(arrived(&out), &packet).unwrap().1, b"SCCRP");

        // After a rekey the server may be the first to send.
        server.add(&sha2(2001, A::SHA2_256_DETECT, true)).unwrap();
        client.add(&sha2(2001, client_has, true)).unwrap();
        let (out, packet) = server.send(&down, Some(&unique(12)), b"HELLO").unwrap();
        assert_eq!(out.spi, 2001);
        assert_eq!(client.receive(arrived(&out), &packet).unwrap().1, b"HELLO");
        // Another client is another matter.
        let other = SaRequest {
            reqid: 13,
            ..sha2(3000, A::SHA2_256_DETECT, true)
        };
        server.add(&other).unwrap();
        assert_eq!(shown(&mut server, &other), Some(A::SHA2_256_DETECT));
    }
}

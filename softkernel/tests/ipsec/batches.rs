//! Batches of packets from outside against the same packets one after the other.

use pfkey::ext::SAFLAGS_ESN;
use pfkey::{
    AuthenticationAlgorithm, Direction, EncryptionAlgorithm, Key, Lifetime, Policy, PolicyRequest,
    SaRequest,
};
use proptest::prelude::*;
use softkernel::ipsec::{Drop, InboundEsp};

use crate::machine::{Machine, arrived, at, nat_t, sa};

const REQID: u32 = 12;
/// More than go side by side.
const LONGEST: usize = 100;

fn unique() -> Policy {
    Policy::ipsec(
        Direction::OUTBOUND,
        PolicyRequest::esp_transport_unique(REQID),
    )
}

fn with_mac(spi: u32, authentication: AuthenticationAlgorithm, key: usize) -> SaRequest {
    SaRequest {
        authentication,
        authentication_key: Some(Key::new(&vec![0x44; key])),
        ..sa(spi)
    }
}

fn gcm(spi: u32) -> SaRequest {
    SaRequest {
        encryption: EncryptionAlgorithm::AES_GCM_16,
        encryption_key: Key::new(&[0x33; 20]),
        authentication: AuthenticationAlgorithm::NONE,
        authentication_key: None,
        ..sa(spi)
    }
}

/// The receiver's SAs, and what a sender has where that is another one.
fn sas() -> Vec<(SaRequest, Option<SaRequest>)> {
    use AuthenticationAlgorithm as A;
    let bytes = |bytes| Lifetime {
        bytes,
        ..Lifetime::default()
    };
    let detects = with_mac(1003, A::SHA2_256_DETECT, 32);
    vec![
        (sa(1000), None),
        (with_mac(1001, A::SHA2_256, 32), None),
        (with_mac(1002, A::SHA2_512, 64), None),
        (detects, Some(with_mac(1003, A::SHA2_256_96, 32))),
        (gcm(1004), None),
        (
            SaRequest {
                flags: SAFLAGS_ESN,
                ..with_mac(1005, A::SHA1_HMAC, 20)
            },
            None,
        ),
        (
            SaRequest {
                flags: SAFLAGS_ESN,
                nat_t: nat_t(31044, 4500),
                ..gcm(1006)
            },
            None,
        ),
        (
            SaRequest {
                lifetimes: Some((bytes(2000), bytes(1000))),
                ..sa(1007)
            },
            None,
        ),
    ]
}

/// What is done to a packet on its way.
#[derive(Debug, Clone)]
enum Fate {
    Arrives,
    /// Twice, the second time behind so many others.
    Again(usize),
    Changed(prop::sample::Index),
    Cut(prop::sample::Index),
    /// From another address.
    Moved,
    Lost,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        2 => (0..5usize).prop_map(Fate::Again),
        2 => any::<prop::sample::Index>().prop_map(Fate::Changed),
        1 => any::<prop::sample::Index>().prop_map(Fate::Cut),
        1 => Just(Fate::Moved),
        1 => Just(Fate::Lost),
    ]
}

type Packets = Vec<(InboundEsp, Vec<u8>)>;

/// What arrives when these lengths go through these SAs.
fn on_the_wire(sent: &[(prop::sample::Index, usize, Fate)]) -> Packets {
    let sas = sas();
    let mut packets = Packets::new();
    let mut senders: Vec<_> = sas
        .iter()
        .map(|(sa, other)| {
            let (mut sender, sa) = (Machine::new(), other.as_ref().unwrap_or(sa));
            // The sender's lifetimes are its own.
            let sa = SaRequest {
                lifetimes: None,
                ..sa.clone()
            };
            sender.add(&sa).unwrap();
            (sender, sa)
        })
        .collect();
    let mut again: Vec<(usize, (InboundEsp, Vec<u8>))> = Vec::new();
    for (through, length, fate) in sent {
        let index = through.index(senders.len());
        let (sender, sa) = &mut senders[index];
        let payload = vec![*length as u8; *length];
        let (out, mut packet) = sender.send(sa, Some(&unique()), &payload).unwrap();
        let mut from = arrived(&out);
        match fate {
            Fate::Arrives => {}
            Fate::Again(later) => again.push((*later, (from, packet.clone()))),
            Fate::Changed(at) => {
                let at = at.index(packet.len());
                packet[at] ^= 1;
            }
            Fate::Cut(at) => packet.truncate(at.index(packet.len())),
            Fate::Moved => from.source = at("203.0.113.77:4444"),
            Fate::Lost => continue,
        }
        packets.push((from, packet));
        again.retain_mut(|(later, packet)| {
            let due = *later == 0;
            if due {
                packets.push(packet.clone());
            }
            *later = later.saturating_sub(1);
            !due
        });
    }
    packets
}

fn receiver() -> Machine {
    let mut receiver = Machine::new();
    receiver.register();
    for (sa, _) in sas() {
        receiver.add(&sa).unwrap();
    }
    receiver.read_all();
    receiver
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_batch_ends_as_its_packets_do_one_after_the_other(
        sent in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![0..200usize, 1300..1500usize], fate()),
            0..200,
        ),
        size in 1..LONGEST,
    ) {
        let packets = on_the_wire(&sent);
        let (mut singly, mut in_batches) = (receiver(), receiver());
        let want: Vec<_> = packets
            .iter()
            .map(|(from, packet)| singly.receive(*from, packet))
            .collect();
        let have: Vec<_> = packets
            .chunks(size)
            .flat_map(|packets| in_batches.receive_batch(packets))
            .collect();
        prop_assert_eq!(have.len(), want.len());
        for (have, want) in have.iter().zip(&want) {
            prop_assert_eq!(have, want);
        }
        prop_assert_eq!(in_batches.ipsec.counters(), singly.ipsec.counters());
        prop_assert_eq!(in_batches.read_all(), singly.read_all());
        prop_assert_eq!(in_batches.dump(), singly.dump());
    }
}

#[test]
fn one_bad_packet_in_the_middle_fails_alone() {
    for request in [
        sa(1000),
        with_mac(1000, AuthenticationAlgorithm::SHA2_256, 32),
        gcm(1000),
    ] {
        let (mut here, mut there) = (Machine::new(), Machine::new());
        for machine in [&mut here, &mut there] {
            machine.add(&request).unwrap();
        }
        let mut payloads: Vec<Vec<u8>> = (0..64).map(|i| vec![i; 7 * usize::from(i)]).collect();
        let mut packets: Packets = payloads
            .iter()
            .map(|payload| here.send(&request, Some(&unique()), payload).unwrap())
            .map(|(out, packet)| (arrived(&out), packet))
            .collect();
        let (_, bad) = &mut packets[31];
        let good = bad.clone();
        *bad.last_mut().unwrap() ^= 0x80;
        let received = there.receive_batch(&packets);
        for (place, result) in received.into_iter().enumerate() {
            match place {
                31 => assert_eq!(result, Err(Drop::Authentication)),
                _ => assert_eq!(result.unwrap().1, payloads[place]),
            }
        }
        // It has used no number up.
        let (from, _) = packets[31];
        let received = there.receive_batch(&[(from, good)]).remove(0).unwrap().1;
        assert_eq!(received, payloads.remove(31));
    }
}

#[test]
fn a_packet_twice_in_one_batch_is_accepted_once() {
    let sa = sa(1000);
    let (mut here, mut there) = (Machine::new(), Machine::new());
    for machine in [&mut here, &mut there] {
        machine.add(&sa).unwrap();
    }
    let (out, packet) = here.send(&sa, Some(&unique()), b"data").unwrap();
    let results = there.receive_batch(&vec![(arrived(&out), packet); 3]);
    assert!(results[0].is_ok());
    assert_eq!(results[1..], [Err(Drop::Replayed), Err(Drop::Replayed)]);
    assert_eq!(there.dropped(Drop::Replayed), 2);
}

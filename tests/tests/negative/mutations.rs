//! Valid conversations with chance in them: octets changed, cut out, put in, taken from other
//! messages, lengths among them; outside, and inside what is encrypted and authenticated. The same
//! every time.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tanuki_tests::ike::{HASH, INFORMATIONAL, QUICK_MODE, chain};

use crate::esp::Bench;
use crate::ike::scene::{CLIENT, STAGES, Scene, Stage, quick_payloads};
use crate::link::{CHAP, Host, IPCP, LCP};

/// Changes messages at random.
struct Mutator(ChaCha20Rng);

impl Mutator {
    fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound.max(1)
    }

    /// One to four changes to a message; `others` lend pieces.
    fn change(&mut self, message: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut out = message.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(8) {
                0 if !out.is_empty() => out[at] ^= 1 << self.below(8),
                1 if !out.is_empty() => out[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 if !out.is_empty() => out[at] = self.below(256) as u8,
                // Two octets that might be a length.
                3 if out.len() > at + 1 => {
                    let value = [0u16, 1, 3, 4, 5, 0x7fff, 0xffff, out.len() as u16][self.below(8)];
                    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
                }
                4 => out.truncate(at),
                5 => {
                    let end = (at + 1 + self.below(16)).min(out.len());
                    out.drain(at.min(end)..end);
                }
                6 => {
                    let piece = vec![self.below(256) as u8; self.below(20)];
                    out.splice(at..at, piece);
                }
                _ => {
                    let other = &others[self.below(others.len())];
                    let from = self.below(other.len());
                    let end = (from + 1 + self.below(40)).min(other.len());
                    out.splice(at..at, other[from..end].iter().copied());
                }
            }
        }
        out
    }
}

/// Messages of IKE, header and all, in every state. What is taken for good moves the conversation
/// on, and another begins.
#[test]
fn ike_messages() {
    let all = {
        let scene = Scene::at(Stage::Paired);
        [scene.sent, vec![scene.next]].concat()
    };
    for (seed, stage) in (0..).zip(STAGES) {
        let mut mutator = Mutator::new(seed);
        let mut scene = Scene::at(stage);
        let mut before = scene.tables();
        for _ in 0..1500 {
            let mut message = mutator.change(&scene.next, &all);
            // Mostly with a length that is right, or nothing gets further.
            if message.len() >= 28 && mutator.below(4) > 0 {
                let len = message.len() as u32;
                message[24..28].copy_from_slice(&len.to_be_bytes());
            }
            let sent = scene.gateway.receive(CLIENT, false, &message);
            let octets: usize = sent.iter().map(|sent| sent.bytes.len()).sum();
            assert!(octets <= message.len() + 300, "{stage:?}: {octets} octets");
            assert!(stage != Stage::Nothing || octets <= message.len());
            if scene.tables() != before {
                let seconds = Duration::from_secs(3 * 3600);
                scene.gateway.advance(seconds);
                assert_eq!(scene.gateway.endpoint.table_entries(), 0);
                assert!(scene.gateway.sas.is_empty());
                scene = Scene::at(stage);
                before = scene.tables();
            }
        }
        scene.endures(&[]);
    }
}

/// What is inside Quick Mode and Informationals, under a HASH(1) that holds: the sender has the keys.
#[test]
fn ike_payloads_of_an_authenticated_peer() {
    let mut mutator = Mutator::new(100);
    let list = quick_payloads(9);
    let delete = vec![0, 0, 0, 1, 3, 4, 0, 1, 0, 0, 0xa0, 1];
    let notify = vec![0, 0, 0, 1, 1, 0, 0x60, 2];
    let quick = chain(&list);
    let informational = chain(&[(12, delete), (11, notify)]);
    let others = [quick.clone(), informational.clone()];
    let mut scene = Scene::at(Stage::Paired);
    for id in 1000..5000u32 {
        let (exchange, first, plain) = match id % 3 {
            0 => (INFORMATIONAL, 12, &informational),
            _ => (QUICK_MODE, 1, &quick),
        };
        let body = mutator.change(plain, &others);
        let hash = scene.client.hash_1_of(id, &body);
        let mut plain = [chain(&[(HASH, hash)]), body].concat();
        plain[0] = first;
        let message = scene.client.phase2_octets(exchange, id, HASH, &plain);
        let sent = scene.gateway.receive(CLIENT, false, &message);
        assert!(sent.len() <= 2, "{sent:x?}");
        assert!(scene.gateway.endpoint.table_entries() < 1000);
        if scene.gateway.established().is_empty() {
            scene = Scene::at(Stage::Paired);
        }
        if id % 64 == 0 {
            scene.gateway.advance(Duration::from_secs(60));
        }
    }
    scene.gateway.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(scene.gateway.endpoint.table_entries(), 0);
    assert!(scene.gateway.sas.is_empty() && scene.gateway.larval.is_empty());
}

/// What is inside ESP, authentic: UDP, L2TP, PPP and IP.
#[test]
fn esp_payloads_of_an_authenticated_peer() {
    let mut mutator = Mutator::new(200);
    let mut bench = Bench::new();
    let good = Bench::ping_datagram(3);
    let control = {
        let hello = [
            0xc8, 2, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6,
        ];
        [&[6, 0xa5, 6, 0xa5, 0, 28, 0, 0][..], &hello].concat()
    };
    let others = [good.clone(), control.clone()];
    for round in 0..20_000 {
        let plain = if round % 2 == 0 { &good } else { &control };
        let plain = mutator.change(plain, &others);
        let next_header = if round % 50 == 0 { 59 } else { 17 };
        let packet = bench.packet(&plain, next_header);
        bench.receive(true, &packet);
        for packet in std::mem::take(&mut bench.server.tun) {
            assert_eq!(packet[12..16], [10, 0, 0, 2], "nobody else's address");
        }
        assert!(
            bench.server.outgoing.len() <= 1,
            "at most an acknowledgement"
        );
        bench.server.outgoing.clear();
        bench.server.datagrams.clear();
        while bench.server.event().is_some() {}
    }
    bench.assert_alive();
}

/// Frames of PPP in every phase: nobody comes up without the password.
#[test]
fn ppp_frames() {
    let mut mutator = Mutator::new(300);
    let frames: [(u16, Vec<u8>); 6] = [
        (
            LCP,
            vec![
                1, 1, 0, 24, 1, 4, 5, 0x82, 2, 6, 0, 0, 0, 0, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2,
            ],
        ),
        (LCP, vec![2, 1, 0, 4]),
        (LCP, vec![9, 1, 0, 8, 1, 2, 3, 4]),
        (CHAP, [&[2, 1, 0, 58, 49][..], &[7; 49], b"User"].concat()),
        (CHAP, b"\x03\x01\x00\x08S=12".to_vec()),
        (IPCP, vec![1, 1, 0, 10, 3, 6, 0, 0, 0, 0]),
    ];
    let others: Vec<_> = frames.iter().map(|frame| frame.1.clone()).collect();
    for _ in 0..400 {
        let (mut host, first) = Host::server(ppp_proto::Config::server("tanuki"));
        if mutator.below(2) == 0 {
            host.feed(LCP, &frames[0].1);
            crate::link::ack(&mut host, LCP, &first);
        }
        for _ in 0..30 {
            let (protocol, frame) = &frames[mutator.below(frames.len())];
            let mut frame = mutator.change(frame, &others);
            if frame.len() >= 4 && mutator.below(3) > 0 {
                let [high, low] = (frame.len() as u16).to_be_bytes();
                frame[2..4].copy_from_slice(&[high, low]);
            }
            let sent = host.feed(*protocol, &frame);
            assert!(sent.len() <= 4, "{sent:02x?}");
            assert!(!host.is_up());
            host.advance(Duration::from_millis(mutator.below(2000) as u64));
        }
    }
}

//! PPP (RFC 1661, 1332, 1994, 2759): frames that are wrong, in every phase of a link whose peer
//! has to prove itself by MS-CHAPv2.

use std::time::Duration;

use hex_literal::hex;
use ppp_proto::auth::mschapv2::{self, Response};
use ppp_proto::{Config, Output, Phase};

use crate::link::{
    CCP, CHAP, Frame, Host, IPCP, IPV6CP, LCP, PAP, PASSWORD, USER, ack, find, packet,
};

const PPPD: [u8; 20] = hex!("0104 0582 0206 00000000 0506 a1b2c3d4 0702 0802");

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Started,
    Challenged,
    Authenticated,
    Up,
}

const STAGES: [Stage; 4] = [
    Stage::Started,
    Stage::Challenged,
    Stage::Authenticated,
    Stage::Up,
];

/// A link on its way, and what the server sent last.
struct Scene {
    host: Host,
    sent: Vec<Frame>,
    stage: Stage,
    response: Vec<u8>,
}

impl Scene {
    fn at(stage: Stage) -> Self {
        let (host, sent) = Host::server(Config::server("tanuki"));
        let mut scene = Self {
            host,
            sent,
            stage: Stage::Started,
            response: Vec::new(),
        };
        while scene.stage < stage {
            scene.step();
        }
        scene
    }

    fn step(&mut self) {
        let host = &mut self.host;
        match self.stage {
            Stage::Started => {
                host.feed(LCP, &packet(1, 201, &PPPD));
                self.sent = ack(host, LCP, &self.sent);
                self.response = response(&self.sent);
                self.stage = Stage::Challenged;
            }
            Stage::Challenged => {
                self.sent = host.feed(CHAP, &self.response);
                assert_eq!(host.link.phase(), Phase::Network);
                self.stage = Stage::Authenticated;
            }
            Stage::Authenticated => {
                let nak = host.feed(IPCP, &packet(1, 202, &hex!("0306 00000000")));
                let address = find(&nak, IPCP, 3)[4..].to_vec();
                host.feed(IPCP, &packet(1, 203, &address));
                ack(host, IPCP, &self.sent);
                assert!(host.is_up());
                self.stage = Stage::Up;
            }
            Stage::Up => {}
        }
    }

    /// Frames that change nothing and get no more than one answer each, none longer than they are
    /// but for the header of a reject; then the link goes on.
    fn endures(mut self, rows: &[(String, u16, Vec<u8>)], answers: usize) {
        let (phase, up) = (self.host.link.phase(), self.host.is_up());
        for (name, protocol, payload) in rows {
            let name = format!("{name} at {:?}", self.stage);
            let sent = self.host.feed(*protocol, payload);
            assert!(sent.len() <= answers, "{name}: {sent:02x?}");
            for (_, frame) in &sent {
                assert!(frame.len() <= payload.len() + 6, "{name}: {frame:02x?}");
            }
            assert_eq!(self.host.link.phase(), phase, "{name}");
            assert_eq!(self.host.is_up(), up, "{name}");
            assert!(!self.host.is_down(), "{name}");
        }
        while self.stage < Stage::Up {
            self.step();
        }
        assert!(self.host.is_up());
    }
}

fn response(sent: &[Frame]) -> Vec<u8> {
    let challenge = find(sent, CHAP, 1);
    let authenticator: [u8; 16] = challenge[5..21].try_into().unwrap();
    let peer_challenge = [0x21; 16];
    let hash = mschapv2::nt_password_hash(PASSWORD.as_bytes());
    let value = Response {
        peer_challenge,
        nt_response: mschapv2::nt_response(&authenticator, &peer_challenge, USER.as_bytes(), &hash),
    };
    let data = [&[49][..], &value.emit(), USER.as_bytes()].concat();
    packet(2, challenge[1], &data)
}

fn row(
    name: impl Into<String>,
    protocol: u16,
    payload: impl Into<Vec<u8>>,
) -> (String, u16, Vec<u8>) {
    (name.into(), protocol, payload.into())
}

/// Lengths of 0 to 3, longer than the frame, frames cut anywhere (CVE-2020-7466): silence.
#[test]
fn lengths_that_lie() {
    for stage in STAGES {
        let mut rows = Vec::new();
        for protocol in [LCP, PAP, CHAP, IPCP, CCP, IPV6CP] {
            for code in 0..=15u8 {
                for length in [0u16, 1, 2, 3, 9, 100, 1500, 0xffff] {
                    let [high, low] = length.to_be_bytes();
                    let frame = [code, 1, high, low, 5, 6, 7, 8];
                    rows.push(row(
                        format!("{protocol:x} code {code} of {length}"),
                        protocol,
                        frame,
                    ));
                }
                for size in 0..4 {
                    let frame = &[code, 1, 0, 4][..size];
                    rows.push(row(format!("{protocol:x} cut to {size}"), protocol, frame));
                }
            }
        }
        // Protocols that are not spoken here are rejected whole once the network is there.
        let answers = usize::from(stage >= Stage::Authenticated);
        Scene::at(stage).endures(&rows, answers);
    }
}

/// Success, Failure and Challenge from somebody who is to prove himself (CVE-2015-8023); PAP and
/// EAP where MS-CHAPv2 is agreed; the network before all that.
#[test]
fn nothing_before_the_proof() {
    let ip = hex!("45000014 00000000 40010000 c0a82080 08080808");
    for stage in [Stage::Started, Stage::Challenged] {
        let mut rows = Vec::new();
        for protocol in [
            0x0021, 0x0057, IPCP, IPV6CP, CCP, 0x8053, 0xc227, 0xc02d, 0x8281,
        ] {
            for code in 1..=14 {
                rows.push(row("network", protocol, packet(code, 1, &ip)));
            }
        }
        rows.push(row("IPv4", 0x0021, ip));
        for code in [1, 3, 4, 5, 6, 7, 0, 255] {
            let data = b"S=407A5589115FD0D6209F510FE9C04566932CDA56 M=hello";
            rows.push(row(
                format!("CHAP code {code}"),
                CHAP,
                packet(code, 1, data),
            ));
        }
        rows.push(row("PAP", PAP, packet(1, 1, b"\x04User\x0aclientPass")));
        rows.push(row("PAP acknowledged", PAP, packet(2, 1, b"\x00")));
        let scene = Scene::at(stage);
        scene.endures(&rows, 0);
    }
}

/// Responses of every size but 49 octets, of another identifier, cut off: no answer.
#[test]
fn responses_of_every_size() {
    let scene = Scene::at(Stage::Challenged);
    let id = scene.response[1];
    let mut rows = Vec::new();
    for size in (0..=255u8).filter(|size| *size != 49) {
        let data = [&[size][..], &vec![7; size.into()], b"User"].concat();
        rows.push(row(format!("value of {size}"), CHAP, packet(2, id, &data)));
    }
    for other in (0..=255u8).filter(|other| *other != id) {
        let mut response = scene.response.clone();
        response[1] = other;
        rows.push(row(format!("identifier {other}"), CHAP, response));
    }
    for size in 0..50 {
        let data = &scene.response[4..][..size];
        rows.push(row(format!("cut to {size}"), CHAP, packet(2, id, data)));
    }
    scene.endures(&rows, 0);
}

/// Names of any octets and any length: refused, told once, and in the events as text.
#[test]
fn names_of_any_octets() {
    let utf_16: Vec<u8> = USER.bytes().flat_map(|octet| [octet, 0]).collect();
    for name in [
        &b""[..],
        b"User\0",
        b"\0User",
        b"us\x1b[2Jer\n%s%n",
        &utf_16,
        &[0xff; 255],
        &[b'x'; 1400],
        b"../../etc/passwd",
        "Üser".as_bytes(),
    ] {
        let mut scene = Scene::at(Stage::Challenged);
        let value = scene.response[4..54].to_vec();
        let frame = packet(2, scene.response[1], &[&value, name].concat());
        let sent = scene.host.feed(CHAP, &frame);
        assert!(
            sent.iter()
                .all(|(protocol, _)| [CHAP, LCP].contains(protocol))
        );
        assert!(!scene.host.is_up());
        let authenticated = |event: &Output| matches!(event, Output::Authenticated { .. });
        assert!(!scene.host.event(authenticated), "{name:x?}");
        let shown = format!("{:?}", scene.host.events);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
    }
}

/// The Response again after Success (pppd's stack overflow): the same Success, once for each, and
/// nobody is authenticated twice; not for ever.
#[test]
fn a_response_again_and_again() {
    let mut scene = Scene::at(Stage::Authenticated);
    let success = find(&scene.sent, CHAP, 3);
    let response = scene.response.clone();
    for _ in 0..300 {
        for frame in scene.host.feed(CHAP, &response) {
            assert_eq!(frame, (CHAP, success.clone()));
        }
    }
    let authenticated = scene.host.events.iter();
    let count = authenticated
        .filter(|event| matches!(event, Output::Authenticated { .. }))
        .count();
    assert_eq!(count, 1);
    scene.endures(&[], 0);
}

/// A wrong password is the end, however often it comes again.
#[test]
fn guesses_are_few() {
    let mut scene = Scene::at(Stage::Challenged);
    let mut wrong = scene.response.clone();
    wrong[40] ^= 1;
    let mut failures = 0;
    for guess in 0..100u8 {
        wrong[30] = guess;
        for (protocol, frame) in scene.host.feed(CHAP, &wrong) {
            failures += usize::from(protocol == CHAP && frame[0] == 4);
        }
    }
    assert!((1..=3).contains(&failures), "{failures} guesses");
    let right = scene.response.clone();
    scene.host.feed(CHAP, &right);
    for _ in 0..20 {
        scene.host.advance(Duration::from_secs(3));
    }
    assert!(scene.host.is_down() && !scene.host.is_up());
}

/// Storms in a link that is up: one answer for each at most, and it stays up where that is due.
#[test]
fn storms() {
    let storm = |name: &str, protocol, payloads: &dyn Fn(u8) -> Vec<u8>| -> Vec<_> {
        (0..1000u32)
            .map(|number| row(name, protocol, payloads(number as u8)))
            .collect()
    };
    let echo = storm("Echo-Request", LCP, &|id| {
        packet(9, id, &hex!("a1b2c3d4 0102"))
    });
    Scene::at(Stage::Up).endures(&echo, 1);
    let reply = storm("Echo-Reply", LCP, &|id| packet(10, id, &hex!("a1b2c3d4")));
    Scene::at(Stage::Up).endures(&reply, 0);
    let discard = storm("Discard-Request", LCP, &|id| packet(11, id, &[0; 900]));
    Scene::at(Stage::Up).endures(&discard, 0);
    let ident = storm("Identification", LCP, &|id| packet(12, id, &[0xff; 900]));
    Scene::at(Stage::Up).endures(&ident, 0);
    let unknown = storm("unknown codes", LCP, &|id| packet(id | 0x40, id, &[3; 40]));
    Scene::at(Stage::Up).endures(&unknown, 1);
    let ccp = storm("CCP", CCP, &|id| packet(1, id, &hex!("1206 01000000")));
    Scene::at(Stage::Up).endures(&ccp, 1);
    let rejects = storm("Protocol-Reject of nobody", LCP, &|id| {
        packet(8, id, &[0x80, 0x57, 1, 1, 0, 4])
    });
    Scene::at(Stage::Up).endures(&rejects, 0);
    // Terminate-Requests end the link; each is acknowledged, the last as the first.
    let mut scene = Scene::at(Stage::Up);
    for number in 0..1000u32 {
        let sent = scene.host.feed(LCP, &packet(5, number as u8, &[0; 64]));
        assert!(sent.len() <= 1, "{sent:02x?}");
        assert!(sent.iter().all(|(_, frame)| frame[0] == 6));
        assert!(!scene.host.is_up());
    }
    for _ in 0..20 {
        scene.host.advance(Duration::from_secs(3));
    }
    assert!(scene.host.is_down());
}

/// Configure-Requests without end: identifiers wrap, requests that cannot be agreed on come to an
/// end, and a good one is a good one.
#[test]
fn requests_without_end() {
    for stage in [Stage::Started, Stage::Authenticated] {
        let (protocol, good): (u16, &[u8]) = match stage {
            Stage::Started => (LCP, &PPPD),
            _ => (IPCP, &hex!("0306 c0a82080")),
        };
        let mut scene = Scene::at(stage);
        for number in 0..600u32 {
            let sent = scene.host.feed(protocol, &packet(1, number as u8, good));
            assert!(sent.len() <= 2, "{sent:02x?}");
            assert!(
                sent.iter()
                    .any(|(_, frame)| frame[..2] == [2, number as u8])
            );
        }
        scene.endures(&[], 0);
        // Never what can be agreed on: Nak, then Reject, never more than one answer.
        let mut scene = Scene::at(stage);
        let bad: &[u8] = if protocol == LCP {
            &hex!("0304 c227")
        } else {
            &hex!("0306 7f000001")
        };
        for number in 0..600u32 {
            let sent = scene.host.feed(protocol, &packet(1, number as u8, bad));
            assert!(sent.len() <= 2, "{number}: {sent:02x?}");
            if scene.host.is_down() || scene.host.link.phase() == Phase::Terminate {
                break;
            }
            assert!(number < 500, "it comes to an end or to nothing");
        }
        assert!(!scene.host.is_up());
    }
}

/// Options twice, five hundred times, longer than the packet, of no length, and so many that a Nak
/// of them all would be longer than a packet (pppd c82ddc5, cc8b00c).
#[test]
fn option_lists() {
    let options: [&[u8]; 12] = [
        &hex!("00"),
        &hex!("0000"),
        &hex!("0001"),
        &hex!("0100"),
        &hex!("0101"),
        &hex!("0103 05"),
        &hex!("01ff 0582"),
        &hex!("0305 c22381"),
        &hex!("0506 00000000"),
        &hex!("1302"),
        &hex!("ff02"),
        &hex!("0206 ffffffff"),
    ];
    for stage in [Stage::Started, Stage::Authenticated] {
        let protocol = if stage == Stage::Started { LCP } else { IPCP };
        for option in options {
            for count in [1, 2, 20, 500] {
                let mut data = option.repeat(count);
                data.truncate(1400);
                let mut scene = Scene::at(stage);
                let sent = scene.host.feed(protocol, &packet(1, 1, &data));
                assert!(sent.len() <= 2, "{option:02x?} × {count}: {sent:02x?}");
                let octets: usize = sent.iter().map(|frame| frame.1.len()).max().unwrap_or(0);
                assert!(
                    octets <= data.len() + 100,
                    "{option:02x?} × {count}: {octets}"
                );
                scene.endures(&[], 0);
            }
        }
    }
}

/// MRUs no packet fits, or every one: an agreed MRU bounds what is sent, and a frame of 65535 octets
/// is only a frame.
#[test]
fn mru_of_every_size() {
    for mru in [0u16, 1, 63, 64, 127, 128, 1500, 9000, 65_535] {
        let mut scene = Scene::at(Stage::Started);
        let [high, low] = mru.to_be_bytes();
        let sent = scene.host.feed(LCP, &packet(1, 1, &[1, 4, high, low]));
        assert_eq!(sent.len(), 1, "{mru}");
        for size in [1400, 9000, 65_000] {
            let sent = scene.host.feed(LCP, &packet(9, 1, &vec![1; size]));
            assert!(sent.iter().all(|(_, frame)| frame.len() <= 1500));
        }
        scene.endures(&[], 0);
    }
}

/// Our own frames come back: no link comes up, and it ends.
#[test]
fn everything_we_send_comes_back() {
    let mut scene = Scene::at(Stage::Started);
    let mut waiting = scene.sent.clone();
    let mut rounds = 0;
    while let Some((protocol, frame)) = waiting.pop() {
        waiting.extend(scene.host.feed(protocol, &frame));
        assert!(waiting.len() < 10, "{waiting:02x?}");
        rounds += 1;
        if rounds > 2000 {
            break;
        }
    }
    assert!(rounds <= 2000, "it does not go on for ever by itself");
    for _ in 0..60 {
        for (protocol, frame) in scene.host.advance(Duration::from_secs(3)) {
            for (protocol, frame) in scene.host.feed(protocol, &frame) {
                scene.host.feed(protocol, &frame);
            }
        }
    }
    assert!(!scene.host.is_up());
    assert!(scene.host.is_down());
}

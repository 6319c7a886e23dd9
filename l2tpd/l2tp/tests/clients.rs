//! What clients in use send, octet by octet, and what they get for it.
//!
//! The Android SCCRQ is a dump of a real client (Openswan issue 204). The others are built by hand
//! from the AVP lists their sources and logs show: xl2tpd 1.3.12 (ChromeOS, NetworkManager), the
//! L2TP of macOS and iOS, Windows 10, TunnelForge, RouterOS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peers;

use std::time::{Duration, Instant};

use hex_literal::hex;
use l2tp_proto::wire::{Avp, ControlHeader, Message, MessageType};
use l2tp_proto::{
    Authentication, Call, Config, Output, Refusal, Secret, SessionId, TunnelDownReason, TunnelId,
    TunnelSecret, TunnelState,
};
use peers::{Host, from, sent};

/// One AVP, by hand.
fn avp(mandatory: bool, vendor: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let bits = (6 + value.len() as u16) | if mandatory { 0x8000 } else { 0 };
    let mut out = bits.to_be_bytes().to_vec();
    out.extend(vendor.to_be_bytes());
    out.extend(attribute.to_be_bytes());
    out.extend(value);
    out
}

fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(true, 0, attribute, value)
}

fn o(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(false, 0, attribute, value)
}

/// A first datagram.
fn datagram(avps: &[Vec<u8>]) -> Vec<u8> {
    let avps = avps.concat();
    let mut out = hex!("c802 0000 0000 0000 0000 0000").to_vec();
    out[2..4].copy_from_slice(&(12 + avps.len() as u16).to_be_bytes());
    out.extend(avps);
    out
}

struct Client {
    host: Host,
    now: Instant,
    tunnel: Option<TunnelId>,
    peer: &'static str,
}

impl Client {
    fn new(config: Config) -> Self {
        Self {
            host: Host::new(config, 42),
            now: Instant::now(),
            tunnel: None,
            peer: "198.51.100.9:1701",
        }
    }

    fn sccrq(&mut self, avps: &[Vec<u8>]) -> Vec<Output> {
        self.first(&datagram(avps))
    }

    fn first(&mut self, bytes: &[u8]) -> Vec<Output> {
        let outputs = self.host.first(self.now, from(self.peer), bytes);
        let created = outputs.iter().find_map(|output| match output {
            Output::CreateTunnel(create) => Some(create.tunnel),
            _ => None,
        });
        self.tunnel = created.or(self.tunnel);
        outputs
    }

    fn control(&mut self, session_id: u16, avps: &[Vec<u8>]) -> Vec<Output> {
        let tunnel = self.tunnel.expect("a tunnel");
        self.host
            .control(self.now, tunnel, session_id, &avps.concat())
    }

    /// SCCCN, ICRQ, ICCN as given; returns our session number and what is known of the call.
    fn call(&mut self, scccn: &[Vec<u8>], icrq: &[Vec<u8>], iccn: &[Vec<u8>]) -> (SessionId, Call) {
        let up = self.control(0, scccn);
        assert_eq!(
            up,
            [Output::TunnelUp {
                tunnel: self.tunnel.unwrap()
            }]
        );
        let outputs = self.control(0, icrq);
        let [
            Output::CreateSession(setup),
            Output::SendControl { session_id, .. },
        ] = &outputs[..]
        else {
            panic!("{outputs:?}");
        };
        assert_eq!(sent(&outputs), [MessageType::ICRP]);
        assert_eq!(*session_id, setup.peer_id);
        let session = setup.session;
        let outputs = self.control(session.value(), iccn);
        let [Output::SessionUp(up)] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        (session, up.call.clone())
    }

    fn finish(mut self) {
        self.host.tunnels.shutdown(self.now);
        self.host.drain();
        self.now += Duration::from_secs(11);
        self.host.tunnels.handle_timeout(self.now);
        self.host.drain();
        self.host.assert_empty();
    }
}

fn message(outputs: &[Output], kind: MessageType) -> Message {
    outputs
        .iter()
        .find_map(|output| {
            let avps = match output {
                Output::SendControl { avps, .. } => avps.as_slice(),
                Output::SendDatagram { bytes, .. } => ControlHeader::parse(bytes).unwrap().1,
                _ => return None,
            };
            Message::parse(avps, None)
                .ok()
                .filter(|message| message.message_type == kind)
        })
        .expect("the message")
}

fn secret(secret: &str) -> Config {
    Config {
        secrets: vec![TunnelSecret {
            peer_host_name: None,
            secret: Secret::new(secret),
        }],
        ..Config::default()
    }
}

const ANDROID: [u8; 69] = hex!(
    "c8020045000000000000000080080000000000018008000000020100800f00000007"
    "616e6f6e796d6f7573800a00000003000000038008000000090d6a80080000000a0001"
);

#[test]
fn android() {
    let mut client = Client::new(Config::default());
    client.peer = "198.51.100.9:49873";
    let outputs = client.first(&ANDROID);
    let [
        Output::CreateTunnel(create),
        Output::SendControl {
            tunnel,
            session_id: 0,
            avps,
        },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        (create.tunnel, create.peer_id, create.peer_window),
        (*tunnel, 0x0d6a, 1)
    );
    let [high, low] = tunnel.value().to_be_bytes();
    let expected = [
        &hex!("8008 0000 0000 0002  8008 0000 0002 0100  800a 0000 0003 00000003")[..],
        &hex!("800a 0000 0004 00000000"),
        &hex!("800c 0000 0007"),
        b"tanuki",
        &hex!("000c 0000 0008"),
        b"tanuki",
        &hex!("8008 0000 0009"),
        &[high, low],
        &hex!("8008 0000 000a 0008"),
    ]
    .concat();
    assert_eq!(*avps, expected);

    let (_, call) = client.call(
        &[m(0, &[0, 3])],
        &[
            m(0, &[0, 10]),
            m(14, &[0x12, 0x34]),
            m(15, &hex!("deadbeef")),
        ],
        &[
            m(0, &[0, 12]),
            m(24, &100_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 3]),
        ],
    );
    assert_eq!(
        (call.serial, call.tx_speed, call.framing),
        (0xdead_beef, 100_000_000, 3)
    );
    // It ends with StopCCN alone.
    let outputs = client.control(0, &[m(0, &[0, 4]), m(9, &[0x0d, 0x6a]), m(1, &[0, 6])]);
    let [
        Output::SessionDown { .. },
        Output::TunnelDown { reason, .. },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        reason.to_string(),
        "the peer closed it: requester is being shut down (6)"
    );
    client.now += Duration::from_secs(2);
    client.host.tunnels.handle_timeout(client.now);
    client.host.drain();
    client.host.assert_empty();
}

fn chromeos_sccrq(challenge: Option<&[u8; 16]>) -> Vec<Vec<u8>> {
    let mut avps = vec![
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(4, &[0, 0, 0, 0]),
        o(6, &[6, 0x90]),
        m(7, b"localhost"),
        o(8, b"xelerance.com"),
        m(9, &[0xb2, 0x31]),
        m(10, &[0, 4]),
    ];
    avps.extend(challenge.map(|challenge| m(11, challenge)));
    avps
}

fn chromeos_call(client: &mut Client, scccn: &[Vec<u8>]) -> (SessionId, Call) {
    client.call(
        scccn,
        &[
            m(0, &[0, 10]),
            m(14, &[0x77, 0x01]),
            m(15, &[0, 0, 0, 1]),
            m(18, &[0; 4]),
        ],
        &[
            m(0, &[0, 12]),
            m(24, &1_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 1]),
            o(38, &1_000_000_u32.to_be_bytes()),
        ],
    )
}

#[test]
fn chromeos() {
    let mut client = Client::new(Config::default());
    let outputs = client.sccrq(&chromeos_sccrq(None));
    assert_eq!(sent(&outputs), [MessageType::SCCRP]);
    let (session, call) = chromeos_call(&mut client, &[m(0, &[0, 3])]);
    assert_eq!((call.rx_speed, call.framing), (1_000_000, 1));
    let view = client
        .host
        .tunnels
        .tunnel(client.now, client.tunnel.unwrap())
        .unwrap();
    assert_eq!(view.vendor_name, "xelerance.com");
    assert_eq!(
        (view.host_name.as_str(), view.firmware),
        ("localhost", Some(0x0690))
    );
    assert_eq!((view.sessions, view.authenticated), (1, false));
    // HELLO from the client needs no answer but the node's.
    assert_eq!(client.control(0, &[m(0, &[0, 6])]), []);
    // xl2tpd-control disconnect: CDN, then StopCCN.
    let cdn = [m(0, &[0, 14]), m(1, &[0, 3]), m(14, &[0x77, 0x01])];
    let outputs = client.control(session.value(), &cdn);
    assert!(matches!(outputs[..], [Output::SessionDown { .. }]));
    let outputs = client.control(0, &[m(0, &[0, 4]), m(1, &[0, 1]), m(9, &[0xb2, 0x31])]);
    assert!(matches!(outputs[..], [Output::TunnelDown { .. }]));
    client.finish();
}

#[test]
fn chromeos_with_tunnel_secret() {
    // Answers by the definition in RFC 2661 section 4.4.3: MD5 of identifier, secret, challenge,
    // computed with Python's hashlib.
    let challenge = hex!("000102030405060708090a0b0c0d0e0f");
    let mut client = Client::new(secret("tunnel secret"));
    let outputs = client.sccrq(&chromeos_sccrq(Some(&challenge)));
    let reply = message(&outputs, MessageType::SCCRP);
    let answer = Avp::ChallengeResponse(hex!("6cabe3a6fd5b808fff268d6fecee6c84"));
    assert!(reply.avps.contains(&answer), "{reply:?}");
    // It knows how to authenticate, so it is challenged itself; without an answer it goes.
    let theirs = reply.find(|avp| match avp {
        Avp::Challenge(challenge) => Some(challenge.octets().to_vec()),
        _ => None,
    });
    assert_eq!(theirs.map(|challenge| challenge.len()), Some(16));
    let outputs = client.control(0, &[m(0, &[0, 3])]);
    assert_eq!(sent(&outputs), [MessageType::STOP_CCN]);
    let down = Output::TunnelDown {
        tunnel: client.tunnel.unwrap(),
        reason: TunnelDownReason::Refused(Refusal::Authentication),
    };
    assert_eq!(outputs.last(), Some(&down));
    assert_eq!(client.host.tunnels.counters().authentication_failures, 1);
    client.finish();
}

#[test]
fn challenge_without_a_secret_is_refused_at_the_door() {
    let mut client = Client::new(Config::default());
    let outputs = client.sccrq(&chromeos_sccrq(Some(&[9; 16])));
    let [Output::Refused(refused), Output::SendDatagram { bytes, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(refused.reason, Refusal::ChallengeWithoutSecret);
    assert_eq!(refused.host_name, "localhost");
    assert!(refused.reason.remedy().is_some());
    let (header, _) = ControlHeader::parse(bytes).unwrap();
    assert_eq!((header.tunnel_id, header.ns, header.nr), (0xb231, 0, 1));
    let stop = message(&outputs, MessageType::STOP_CCN);
    assert_eq!(
        stop.find(|avp| match avp {
            Avp::ResultCode(result) => Some(result.code),
            _ => None,
        }),
        Some(4)
    );
    // Said once, counted each time.
    assert_eq!(client.sccrq(&chromeos_sccrq(Some(&[9; 16]))).len(), 1);
    assert_eq!(client.host.tunnels.counters().refused, 2);
    client.finish();
}

#[test]
fn a_client_that_leaves_the_answer_out() {
    // RouterOS was seen doing so.
    let config = Config {
        authentication: Authentication::Required,
        ..secret("s")
    };
    let mut client = Client::new(config);
    assert_eq!(
        sent(&client.sccrq(&chromeos_sccrq(None))),
        [MessageType::SCCRP]
    );
    let outputs = client.control(0, &[m(0, &[0, 3])]);
    assert_eq!(sent(&outputs), [MessageType::STOP_CCN]);
    let outputs = client.control(0, &[m(0, &[0, 10]), m(14, &[0, 1]), m(15, &[0, 0, 0, 1])]);
    assert_eq!(outputs, [], "nothing is possible afterwards");
    client.finish();
}

fn windows_sccrq(tunnel: u16) -> Vec<Vec<u8>> {
    vec![
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 1]),
        m(4, &[0, 0, 0, 0]),
        o(6, &[0x0a, 0]),
        m(7, b"DESKTOP-1"),
        o(8, b"Microsoft"),
        m(9, &tunnel.to_be_bytes()),
        m(10, &[0, 8]),
    ]
}

fn windows_call(client: &mut Client) -> (SessionId, Call) {
    client.call(
        &[m(0, &[0, 3])],
        &[
            m(0, &[0, 10]),
            m(14, &[0, 1]),
            m(15, &[0, 0, 0, 0]),
            m(18, &[0, 0, 0, 2]),
            // Vendor 311, type 1: a correlation id, not a Result Code.
            avp(false, 311, 1, &[0xab; 16]),
        ],
        &[
            m(0, &[0, 12]),
            m(24, &hex!("3b9aca00")),
            m(19, &[0, 0, 0, 1]),
        ],
    )
}

#[test]
fn windows() {
    let mut client = Client::new(Config::default());
    assert_eq!(sent(&client.sccrq(&windows_sccrq(7))), [MessageType::SCCRP]);
    for _ in 0..3 {
        assert_eq!(
            client.sccrq(&windows_sccrq(7)),
            [],
            "the node repeats the answer"
        );
    }
    let tunnel = client.tunnel.unwrap();
    let (session, _) = windows_call(&mut client);
    assert_eq!(client.sccrq(&windows_sccrq(7)), [], "late duplicate");
    assert_eq!(client.host.tunnels.counters().duplicate_sccrq, 4);
    assert_eq!(client.host.tunnels.counters().ignored_avps, 1);
    assert_ne!(session.value(), 1);
    // A second PC behind the same NAT: same address, same port, same numbers; other IPsec peer.
    let mut other = from(client.peer);
    other.reqid = 2;
    let outputs = client
        .host
        .first(client.now, other, &datagram(&windows_sccrq(7)));
    assert_eq!(sent(&outputs), [MessageType::SCCRP]);
    assert_eq!(client.host.nodes.len(), 2);
    // The first PC lost power and dials again, with its next number, from the same port.
    let outputs = client.sccrq(&windows_sccrq(8));
    assert_eq!(sent(&outputs), [MessageType::HELLO, MessageType::SCCRP]);
    assert_ne!(client.tunnel, Some(tunnel));
    windows_call(&mut client);
    assert_eq!(client.host.nodes.len(), 3);
    client.host.tunnels.handle_ack_failure(client.now, tunnel);
    client.host.drain();
    assert_eq!(client.host.nodes.len(), 2);
    client.finish();
}

#[test]
fn macos() {
    let mut client = Client::new(secret("macOS does not know of this"));
    client.peer = "198.51.100.9:56322";
    for _ in 0..11 {
        assert_eq!(client.sccrq(&[m(0, &[0, 6])]), [], "HELLOs to wake IPsec");
    }
    let outputs = client.sccrq(&[
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(7, b"mac.local\0"),
        m(9, &[0, 5]),
        m(10, &[0, 4]),
    ]);
    assert_eq!(sent(&outputs), [MessageType::SCCRP]);
    let tunnel = client.tunnel.unwrap();
    assert_eq!(
        client
            .host
            .tunnels
            .tunnel(client.now, tunnel)
            .unwrap()
            .host_name,
        "mac.local"
    );
    let (session, call) = client.call(
        &[m(0, &[0, 3])],
        &[m(0, &[0, 10]), m(14, &[0x3d, 0x01]), m(15, &[0, 0, 0, 1])],
        &[
            m(0, &[0, 12]),
            m(24, &1_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 3]),
        ],
    );
    assert_eq!((call.serial, call.framing), (1, 3));
    // Result codes in host byte order, with six octets of rubbish behind.
    let rubbish = hex!("bfff 1234 5678");
    let cdn = [
        m(0, &[0, 14]),
        m(1, &[&[3, 0][..], &rubbish].concat()),
        m(14, &[0x3d, 0x01]),
    ];
    let outputs = client.control(session.value(), &cdn);
    let [Output::SessionDown { reason, .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        reason.to_string(),
        "the peer disconnected: administrative reasons (3)"
    );
    let stop = [
        m(0, &[0, 4]),
        m(9, &[0, 5]),
        m(1, &[&[1, 0][..], &rubbish].concat()),
    ];
    let outputs = client.control(0, &stop);
    let [Output::TunnelDown { reason, .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        reason.to_string(),
        "the peer closed it: general request to clear the control connection (1)"
    );
    client.finish();
}

fn tunnelforge_sccrq() -> Vec<Vec<u8>> {
    vec![
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(4, &[0, 0, 0, 3]),
        m(6, &[0, 1]),
        m(7, b"tunnel_forge"),
        m(9, &[0x10, 0x01]),
        m(10, &[4, 0]),
    ]
}

#[test]
fn tunnelforge() {
    // Whatever number is drawn, it is not the client's.
    let mut config = Config::default();
    (config.ids.first, config.ids.last) = (0x1000, 0x1002);
    let mut client = Client::new(config);
    assert_eq!(
        sent(&client.sccrq(&tunnelforge_sccrq())),
        [MessageType::SCCRP]
    );
    assert_ne!(client.tunnel.unwrap().value(), 0x1001);
    let (session, call) = client.call(
        &[m(0, &[0, 3]), m(9, &[0x10, 0x01])],
        &[m(0, &[0, 10]), m(14, &[0x10, 0x01])],
        &[m(0, &[0, 12]), m(14, &[0x10, 0x01])],
    );
    assert_eq!(call, Call::default());
    // It vanishes and returns with the number it always has: the old tunnel is dead then.
    let old = client.tunnel.unwrap();
    client.now += Duration::from_secs(60);
    let outputs = client.sccrq(&tunnelforge_sccrq());
    assert_eq!(sent(&outputs), [MessageType::SCCRP]);
    assert!(
        client
            .host
            .tunnel_downs
            .contains(&(old, TunnelDownReason::Superseded))
    );
    assert!(!client.host.nodes.contains_key(&old));
    let (session_2, _) = client.call(
        &[m(0, &[0, 3]), m(9, &[0x10, 0x01])],
        &[m(0, &[0, 10]), m(14, &[0x10, 0x01])],
        &[m(0, &[0, 12]), m(14, &[0x10, 0x01])],
    );
    assert!(session.value() != 0x1001 && session_2.value() != 0x1001);
    let cdn = [m(0, &[0, 14]), m(1, &[0, 3, 0, 0]), m(14, &[0x10, 0x01])];
    client.control(session_2.value(), &cdn);
    client.control(
        0,
        &[m(0, &[0, 4]), m(9, &[0x10, 0x01]), m(1, &[0, 6, 0, 0])],
    );
    assert!(client.host.sessions.is_empty());
    client.finish();
}

#[test]
fn clients_that_only_stop() {
    // Before it had our answer: at the listener, by its own number.
    let mut client = Client::new(Config::default());
    client.sccrq(&windows_sccrq(9));
    let mut stop = datagram(&[m(0, &[0, 4]), m(9, &[0, 9]), m(1, &[0, 1])]);
    stop[9] = 1; // Ns: the SCCRQ was 0.
    let outputs = client.first(&stop);
    assert!(
        matches!(outputs[..], [Output::TunnelDown { .. }]),
        "{outputs:?}"
    );
    // Before SCCCN, through the tunnel, with a Result Code AVP too short to be one.
    client.sccrq(&windows_sccrq(10));
    let outputs = client.control(0, &[m(0, &[0, 4]), m(9, &[0, 10]), m(1, &[])]);
    assert!(
        matches!(outputs[..], [Output::TunnelDown { .. }]),
        "{outputs:?}"
    );
    client.finish();
}

#[test]
fn rfc_3145_and_q931_causes() {
    let mut client = Client::new(Config::default());
    client.sccrq(&chromeos_sccrq(None));
    let (session, _) = chromeos_call(&mut client, &[m(0, &[0, 3])]);
    let cdn = [
        m(0, &[0, 14]),
        m(1, &[0, 1]),
        m(14, &[0x77, 0x01]),
        m(12, &[0, 16, 0x45, b'b', b'y', b'e']),
        o(46, &[0, 2, 0xc0, 0x21, 1, b'x', 0x0a]),
    ];
    client.control(session.value(), &cdn);
    let (_, _, reason) = &client.host.session_downs[0];
    let l2tp_proto::SessionDownReason::PeerDisconnected { q931, ppp, .. } = reason else {
        panic!("{reason:?}");
    };
    let q931 = q931.as_ref().unwrap();
    assert_eq!(
        (q931.cause, q931.message_type, q931.advisory.as_str()),
        (16, 0x45, "bye")
    );
    let ppp = ppp.as_ref().unwrap();
    assert_eq!((ppp.code, ppp.protocol, ppp.direction), (2, 0xc021, 1));
    assert_eq!(ppp.message, "x?");
    client.finish();
}

#[test]
fn unknown_avps_by_their_m_bit_and_vendor() {
    for (vendor, attribute) in [(0, 99), (0, 20), (311, 1), (3561, 2)] {
        let mut client = Client::new(Config::default());
        let mut avps = windows_sccrq(3);
        avps.push(avp(false, vendor, attribute, &[1, 2, 3]));
        assert_eq!(sent(&client.sccrq(&avps)), [MessageType::SCCRP]);
        let mut avps = windows_sccrq(4);
        avps.push(avp(true, vendor, attribute, &[1, 2, 3]));
        let outputs = client.sccrq(&avps);
        let stop = message(&outputs, MessageType::STOP_CCN);
        let result = stop.find(|avp| match avp {
            Avp::ResultCode(result) => Some((result.code, result.error)),
            _ => None,
        });
        assert_eq!(result, Some((2, Some(8))));

        // In a call it costs the call, not the tunnel.
        client.control(0, &[m(0, &[0, 3])]);
        let icrq = [
            m(0, &[0, 10]),
            m(14, &[0, 9]),
            avp(true, vendor, attribute, &[]),
        ];
        let outputs = client.control(0, &icrq);
        assert_eq!(sent(&outputs), [MessageType::CDN]);
        let icrq = [m(0, &[0, 10]), m(14, &[0, 9])];
        let outputs = client.control(0, &icrq);
        let Output::CreateSession(setup) = outputs[0] else {
            panic!("{outputs:?}")
        };
        let iccn = [m(0, &[0, 12]), avp(true, vendor, attribute, &[])];
        let outputs = client.control(setup.session.value(), &iccn);
        assert_eq!(sent(&outputs), [MessageType::CDN]);
        let view = client
            .host
            .tunnels
            .tunnel(client.now, client.tunnel.unwrap())
            .unwrap();
        assert_eq!((view.state, view.sessions), (TunnelState::Established, 0));
        client.finish();
    }
}

#[test]
fn calls_we_do_not_take() {
    let mut client = Client::new(Config::default());
    client.sccrq(&windows_sccrq(3));
    client.control(0, &[m(0, &[0, 3])]);
    let ocrq = [
        m(0, &[0, 7]),
        m(14, &[0, 9]),
        m(15, &[0; 4]),
        m(16, &[0; 4]),
        m(17, &[0; 4]),
        m(18, &[0; 4]),
        m(19, &[0; 4]),
        m(21, b"123"),
    ];
    let outputs = client.control(0, &ocrq);
    assert_eq!(sent(&outputs), [MessageType::CDN]);
    assert!(
        outputs
            .iter()
            .any(|o| matches!(o, Output::SendControl { session_id: 9, .. }))
    );
    // No number to answer to: still only the call.
    let outputs = client.control(0, &[m(0, &[0, 10]), m(15, &[0; 4])]);
    assert_eq!(sent(&outputs), [MessageType::CDN]);
    // A number in use again: the call that has it ends.
    client.control(0, &[m(0, &[0, 10]), m(14, &[0, 9])]);
    assert_eq!(client.host.sessions.len(), 1);
    let outputs = client.control(0, &[m(0, &[0, 10]), m(14, &[0, 9])]);
    assert_eq!(sent(&outputs), [MessageType::CDN]);
    assert!(client.host.sessions.is_empty());
    client.finish();
}

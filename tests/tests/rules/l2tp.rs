//! R20 to R26: L2TP. Control messages go to the core, and where acknowledgements, windows and data
//! headers are concerned, packets to the user-space kernel's node.

use std::time::{Duration, Instant};

use hex_literal::hex;
use l2tp_proto::wire::MessageType;
use l2tp_proto::{Config, Output, Refusal, SameFlow, SessionId, TunnelId};

use crate::kernel::Host as Kernel;
use crate::tunnels::{Host, from, sent};

fn avp(mandatory: bool, vendor: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let bits = (6 + value.len() as u16) | if mandatory { 0x8000 } else { 0 };
    let mut out = [bits, vendor, attribute].map(u16::to_be_bytes).concat();
    out.extend(value);
    out
}

fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(true, 0, attribute, value)
}

fn datagram(avps: &[Vec<u8>]) -> Vec<u8> {
    let avps = avps.concat();
    let mut out = hex!("c802 0000 0000 0000 0000 0000").to_vec();
    out[2..4].copy_from_slice(&(12 + avps.len() as u16).to_be_bytes());
    out.extend(avps);
    out
}

/// The least an SCCRQ may hold (Android, macOS): no Firmware, no Vendor Name, no Bearer.
fn sccrq(tunnel: u16, host: &[u8], window: Option<u16>) -> Vec<Vec<u8>> {
    let mut avps = vec![
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(7, host),
        m(9, &tunnel.to_be_bytes()),
    ];
    avps.extend(window.map(|window| m(10, &window.to_be_bytes())));
    avps
}

fn icrq(session: u16) -> Vec<Vec<u8>> {
    vec![
        m(0, &[0, 10]),
        m(14, &session.to_be_bytes()),
        m(15, &[0, 0, 0, 1]),
    ]
}

struct Server {
    host: Host,
    now: Instant,
    tunnel: Option<TunnelId>,
}

/// The client says nothing any more and acknowledges nothing, which ng_l2tp tells within a minute:
/// five minutes later nothing is left of it.
impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let end = self.now + Duration::from_secs(300);
        while let Some(due) = self.host.tunnels.next_timeout() {
            let now = due.max(self.now);
            assert!(now <= end, "something is left after five minutes");
            self.host.tunnels.handle_timeout(now);
            for output in self.host.drain() {
                if let Output::SendControl { tunnel, .. } = output {
                    self.host.tunnels.handle_ack_failure(now, tunnel);
                }
            }
            self.host.drain();
        }
        self.host.assert_empty();
    }
}

impl Server {
    fn new(config: Config) -> Self {
        Self {
            host: Host::new(config, 3),
            now: Instant::now(),
            tunnel: None,
        }
    }

    fn first(&mut self, avps: &[Vec<u8>]) -> Vec<Output> {
        let bytes = datagram(avps);
        let outputs = self.host.first(self.now, from("198.51.100.9:1701"), &bytes);
        for output in &outputs {
            if let Output::CreateTunnel(create) = output {
                self.tunnel = Some(create.tunnel);
            }
        }
        outputs
    }

    fn control(&mut self, session: u16, avps: &[Vec<u8>]) -> Vec<Output> {
        let tunnel = self.tunnel.unwrap();
        self.host.control(self.now, tunnel, session, &avps.concat())
    }

    /// A tunnel that is up.
    fn open(&mut self, tunnel: u16) {
        self.first(&sccrq(tunnel, b"client", Some(4)));
        let up = self.control(0, &[m(0, &[0, 3])]);
        assert!(matches!(up[..], [Output::TunnelUp { .. }]));
    }

    /// A call that waits for ICCN.
    fn call(&mut self, icrq: &[Vec<u8>]) -> SessionId {
        let outputs = self.control(0, icrq);
        assert_eq!(sent(&outputs), [MessageType::ICRP]);
        let Output::CreateSession(setup) = &outputs[0] else {
            panic!("{outputs:?}")
        };
        setup.session
    }

    fn up(&mut self, session: SessionId) {
        let iccn = [
            m(0, &[0, 12]),
            m(24, &1_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 1]),
        ];
        let outputs = self.control(session.value(), &iccn);
        assert!(matches!(outputs[..], [Output::SessionUp(_)]), "{outputs:?}");
    }
}

/// Vendors have AVPs of their own whose types mean nothing here: Windows' 311/1 in ICRQ, 3561/2 of
/// the Broadband Forum.
#[test]
fn r20_vendor_before_type() {
    let mut server = Server::new(Config::default());
    let mut request = sccrq(5, b"client", Some(4));
    request.push(avp(false, 3561, 2, &[0, 7]));
    server.first(&request);
    server.control(0, &[m(0, &[0, 3])]);
    let mut call = icrq(7);
    call.push(avp(false, 311, 1, &[0xaa; 16]));
    let session = server.call(&call);
    server.up(session);
}

/// An unknown AVP that is mandatory ends the tunnel or the call it concerns, others are skipped
/// (RFC 2661 4.2).
#[test]
fn r20_unknown_avps_by_their_m_bit() {
    let mut server = Server::new(Config::default());
    server.open(5);
    let mut call = icrq(7);
    call.push(avp(false, 0, 500, &[1, 2, 3]));
    let session = server.call(&call);
    server.up(session);
    let mut call = icrq(8);
    call.push(avp(true, 0, 500, &[1, 2, 3]));
    let outputs = server.control(0, &call);
    assert!(sent(&outputs).contains(&MessageType::CDN), "{outputs:?}");
    let mut server = Server::new(Config::default());
    let mut request = sccrq(6, b"client", Some(4));
    request.push(avp(true, 9, 9, &[0]));
    let outputs = server.first(&request);
    assert_eq!(sent(&outputs), [MessageType::STOP_CCN]);
    assert!(server.tunnel.is_none());
}

/// Result Codes of 8 (RouterOS), 10 and 14 octets (Apple, in host byte order) end what they are to
/// end.
#[test]
fn r20_result_codes_of_all_lengths() {
    let values: [&[u8]; 4] = [
        &[0, 3],
        &[0, 3, 0, 0],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 9, 9, 9, 9, 9, 9],
    ];
    for value in values {
        let mut server = Server::new(Config::default());
        server.open(5);
        let session = server.call(&icrq(7));
        server.up(session);
        let cdn = [m(0, &[0, 14]), m(1, value), m(14, &[0, 7])];
        let outputs = server.control(session.value(), &cdn);
        assert!(matches!(outputs[..], [Output::SessionDown { .. }]));
        let stop = [m(0, &[0, 4]), m(9, &[0, 5]), m(1, value)];
        let outputs = server.control(0, &stop);
        assert!(matches!(outputs[..], [Output::TunnelDown { .. }]));
    }
}

/// An SCCRQ with as little as Android sends, or with macOS's zero octet behind the host name.
#[test]
fn r21_sccrq_with_little_in_it() {
    for host in [&b"anonymous"[..], b"MacBook\0", b"x"] {
        let mut server = Server::new(Config::default());
        let outputs = server.first(&sccrq(5, host, None));
        assert_eq!(sent(&outputs), [MessageType::SCCRP]);
    }
}

/// Windows sends its SCCRQ again within a second or two: there is one tunnel.
#[test]
fn r21_the_same_sccrq_again_makes_no_second_tunnel() {
    let mut server = Server::new(Config::default());
    let request = sccrq(7, b"PC", Some(8));
    server.first(&request);
    server.now += Duration::from_secs(1);
    let again = server.first(&request);
    assert!(
        !again.iter().any(|o| matches!(o, Output::CreateTunnel(_))),
        "{again:?}"
    );
    assert_eq!(server.host.nodes.len(), 1);
}

/// A Challenge without a secret for it is refused with the reason (xl2tpd with a secret).
#[test]
fn r21_a_challenge_is_answered_only_with_a_secret() {
    let mut server = Server::new(Config::default());
    let mut request = sccrq(5, b"client", Some(4));
    request.push(m(11, &[9; 16]));
    let outputs = server.first(&request);
    assert_eq!(sent(&outputs), [MessageType::STOP_CCN]);
    assert!(outputs.iter().any(|output| matches!(
        output,
        Output::Refused(refused) if refused.reason == Refusal::ChallengeWithoutSecret
    )));
}

/// TunnelForge's ICCN holds no speed and no framing, its ICRQ neither bearer nor serial number.
#[test]
fn r22_calls_that_say_nothing_of_themselves() {
    let mut server = Server::new(Config::default());
    server.open(5);
    let session = server.call(&[m(0, &[0, 10]), m(14, &[0, 7])]);
    let outputs = server.control(session.value(), &[m(0, &[0, 12]), m(14, &[0, 7])]);
    let [Output::SessionUp(up)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((up.call.tx_speed, up.call.framing), (0, 0));
}

fn packet(session: u16, ns: u16, nr: u16, body: &[u8]) -> Vec<u8> {
    let length = 12 + body.len() as u16;
    let mut packet = [0xc802, length, 1, session, ns, nr]
        .map(u16::to_be_bytes)
        .concat();
    packet.extend(body);
    packet
}

const HELLO: [u8; 8] = hex!("8008 0000 0000 0006");

/// mtpd of Android goes on only when everything it sent is acknowledged, so that happens at once.
#[test]
fn r23_every_message_is_acknowledged_at_once() {
    let mut host = Kernel::l2tp_node(1, 2, 4);
    host.send("net", &packet(0, 0, 0, &HELLO));
    let mut zlb = None;
    while let Some((hook, data)) = host.data() {
        if hook == "net" {
            zlb = Some(data);
        }
    }
    assert_eq!(zlb, Some(hex!("c802 000c 0002 0000 0000 0001").to_vec()));
}

/// Windows of 1 (Android), 4, 8 and 1024 (TunnelForge) are kept to; none is 4 (RFC 2661 5.8).
#[test]
fn r23_receive_windows_are_kept() {
    for window in [1, 4, 8, 1024] {
        let mut host = Kernel::l2tp_node(1, 2, window);
        for _ in 0..20 {
            host.send("c", &[&[0, 0][..], &HELLO].concat());
        }
        let mut on_the_wire = 0;
        while host.data().is_some() {
            on_the_wire += 1;
        }
        // Slow start (RFC 2661 appendix A) begins with one.
        assert!((1..=window.min(20)).contains(&on_the_wire));
        if window == 1 {
            host.send("net", &packet(0, 0, 1, &[]));
            assert!(host.data().is_some(), "the next one");
            assert!(host.data().is_none(), "and no more");
        }
    }
    for (said, taken) in [(None, 4), (Some(1), 1), (Some(8), 8), (Some(1024), 1024)] {
        let mut server = Server::new(Config::default());
        let outputs = server.first(&sccrq(5, b"client", said));
        let Output::CreateTunnel(create) = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert_eq!(create.peer_window, taken);
    }
}

/// TunnelForge's Nr is one too high and its ZLBs bear a session number: neither harms.
#[test]
fn r23_nr_ahead_and_session_ids_in_zlbs_are_harmless() {
    let mut host = Kernel::l2tp_node(1, 2, 4);
    host.send("net", &packet(0, 0, 1, &[]));
    host.send("net", &packet(0x77, 0, 0, &[]));
    assert_eq!(host.event(), None);
    host.send("c", &[&[0, 0][..], &HELLO].concat());
    assert!(host.data().is_some());
    host.send("net", &packet(0x77, 0, 1, &[]));
    host.advance(Duration::from_secs(30));
    assert_eq!(host.event(), None, "acknowledged, not sent again");
}

/// Our numbers are never zero and never the client's own, which TunnelForge cannot bear.
#[test]
fn r24_our_numbers_are_not_the_clients() {
    let mut config = Config::default();
    (config.ids.first, config.ids.last) = (0x1000, 0x1002);
    for _ in 0..20 {
        let mut server = Server::new(config.clone());
        server.open(0x1001);
        let tunnel = server.tunnel.unwrap().value();
        assert!(tunnel != 0 && tunnel != 0x1001);
        let session = server.call(&icrq(0x1001)).value();
        assert!(session != 0 && session != 0x1001);
    }
}

/// Data with and without Length, Ns and Nr, Offset, and with PPP's address and control field or
/// without: what arrives is the frame.
#[test]
fn r25_data_packets_in_every_form() {
    let lcp = hex!("c021 0901 0008 00000000");
    for address in [&[][..], &[0xff, 0x03][..]] {
        for flags in 0..8u16 {
            let (length, sequence, offset) = (flags & 1, flags & 2, flags & 4);
            let mut host = Kernel::l2tp_node(1, 2, 4);
            host.call("c", &netgraph::generic::Name::new("tanuki-t0001"))
                .unwrap();
            host.control_plane(1, 9, 7).unwrap();
            let frame = [address, &lcp].concat();
            let mut bits = 0x0002;
            let mut rest = [1u16, 9].map(u16::to_be_bytes).concat();
            if sequence != 0 {
                bits |= 0x0800;
                rest.extend([0; 4]);
            }
            if offset != 0 {
                bits |= 0x0200;
                rest.extend([0, 3, 0xde, 0xad, 0xbe]);
            }
            rest.extend(frame);
            let mut data = Vec::new();
            if length != 0 {
                bits |= 0x4000;
                data.extend((rest.len() as u16 + 4).to_be_bytes());
            }
            let data = [&u16::to_be_bytes(bits), &data[..], &rest].concat();
            host.send("net", &data);
            let got = host.data();
            let (hook, payload) = got.unwrap_or_else(|| panic!("lost with {bits:04x}"));
            assert_eq!(hook, "b0009");
            // Link 0, protocol, and the frame behind it.
            assert_eq!(payload, [&[0, 0][..], &lcp].concat(), "{bits:04x}");
        }
    }
}

/// A client that vanished returns from the same address and port with another number: it gets a
/// tunnel, whether the old one is replaced at once or probed first.
#[test]
fn r26_a_client_that_vanished_returns() {
    for same_flow in [SameFlow::Probe, SameFlow::Replace] {
        let config = Config {
            same_flow,
            ..Config::default()
        };
        let mut server = Server::new(config);
        server.open(5);
        let old = server.tunnel;
        let session = server.call(&icrq(7));
        server.up(session);
        server.now += Duration::from_secs(30);
        server.open(6);
        assert_ne!(server.tunnel, old);
        let session = server.call(&icrq(8));
        server.up(session);
    }
}

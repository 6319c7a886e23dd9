//! What no peer should send, and some do: lengths that lie, packets in the wrong phase, floods,
//! values out of range. A link answers little, keeps its phase, and never panics.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hex_literal::hex;
use ppp_proto::{
    AuthFailure, AuthMethod, Config, Counters, Credentials, DownReason, Ipv4Assignment, Output,
    Phase, Secret,
};
use proptest::prelude::*;

use harness::{
    ASSIGNMENT, CCP, CHAP, Frame, Host, IPCP, IPV6CP, LCP, PAP, PASSWORD, USER, ack, find, packet,
};

fn pap_server() -> Config {
    Config {
        authenticate_peer: vec![AuthMethod::Pap],
        ..Config::server("tanuki")
    }
}

fn pap_request(id: u8, user: &[u8], password: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| vec![u8::try_from(bytes.len()).unwrap()];
    packet(
        1,
        id,
        &[&length(user), user, &length(password), password].concat(),
    )
}

/// A server before LCP opened, in the Authenticate phase, in the Network phase, and open.
fn server_in(phase: Phase, open: bool) -> Host {
    let (mut host, first) = Host::server(pap_server());
    if phase == Phase::Establish {
        return host;
    }
    host.feed(LCP, &packet(1, 1, &hex!("0506 01020304")));
    ack(&mut host, LCP, &first);
    if phase == Phase::Authenticate {
        return host;
    }
    let sent = host.feed(PAP, &pap_request(1, USER.as_bytes(), PASSWORD.as_bytes()));
    if open {
        host.feed(IPCP, &packet(1, 1, &hex!("0306 c0a82080")));
        ack(&mut host, IPCP, &sent);
        assert!(host.is_up());
    }
    assert_eq!(host.link.phase(), Phase::Network);
    host
}

#[test]
fn lengths_that_lie_are_dropped_and_counted() {
    for (phase, protocols) in [
        (Phase::Establish, &[LCP][..]),
        (Phase::Authenticate, &[LCP, PAP]),
        (Phase::Network, &[LCP, PAP, IPCP]),
    ] {
        for protocol in protocols {
            for code in 0..=14 {
                for length in [0u16, 1, 2, 3, 9, 1500, 0xffff] {
                    let mut host = server_in(phase, false);
                    let before = host.link.counters().dropped_malformed;
                    let [high, low] = length.to_be_bytes();
                    assert_eq!(host.feed(*protocol, &[code, 1, high, low, 5, 6, 7, 8]), []);
                    assert_eq!(host.link.counters().dropped_malformed, before + 1);
                    assert_eq!(host.link.phase(), phase);
                }
            }
            for short in 0..4 {
                let mut host = server_in(phase, false);
                assert_eq!(host.feed(*protocol, &[1, 1, 0, 4][..short]), []);
            }
        }
    }
}

#[test]
fn phases_are_kept() {
    let ip = hex!("45000014 00000000 40010000 c0a82080 08080808");
    // Before LCP is open nothing but LCP; before authentication nothing but LCP and that.
    for phase in [Phase::Establish, Phase::Authenticate] {
        let mut host = server_in(phase, false);
        for protocol in [
            0x0021, 0x0057, 0x00fd, CCP, IPCP, IPV6CP, 0xc227, CHAP, 0xc029, 0x1234,
        ] {
            assert_eq!(host.feed(protocol, &packet(1, 1, &[])), [], "{protocol:x}");
            assert_eq!(host.feed(protocol, &ip), []);
        }
        assert_eq!(host.link.counters().dropped_phase, 20);
        assert!(!host.is_up() && host.link.phase() == phase);
    }
    let mut host = server_in(Phase::Establish, false);
    let request = pap_request(1, USER.as_bytes(), PASSWORD.as_bytes());
    assert_eq!(host.feed(PAP, &request), []);
    assert!(!host.event(|event| matches!(event, Output::NeedSecret { .. })));
    // IP before IPCP is open: dropped, no Protocol-Reject.
    let mut host = server_in(Phase::Network, false);
    assert_eq!(host.feed(0x0021, &ip), []);
    // Echo before open: ignored. Identification and Time-Remaining: always.
    let mut host = server_in(Phase::Establish, false);
    for code in [9, 10, 11, 12, 13] {
        assert_eq!(host.feed(LCP, &packet(code, 1, &hex!("01020304"))), []);
    }
    // A dead link is deaf.
    let mut host = server_in(Phase::Network, true);
    host.link.lower_down();
    host.drain();
    assert_eq!(
        host.events.last(),
        Some(&Output::Down {
            reason: DownReason::LowerDown
        })
    );
    let before = host.events.len();
    for protocol in [LCP, PAP, IPCP] {
        assert_eq!(host.feed(protocol, &packet(1, 1, &[])), []);
    }
    assert_eq!(host.events.len(), before);
    assert_eq!(host.link.next_timeout(), None);
}

#[test]
fn mru_values() {
    for (mru, answer) in [
        (hex!("0104 0000"), Some(hex!("0104 0080"))),
        (hex!("0104 0001"), Some(hex!("0104 0080"))),
        (hex!("0104 0040"), Some(hex!("0104 0080"))),
        (hex!("0104 0080"), None),
        (hex!("0104 05dc"), None),
        (hex!("0104 ffff"), None),
    ] {
        let mut host = server_in(Phase::Establish, false);
        let sent = host.feed(LCP, &packet(1, 1, &mru));
        match answer {
            Some(nak) => assert_eq!(sent, [(LCP, packet(3, 1, &nak))]),
            None => assert_eq!(sent, [(LCP, packet(2, 1, &mru))]),
        }
    }
    // A peer that insists gets a Reject in the end.
    let mut host = server_in(Phase::Establish, false);
    for id in 0..5 {
        find(&host.feed(LCP, &packet(1, id, &hex!("0104 0000"))), LCP, 3);
    }
    find(&host.feed(LCP, &packet(1, 6, &hex!("0104 0000"))), LCP, 4);
    // With MRU 65535 our own frames stay small, and so does the interface.
    let (mut host, first) = Host::server(pap_server());
    host.feed(LCP, &packet(1, 1, &hex!("0104 ffff")));
    ack(&mut host, LCP, &first);
    assert_eq!(host.link.view().lcp.unwrap().mtu, 1400);
    assert_eq!(host.feed(LCP, &packet(5, 1, &[0; 1496]))[0].1.len(), 1500);
}

#[test]
fn a_nak_of_our_mru() {
    let (mut host, first) = Host::server(Config {
        mru: 1410,
        ..pap_server()
    });
    assert_eq!(find(&first, LCP, 1)[4..8], hex!("0104 0582"));
    // Smaller is taken; larger and nonsense are not.
    for (nak, next) in [
        (hex!("0104 0578"), hex!("0104 0578")),
        (hex!("0104 05dc"), hex!("0104 0578")),
        (hex!("0104 0000"), hex!("0104 0578")),
    ] {
        let id = host.link.view().lcp_state;
        assert_eq!(id, "Req-Sent");
        let again = host.advance(Duration::from_secs(2));
        let sent = host.feed(LCP, &packet(3, find(&again, LCP, 1)[1], &nak));
        assert_eq!(find(&sent, LCP, 1)[4..8], next);
    }
    let again = host.advance(Duration::from_secs(2));
    let sent = host.feed(LCP, &packet(4, find(&again, LCP, 1)[1], &hex!("0104 0578")));
    assert_eq!(find(&sent, LCP, 1)[4..8], hex!("0304 c023"));
}

#[test]
fn option_lists() {
    // Broken lists are no Configure-Request at all.
    for list in [
        &hex!("01")[..],
        &hex!("0100"),
        &hex!("0101"),
        &hex!("01040578 05"),
        &hex!("07ff"),
    ] {
        let mut host = server_in(Phase::Establish, false);
        assert_eq!(host.feed(LCP, &packet(1, 1, list)), [], "{list:x?}");
        assert_eq!(host.link.counters().dropped_malformed, 1);
    }
    // Known options of the wrong size are rejected as they are.
    for list in [
        &hex!("0103 05")[..],
        &hex!("0502"),
        &hex!("0703 00"),
        &hex!("0803 00"),
    ] {
        let mut host = server_in(Phase::Establish, false);
        assert_eq!(
            host.feed(LCP, &packet(1, 1, list)),
            [(LCP, packet(4, 1, list))]
        );
    }
    // The same again is ignored, something else under the same number is rejected.
    let mut host = server_in(Phase::Establish, false);
    let same = hex!("0702 0104 0578 0702 0702 0104 0578");
    assert_eq!(
        host.feed(LCP, &packet(1, 1, &same)),
        [(LCP, packet(2, 1, &same))]
    );
    let other = hex!("0104 0578 0104 0579");
    assert_eq!(
        host.feed(LCP, &packet(1, 2, &other)),
        [(LCP, packet(4, 2, &other[4..]))]
    );
    // 748 times.
    let many = hex!("0702").repeat(748);
    assert_eq!(
        host.feed(LCP, &packet(1, 3, &many)),
        [(LCP, packet(2, 3, &many))]
    );
    let many: Vec<u8> = hex!("0d02").repeat(748);
    let sent = host.feed(LCP, &packet(1, 4, &many));
    assert!(find(&sent, LCP, 4).len() <= 1500);
    // 1500 octets of IPCP that could grow when Naked: the answer is not longer.
    let mut host = server_in(Phase::Network, false);
    let list = [&hex!("8106 00000000").repeat(249)[..], &hex!("0302")].concat();
    let sent = host.feed(IPCP, &packet(1, 1, &list));
    assert_eq!(find(&sent, IPCP, 3).len(), 4 + 12);
    // Longer frames than any MRU of ours are not looked at.
    assert_eq!(host.feed(IPCP, &[1; 1501]), []);
    assert_eq!(host.link.counters().dropped_oversize, 1);
}

#[test]
fn circles_come_to_an_end() {
    // A peer that never agrees.
    let mut host = server_in(Phase::Establish, false);
    let mut answers = 0;
    for id in 0..=255 {
        answers += host.feed(LCP, &packet(1, id, &hex!("0d03 06"))).len();
    }
    assert!(
        answers < 40 && host.link.phase() == Phase::Terminate,
        "{answers}"
    );
    // A peer that Naks whatever we say.
    let mut host = server_in(Phase::Establish, false);
    let mut id = 1;
    for _ in 0..=255 {
        let sent = host.feed(LCP, &packet(3, id, &hex!("0506 00000001")));
        if let Some((_, request)) = sent.iter().find(|frame| frame.1[0] == 1) {
            id = request[1];
        }
    }
    assert_eq!(host.link.phase(), Phase::Terminate);
    for _ in 0..4 {
        host.advance(Duration::from_secs(2));
    }
    let reason = DownReason::NotConverging(LCP);
    assert_eq!(host.events.last(), Some(&Output::Down { reason }));
}

#[test]
fn answers_nobody_waits_for() {
    for code in [2, 3, 4] {
        let (mut host, first) = Host::server(pap_server());
        let request = find(&first, LCP, 1);
        let mut wrong_id = request.clone();
        wrong_id[0] = code;
        wrong_id[1] ^= 1;
        assert_eq!(host.feed(LCP, &wrong_id), []);
        assert_eq!(host.link.counters().dropped_unexpected, 1);
    }
    // An Ack of something else than what we asked, and a second Ack.
    let (mut host, first) = Host::server(pap_server());
    let mut changed = find(&first, LCP, 1);
    changed[0] = 2;
    *changed.last_mut().unwrap() ^= 1;
    host.feed(LCP, &changed);
    assert_eq!(host.link.view().lcp_state, "Req-Sent");
    ack(&mut host, LCP, &first);
    assert_eq!(host.link.view().lcp_state, "Ack-Rcvd");
    ack(&mut host, LCP, &first);
    assert_eq!(host.link.view().lcp_state, "Ack-Rcvd");
}

#[test]
fn a_repeated_request_does_not_reopen_the_link() {
    let mut host = server_in(Phase::Network, true);
    let request = packet(1, 1, &hex!("0506 01020304"));
    for _ in 0..3 {
        let mut ack = request.clone();
        ack[0] = 2;
        assert_eq!(host.feed(LCP, &request), [(LCP, ack)]);
        assert!(host.is_up());
    }
    // But it does not help for ever.
    let sent = host.feed(LCP, &request);
    assert_eq!(host.link.phase(), Phase::Establish);
    find(&sent, LCP, 1);
    find(&sent, LCP, 2);
}

#[test]
fn rejects_from_the_peer() {
    // Of LCP: the end. Of unknown numbers, or too short: nothing.
    let mut host = server_in(Phase::Network, true);
    for data in [&hex!("80")[..], &[], &hex!("80fd 0101"), &hex!("0035")] {
        assert_eq!(host.feed(LCP, &packet(8, 1, data)), []);
        assert!(host.is_up());
    }
    find(
        &host.feed(LCP, &packet(8, 1, &hex!("c021 0101 0004"))),
        LCP,
        5,
    );
    assert_eq!(host.link.phase(), Phase::Terminate);
    // Of authentication while it lasts: the end; afterwards: nothing.
    let mut host = server_in(Phase::Authenticate, false);
    find(&host.feed(LCP, &packet(8, 1, &hex!("c023"))), LCP, 5);
    let mut host = server_in(Phase::Network, true);
    assert_eq!(host.feed(LCP, &packet(8, 1, &hex!("c023"))), []);
    // Before LCP is open it means nothing.
    let mut host = server_in(Phase::Establish, false);
    assert_eq!(host.feed(LCP, &packet(8, 1, &hex!("c021"))), []);
    // Of IPCP: no network protocol is left.
    let mut host = server_in(Phase::Network, true);
    find(
        &host.feed(LCP, &packet(8, 1, &hex!("8021 0101 0004"))),
        IPCP,
        5,
    );
    assert!(!host.is_up());
    for _ in 0..8 {
        host.advance(Duration::from_secs(2));
    }
    let reason = DownReason::NoNetworkProtocol;
    assert_eq!(host.events.last(), Some(&Output::Down { reason }));
    // Code-Reject of what LCP cannot do without, and of Echo-Request.
    let mut host = server_in(Phase::Network, true);
    assert_eq!(
        host.feed(LCP, &packet(7, 1, &hex!("09 01 0008 01020304"))),
        []
    );
    assert_eq!(
        host.link.next_timeout(),
        None,
        "no keepalive for whom cannot answer"
    );
    find(&host.feed(LCP, &packet(7, 1, &hex!("01 01 0004"))), LCP, 5);
}

#[test]
fn unknown_codes() {
    for (protocol, code) in [
        (LCP, 0),
        (LCP, 14),
        (LCP, 255),
        (IPCP, 8),
        (IPCP, 9),
        (IPCP, 14),
    ] {
        let mut host = server_in(Phase::Network, true);
        let unknown = packet(code, 9, &[0xab; 40]);
        let sent = host.feed(protocol, &unknown);
        assert_eq!(
            find(&sent, protocol, 7)[4..],
            unknown,
            "{protocol:x} {code}"
        );
        assert!(host.is_up());
    }
}

#[test]
fn floods_get_no_more_out_than_they_put_in() {
    let mut host = server_in(Phase::Network, true);
    for id in 0..=255 {
        let sent = host.feed(LCP, &packet(9, id, &[0xaa; 1496]));
        assert!(sent.len() == 1 && sent[0].1.len() == 1500);
        assert_eq!(host.feed(LCP, &packet(10, id, &[0xaa; 100])), []);
        assert_eq!(host.feed(LCP, &packet(9, id, &[0xaa; 3])), []);
    }
    let rejects: usize = (0..1000).map(|_| host.feed(0x8053, &[0; 1500]).len()).sum();
    assert_eq!(rejects, 16);
    host.advance(Duration::from_secs(1));
    assert_eq!(host.feed(0x8053, &[0; 1500]).len(), 1);
    assert!(host.is_up());
    // Terminate-Requests: each gets its Ack until the link is over.
    for id in 0..=255 {
        assert_eq!(host.feed(LCP, &packet(5, id, &[0xff; 1496])).len(), 1);
    }
    host.advance(Duration::from_secs(2));
    assert_eq!(host.feed(LCP, &packet(5, 0, &[])), []);
    assert!(host.is_down());
}

#[test]
fn echoes_of_ourselves() {
    let mut host = server_in(Phase::Network, true);
    let magic = host.link.view().lcp.unwrap().magic.to_be_bytes();
    assert_eq!(host.feed(LCP, &packet(9, 1, &magic)), []);
    assert_eq!(host.feed(LCP, &packet(10, 1, &magic)), []);
    assert_eq!(host.link.counters().echo_replies_in, 0);
    find(&host.feed(LCP, &packet(9, 1, &magic)), LCP, 5);
}

#[test]
fn pap() {
    let bad = [
        &b""[..],
        b"\x04",
        b"\x04User",
        b"\x04User\xff",
        b"\xffUser\x01a",
        b"\x00",
    ];
    for data in bad {
        let mut host = server_in(Phase::Authenticate, false);
        assert_eq!(host.feed(PAP, &packet(1, 1, data)), [], "{data:?}");
    }
    // Names that are none: refused without asking anybody.
    for name in [&b""[..], b"Us\0er", b"\xff\xfe", b"U\0s\0e\0r\0", b"DOM\\"] {
        let mut host = server_in(Phase::Authenticate, false);
        let sent = host.feed(PAP, &pap_request(1, name, b"x"));
        find(&sent, PAP, 3);
        assert!(!host.event(|event| matches!(event, Output::NeedSecret { .. })));
        assert!(host.event(|event| matches!(
            event,
            Output::AuthFailed {
                reason: AuthFailure::BadName,
                ..
            }
        )));
    }
    // Three attempts, then the end; a right one in between is fine.
    let mut host = server_in(Phase::Authenticate, false);
    for id in 0..3 {
        let sent = host.feed(PAP, &pap_request(id, USER.as_bytes(), b"wrong"));
        assert_eq!(find(&sent, PAP, 3)[1], id);
    }
    assert_eq!(host.link.phase(), Phase::Terminate);
    let right = pap_request(9, USER.as_bytes(), PASSWORD.as_bytes());
    assert_eq!(host.feed(PAP, &right), []);
    let mut host = server_in(Phase::Authenticate, false);
    host.feed(PAP, &pap_request(1, USER.as_bytes(), b"clientPas"));
    host.feed(PAP, &pap_request(2, USER.as_bytes(), b"clientPass\0"));
    let sent = host.feed(PAP, &right);
    find(&sent, PAP, 2);
    // Repeated once in: the same reply again.
    find(&host.feed(PAP, &right), PAP, 2);
    // Nobody proves anything: the end.
    let mut host = server_in(Phase::Authenticate, false);
    host.advance(Duration::from_secs(20));
    host.advance(Duration::from_secs(2));
    host.advance(Duration::from_secs(2));
    let reason = DownReason::NoAuthAnswer;
    assert_eq!(host.events.last(), Some(&Output::Down { reason }));
}

#[test]
fn mschapv2_responses() {
    let config = Config {
        authenticate_peer: vec![AuthMethod::MsChapV2],
        ..pap_server()
    };
    let start = || {
        let (mut host, first) = Host::server(config.clone());
        host.feed(LCP, &packet(1, 1, &[]));
        let sent = ack(&mut host, LCP, &first);
        let id = find(&sent, CHAP, 1)[1];
        (host, id)
    };
    let response = |size: u8, name: &[u8]| [&[size][..], &vec![7; size.into()], name].concat();
    // Sizes other than 49, another identifier, a name cut off: no answer.
    for size in [0, 1, 16, 24, 48, 50, 255] {
        let (mut host, id) = start();
        assert_eq!(
            host.feed(CHAP, &packet(2, id, &response(size, b"User"))),
            []
        );
        assert_eq!(host.link.phase(), Phase::Authenticate);
    }
    let (mut host, id) = start();
    assert_eq!(
        host.feed(CHAP, &packet(2, id ^ 1, &response(49, b"User"))),
        []
    );
    assert_eq!(
        host.feed(CHAP, &packet(2, id, &response(49, b"User")[..20])),
        []
    );
    // Success, Failure and Change-Password from somebody who is to prove himself.
    for code in [3, 4, 5, 6, 7, 0, 255] {
        assert_eq!(
            host.feed(CHAP, &packet(code, id, b"S=0123 M=let me in")),
            []
        );
        assert_eq!(host.link.phase(), Phase::Authenticate);
    }
    // A wrong one: E=691 without retry, and the end. Long names do not hurt.
    let name = [b'x'; 1000];
    let sent = host.feed(CHAP, &packet(2, id, &response(49, &name)));
    let failure = find(&sent, CHAP, 4);
    assert!(failure[4..].starts_with(b"E=691 R=0 C="));
    assert!(failure[4 + 12 + 32..].starts_with(b" V=3 M="));
    find(&sent, LCP, 5);
    // The Challenge is repeated, unchanged, and then given up.
    let (mut host, _) = start();
    let first = host.advance(Duration::from_secs(2));
    for _ in 0..8 {
        assert_eq!(host.advance(Duration::from_secs(2)), first);
    }
    find(&host.advance(Duration::from_secs(2)), LCP, 5);
}

#[test]
fn a_client_does_not_take_every_address() {
    let own = Credentials {
        user: USER.to_owned(),
        secret: Secret::new(PASSWORD),
        methods: vec![AuthMethod::MsChapV2],
    };
    for (address, good) in [
        (Ipv4Addr::new(10, 99, 0, 10), true),
        (Ipv4Addr::UNSPECIFIED, false),
        (Ipv4Addr::LOCALHOST, false),
        (Ipv4Addr::new(224, 0, 0, 1), false),
        (Ipv4Addr::BROADCAST, false),
    ] {
        let mut host = Host::new(Config::client(own.clone()), 3, Instant::now());
        let first = host.open();
        host.feed(LCP, &packet(1, 1, &[]));
        let sent = ack(&mut host, LCP, &first);
        let request = find(&sent, IPCP, 1);
        assert_eq!(
            request[4..],
            hex!("0306 00000000 8106 00000000 8306 00000000")
        );
        let nak = [&hex!("0306")[..], &address.octets()].concat();
        let sent = host.feed(IPCP, &packet(3, request[1], &nak));
        let sent = host.feed(
            IPCP,
            &packet(
                4,
                find(&sent, IPCP, 1)[1],
                &hex!("8106 00000000 8306 00000000"),
            ),
        );
        host.feed(IPCP, &packet(1, 1, &hex!("0306 0a630001")));
        ack(&mut host, IPCP, &sent);
        assert_eq!(host.is_up(), good, "{address}");
        assert_eq!(host.link.phase() == Phase::Network, good);
    }
    // A server that calls itself something no host can be, or asks us for an address.
    let mut host = Host::new(Config::client(own), 3, Instant::now());
    let first = host.open();
    host.feed(LCP, &packet(1, 1, &[]));
    ack(&mut host, LCP, &first);
    for option in [
        hex!("0306 00000000"),
        hex!("0306 7f000001"),
        hex!("8106 00000000"),
    ] {
        assert_eq!(
            host.feed(IPCP, &packet(1, 1, &option)),
            [(IPCP, packet(4, 1, &option))]
        );
    }
}

#[test]
fn addresses_that_are_not_assigned() {
    let mut host = server_in(Phase::Network, false);
    for asked in [
        hex!("0306 0a000001"),
        hex!("0306 7f000001"),
        hex!("0306 c0a82001"),
    ] {
        let sent = host.feed(IPCP, &packet(1, 1, &asked));
        assert_eq!(sent, [(IPCP, packet(3, 1, &hex!("0306 c0a82080")))]);
    }
    // Two at once.
    let both = hex!("0306 c0a82080 0306 0a000001");
    let sent = host.feed(IPCP, &packet(1, 2, &both));
    assert_eq!(sent, [(IPCP, packet(3, 2, &hex!("0306 c0a82080")))]);
    // Name servers of its own: Naked with ours, all four when we have them.
    let mut host = server_in(Phase::Authenticate, false);
    let server = |last| Some(Ipv4Addr::new(10, 0, 0, last));
    host.assignment = Some(Ipv4Assignment {
        dns: [server(1), server(2)],
        nbns: [server(3), server(4)],
        ..ASSIGNMENT
    });
    host.feed(PAP, &pap_request(1, USER.as_bytes(), PASSWORD.as_bytes()));
    let asked = hex!("0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000");
    let nak = hex!("0306 c0a82080 8106 0a000001 8206 0a000003 8306 0a000002 8406 0a000004");
    assert_eq!(
        host.feed(IPCP, &packet(1, 3, &asked)),
        [(IPCP, packet(3, 3, &nak))]
    );
    // Nothing to give.
    let mut host = server_in(Phase::Authenticate, false);
    host.assignment = None;
    let sent = host.feed(PAP, &pap_request(1, USER.as_bytes(), PASSWORD.as_bytes()));
    assert_eq!(find(&sent, LCP, 5)[4..], *b"No address available");
}

#[test]
fn late_answers_to_old_questions_change_nothing() {
    let mut host = server_in(Phase::Authenticate, false);
    let request = pap_request(1, USER.as_bytes(), PASSWORD.as_bytes());
    host.link
        .handle_frame(host.now, PAP, &request, &mut host.rng);
    let Some(Output::NeedSecret { question, .. }) = host.link.poll_output() else {
        panic!()
    };
    // The peer starts LCP anew before the answer is here.
    host.feed(LCP, &packet(1, 9, &[]));
    let secret = Some(Secret::new(PASSWORD));
    host.link
        .provide_secret(host.now, question, secret, &mut host.rng);
    assert_eq!(host.drain(), []);
    assert!(!host.event(|event| matches!(event, Output::Authenticated { .. })));
}

/// Frames somewhat like real ones: known protocols, known codes, lengths that mostly fit.
fn frame() -> impl Strategy<Value = Frame> {
    let protocols = prop::sample::select(vec![LCP, LCP, PAP, CHAP, IPCP, IPV6CP, CCP, 0x0021]);
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec((0u8..10, prop::collection::vec(any::<u8>(), 0..6)), 0..6).prop_map(
            |options| options
                .into_iter()
                .flat_map(|(kind, value)| [&[kind, value.len() as u8 + 2][..], &value].concat())
                .collect()
        ),
    ];
    let shaped = (protocols, 0u8..16, 0u8..4, data)
        .prop_map(|(protocol, code, id, data)| (protocol, packet(code, id, &data)));
    let wild = (any::<u16>(), prop::collection::vec(any::<u8>(), 0..80));
    prop_oneof![9 => shaped, 1 => wild]
}

proptest! {
    #[test]
    fn any_frames_in_any_phase(
        phase in 0usize..4,
        frames in prop::collection::vec((frame(), 0u64..4000), 0..60),
        client: bool,
    ) {
        let mut host = match phase {
            _ if client => {
                let own = Credentials {
                    user: USER.to_owned(),
                    secret: Secret::new(PASSWORD),
                    methods: vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap],
                };
                let mut host = Host::new(Config::client(own), 1, Instant::now());
                host.open();
                host
            }
            0 => server_in(Phase::Establish, false),
            1 => server_in(Phase::Authenticate, false),
            2 => server_in(Phase::Network, false),
            _ => server_in(Phase::Network, true),
        };
        let proven = phase >= 2 || client;
        for ((protocol, payload), wait) in frames {
            // A frame is worth at most a handful of others, none of them larger than allowed.
            let sent = host.feed(protocol, &payload);
            prop_assert!(sent.len() <= 6, "{sent:x?}");
            host.advance(Duration::from_millis(wait));
            if !proven {
                prop_assert!(!host.is_up(), "no way in without the password");
            }
        }
        // Whatever happened, time brings it to an end or to an open network.
        for _ in 0..200 {
            let Some(next) = host.link.next_timeout() else { break };
            let wait = next.saturating_duration_since(host.now);
            host.advance(wait);
        }
        prop_assert!(host.is_down() || host.link.next_timeout().is_none());
        let _: Counters = host.link.view().counters;
    }
}

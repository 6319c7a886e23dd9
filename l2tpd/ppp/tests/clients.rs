//! Servers' ends of real clients' sessions: the frames as the clients send them (option lists and
//! orders from their sources and published logs), the answers as they expect them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::net::Ipv4Addr;
use std::time::Duration;

use hex_literal::hex;
use ppp_proto::auth::mschapv2::{self, Response};
use ppp_proto::{
    AuthMethod, Config, DownReason, Family, Ipv4Config, Network, Output, Party, Phase,
};

use harness::{
    ASSIGNMENT, CCP, CHAP, Frame, Host, IPCP, IPV6CP, LCP, PASSWORD, USER, ack, find, packet,
};

fn server(methods: &[AuthMethod]) -> Config {
    Config {
        authenticate_peer: methods.to_vec(),
        ..Config::server("tanuki")
    }
}

/// The client's MS-CHAPv2 Response to the Challenge in `sent`.
fn response_v2(sent: &[Frame], user: &str, password: &str) -> Vec<u8> {
    let challenge = find(sent, CHAP, 1);
    let id = challenge[1];
    assert_eq!(challenge[4], 16, "MS-CHAPv2 challenges have 16 octets");
    let authenticator: [u8; 16] = challenge[5..21].try_into().unwrap();
    let peer_challenge = hex!("21402324255E262A28295F2B3A337C7E");
    let hash = mschapv2::nt_password_hash(password.as_bytes());
    let short = user.rsplit('\\').next().unwrap();
    let nt_response =
        mschapv2::nt_response(&authenticator, &peer_challenge, short.as_bytes(), &hash);
    let mut data = vec![49];
    data.extend(
        Response {
            peer_challenge,
            nt_response,
        }
        .emit(),
    );
    data.extend(user.as_bytes());
    packet(2, id, &data)
}

fn response_md5(sent: &[Frame], user: &str, password: &str) -> Vec<u8> {
    use md5::{Digest, Md5};
    let challenge = find(sent, CHAP, 1);
    let size = usize::from(challenge[4]);
    let digest = Md5::new()
        .chain_update([challenge[1]])
        .chain_update(password)
        .chain_update(&challenge[5..5 + size])
        .finalize();
    let mut data = vec![16];
    data.extend_from_slice(&digest);
    data.extend(user.as_bytes());
    packet(2, challenge[1], &data)
}

/// An LCP ConfReq of a plain client, and our own acknowledged: LCP Opened, Challenge sent.
fn through_lcp(host: &mut Host, first: &[Frame], request: &[u8]) -> Vec<Frame> {
    let answer = host.feed(LCP, &packet(1, 1, request));
    assert_eq!(
        answer,
        [(LCP, packet(2, 1, request))],
        "acknowledged verbatim"
    );
    ack(host, LCP, first)
}

/// pppd on ChromeOS, xl2tpd and NetworkManager: mru 1410, asyncmap 0, magic, pcomp, accomp.
const PPPD: [u8; 20] = hex!("0104 0582 0206 00000000 0506 a1b2c3d4 0702 0802");

/// To the end of authentication; what the server sends then.
fn authenticated(config: Config) -> (Host, Vec<Frame>) {
    let (mut host, first) = Host::server(config);
    let sent = through_lcp(&mut host, &first, &PPPD);
    let sent = host.feed(CHAP, &response_v2(&sent, USER, PASSWORD));
    (host, sent)
}

#[test]
fn our_first_request() {
    let (_, sent) = Host::server(server(&[AuthMethod::MsChapV2]));
    let request = find(&sent, LCP, 1);
    // As pppd orders them; no MRU (1500 is the default).
    assert_eq!(request[4..9], hex!("03 05 c223 81"));
    assert_eq!(request[9..11], hex!("05 06"));
    assert_eq!(request[15..], hex!("0702 0802"));
    assert_eq!(sent.len(), 1);
}

#[test]
fn windows() {
    // Windows 7 and 10 against this server's predecessor, CHAP-MD5 allowed.
    let (mut host, first) = Host::server(server(&[AuthMethod::MsChapV2, AuthMethod::ChapMd5]));
    // C->S ConfReq 0: MRU 1400, MAGIC, PROTOCOMP, ACFCOMP, CALLBACK CBCP. Ours is not answered.
    let request = hex!("0104 0578 0506 16c02943 0702 0802 0d03 06");
    let sent = host.feed(LCP, &packet(1, 0, &request));
    assert_eq!(sent, [(LCP, packet(4, 0, &hex!("0d03 06")))]);
    let request = hex!("0104 0578 0506 16c02943 0702 0802");
    let sent = host.feed(LCP, &packet(1, 1, &request));
    assert_eq!(sent, [(LCP, packet(2, 1, &request))]);
    // Deaf for 2 s; then it hears our retransmission.
    let again = host.advance(Duration::from_secs(2));
    assert_eq!(again, first);
    // It prefers MS-CHAPv2 and Naks nothing here.
    let sent = ack(&mut host, LCP, &again);
    assert_eq!(host.link.phase(), Phase::Authenticate);
    // Three Identifications: nothing to say to them.
    let idents: [&[u8]; 3] = [
        b"\x16\xc0\x29\x43MSRASV5.20",
        b"\x16\xc0\x29\x43MSRAS-0-PC",
        &hex!("16c02943 00112233445566778899aabbccddeeff"),
    ];
    for (id, ident) in idents.iter().enumerate() {
        let id = u8::try_from(id).unwrap() + 2;
        assert_eq!(host.feed(LCP, &packet(12, id, ident)), []);
    }
    let sent = host.feed(CHAP, &response_v2(&sent, "PC\\User", PASSWORD));
    let success = find(&sent, CHAP, 3);
    assert!(success[4..].starts_with(b"S=") && success[44..].ends_with(b" M=Welcome"));
    // S->C IPCP ConfReq: our address only, no VJ.
    assert_eq!(find(&sent, IPCP, 1)[4..], hex!("0306 c0a82001"));
    // C->S CCP with MPPE offered, IPV6CP: rejected by protocol, with a copy.
    let ccp = packet(1, 4, &hex!("1206 01000000"));
    let sent_ccp = host.feed(CCP, &ccp);
    assert_eq!(
        find(&sent_ccp, LCP, 8)[4..],
        [&hex!("80fd")[..], &ccp].concat()
    );
    let v6 = packet(1, 5, &hex!("010a 0211 22ff fe33 4455"));
    assert_eq!(find(&host.feed(IPV6CP, &v6), LCP, 8)[4..6], hex!("8057"));
    // The CCP Terminate-Request of Windows after a refusal.
    let end = packet(5, 7, &hex!("16c02943 003ccd74 000002dc"));
    assert_eq!(find(&host.feed(CCP, &end), LCP, 8)[4..6], hex!("80fd"));
    assert_eq!(host.link.phase(), Phase::Network);
    // ConfReq 6: addr, dns1, nbns1, dns2, nbns2, all 0.
    let request = hex!("0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000");
    let answer = host.feed(IPCP, &packet(1, 6, &request));
    let rejected = hex!("8206 00000000 8306 00000000 8406 00000000");
    assert_eq!(answer, [(IPCP, packet(4, 6, &rejected))]);
    // ConfReq 8: addr 0, dns1 0.
    let answer = host.feed(IPCP, &packet(1, 8, &hex!("0306 00000000 8106 00000000")));
    assert_eq!(
        answer,
        [(IPCP, packet(3, 8, &hex!("0306 c0a82080 8106 c0a83001")))]
    );
    ack(&mut host, IPCP, &sent);
    let request = hex!("0306 c0a82080 8106 c0a83001");
    let answer = host.feed(IPCP, &packet(1, 9, &request));
    assert_eq!(answer, [(IPCP, packet(2, 9, &request))]);
    assert!(host.event(|event| *event
        == Output::NetworkUp(Network::V4 {
            local: ASSIGNMENT.local,
            peer: ASSIGNMENT.peer,
            dns: [Some(Ipv4Addr::new(192, 168, 48, 1)), None],
        })));
    // The end: two Terminate-Requests 2 s apart.
    let sent = host.feed(LCP, &packet(5, 10, &hex!("16c02943 003ccd74 00000000")));
    assert_eq!(find(&sent, LCP, 6)[1], 10);
    assert!(host.event(|event| *event == Output::NetworkDown(Family::V4)));
    let sent = host.feed(LCP, &packet(5, 11, &hex!("16c02943 003ccd74 00000000")));
    assert_eq!(find(&sent, LCP, 6)[1], 11);
    host.advance(Duration::from_secs(2));
    let reason = DownReason::PeerTerminated("Windows error 0".to_owned());
    assert_eq!(host.events.last(), Some(&Output::Down { reason }));
}

#[test]
fn windows_naks_chap_md5_with_mschapv2() {
    let (mut host, first) = Host::server(server(&[AuthMethod::ChapMd5, AuthMethod::MsChapV2]));
    let id = find(&first, LCP, 1)[1];
    assert_eq!(find(&first, LCP, 1)[4..9], hex!("0305 c223 05"));
    let sent = host.feed(LCP, &packet(3, id, &hex!("0305 c223 81")));
    assert_eq!(find(&sent, LCP, 1)[4..9], hex!("0305 c223 81"));
}

#[test]
fn chromeos_mschapv2() {
    let (mut host, sent) = authenticated(server(&[AuthMethod::MsChapV2]));
    assert!(host.event(|event| *event
        == Output::Authenticated {
            party: Party::Peer,
            user: USER.to_owned(),
            method: AuthMethod::MsChapV2,
        }));
    // LCP Echo-Request right after LCP opened: answered with our magic, not the client's.
    let echo = host.feed(LCP, &packet(9, 0, &hex!("a1b2c3d4")));
    let reply = find(&echo, LCP, 10);
    assert_eq!((reply.len(), &reply[4..]), (8, &find_magic(&host)[..]));
    // compress VJ 0f 01, addr, ms-dns1, ms-dns2; and an IPV6CP request.
    let request = hex!("0206 002d 0f01 0306 00000000 8106 00000000 8306 00000000");
    let answer = host.feed(IPCP, &packet(1, 1, &request));
    assert_eq!(
        answer,
        [(IPCP, packet(4, 1, &hex!("0206 002d 0f01 8306 00000000")))]
    );
    let answer = host.feed(IPCP, &packet(1, 2, &hex!("0306 00000000 8106 00000000")));
    let taken = hex!("0306 c0a82080 8106 c0a83001");
    assert_eq!(answer, [(IPCP, packet(3, 2, &taken))]);
    host.feed(IPCP, &packet(1, 3, &taken));
    ack(&mut host, IPCP, &sent);
    assert!(host.is_up());
    let lcp = host.link.view().lcp.unwrap();
    assert_eq!((lcp.peer_mru, lcp.our_mru, lcp.mtu), (1410, 1500, 1400));
    assert!(lcp.send_pfc && lcp.send_acfc && lcp.receive_pfc && lcp.receive_acfc);
    assert_eq!(lcp.peer_magic, 0xa1b2_c3d4);
}

fn find_magic(host: &Host) -> [u8; 4] {
    host.link.view().lcp.unwrap().magic.to_be_bytes()
}

#[test]
fn chromeos_accepts_chap_md5_too() {
    let (mut host, first) = Host::server(server(&[AuthMethod::ChapMd5]));
    let sent = through_lcp(&mut host, &first, &PPPD);
    assert_eq!(find(&sent, CHAP, 1)[21..], *b"tanuki");
    let sent = host.feed(CHAP, &response_md5(&sent, USER, PASSWORD));
    assert_eq!(find(&sent, CHAP, 3)[4..], *b"Welcome");
    find(&sent, IPCP, 1);
}

#[test]
fn macos() {
    let (mut host, first) = Host::server(server(&[AuthMethod::MsChapV2]));
    // asyncmap, magic, pcomp, accomp: no MRU.
    let request = hex!("0206 00000000 0506 5e6f7a8b 0702 0802");
    let sent = through_lcp(&mut host, &first, &request);
    assert_eq!(host.link.view().lcp.unwrap().peer_mru, 1500);
    let sent = host.feed(CHAP, &response_v2(&sent, USER, PASSWORD));
    ack(&mut host, IPCP, &sent);
    // ACSP.
    let acsp = packet(1, 1, &hex!("0106 0000"));
    assert_eq!(find(&host.feed(0x8235, &acsp), LCP, 8)[4..6], hex!("8235"));
    // addr, ms-dns1, ms-dns3 (131).
    let request = hex!("0306 00000000 8106 00000000 8306 00000000");
    let answer = host.feed(IPCP, &packet(1, 1, &request));
    assert_eq!(answer, [(IPCP, packet(4, 1, &hex!("8306 00000000")))]);
    let answer = host.feed(IPCP, &packet(1, 2, &hex!("0306 00000000 8106 00000000")));
    let taken = answer[0].1[4..].to_vec();
    host.feed(IPCP, &packet(1, 3, &taken));
    assert!(host.is_up());
}

#[test]
fn macos_asking_by_ip_addresses_does_not_loop() {
    let (mut host, sent) = authenticated(server(&[AuthMethod::MsChapV2]));
    ack(&mut host, IPCP, &sent);
    let mut answers = 0;
    for id in 0..=255 {
        let answer = host.feed(IPCP, &packet(1, id, &hex!("010a 00000000 00000000")));
        answers += answer.iter().filter(|frame| frame.0 == IPCP).count();
    }
    assert!(answers <= 21, "{answers} answers");
    assert_eq!(host.link.phase(), Phase::Terminate);
}

#[test]
fn an_empty_request_is_acknowledged() {
    let (mut host, first) = Host::server(server(&[AuthMethod::MsChapV2]));
    let sent = through_lcp(&mut host, &first, &[]);
    find(&sent, CHAP, 1);
    let lcp = host.link.view().lcp.unwrap();
    assert!(!lcp.send_pfc && !lcp.send_acfc && lcp.peer_magic == 0 && lcp.peer_mru == 1500);
}

#[test]
fn tunnelforge() {
    let (mut host, first) = Host::server(server(&[AuthMethod::MsChapV2]));
    // mru, asyncmap, and it wants us to authenticate.
    let request = hex!("0104 0578 0206 00000000 0305 c223 81");
    let answer = host.feed(LCP, &packet(1, 1, &request));
    assert_eq!(answer, [(LCP, packet(4, 1, &hex!("0305 c223 81")))]);
    let sent = through_lcp(&mut host, &first, &hex!("0104 0578 0206 00000000"));
    let sent = host.feed(CHAP, &response_v2(&sent, USER, PASSWORD));
    ack(&mut host, IPCP, &sent);
    let request = hex!("0306 c0a82080 8106 c0a83001");
    host.feed(IPCP, &packet(1, 1, &request));
    assert!(host.is_up());
    // Its Echo-Request carries no magic number worth the name.
    find(&host.feed(LCP, &packet(9, 3, &[0; 4])), LCP, 10);
}

#[test]
fn eap_offered_by_a_client_or_asked_for_instead_is_no_way_in() {
    let config = server(&[AuthMethod::MsChapV2, AuthMethod::Pap]);
    let (mut host, first) = Host::server(config);
    let id = find(&first, LCP, 1)[1];
    // Naks MS-CHAPv2 with EAP: the next of ours is offered, then none is left.
    let sent = host.feed(LCP, &packet(3, id, &hex!("0304 c227")));
    assert_eq!(find(&sent, LCP, 1)[4..8], hex!("0304 c023"));
    let sent = host.feed(LCP, &packet(3, find(&sent, LCP, 1)[1], &hex!("0304 c227")));
    find(&sent, LCP, 5);
    host.advance(Duration::from_secs(2));
    host.advance(Duration::from_secs(2));
    let reason = DownReason::AuthNotAgreed;
    assert_eq!(host.events, [Output::Down { reason }]);
}

#[test]
fn mikrotik_and_multilink_options_are_rejected_together() {
    let (mut host, _) = Host::server(server(&[AuthMethod::MsChapV2]));
    let options = hex!("0506 11223344 1104 05dc 1202 1303 00 1704 0001 0d03 06");
    let answer = host.feed(LCP, &packet(1, 1, &options));
    let rejected = hex!("1104 05dc 1202 1303 00 1704 0001 0d03 06");
    assert_eq!(answer, [(LCP, packet(4, 1, &rejected))]);
}

#[test]
fn other_control_protocols_are_rejected_and_the_link_stays() {
    let (mut host, _) = authenticated(server(&[AuthMethod::MsChapV2]));
    // CCP, ECP, MPLSCP, ACSP, BACP, CBCP, LQR.
    for number in [0x80fd, 0x8053, 0x8281, 0x8235, 0xc02b, 0xc029, 0xc025_u16] {
        let sent = host.feed(number, &packet(1, 1, &hex!("1206 01000000")));
        let reject = find(&sent, LCP, 8);
        assert_eq!(reject[4..6], number.to_be_bytes());
    }
    assert_eq!(host.link.phase(), Phase::Network);
    assert_eq!(host.link.counters().protocol_rejects_out, 7);
}

#[test]
fn ipv6cp() {
    let config = Config {
        ipv6: true,
        ..server(&[AuthMethod::MsChapV2])
    };
    let (mut host, sent) = authenticated(config);
    ack(&mut host, IPV6CP, &sent);
    // Zero is not an identifier.
    let answer = host.feed(IPV6CP, &packet(1, 1, &hex!("010a 0000000000000000")));
    let suggested = find(&answer, IPV6CP, 3)[4..].to_vec();
    assert_eq!((suggested.len(), suggested[2] & 2), (10, 0));
    host.feed(IPV6CP, &packet(1, 2, &suggested));
    let peer: [u8; 8] = suggested[2..].try_into().unwrap();
    let network = host.link.view().ipv6.unwrap();
    assert!(matches!(network, Network::V6 { peer: seen, local } if seen == peer && local != peer));
    // IPv4 refused: the link lives on with IPv6.
    let sent = host.feed(
        LCP,
        &packet(8, 1, &[&hex!("8021")[..], &[1, 1, 0, 4]].concat()),
    );
    assert_eq!(sent, []);
    assert_eq!(host.link.phase(), Phase::Network);
    // And ends with it.
    host.feed(
        LCP,
        &packet(8, 2, &[&hex!("8057")[..], &[1, 1, 0, 4]].concat()),
    );
    for _ in 0..4 {
        host.advance(Duration::from_secs(2));
    }
    assert!(host.event(|event| *event == Output::NetworkDown(Family::V6)));
    let last = Output::Down {
        reason: DownReason::NoNetworkProtocol,
    };
    for _ in 0..4 {
        host.advance(Duration::from_secs(2));
    }
    assert_eq!(host.events.last(), Some(&last));
}

#[test]
fn no_authentication_wanted_no_credentials_needed() {
    let config = Config {
        ipv4: Ipv4Config::Assign,
        ..server(&[])
    };
    let (mut host, first) = Host::server(config);
    let sent = through_lcp(&mut host, &first, &PPPD);
    find(&sent, IPCP, 1);
}

//! R30 to R35: PPP.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use hex_literal::hex;
use ppp_proto::auth::mschapv2::{self, Response};
use ppp_proto::{AuthMethod, Config, Phase};

use crate::link::{
    CCP, CHAP, Frame, Host, IPCP, IPV6CP, LCP, PAP, PASSWORD, USER, ack, find, packet,
};

/// pppd of ChromeOS.
const PPPD: [u8; 20] = hex!("0104 0582 0206 00000000 0506 a1b2c3d4 0702 0802");

/// The server's end of a link whose client says nothing any more when a test is through with it: five
/// minutes later it is down.
struct Server(Host);

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for _ in 0..300 {
            self.0.advance(Duration::from_secs(1));
        }
        assert!(self.0.is_down(), "{:?}", self.0.link.phase());
    }
}

impl Deref for Server {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.0
    }
}

fn server() -> (Server, Vec<Frame>) {
    server_with(Config::server("tanuki"))
}

fn server_with(config: Config) -> (Server, Vec<Frame>) {
    let (host, sent) = Host::server(config);
    (Server(host), sent)
}

fn response(sent: &[Frame]) -> Vec<u8> {
    let challenge = find(sent, CHAP, 1);
    let authenticator: [u8; 16] = challenge[5..21].try_into().unwrap();
    let peer_challenge = [0x21; 16];
    let hash = mschapv2::nt_password_hash(PASSWORD.as_bytes());
    let nt_response =
        mschapv2::nt_response(&authenticator, &peer_challenge, USER.as_bytes(), &hash);
    let value = Response {
        peer_challenge,
        nt_response,
    };
    let data = [&[49][..], &value.emit(), USER.as_bytes()].concat();
    packet(2, challenge[1], &data)
}

/// A link past authentication, and what was sent then.
fn authenticated() -> (Server, Vec<Frame>) {
    let (mut host, first) = server();
    host.feed(LCP, &packet(1, 1, &PPPD));
    let sent = ack(&mut host, LCP, &first);
    let answer = response(&sent);
    let sent = host.feed(CHAP, &answer);
    assert_eq!(host.link.phase(), Phase::Network);
    (host, sent)
}

/// IPCP to its end with a plain request.
fn finish(host: &mut Host, sent: &[Frame]) {
    let nak = host.feed(IPCP, &packet(1, 1, &hex!("0306 00000000")));
    let address = find(&nak, IPCP, 3)[4..].to_vec();
    let acked = host.feed(IPCP, &packet(1, 2, &address));
    find(&acked, IPCP, 2);
    ack(host, IPCP, sent);
    assert!(host.is_up() && !host.is_down());
}

/// Options of multilink and callback (Windows' CBCP) are rejected, never Nak'd or taken; what is
/// left is acknowledged.
#[test]
fn r30_multilink_and_callback_options_are_rejected() {
    let options: [&[u8]; 5] = [
        &hex!("0d03 06"),
        &hex!("1104 05dc"),
        &hex!("1202"),
        &hex!("1309 03 0011223344 55"),
        &hex!("1704 0001"),
    ];
    for option in options {
        let (mut host, _) = server();
        let request = [&PPPD[..], option].concat();
        let sent = host.feed(LCP, &packet(1, 0, &request));
        assert_eq!(sent, [(LCP, packet(4, 0, option))]);
        let sent = host.feed(LCP, &packet(1, 1, &PPPD));
        assert_eq!(sent, [(LCP, packet(2, 1, &PPPD))]);
    }
}

/// macOS falls back to a request without options.
#[test]
fn r30_an_empty_request_is_acknowledged() {
    let (mut host, first) = server();
    let sent = host.feed(LCP, &packet(1, 9, &[]));
    assert_eq!(sent, [(LCP, packet(2, 9, &[]))]);
    let sent = ack(&mut host, LCP, &first);
    find(&sent, CHAP, 1);
}

/// An option that stands twice does not upset the link.
#[test]
fn r30_options_twice_in_one_request() {
    let (mut host, first) = server();
    let request = hex!("0104 0582 0104 0582 0702");
    let sent = host.feed(LCP, &packet(1, 1, &request));
    assert_eq!(sent.len(), 1);
    assert!([2, 3, 4].contains(&sent[0].1[0]));
    host.feed(LCP, &packet(1, 2, &PPPD));
    let sent = ack(&mut host, LCP, &first);
    find(&sent, CHAP, 1);
}

/// TunnelForge asks the server to authenticate itself: rejected.
#[test]
fn r31_the_server_does_not_authenticate_itself() {
    let (mut host, _) = server();
    let request = hex!("0104 0578 0206 00000000 0305 c223 81");
    let sent = host.feed(LCP, &packet(1, 1, &request));
    assert_eq!(sent, [(LCP, packet(4, 1, &hex!("0305 c223 81")))]);
}

/// A method that is Nak'd is followed by the one the client asks for when that is allowed, and EAP
/// is never offered; asked for it, we go on with ours.
#[test]
fn r31_methods_from_the_best_down() {
    let config = Config {
        authenticate_peer: vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap],
        ..Config::server("tanuki")
    };
    let (mut host, first) = server_with(config);
    let request = find(&first, LCP, 1);
    assert_eq!(request[4..9], hex!("0305 c223 81"), "MS-CHAPv2 first");
    // The client wants EAP.
    let sent = host.feed(LCP, &packet(3, request[1], &hex!("0304 c227")));
    let request = find(&sent, LCP, 1);
    assert_eq!(request[4..6], hex!("0305"));
    assert_eq!(request[6..8], hex!("c223"), "CHAP, not EAP");
    // The client wants PAP.
    let sent = host.feed(LCP, &packet(3, request[1], &hex!("0304 c023")));
    let request = find(&sent, LCP, 1);
    assert_eq!(request[4..8], hex!("0304 c023"));
    host.feed(LCP, &packet(1, 1, &PPPD));
    ack(&mut host, LCP, &sent);
    let login = [&[4][..], USER.as_bytes(), &[10], PASSWORD.as_bytes()].concat();
    let sent = host.feed(PAP, &packet(1, 1, &login));
    find(&sent, PAP, 2);
}

/// Windows' three Identifications, Time-Remaining, an echo before LCP is open, Terminate-Request
/// with data.
#[test]
fn r32_lcp_codes_that_need_no_answer() {
    let (mut host, _) = server();
    let echo = packet(9, 1, &[0; 4]);
    assert_eq!(host.feed(LCP, &echo), [], "LCP is not open");
    let (mut host, sent) = authenticated();
    for (code, data) in [(12, &b"\x01\x02\x03\x04MSRASV5.20"[..]), (13, &[0; 12][..])] {
        assert_eq!(host.feed(LCP, &packet(code, 3, data)), []);
    }
    finish(&mut host, &sent);
    let sent = host.feed(LCP, &packet(5, 7, &hex!("16c02943 003ccd74 00000000")));
    let answer = find(&sent, LCP, 6);
    assert_eq!(answer[1], 7);
}

/// Addresses are Nak'd, never rejected; of the name servers those we have. VJ, IP-Addresses and
/// the name servers we do not have are rejected.
#[test]
fn r33_ipcp_of_windows_and_of_macos() {
    let (mut host, _) = authenticated();
    let windows =
        hex!("0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000 0206 002d0f01");
    let sent = host.feed(IPCP, &packet(1, 1, &windows));
    let rejected = find(&sent, IPCP, 4)[4..].to_vec();
    assert_eq!(
        rejected,
        hex!("8206 00000000 8306 00000000 8406 00000000 0206 002d0f01"),
        "not 3, not the first name server"
    );
    let sent = host.feed(IPCP, &packet(1, 2, &hex!("0306 00000000 8106 00000000")));
    assert_eq!(
        find(&sent, IPCP, 3)[4..],
        hex!("0306 c0a82080 8106 c0a83001")
    );
    let (mut host, _) = authenticated();
    let sent = host.feed(IPCP, &packet(1, 1, &hex!("010a 00000000 00000000")));
    assert_eq!(find(&sent, IPCP, 4)[4..6], hex!("010a"));
}

/// A client that does not learn is not talked to for ever.
#[test]
fn r33_requests_without_end_end() {
    let (mut host, _) = authenticated();
    let mut answers = 0;
    for id in 0..=255 {
        answers += host
            .feed(IPCP, &packet(1, id, &hex!("0306 00000000")))
            .len();
    }
    assert!(answers <= 260, "one answer each at most");
    for _ in 0..30 {
        host.advance(Duration::from_secs(3));
    }
    assert!(host.is_down());
}

/// Protocols not spoken here are Protocol-Rejected (CCP with MPPE of Windows, ECP, IPv6CP, ACSP of
/// macOS, MPLSCP of RouterOS, BACP), and the link comes up all the same.
#[test]
fn r34_other_protocols_are_rejected_and_the_link_stays() {
    let (mut host, sent) = authenticated();
    for protocol in [CCP, IPV6CP, 0x8053, 0x8235, 0x8281, 0xc02b] {
        let request = packet(1, 6, &hex!("1206 01000000"));
        let answer = host.feed(protocol, &request);
        let reject = find(&answer, LCP, 8);
        assert_eq!(reject[4..6], protocol.to_be_bytes());
        assert_eq!(reject[6..], request);
    }
    finish(&mut host, &sent);
}

/// Windows is deaf for two seconds: our request is sent again within three, and often enough.
#[test]
fn r35_lcp_is_sent_again_within_three_seconds() {
    let (mut host, first) = server();
    let mut heard = 0;
    for _ in 0..6 {
        heard += host.advance(Duration::from_secs(3)).len();
    }
    assert!(heard >= 6);
    assert!(!host.is_down());
    host.feed(LCP, &packet(1, 1, &PPPD));
    let sent = ack(&mut host, LCP, &first);
    find(&sent, CHAP, 1);
}

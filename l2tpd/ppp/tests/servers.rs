//! Our client's end against servers as they are: SoftEther, pppd behind xl2tpd.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hex_literal::hex;
use ppp_proto::auth::mschapv2::{self, Response};
use ppp_proto::{AuthMethod, Config, Credentials, Network, Phase, Secret};

use harness::{CHAP, Frame, Host, IPCP, LCP, PAP, PASSWORD, USER, ack, find, packet};

fn client(methods: &[AuthMethod]) -> (Host, Vec<Frame>) {
    let own = Credentials {
        user: USER.to_owned(),
        secret: Secret::new(PASSWORD),
        methods: methods.to_vec(),
    };
    let mut host = Host::new(Config::client(own), 5, Instant::now());
    let sent = host.open();
    (host, sent)
}

/// Challenges the client and checks its Response; gives the Success it may expect.
fn prove(host: &mut Host) -> Vec<u8> {
    let challenge = hex!("5B5D7C7D7B3F2F3E3C2C602132262628");
    let data = [&[16][..], &challenge, b"server"].concat();
    let response = find(&host.feed(CHAP, &packet(1, 0x2a, &data)), CHAP, 2);
    assert_eq!((response[1], response[4]), (0x2a, 49));
    assert_eq!(response[54..], *USER.as_bytes());
    let response = Response::parse(&response[5..54]).unwrap();
    let hash = mschapv2::nt_password_hash(PASSWORD.as_bytes());
    let user = USER.as_bytes();
    let expected = mschapv2::nt_response(&challenge, &response.peer_challenge, user, &hash);
    assert_eq!(response.nt_response, expected);
    let proof = mschapv2::authenticator_response(&hash, &response, &challenge, user);
    packet(3, 0x2a, proof.as_bytes())
}

#[test]
fn softether() {
    let (mut host, first) = client(&[AuthMethod::MsChapV2, AuthMethod::ChapMd5]);
    // EAP first: Naked with what we like best.
    let answer = host.feed(LCP, &packet(1, 1, &hex!("0304 c227")));
    assert_eq!(answer, [(LCP, packet(3, 1, &hex!("0305 c223 81")))]);
    // An Echo-Request before LCP is open: ignored.
    assert_eq!(host.feed(LCP, &packet(9, 0, &[0; 4])), []);
    // It rejects magic number, pcomp and accomp.
    let request = find(&first, LCP, 1);
    assert_eq!(request[4..8], hex!("0104 0582"));
    let sent = host.feed(LCP, &packet(4, request[1], &request[8..]));
    assert_eq!(find(&sent, LCP, 1)[4..], hex!("0104 0582"));
    let answer = host.feed(LCP, &packet(1, 2, &hex!("0305 c223 81")));
    assert_eq!(answer, [(LCP, packet(2, 2, &hex!("0305 c223 81")))]);
    ack(&mut host, LCP, &sent);
    let success = prove(&mut host);
    let sent = host.feed(CHAP, &success);
    assert_eq!(host.link.phase(), Phase::Network);
    // Our Echo-Requests carry no magic number then; it answers them so.
    assert_eq!(host.link.view().lcp.unwrap().magic, 0);
    // ms-dns2 rejected, IPCP requests repeated until answered.
    let id = find(&sent, IPCP, 1)[1];
    let sent = host.feed(IPCP, &packet(4, id, &hex!("8306 00000000")));
    for _ in 0..3 {
        let request = hex!("0306 01000001");
        assert_eq!(
            host.feed(IPCP, &packet(1, 1, &request)),
            [(IPCP, packet(2, 1, &request))]
        );
    }
    let id = find(&sent, IPCP, 1)[1];
    let nak = hex!("0306 c0a81e0a 8106 c0a81e01");
    let sent = host.feed(IPCP, &packet(3, id, &nak));
    assert_eq!(find(&sent, IPCP, 1)[4..], nak);
    ack(&mut host, IPCP, &sent);
    let network = Network::V4 {
        local: Ipv4Addr::new(192, 168, 30, 10),
        peer: Ipv4Addr::new(1, 0, 0, 1),
        dns: [Some(Ipv4Addr::new(192, 168, 30, 1)), None],
    };
    assert_eq!(host.link.view().ipv4, Some(network));
}

#[test]
fn pppd() {
    let (mut host, first) = client(&[AuthMethod::MsChapV2]);
    // mru 1400, asyncmap 0, auth chap MS-v2, magic, pcomp, accomp.
    let request = hex!("0104 0578 0206 00000000 0305 c223 81 0506 cafe0001 0702 0802");
    assert_eq!(
        host.feed(LCP, &packet(1, 1, &request)),
        [(LCP, packet(2, 1, &request))]
    );
    ack(&mut host, LCP, &first);
    let success = prove(&mut host);
    let sent = host.feed(CHAP, &success);
    // CCP and VJ: not with us.
    find(
        &host.feed(0x80fd, &packet(1, 1, &hex!("1a04 7800 1804 7800 1503 2f"))),
        LCP,
        8,
    );
    let answer = host.feed(IPCP, &packet(1, 1, &hex!("0206 002d 0f01 0306 0a630001")));
    assert_eq!(answer, [(IPCP, packet(4, 1, &hex!("0206 002d 0f01")))]);
    host.feed(IPCP, &packet(1, 2, &hex!("0306 0a630001")));
    let id = find(&sent, IPCP, 1)[1];
    // No name servers configured there.
    let sent = host.feed(IPCP, &packet(4, id, &hex!("8106 00000000 8306 00000000")));
    let sent = host.feed(
        IPCP,
        &packet(3, find(&sent, IPCP, 1)[1], &hex!("0306 0a63000a")),
    );
    ack(&mut host, IPCP, &sent);
    assert!(host.is_up());
    assert_eq!(host.link.view().lcp.unwrap().mtu, 1400);
    // A Challenge in between (rechallenge): answered, and the network stays.
    let success = prove(&mut host);
    assert_eq!(host.feed(CHAP, &success), []);
    assert!(host.is_up());
    host.advance(Duration::from_secs(20));
    assert!(host.is_up());
}

#[test]
fn pap_is_repeated_until_answered() {
    let (mut host, first) = client(&[AuthMethod::Pap]);
    host.feed(LCP, &packet(1, 1, &hex!("0304 c023")));
    let sent = ack(&mut host, LCP, &first);
    let request = find(&sent, PAP, 1);
    assert_eq!(request[4..], *b"\x04User\x0aclientPass");
    assert_eq!(
        host.advance(Duration::from_secs(2)),
        [(PAP, request.clone())]
    );
    find(&host.feed(PAP, &packet(2, request[1], &[0])), IPCP, 1);
    // Without a message at all, as some send it.
    assert_eq!(host.feed(PAP, &packet(2, request[1], &[])), []);
}

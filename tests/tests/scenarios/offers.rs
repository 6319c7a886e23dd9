//! What is offered and chosen, identities, selectors.

use ike_proto::policy::{SecretEntry, SecretPeer};
use tanuki_tests::ike::gateway::{Gateway, PSK, SERVER, policy};
use tanuki_tests::ike::offers::{
    AES, Life, Order, SHA256, Suite, phase1, phase1_attributes, phase1_suites, proposal, sa,
    transform, tv,
};
use tanuki_tests::ike::ordinary::{SUITE, dialect, quick};
use tanuki_tests::ike::{NOTIFY, id_address};

use crate::{CLIENT, FROM, client, open};

fn esp(more: &[u8]) -> Vec<u8> {
    let good = [(6, 128), (5, 2), (4, 2), (1, 1), (2, 3600)];
    let good: Vec<u8> = good
        .iter()
        .flat_map(|(class, value)| tv(*class, *value))
        .collect();
    [&good, more].concat()
}

/// strongSwan net2net-esn: 64-bit sequence numbers are an attribute of their own in IKEv1
/// (RFC 4304); who offers them with and without gets them without.
#[test]
fn extended_sequence_numbers_are_walked_past() {
    let (mut gateway, mut client) = open(1);
    let mut request = quick(1, 0xb001, CLIENT, 2);
    let spi = request.spi.to_be_bytes();
    let transforms = [
        transform(1, 12, &esp(&tv(11, 1))),
        transform(2, 12, &esp(&[])),
    ];
    request.sa = sa(&[proposal(1, 3, &spi, &transforms)]);
    let pair = gateway.quick_mode(&mut client, FROM.0, &request);
    assert_eq!(pair.chosen[4], 2, "the second transform");
    assert_eq!(pair.attribute(11), None);
}

/// The same with a PRF attribute in phase 1, which nobody has besides HMAC.
#[test]
fn other_prfs_are_walked_past() {
    let good = phase1_attributes(SUITE, 1, Order::CipherFirst, Life::Short(3600));
    let mut dialect = dialect();
    dialect.phase1 = phase1(&[[good.clone(), tv(13, 65_001)].concat(), good]);
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect, CLIENT, 2);
    gateway.main_mode(&mut client, FROM);
    assert_eq!(client.chosen[4], 2);
}

/// strongSwan compress: ESP together with IPComp is passed over for ESP alone.
#[test]
fn compression_is_walked_past() {
    let (mut gateway, mut client) = open(3);
    let mut request = quick(1, 0xb003, CLIENT, 2);
    let spi = request.spi.to_be_bytes();
    request.sa = sa(&[
        proposal(1, 3, &spi, &[transform(1, 12, &esp(&[]))]),
        proposal(1, 4, &[0, 2], &[transform(1, 2, &tv(4, 2))]),
        proposal(2, 3, &spi, &[transform(1, 12, &esp(&[]))]),
    ]);
    gateway.quick_mode(&mut client, FROM.0, &request);
}

/// strongSwan protoport-dual, libreswan ikev1-transport-protoport-01: two pairs for two services of
/// one client, each with its own selectors; the end of one leaves the other.
#[test]
fn two_services_of_one_client() {
    let mut policy = policy();
    policy.phase2.services.clear();
    let mut gateway = Gateway::new(policy);
    let mut client = client(dialect(), CLIENT, 4);
    gateway.main_mode(&mut client, FROM);
    let mut pairs = Vec::new();
    for (number, (protocol, own, port)) in (1..).zip([(17, 1701, 1701), (6, 0, 22), (1, 0, 0)]) {
        let mut request = quick(number, 0xb010 + number, CLIENT, 2);
        request.ids = vec![
            id_address(CLIENT.parse().unwrap(), protocol, own),
            id_address(SERVER.parse().unwrap(), protocol, port),
        ];
        pairs.push(gateway.quick_mode(&mut client, FROM.0, &request));
    }
    let services: Vec<_> = gateway
        .children()
        .iter()
        .map(|child| (child.traffic.protocol, child.traffic.local.port))
        .collect();
    assert_eq!(services, [(17, 1701), (6, 22), (1, 0)]);
    let delete = client.delete_esp(pairs[1].spi_in);
    gateway.receive(FROM.0, false, &delete);
    assert_eq!(gateway.children().len(), 2);
    gateway.assert_pair(&pairs[0]);
    gateway.assert_pair(&pairs[2]);
}

/// libreswan impair-30-ikev1-ip-as-fqdn: an address as a domain name is a name. Without a secret for
/// that name it is the address that tells the secret.
#[test]
fn an_address_as_a_name() {
    let mut policy = policy();
    policy.secrets.push(SecretEntry {
        peer: SecretPeer::Identity("192.168.1.5".parse().unwrap()),
        secret: (&b"of the address"[..]).into(),
    });
    let mut gateway = Gateway::new(policy);
    let mut dialect = dialect();
    dialect.identity = Some((2, b"192.168.1.5".to_vec()));
    let mut client = client(dialect, CLIENT, 5);
    assert_eq!(client.dialect.psk, PSK);
    gateway.main_mode(&mut client, FROM);
    let identity = gateway.established()[0].peer_identity.clone();
    assert_eq!(identity.as_deref(), Some("fqdn:192.168.1.5"));
}

/// QA Cafe ike_70 and ike_72: what does not fit is told under the ISAKMP SA, with the type RFC 2407
/// has for it, and the ISAKMP SA serves the next Quick Mode.
#[test]
fn a_failed_quick_mode_is_told_and_the_next_one_served() {
    let (mut gateway, mut client) = open(6);
    let mut wrong_traffic = quick(1, 0xb020, CLIENT, 2);
    wrong_traffic.ids[1] = id_address("10.0.0.1".parse().unwrap(), 17, 1701);
    let mut wrong_offer = quick(2, 0xb021, CLIENT, 2);
    let nothing = transform(1, 11, &esp(&[]));
    wrong_offer.sa = sa(&[proposal(1, 3, &wrong_offer.spi.to_be_bytes(), &[nothing])]);
    // INVALID-ID-INFORMATION and NO-PROPOSAL-CHOSEN, RFC 2408 3.14.1.
    for (request, kind) in [(wrong_traffic, 18u16), (wrong_offer, 14)] {
        let (message, _) = client.qm1(&request);
        let answer = gateway.ask(FROM.0, false, &message);
        let list = client.read_informational(&answer);
        assert_eq!(list.len(), 1);
        assert_eq!(
            (list[0].0, &list[0].1[6..8]),
            (NOTIFY, &kind.to_be_bytes()[..])
        );
        assert!(gateway.sas.is_empty());
    }
    gateway.quick_mode(&mut client, FROM.0, &quick(3, 0xb022, CLIENT, 2));
}

/// strongSwan rw-initiator-only, seen from the other side: a host that does not respond keeps
/// silent.
#[test]
fn a_host_that_only_initiates_keeps_silent() {
    let mut policy = policy();
    policy.respond = false;
    let mut gateway = Gateway::new(policy);
    let mut client = client(dialect(), CLIENT, 7);
    let first = client.mm1();
    assert!(gateway.receive(FROM.0, false, &first).is_empty());
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

/// strongSwan rw-multi-ciphers, alg-*: the first that both have, whatever stands around it.
#[test]
fn the_first_common_suite() {
    let suites = [
        (AES, 256, 1, 14),
        (5, 0, 2, 2),
        (AES, 192, SHA256, 5),
        SUITE,
        (AES, 256, SHA256, 14),
    ];
    let list: Vec<_> = suites
        .iter()
        .map(|suite| phase1_attributes(*suite, 1, Order::LifeFirst, Life::Long(86_400)))
        .collect();
    for (skip, chosen) in [(0, 3), (3, 1), (4, 1)] {
        let mut dialect = dialect();
        dialect.phase1 = phase1(&list[skip..]);
        let mut gateway = Gateway::new(policy());
        let mut client = client(dialect, CLIENT, 8);
        let first = client.mm1();
        let second = gateway.ask(FROM.0, false, &first);
        client.mm3(&second);
        assert_eq!(client.chosen[4], chosen);
    }
}

/// A MODP value without its leading zeros, as SoftEther sends one in 256 (RFC 2409 section 5 wants them,
/// racoon does without): it counts as the number it is, and in the hashes and the IV as it was sent.
#[test]
fn a_public_value_may_lack_leading_zeros() {
    const MODP2048: Suite = (AES, 128, SHA256, 14);
    let mut dialect = dialect();
    dialect.phase1 = phase1_suites(&[MODP2048], Order::CipherFirst, Life::Short(3600));
    dialect.short_public = true;
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect, CLIENT, 31);
    gateway.main_mode(&mut client, FROM);
    gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb007, CLIENT, 2));
}

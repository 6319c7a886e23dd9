//! Addresses, translations, several of them.

use std::time::Duration;

use ike_proto::io::Direction;
use tanuki_tests::ike::gateway::{Gateway, SERVER, policy};
use tanuki_tests::ike::ordinary::{dialect, quick};
use tanuki_tests::ike::{Initiator, NAT_OA, id_address, nat_oa};

use crate::{CLIENT, FROM, PRIVATE, client};

/// strongSwan double-nat: both ends are translated, the client twice, and so is another client
/// with the same private address and the same identity.
#[test]
fn double_nat() {
    let elastic = "192.0.2.80";
    let mut gateway = Gateway::new(policy());
    let mut pairs = Vec::new();
    for (number, from) in (1u32..).zip([
        ("198.51.100.7:1024", "198.51.100.7:4501"),
        ("198.51.100.7:1025", "198.51.100.7:4502"),
    ]) {
        let mut client = Initiator::new(dialect(), "10.0.0.5", elastic, u64::from(number));
        gateway.main_mode(&mut client, from);
        assert_eq!(client.nat, (true, true));
        let mut request = quick(1, 0xb100 + number, "10.0.0.5", 4);
        request.ids[1] = id_address(elastic.parse().unwrap(), 17, 1701);
        request.more = ["10.0.0.5", elastic]
            .map(|address| (NAT_OA, nat_oa(address.parse().unwrap())))
            .into();
        pairs.push(gateway.quick_mode(&mut client, from.1, &request));
    }
    let children = gateway.children();
    assert_eq!(children.len(), 2);
    assert_ne!(children[0].reqid, children[1].reqid, "two clients");
    for (pair, port) in pairs.iter().zip([4501, 4502]) {
        let sa = &gateway.sas[&(Direction::Outbound, pair.spi_in)];
        assert_eq!(sa.encapsulation.map(|ports| ports.peer_port), Some(port));
        assert_eq!(sa.peer_original, Some("10.0.0.5".parse().unwrap()));
        assert_eq!(sa.local_original, Some(elastic.parse().unwrap()));
    }
}

/// strongSwan dynamic-initiator: a client that lost its address comes back from another; what it had
/// goes by itself, and in the meantime harms nobody.
#[test]
fn a_client_returns_from_another_address() {
    let mut named = dialect();
    named.identity = Some((2, b"carol.example.org".to_vec()));
    let mut gateway = Gateway::new(policy());
    let mut before = client(named.clone(), CLIENT, 1);
    gateway.main_mode(&mut before, FROM);
    gateway.quick_mode(&mut before, FROM.0, &quick(1, 0xb110, CLIENT, 2));
    gateway.advance(Duration::from_secs(40));
    let (own, from) = ("198.51.100.99", ("198.51.100.99:500", "198.51.100.99:4500"));
    named.initial_contact = true;
    let mut after = client(named, own, 2);
    gateway.main_mode(&mut after, from);
    let pair = gateway.quick_mode(&mut after, from.0, &quick(1, 0xb111, own, 2));
    gateway.assert_pair(&pair);
    assert_eq!(
        gateway.sas[&(Direction::Outbound, pair.spi_in)].peer,
        own.parse::<std::net::IpAddr>().unwrap()
    );
    gateway.advance(Duration::from_secs(3 * 3600));
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

/// libreswan ikev1-l2tp-03-two-interfaces, strongSwan dynamic-responder: the address that was dialled
/// is the one that answers, whatever others there are.
#[test]
fn a_server_with_two_addresses() {
    let mut gateway = Gateway::new(policy());
    let mut pairs = Vec::new();
    for (number, local) in (1u32..).zip([SERVER, "203.0.113.2"]) {
        gateway.local = local.parse().unwrap();
        let own = format!("198.51.100.{number}");
        let from = (format!("{own}:500"), format!("{own}:4500"));
        let mut client = Initiator::new(dialect(), &own, local, u64::from(number));
        gateway.main_mode(&mut client, (&from.0, &from.1));
        assert_eq!(client.nat, (false, false));
        let mut request = quick(1, 0xb120 + number, &own, 2);
        request.ids[1] = id_address(gateway.local, 17, 1701);
        let pair = gateway.quick_mode(&mut client, &from.0, &request);
        assert_eq!(
            gateway.sas[&(Direction::Inbound, pair.spi_out)].local,
            gateway.local
        );
        pairs.push(pair);
    }
    // A pair of one address is not for the other.
    gateway.local = SERVER.parse().unwrap();
    for pair in &pairs {
        gateway.assert_pair(pair);
    }
    assert_eq!(gateway.children().len(), 2);
}

/// libreswan ikev1-nat-transport-03, ikev1-2behind-nat-01, ikev1-psk-dual-behind-nat-01: two clients
/// behind one NAT, equal in everything but the NAT's ports; one leaves and returns, the other
/// notices nothing.
#[test]
fn two_behind_one_nat_that_are_equal() {
    let mut gateway = Gateway::new(policy());
    let from = [
        ("198.51.100.7:500", "198.51.100.7:4500"),
        ("198.51.100.7:1024", "198.51.100.7:1025"),
    ];
    let mut clients = Vec::new();
    for (number, from) in (0u32..).zip(from) {
        let mut client = client(dialect(), PRIVATE, u64::from(number));
        gateway.main_mode(&mut client, from);
        let request = quick(1, 0xb130 + number, PRIVATE, 4);
        clients.push((gateway.quick_mode(&mut client, from.1, &request), client));
    }
    let (left, mut first) = clients.remove(0);
    let (stays, _) = clients.remove(0);
    let delete = first.delete_esp(left.spi_in);
    gateway.receive(from[0].1, true, &delete);
    let delete = first.delete_isakmp();
    gateway.receive(from[0].1, true, &delete);
    gateway.assert_pair(&stays);
    assert_eq!(gateway.children().len(), 1);
    let mut again = dialect();
    again.initial_contact = true;
    let mut again = client(again, PRIVATE, 9);
    gateway.main_mode(&mut again, from[0]);
    let pair = gateway.quick_mode(&mut again, from[0].1, &quick(1, 0xb139, PRIVATE, 4));
    gateway.assert_pair(&pair);
    gateway.assert_pair(&stays);
}

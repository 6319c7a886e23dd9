//! Many clients at once: behind one NAT with everything equal that can be, some of them elsewhere.

use std::net::IpAddr;

use tanuki_tests::ike::gateway::SERVER;

use crate::client::{Client, Place};
use crate::models::{self, Make};
use crate::stack::Stack;
use crate::{policy, silence};

/// The NAT's ports for the client of this number.
fn mapped(number: u64) -> (u16, u16) {
    (1000 + number as u16, 20_000 + number as u16)
}

fn connected(stack: &mut Stack, models: &[Make], count: u64) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..count {
        let (ike, natt) = mapped(number);
        let make = models[number as usize % models.len()];
        let mut client = Client::at(make(), Place::behind_nat(ike, natt), number + 1);
        client.connect(stack);
        // Connecting takes its time, in which the others are there.
        for other in &mut clients {
            other.attend(stack);
        }
        clients.push(client);
    }
    clients
}

/// Addresses are each client's own, and what is sent to one reaches it alone.
fn each_has_its_own(stack: &mut Stack, clients: &mut [Client]) {
    let mut addresses: Vec<_> = clients.iter().map(|client| client.inner).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), clients.len());
    for client in clients {
        client.ping(stack);
    }
}

/// Everybody answers what keeps them alive.
fn all_live(stack: &mut Stack, clients: &mut [Client], seconds: u64) {
    for _ in 0..seconds {
        stack.advance(std::time::Duration::from_secs(1));
        for client in &mut *clients {
            client.attend(stack);
        }
    }
}

/// Windows: one private address, one identity, UDP 1701, tunnel 1, session 1, message IDs from 1.
#[test]
fn two_ten_and_fifty_equal_clients_behind_one_nat() {
    for count in [2, 10, 50] {
        let mut stack = Stack::new(policy());
        let mut clients = connected(&mut stack, &[|| models::windows(false)], count);
        each_has_its_own(&mut stack, &mut clients);
        all_live(&mut stack, &mut clients, 70);
        // One leaves and returns from another port of the NAT.
        clients.remove(1).leave(&mut stack);
        each_has_its_own(&mut stack, &mut clients);
        let place = Place::behind_nat(3000, 30_000);
        let mut again = Client::at(models::windows(false), place, 100);
        again.connect(&mut stack);
        clients.push(again);
        each_has_its_own(&mut stack, &mut clients);
    }
}

/// Every client of the table behind one NAT, and some with addresses of their own.
#[test]
fn all_clients_behind_one_nat_and_some_elsewhere() {
    let mut stack = Stack::new(policy());
    let all: Vec<Make> = models::TABLE.iter().map(|row| row.1).collect();
    let count = all.len() as u64;
    let mut clients = connected(&mut stack, &all, count);
    for (number, make) in
        (0_u8..).zip([models::chromeos, models::android, || models::windows(true)])
    {
        let own = IpAddr::from([198, 51, 100, 20 + number]);
        let place = Place {
            own,
            seen: (own, 500, 4500),
            ..Place::direct()
        };
        let mut client = Client::at(make(), place, 200 + u64::from(number));
        client.connect(&mut stack);
        clients.push(client);
    }
    each_has_its_own(&mut stack, &mut clients);
    all_live(&mut stack, &mut clients, 130);
    each_has_its_own(&mut stack, &mut clients);
}

/// The NAT forgets everybody and maps anew, which each client's next packet shows.
#[test]
fn a_nat_that_maps_all_ports_anew_in_mid_session() {
    let mut stack = Stack::new(policy());
    let mut clients = connected(
        &mut stack,
        &[|| models::windows(false), models::chromeos],
        10,
    );
    for (number, client) in (0_u16..).zip(&mut clients) {
        let (address, ike, _) = client.place.seen;
        client.place.seen = (address, ike, 40_000 + number);
    }
    each_has_its_own(&mut stack, &mut clients);
    all_live(&mut stack, &mut clients, 70);
    each_has_its_own(&mut stack, &mut clients);
    for client in &mut clients {
        client.quick_mode(&mut stack);
        client.ping(&mut stack);
    }
}

/// The server is behind NAT as well: clients dial an address that is not its own, and say so in IDcr
/// and NAT-OA.
#[test]
fn server_behind_nat() {
    let dialled = "192.0.2.80".parse().unwrap();
    assert_ne!(dialled, SERVER.parse::<IpAddr>().unwrap());
    for (_, make) in models::TABLE {
        for place in [Place::direct(), Place::behind_nat(7, 7000)] {
            let mut stack = Stack::new(policy());
            let mut client = Client::at(make(), Place { dialled, ..place }, 9);
            client.connect(&mut stack);
            client.live(&mut stack, 70);
            client.ping(&mut stack);
            client.leave(&mut stack);
        }
    }
}

/// One of two equal clients vanishes; the other is not touched.
#[test]
fn one_of_two_vanishes() {
    let mut stack = Stack::new(policy());
    let mut clients = connected(&mut stack, &[|| models::windows(true)], 2);
    clients.remove(0);
    let mut left = clients.remove(0);
    left.live(&mut stack, 400);
    left.ping(&mut stack);
    assert_eq!(stack.l2tpd.view(stack.now).sessions.len(), 1);
    silence(&mut stack, 1);
}

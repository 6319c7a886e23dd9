//! Clients in use, played over the whole server in memory: each offers, orders, encodes and times
//! as the real one does, as far as the models say; what they leave out is the order of disconnecting
//! of macOS and Android.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod client;
#[path = "../../../softkernel/tests/support/mod.rs"]
mod kernel;
mod models;
mod stack;

use client::{Client, silence};
use stack::Stack;
use tanuki_tests::ike::gateway::policy;

/// strongSwan keeps the old SA after renewing; `xl2tpd-control disconnect`, then nothing.
#[test]
fn chromeos_connects_renews_and_disconnects() {
    for nat in [false, true] {
        let mut stack = Stack::new(policy());
        let mut client = Client::new(models::chromeos(), nat, 1);
        client.connect(&mut stack);
        client.quick_mode(&mut stack);
        client.ping(&mut stack);
        client.hang_up(&mut stack);
        for pair in client.pairs.clone() {
            let delete = client.ike.delete_esp(pair.spi_in);
            client.tell(&mut stack, &delete);
        }
        let delete = client.ike.delete_isakmp();
        client.tell(&mut stack, &delete);
        silence(&mut stack, 300);
        stack.assert_empty();
    }
}

/// Delete-and-renew, then LCP Terminate-Request, CDN, StopCCN, DELETE of ESP and of ISAKMP.
#[test]
fn windows_connects_renews_and_disconnects() {
    for (nat, seven) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut stack = Stack::new(policy());
        let mut client = Client::new(models::windows(seven), nat, 2);
        client.connect(&mut stack);
        for _ in 0..6 {
            let old = client.pairs.last().unwrap().spi_in;
            client.quick_mode(&mut stack);
            let delete = client.ike.delete_esp(old);
            client.tell(&mut stack, &delete);
            client.ping(&mut stack);
        }
        client.terminate(&mut stack);
        client.hang_up(&mut stack);
        let last = client.pairs.last().unwrap().spi_in;
        let delete = client.ike.delete_esp(last);
        client.tell(&mut stack, &delete);
        let delete = client.ike.delete_isakmp();
        client.tell(&mut stack, &delete);
        silence(&mut stack, 300);
        stack.assert_empty();
    }
}

/// A client that vanishes without a word and returns at once gets on again.
#[test]
fn clients_vanish_and_return() {
    let all = [
        models::chromeos(),
        models::chromeos_2018(),
        models::windows(true),
        models::windows(false),
        models::macos(true),
        models::macos(false),
        models::android(),
        models::network_manager(true),
        models::router_os(),
    ];
    for model in all {
        for nat in [false, true] {
            let mut policy = policy();
            policy.phase1.allow_modp1024 = true;
            let mut stack = Stack::new(policy);
            let mut client = Client::new(model.clone(), nat, 3);
            client.connect(&mut stack);
            silence(&mut stack, 5);
            // Windows counts its tunnels, xl2tpd draws another number.
            let mut again = model.clone();
            for avp in again.sccrq.iter_mut().filter(|avp| avp[4..6] == [0, 9]) {
                avp[7] += 1;
            }
            let mut client = Client::new(again, nat, 4);
            client.connect(&mut stack);
            client.ping(&mut stack);
        }
    }
}

/// Connects, renews phase 2 beside the old SA, pings, sends CDN and StopCCN, deletes everything.
fn whole_life(model: &client::Model, nat: bool) {
    let mut policy = policy();
    // Android to 11 offers nothing better.
    policy.phase1.allow_modp1024 = true;
    let mut stack = Stack::new(policy);
    let mut client = Client::new(model.clone(), nat, 5);
    client.connect(&mut stack);
    client.quick_mode(&mut stack);
    client.ping(&mut stack);
    client.hang_up(&mut stack);
    for pair in client.pairs.clone() {
        let delete = client.ike.delete_esp(pair.spi_in);
        client.tell(&mut stack, &delete);
    }
    let delete = client.ike.delete_isakmp();
    client.tell(&mut stack, &delete);
    silence(&mut stack, 300);
    stack.assert_empty();
}

#[test]
fn macos_connects_renews_and_disconnects() {
    for nat in [false, true] {
        whole_life(&models::macos(true), nat);
        whole_life(&models::macos(false), nat);
    }
}

#[test]
fn android_connects_renews_and_disconnects() {
    for nat in [false, true] {
        whole_life(&models::android(), nat);
    }
}

#[test]
fn tunnelforge_connects_and_disconnects() {
    whole_life(&models::tunnelforge(), true);
}

#[test]
fn chromeos_of_2018_connects_renews_and_disconnects() {
    for nat in [false, true] {
        whole_life(&models::chromeos_2018(), nat);
    }
}

#[test]
fn network_manager_connects_renews_and_disconnects() {
    for nat in [false, true] {
        whole_life(&models::network_manager(false), nat);
        whole_life(&models::network_manager(true), nat);
    }
}

/// PFS that nobody configured is granted.
#[test]
fn router_os_connects_renews_and_disconnects() {
    for nat in [false, true] {
        whole_life(&models::router_os(), nat);
    }
}

/// A client with dead peer detection that vanishes for good is forgotten by and by.
#[test]
fn chromeos_vanishes_for_good() {
    for nat in [false, true] {
        let mut stack = Stack::new(policy());
        let mut client = Client::new(models::chromeos(), nat, 6);
        client.connect(&mut stack);
        silence(&mut stack, 600);
        stack.assert_empty();
    }
}

/// TunnelForge has one tunnel number for ever, also when it comes back after having vanished.
#[test]
fn tunnelforge_vanishes_and_returns_with_its_number() {
    let mut stack = Stack::new(policy());
    let mut client = Client::new(models::tunnelforge(), true, 7);
    client.connect(&mut stack);
    silence(&mut stack, 30);
    let mut client = Client::new(models::tunnelforge(), true, 8);
    client.connect(&mut stack);
    client.ping(&mut stack);
}

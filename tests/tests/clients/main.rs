//! Clients in use, played over the whole server in memory: each offers, orders, encodes, times,
//! renews and leaves as the real one does, as far as it is known. `stack.rs` sees to it that nothing
//! of anybody is left five minutes after a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod client;
mod crowd;
mod ipv6;
#[path = "../../../softkernel/tests/support/mod.rs"]
mod kernel;
mod l2tp;
mod life;
mod model;
mod models;
mod sizes;
mod stack;

use client::Client;
use ike_proto::policy::Policy;
use life::silence;
use model::Model;
use stack::Stack;
use tanuki_tests::ike::certificate::accept_certificates;
use tanuki_tests::ike::gateway;

/// Defaults with the key, certificates besides it, and what clients up to macOS 10.12 and Android 11
/// need.
fn policy() -> Policy {
    let mut policy = gateway::policy();
    policy.phase1.allow_modp1024 = true;
    accept_certificates(&mut policy);
    policy
}

/// Every client with one life, behind NAT and not.
fn every_client(life: fn(&Model, bool)) {
    for (name, make) in models::TABLE {
        for nat in [false, true] {
            println!("{name}, NAT: {nat}");
            life(&make(), nat);
        }
    }
}

/// One client's whole life: connects, renews in its way, disconnects in its way.
fn whole_life(model: &Model, nat: bool) {
    let mut stack = Stack::new(policy());
    let mut client = Client::new(model.clone(), nat, 5);
    client.connect(&mut stack);
    client.live(&mut stack, 130);
    client.renew(&mut stack);
    client.leave(&mut stack);
}

#[test]
fn every_client_connects_renews_and_disconnects() {
    every_client(whole_life);
}

/// A client that vanishes without a word and returns gets on again, at once or later.
#[test]
fn every_client_vanishes_and_returns() {
    every_client(|model, nat| {
        for pause in [5, 45, 400] {
            let mut stack = Stack::new(policy());
            let mut client = Client::new(model.clone(), nat, 3);
            client.connect(&mut stack);
            silence(&mut stack, pause);
            let mut again = model.clone();
            // Windows counts its tunnels, xl2tpd draws another number; TunnelForge has one for ever.
            if again.renewal != model::Renewal::Never {
                for avp in again.sccrq.iter_mut().filter(|avp| avp[4..6] == [0, 9]) {
                    avp[7] += 1;
                }
            }
            let mut client = Client::new(again, nat, 4);
            client.connect(&mut stack);
            client.live(&mut stack, 130);
            client.ping(&mut stack);
        }
    });
}

/// A client that vanishes for good is forgotten within five minutes, with dead peer detection and
/// without: that is what the end of every test asks for.
#[test]
fn every_client_vanishes_for_good() {
    every_client(|model, nat| {
        let mut stack = Stack::new(policy());
        Client::new(model.clone(), nat, 6).connect(&mut stack);
    });
}

/// A client that hangs up L2TP and keeps its SAs, as a Windows in standby, is asked by a Quick Mode
/// and stays while it answers.
#[test]
fn a_silent_client_that_answers_stays() {
    for nat in [false, true] {
        let mut stack = Stack::new(policy());
        let mut client = Client::new(models::windows(false), nat, 7);
        client.main_mode(&mut stack);
        client.quick_mode(&mut stack);
        client.live(&mut stack, 1000);
        assert!(client.pairs.len() > 3, "asked several times");
        client.l2tp(&mut stack);
        client.ppp(&mut stack);
        client.ping(&mut stack);
    }
}

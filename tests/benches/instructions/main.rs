//! Fixed work on fixed inputs, to be counted in instructions: `tests/bench/instructions` runs each
//! under callgrind and compares with the committed counts. Without an argument it names them.
//!
//! Only what happens within [`measured`] counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

#[allow(dead_code)]
#[path = "../../tests/clients/client.rs"]
mod client;
mod data;
mod esp;
#[path = "../../../softkernel/tests/support/mod.rs"]
mod kernel;
#[allow(dead_code)]
#[path = "../../tests/clients/l2tp.rs"]
mod l2tp;
#[allow(dead_code)]
#[path = "../../tests/clients/life.rs"]
mod life;
#[path = "../../tests/clients/model.rs"]
mod model;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/clients/models/mod.rs"]
mod models;
#[allow(dead_code)]
#[path = "../../tests/clients/stack.rs"]
mod stack;

use std::hint::black_box;

use client::Client;
use esp::{Esp, Suite};
use ike_proto::iana::PayloadType;
use ike_proto::wire::chain::Chain;
use ike_proto::wire::header::Header;
use ike_proto::wire::sa::SaPayload;
use model::Model;
use stack::Stack;
use tanuki_tests::ike::Initiator;
use tanuki_tests::ike::gateway::{SERVER, policy};
use tanuki_tests::ike::offers::{AES, Life, Order, SHA256, phase1_suites};

/// ECP 256, RFC 5903.
const ECP_256: u16 = 19;

/// The boundary that callgrind knows by this name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// A name, and what is done under it.
type Scenario = (&'static str, fn());

const SCENARIOS: [Scenario; 17] = [
    ("parse_mm1", parse_mm1),
    ("connect_modp_3072", || connect(models::chromeos)),
    ("connect_ecp_256", || connect(ecp_256)),
    ("esp_seal_64_cbc_sha1", || Esp::new(Suite::CbcSha1).seal(64)),
    ("esp_seal_1400_cbc_sha1", || {
        Esp::new(Suite::CbcSha1).seal(1400)
    }),
    ("esp_seal_64_cbc_sha1_singly", || {
        Esp::new(Suite::CbcSha1).seal_alone(64);
    }),
    ("esp_seal_64_gcm_singly", || {
        Esp::new(Suite::Gcm).seal_alone(64)
    }),
    ("esp_open_64_cbc_sha1", || Esp::new(Suite::CbcSha1).open(64)),
    ("esp_open_1400_cbc_sha1", || {
        Esp::new(Suite::CbcSha1).open(1400)
    }),
    ("esp_seal_64_gcm", || Esp::new(Suite::Gcm).seal(64)),
    ("esp_seal_1400_gcm", || Esp::new(Suite::Gcm).seal(1400)),
    ("esp_open_64_gcm", || Esp::new(Suite::Gcm).open(64)),
    ("esp_open_1400_gcm", || Esp::new(Suite::Gcm).open(1400)),
    ("l2tp_data_in_64_gcm", || data::inward(64)),
    ("l2tp_data_out_64_gcm", || data::outward(64)),
    ("tun_long_packet_cut", data::cut),
    ("tun_packets_joined", data::join),
];

fn main() {
    // Cargo adds `--bench`.
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for (name, run) in SCENARIOS {
        match &wanted {
            None => println!("{name}"),
            Some(wanted) if wanted == name => run(),
            Some(_) => {}
        }
    }
}

/// Header, payloads and proposals of ChromeOS' first message.
fn parse_mm1() {
    let mut client = Initiator::new(models::chromeos().dialect, "198.51.100.7", SERVER, 1);
    let datagram = client.mm1();
    measured(&mut || {
        let (header, body) = Header::parse(black_box(&datagram)).unwrap();
        let chain = Chain::parse(header.next_payload, body).unwrap();
        let offer = SaPayload::parse(chain.one(PayloadType::SA).unwrap()).unwrap();
        for transform in offer
            .proposals
            .iter()
            .flat_map(|proposal| &proposal.transforms)
        {
            black_box(transform.attributes().unwrap());
        }
        black_box(chain.all(PayloadType::VENDOR_ID).count());
    });
}

/// Main Mode, Quick Mode, L2TP, PPP with MS-CHAPv2 and a ping, both sides, of the second client: tables
/// that the first one makes (of the generator's powers, say) are there.
fn connect(model: fn() -> Model) {
    let mut stack = Stack::new(policy());
    Client::new(model(), true, 1).connect(&mut stack);
    let mut client = Client::new(model(), true, 2);
    measured(&mut || client.connect(&mut stack));
    // What comes afterwards is for tests.
    std::mem::forget(stack);
}

/// ChromeOS with the one offer whose Diffie-Hellman does not outweigh everything else.
fn ecp_256() -> Model {
    let mut model = models::chromeos();
    let suite = (AES, 128, SHA256, ECP_256);
    model.dialect.phase1 = phase1_suites(&[suite], Order::CipherFirst, Life::Short(15_840));
    model
}

//! ESP in memory: the same SADB, packet format and transforms as softkernel, without devices, L2TP and
//! PPP. The crypto limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use pfkey::{
    AuthenticationAlgorithm, Client, Direction, EncryptionAlgorithm, Key, Mode, Numbering, Policy,
    PolicyRequest, SaRequest, SaType,
};
use rand_core::UnwrapErr;
use serde::Serialize;
use serde_json::{Map, Value, to_value};
use softkernel::buffer::Buffer;
use softkernel::ipsec::{Config, InboundEsp, Ipsec, Opened, Outbound, Unsealed, seal};

use crate::cpu;

const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const REQID: u32 = 5000;
const SPI: u32 = 0x1000;
const L2TP: u16 = 1701;
const UDP: u8 = 17;
/// Packets sealed and opened side by side, as in softkernel.
const BATCH: usize = 64;

/// Payload bytes per CPU second.
#[derive(Debug, Serialize)]
struct Rates {
    seal: f64,
    open: f64,
}

type Suite = (
    &'static str,
    EncryptionAlgorithm,
    usize,
    AuthenticationAlgorithm,
    Option<usize>,
);

const SUITES: [Suite; 4] = [
    (
        "aes128-cbc-sha1",
        EncryptionAlgorithm::AES_CBC,
        16,
        AuthenticationAlgorithm::SHA1_HMAC,
        Some(20),
    ),
    (
        "aes256-cbc-sha1",
        EncryptionAlgorithm::AES_CBC,
        32,
        AuthenticationAlgorithm::SHA1_HMAC,
        Some(20),
    ),
    (
        "aes128-gcm16",
        EncryptionAlgorithm::AES_GCM_16,
        20,
        AuthenticationAlgorithm::NONE,
        None,
    ),
    (
        "aes256-gcm16",
        EncryptionAlgorithm::AES_GCM_16,
        36,
        AuthenticationAlgorithm::NONE,
        None,
    ),
];

pub(crate) fn run(size: usize, time: Duration) -> serde_json::Result<Value> {
    let mut all = Map::new();
    for suite in SUITES {
        all.insert(suite.0.to_owned(), to_value(measure(suite, size, time))?);
    }
    Ok(Value::Object(all))
}

/// A kernel with one SA from us to the peer; sender and receiver have the same one.
fn kernel(suite: Suite) -> Ipsec {
    let (_, encryption, key, authentication, mac) = suite;
    let now = Instant::now();
    let mut ipsec = Ipsec::new(now, Config::default());
    let socket = ipsec.open_socket();
    let mut client = Client::new(Numbering::FreeBsd, 1);
    let sa = SaRequest {
        sa_type: SaType::ESP,
        spi: SPI,
        source: US,
        destination: PEER,
        mode: Mode::TRANSPORT,
        reqid: REQID,
        encryption,
        encryption_key: Key::new(&vec![0x17; key]),
        authentication,
        authentication_key: mac.map(|length| Key::new(&vec![0x42; length])),
        replay_window: 1024,
        flags: 0,
        lifetimes: None,
        nat_t: None,
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    let request = client.add(&sa).bytes;
    ipsec.request(now, 0, socket, &request, &mut rng);
    ipsec
}

fn measure(suite: Suite, size: usize, time: Duration) -> Rates {
    let (mut sender, mut receiver) = (kernel(suite), kernel(suite));
    let policy = Policy::ipsec(
        Direction::OUTBOUND,
        PolicyRequest::esp_transport_unique(REQID),
    );
    let payload = vec![0xa5; size];
    let mut batch = vec![Buffer::new(size); BATCH];
    let (mut unsealed, mut opened) = (Unsealed::default(), Opened::default());
    let from = InboundEsp {
        source: SocketAddr::new(US, 0),
        destination: SocketAddr::new(PEER, 0),
        encapsulated: false,
    };
    let now = Instant::now();
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    let mut bytes = 0;
    while sealing + opening < 2 * time {
        for packet in &mut batch {
            // Cannot fail: the buffers are as long.
            let _ = packet.fill(&payload);
        }
        let begin = cpu::used();
        for (place, packet) in batch.iter_mut().enumerate() {
            let to = Outbound {
                source: US,
                destination: PEER,
                protocol: UDP,
                source_port: L2TP,
                destination_port: L2TP,
                policy: Some(&policy),
            };
            // Cannot fail: there is an SA, and room.
            let _ = sender.prepare(now, 0, to, (place, packet), &mut unsealed);
        }
        seal(&mut batch, &mut unsealed);
        let sealed = cpu::used();
        receiver.input_batch(now, 0, &[from; BATCH], &mut batch, &mut opened);
        bytes += size * opened.drain().filter(Result::is_ok).count();
        let ended = cpu::used();
        sealing += sealed - begin;
        opening += ended - sealed;
    }
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64();
    Rates {
        seal: rate(sealing),
        open: rate(opening),
    }
}

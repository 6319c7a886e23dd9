//! ESP in transport mode from one SADB to another, a batch at a time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use pfkey::{
    AuthenticationAlgorithm, Client, Direction, EncryptionAlgorithm, Key, Numbering, Policy,
    PolicyRequest,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use softkernel::buffer::Buffer;
use softkernel::ipsec::{self, InboundEsp, Ipsec, Opened, Outbound, Unsealed};
use softkernel::kernel::Now;

use crate::kernel::transport_sa;
use crate::measured;

/// Packets of a batch, as many as softkernel has in one.
pub(crate) const BATCH: usize = 64;
const REQID: u32 = 5000;
const UDP: u8 = 17;
const L2TP: u16 = 1701;
const US: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 0);

#[derive(Clone, Copy)]
pub(crate) enum Suite {
    CbcSha1,
    Gcm,
}

/// A sender and a receiver with the same SA.
pub(crate) struct Esp {
    sender: Ipsec,
    receiver: Ipsec,
    policy: Policy,
    opened: Opened,
    now: Now,
}

impl Esp {
    pub(crate) fn new(suite: Suite) -> Self {
        let now = Now {
            instant: Instant::now(),
            wall: 1_700_000_000,
        };
        let unique = PolicyRequest::esp_transport_unique(REQID);
        Self {
            sender: with_sa(suite, now),
            receiver: with_sa(suite, now),
            policy: Policy::ipsec(Direction::OUTBOUND, unique),
            opened: Opened::default(),
            now,
        }
    }

    /// Seals a batch of packets of `size` bytes.
    pub(crate) fn seal(mut self, size: usize) {
        let mut batch = packets(size);
        let mut unsealed = Unsealed::default();
        // The first packet of an SA sets its timers.
        self.frame(&mut batch, &mut unsealed);
        let mut batch = packets(size);
        measured(&mut || self.frame(&mut batch, &mut unsealed));
        assert!(batch.iter().all(|packet| packet.len() > size));
    }

    /// Seals packets of `size` bytes one by one, as when each goes through an SA of its own.
    pub(crate) fn seal_alone(mut self, size: usize) {
        let [mut first, mut second] = [packets(size), packets(size)];
        let mut unsealed = Unsealed::default();
        let mut seal = |batch: &mut [Buffer]| {
            for packet in batch {
                self.frame(std::slice::from_mut(packet), &mut unsealed);
            }
        };
        seal(&mut first);
        measured(&mut || seal(&mut second));
    }

    /// Opens a batch of packets of `size` bytes.
    pub(crate) fn open(mut self, size: usize) {
        let mut batches = [packets(size), packets(size)];
        for batch in &mut batches {
            self.frame(batch, &mut Unsealed::default());
        }
        let [first, second] = &mut batches;
        self.read(first);
        measured(&mut || self.read(second));
    }

    fn frame(&mut self, batch: &mut [Buffer], unsealed: &mut Unsealed) {
        for (place, packet) in batch.iter_mut().enumerate() {
            let to = Outbound {
                source: US.ip(),
                destination: PEER.ip(),
                protocol: UDP,
                source_port: L2TP,
                destination_port: L2TP,
                policy: Some(&self.policy),
            };
            let Now { instant, wall } = self.now;
            let packet = (place, packet);
            self.sender
                .prepare(instant, wall, to, packet, unsealed)
                .unwrap();
        }
        ipsec::seal(batch, unsealed);
    }

    fn read(&mut self, batch: &mut [Buffer]) {
        let from = InboundEsp {
            source: US,
            destination: PEER,
            encapsulated: false,
        };
        let Now { instant, wall } = self.now;
        let opened = &mut self.opened;
        self.receiver
            .input_batch(instant, wall, &[from; BATCH], batch, opened);
        assert!(opened.drain().all(|result| result.is_ok()));
    }
}

fn with_sa(suite: Suite, now: Now) -> Ipsec {
    let mut ipsec = Ipsec::new(now.instant, ipsec::Config::default());
    let socket = ipsec.open_socket();
    let mut sa = transport_sa(0x1000, US, PEER, REQID);
    if let Suite::CbcSha1 = suite {
        sa.encryption = EncryptionAlgorithm::AES_CBC;
        sa.encryption_key = Key::new(&[0x17; 16]);
        sa.authentication = AuthenticationAlgorithm::SHA1_HMAC;
        sa.authentication_key = Some(Key::new(&[0x42; 20]));
    }
    let request = Client::new(Numbering::FreeBsd, 1).add(&sa).bytes;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    ipsec.request(now.instant, now.wall, socket, &request, &mut rng);
    ipsec
}

fn packets(size: usize) -> Vec<Buffer> {
    let mut packet = Buffer::new(size);
    assert!(packet.fill(&vec![0xa5; size]));
    vec![packet; BATCH]
}

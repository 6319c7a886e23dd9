//! PF_KEY: the SADB and SPD of softkernel against FreeBSD's.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use freebsd_transcripts::steps::Step;
use freebsd_transcripts::{Line, host_errno, words};
use pfkey::{Extension, Message, MessageType, Numbering};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkernel::buffer::Buffer;
use softkernel::ipsec::{Config, InboundEsp, Ipsec, Outbound, PfkeySocketId};

use super::{Difference, compare, steps};

/// What softkernel does otherwise on purpose; `softkernel::ipsec` says more.
const DIFFERENCES: &[Difference] = &[
    (
        "pfkey-register",
        "REGISTER for ESP tells the algorithms",
        2,
        "other algorithms; FreeBSD leaves the salt of AES-GCM out of the key length, and ADD wants it",
    ),
    (
        "pfkey-register",
        "on another socket; both hear of it",
        2,
        "other algorithms",
    ),
    (
        "pfkey-expire",
        "another socket is registered, a third is not",
        2,
        "other algorithms",
    ),
    (
        "pfkey-acquire",
        "another socket is registered, a third is not",
        2,
        "other algorithms",
    ),
    (
        "pfkey-octets",
        "another socket is registered, a third is not",
        2,
        "other algorithms",
    ),
    (
        "pfkey-algorithms",
        "ADD AES-CTR-128 with its nonce",
        0,
        "no client of L2TP asks for it",
    ),
    (
        "pfkey-algorithms",
        "ADD ChaCha20-Poly1305 with its salt",
        0,
        "no client of L2TP asks for it",
    ),
    (
        "pfkey-algorithms",
        "ADD AES-CBC without authentication",
        0,
        "ESP must authenticate: RFC 8221 section 4",
    ),
    (
        "pfkey-algorithms",
        "ADD 3DES",
        0,
        "clients that can nothing else are served by softkernel on FreeBSD too",
    ),
    (
        "pfkey-algorithms",
        "ADD SHA-1 with a key of 128 bits",
        0,
        "a key as RFC 2404 section 3 has it; FreeBSD takes any length",
    ),
    (
        "pfkey-refusals",
        "GETSPI with the bounds exchanged",
        0,
        "FreeBSD ignores the range then",
    ),
    (
        "pfkey-refusals",
        "ADD with the source twice",
        0,
        "FreeBSD's write(2) fails, a Unix socket's cannot: the answer is a message",
    ),
    (
        "pfkey-refusals",
        "a message that says it is longer than it is",
        0,
        "FreeBSD's write(2) fails, a Unix socket's cannot: the answer is a message",
    ),
    (
        "pfkey-refusals",
        "PCHANGE, which the kernel does not know",
        0,
        "EOPNOTSUPP, as for all that is not implemented",
    ),
    (
        "pfkey-policies",
        "SPDDUMP",
        1,
        "creation and last use of every policy, not only of those with a lifetime",
    ),
];

/// How long the recorder listened after each request.
const SETTLE: Duration = Duration::from_millis(150);

struct World {
    ipsec: Ipsec,
    now: Instant,
    begin: Instant,
    sockets: BTreeMap<String, PfkeySocketId>,
    rng: ChaCha20Rng,
    /// Numbers that FreeBSD chose, and what softkernel chose.
    spis: HashMap<u32, u32>,
    policies: HashMap<u32, u32>,
    reqids: HashMap<u32, u32>,
    /// Sequence numbers of ACQUIREs; the recorder's own requests have others.
    acquires: HashMap<u32, u32>,
}

impl World {
    fn wall(&self) -> u64 {
        1_750_000_000 + (self.now - self.begin).as_secs()
    }

    /// The kernel's choice as softkernel has it.
    fn translate(&self, message: &mut Message) {
        let swap = |chosen: &HashMap<u32, u32>, number: &mut u32| {
            if let Some(ours) = chosen.get(number) {
                *number = *ours;
            }
        };
        swap(&self.acquires, &mut message.sequence);
        for extension in &mut message.extensions {
            match extension {
                Extension::Sa(sa) => swap(&self.spis, &mut sa.spi),
                Extension::Policy(policy) => {
                    swap(&self.policies, &mut policy.id);
                    for request in &mut policy.requests {
                        swap(&self.reqids, &mut request.reqid);
                    }
                }
                _ => {}
            }
        }
    }

    fn learn(&mut self, freebsd: &Message, ours: &Message) {
        if freebsd.errno != 0 || freebsd.kind != ours.kind {
            return;
        }
        if freebsd.kind == MessageType::ACQUIRE {
            self.acquires.insert(freebsd.sequence, ours.sequence);
        }
        if freebsd.kind == MessageType::GETSPI
            && let (Some(a), Some(b)) = (freebsd.sa(), ours.sa())
        {
            self.spis.insert(a.spi, b.spi);
        }
        if matches!(
            freebsd.kind,
            MessageType::X_SPDADD | MessageType::X_SPDUPDATE
        ) && let (Some(a), Some(b)) = (freebsd.policy(), ours.policy())
        {
            self.policies.insert(a.id, b.id);
            for (a, b) in a.requests.iter().zip(&b.requests) {
                if a.reqid > pfkey::ext::IPSEC_MANUAL_REQID_MAX {
                    self.reqids.insert(a.reqid, b.reqid);
                }
            }
        }
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.ipsec.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.ipsec.handle_timeout(self.now, self.wall());
        }
        self.now = end;
    }

    fn drain(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        while let Some((socket, bytes)) = self.ipsec.poll_message() {
            let name = self
                .sockets
                .iter()
                .find(|(_, id)| **id == socket)
                .unwrap()
                .0;
            out.push((name.clone(), bytes.to_vec()));
        }
        out
    }

    /// A datagram of this host to itself, as far as there are SAs for it.
    fn datagram(&mut self, addresses: &str, data: &[u8]) {
        let (from, to) = addresses.split_once('-').unwrap();
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let outbound = Outbound {
            source: from.ip(),
            destination: to.ip(),
            protocol: 17,
            source_port: from.port(),
            destination_port: to.port(),
            policy: None,
        };
        let length = u16::try_from(8 + data.len()).unwrap();
        let mut packet = Buffer::new(usize::from(length));
        assert!(packet.fill(&[0; 8]));
        packet.append(data.len()).unwrap().copy_from_slice(data);
        packet[..2].copy_from_slice(&from.port().to_be_bytes());
        packet[2..4].copy_from_slice(&to.port().to_be_bytes());
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        let (now, wall) = (self.now, self.wall());
        let Ok(esp) = self.ipsec.output(now, wall, outbound, &mut packet) else {
            return;
        };
        let from = InboundEsp {
            source: esp.source,
            destination: esp.destination,
            encapsulated: esp.encapsulated,
        };
        // Dropped where the SA ended with its own packet.
        let _ = self.ipsec.input(now, wall, from, &mut packet);
    }

    fn step(&mut self, step: &Step) -> (Vec<String>, Vec<String>) {
        match &step.action {
            Line::Open(name) => {
                let id = self.ipsec.open_socket();
                self.sockets.insert(name.clone(), id);
            }
            Line::Close(name) => {
                let id = self.sockets.remove(name).unwrap();
                self.ipsec.close_socket(id);
            }
            Line::Wait(milliseconds) => self.advance(Duration::from_millis(*milliseconds)),
            Line::Request { socket, bytes, .. } => {
                let bytes = match Message::parse(bytes, Numbering::FreeBsd) {
                    Ok(mut message) => {
                        self.translate(&mut message);
                        message.emit(Numbering::FreeBsd).to_vec()
                    }
                    Err(_) => bytes.clone(),
                };
                let (now, wall, id) = (self.now, self.wall(), self.sockets[socket]);
                self.ipsec.request(now, wall, id, &bytes, &mut self.rng);
                self.advance(SETTLE);
            }
            Line::DataOut { hook, bytes, .. } => {
                self.datagram(hook, bytes);
                self.advance(SETTLE);
            }
            other => panic!("{other}"),
        }
        let ours = self.drain();
        let theirs: Vec<(String, Vec<u8>)> = step
            .answers
            .iter()
            .filter_map(|line| match line {
                Line::Reply { socket, bytes, .. } => Some((socket.clone(), bytes.clone())),
                // write(2) itself fails with the error that the reply has too.
                _ => None,
            })
            .collect();
        // A message with a wrong length comes back as it was.
        let message = |bytes: &[u8]| {
            Message::parse(bytes, Numbering::FreeBsd)
                .or_else(|_| Message::parse_header(bytes, Numbering::FreeBsd))
                .unwrap()
        };
        for ((_, theirs), (_, ours)) in theirs.iter().zip(&ours) {
            self.learn(&message(theirs), &message(ours));
        }
        let theirs = theirs.iter().map(|(socket, bytes)| {
            let mut message = unproposed(message(bytes));
            self.translate(&mut message);
            message.errno = u8::try_from(host_errno(message.errno.into())).unwrap();
            words::pfkey(socket, message)
        });
        let ours = ours
            .iter()
            .map(|(socket, bytes)| words::pfkey(socket, unproposed(message(bytes))));
        (sorted(theirs.collect()), sorted(ours.collect()))
    }
}

/// ACQUIRE without its proposal: it names what REGISTER has told, and softkernel has other algorithms.
fn unproposed(mut message: Message) -> Message {
    message
        .extensions
        .retain(|extension| !matches!(extension, Extension::Proposal(_)));
    message
}

/// The order of messages on different sockets is nobody's.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn replay(name: &str) {
    let steps = steps(name);
    let now = Instant::now();
    let mut world = World {
        ipsec: Ipsec::new(now, Config::default()),
        now,
        begin: now,
        sockets: BTreeMap::new(),
        rng: ChaCha20Rng::from_seed([7; 32]),
        spis: HashMap::new(),
        policies: HashMap::new(),
        reqids: HashMap::new(),
        acquires: HashMap::new(),
    };
    let said: Vec<_> = steps.iter().map(|step| world.step(step)).collect();
    compare(name, &steps, &said, DIFFERENCES);
}

#[test]
fn register() {
    replay("pfkey-register");
}

#[test]
fn life() {
    replay("pfkey-life");
}

#[test]
fn algorithms() {
    replay("pfkey-algorithms");
}

#[test]
fn refusals() {
    replay("pfkey-refusals");
}

#[test]
fn nat_traversal() {
    replay("pfkey-nat-traversal");
}

#[test]
fn expire() {
    replay("pfkey-expire");
}

#[test]
fn windows() {
    replay("pfkey-windows");
}

#[test]
fn acquire() {
    replay("pfkey-acquire");
}

#[test]
fn octets() {
    replay("pfkey-octets");
}

#[test]
fn policies() {
    replay("pfkey-policies");
}

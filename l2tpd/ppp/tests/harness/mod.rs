//! A link with an owner that answers its questions, a clock that only we move, and frames written
//! as in a capture.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, unreachable_pub)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ppp_proto::{Config, Ipv4Assignment, Link, Output, Secret};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const LCP: u16 = 0xc021;
pub const PAP: u16 = 0xc023;
pub const CHAP: u16 = 0xc223;
pub const IPCP: u16 = 0x8021;
pub const IPV6CP: u16 = 0x8057;
pub const CCP: u16 = 0x80fd;

pub const USER: &str = "User";
pub const PASSWORD: &str = "clientPass";

pub const ASSIGNMENT: Ipv4Assignment = Ipv4Assignment {
    local: Ipv4Addr::new(192, 168, 32, 1),
    peer: Ipv4Addr::new(192, 168, 32, 128),
    dns: [Some(Ipv4Addr::new(192, 168, 48, 1)), None],
    nbns: [None; 2],
};

pub struct Host {
    pub link: Link,
    pub now: Instant,
    pub rng: ChaCha20Rng,
    /// Everything but `Send` and the questions.
    pub events: Vec<Output>,
    pub assignment: Option<Ipv4Assignment>,
    pub password: Option<&'static str>,
}

pub type Frame = (u16, Vec<u8>);

impl Host {
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let link = Link::new(config, &mut rng);
        let assignment = Some(ASSIGNMENT);
        Self {
            link,
            now,
            rng,
            events: Vec::new(),
            assignment,
            password: Some(PASSWORD),
        }
    }

    /// A server whose call just came up, and what it sent first.
    pub fn server(config: Config) -> (Self, Vec<Frame>) {
        let mut host = Self::new(config, 7, Instant::now());
        let sent = host.open();
        (host, sent)
    }

    pub fn open(&mut self) -> Vec<Frame> {
        self.link.open(self.now, &mut self.rng);
        self.drain()
    }

    pub fn feed(&mut self, protocol: u16, payload: &[u8]) -> Vec<Frame> {
        self.link
            .handle_frame(self.now, protocol, payload, &mut self.rng);
        self.drain()
    }

    pub fn advance(&mut self, by: Duration) -> Vec<Frame> {
        self.now += by;
        self.link.handle_timeout(self.now, &mut self.rng);
        self.drain()
    }

    pub fn drain(&mut self) -> Vec<Frame> {
        let mut sent = Vec::new();
        while let Some(output) = self.link.poll_output() {
            match output {
                Output::Send { protocol, payload } => {
                    assert!(payload.len() <= 1500);
                    sent.push((protocol, payload));
                }
                Output::NeedSecret {
                    question, ref user, ..
                } => {
                    let known = user == USER;
                    let secret = self.password.filter(|_| known).map(Secret::new);
                    self.events.push(output);
                    self.link
                        .provide_secret(self.now, question, secret, &mut self.rng);
                }
                Output::NeedAddress { question, .. } => {
                    let assignment = self.assignment;
                    self.link
                        .provide_address(self.now, question, assignment, &mut self.rng);
                }
                other => self.events.push(other),
            }
        }
        sent
    }

    pub fn event(&self, wanted: impl Fn(&Output) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    pub fn is_down(&self) -> bool {
        self.event(|event| matches!(event, Output::Down { .. }))
    }

    pub fn is_up(&self) -> bool {
        self.link.view().ipv4.is_some()
    }
}

/// A control packet: code, identifier, data.
pub fn packet(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 4).unwrap().to_be_bytes();
    let mut packet = vec![code, id, length[0], length[1]];
    packet.extend_from_slice(data);
    packet
}

/// Acknowledges the Configure-Request among `sent`.
pub fn ack(host: &mut Host, protocol: u16, sent: &[Frame]) -> Vec<Frame> {
    let request = sent
        .iter()
        .rev()
        .find(|frame| frame.0 == protocol && frame.1[0] == 1);
    let mut ack = request
        .unwrap_or_else(|| panic!("no request in {sent:x?}"))
        .1
        .clone();
    ack[0] = 2;
    host.feed(protocol, &ack)
}

/// One frame of `sent`, by protocol and code.
pub fn find(sent: &[Frame], protocol: u16, code: u8) -> Vec<u8> {
    let frame = sent
        .iter()
        .find(|frame| frame.0 == protocol && frame.1[0] == code);
    frame
        .unwrap_or_else(|| panic!("no {protocol:x} code {code} in {sent:x?}"))
        .1
        .clone()
}

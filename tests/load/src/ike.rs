//! A client's IKE and ESP: the daemon's own core as initiator, and softkernel's SADB behind it, asked
//! in PF_KEY as the daemon asks.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ike_crypto::{Cipher, Group, Hash, Secret};
use ike_daemon::kernel::translate::{Outcome, Translator};
use ike_proto::Endpoint;
use ike_proto::carrier::Carrier;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::io::{Datagram, Event, IkeId, Job, JobResult, Mode, Output, Transmit};
use ike_proto::policy::{Connection, EspSuite, Policy, SecretEntry, SecretPeer};
use pfkey::Numbering;
use rand_core::CryptoRng;
use softkernel::buffer::Buffer;
use softkernel::ipsec::{Config, Inbound, InboundEsp, Ipsec, Outbound, PfkeySocketId};
use softkernel::udp;

/// The port of L2TP.
pub(crate) const L2TP: u16 = 1701;
/// Where IKE floats to, and ESP in UDP goes (RFC 3947).
pub(crate) const NATT: u16 = 4500;
const CONNECTION: &str = "load";

/// What the server is told.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) server: SocketAddr,
    pub(crate) psk: Secret,
    pub(crate) group: Group,
    pub(crate) suites: Vec<EspSuite>,
    /// Neither L2TP nor PPP follows.
    pub(crate) ike_only: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Step {
    /// An IKE message, or a keepalive.
    Send(Transmit),
    /// A computation; its result goes to [`Ike::job_done`].
    Compute(Job),
    /// Phase 1 is done.
    Authenticated,
    /// ESP can flow.
    Protected,
    /// Never, or no more; why.
    Down(String),
}

/// One client's.
pub(crate) struct Ike {
    endpoint: Endpoint,
    ike: Option<IkeId>,
    translator: Translator,
    ipsec: Ipsec,
    socket: PfkeySocketId,
    own: IpAddr,
    server: IpAddr,
    steps: VecDeque<Step>,
}

/// The time, and random numbers.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) rng: &'a mut dyn CryptoRng,
}

impl Ike {
    pub(crate) fn new(terms: &Terms, own: IpAddr, now: Instant) -> Self {
        let mut ipsec = Ipsec::new(now, Config::default());
        let socket = ipsec.open_socket();
        Self {
            endpoint: Endpoint::new(policy(terms, own)),
            ike: None,
            // A kernel has one name space of SPIs for all, and thousands of clients that each choose
            // without knowing of the others soon choose the same: from as many as there are.
            translator: Translator::new(Carrier::Soft, Numbering::FreeBsd, 1).with_own_spis(),
            ipsec,
            socket,
            own,
            server: terms.server.ip(),
            steps: VecDeque::new(),
        }
    }

    pub(crate) fn start(&mut self, cx: &mut Context<'_>) {
        let register = self.translator.register();
        self.ask(cx, &register.bytes);
        match self.endpoint.initiate(cx.now, CONNECTION, cx.rng) {
            Ok(ike) => self.ike = Some(ike),
            Err(error) => self.steps.push_back(Step::Down(error.to_string())),
        }
        self.settle(cx);
    }

    /// Without the non-ESP marker.
    pub(crate) fn datagram(&mut self, cx: &mut Context<'_>, natt_port: bool, payload: &[u8]) {
        let ports = self.ports(natt_port);
        let datagram = Datagram {
            local: SocketAddr::new(self.own, ports),
            peer: SocketAddr::new(self.server, ports),
            natt_port,
            payload,
        };
        self.endpoint.handle_datagram(cx.now, datagram, cx.rng);
        self.settle(cx);
    }

    fn ports(&self, natt_port: bool) -> u16 {
        match natt_port {
            true => NATT,
            false => self.endpoint.policy().nat.ike_port,
        }
    }

    pub(crate) fn job_done(&mut self, cx: &mut Context<'_>, result: JobResult) {
        self.endpoint.handle_job(cx.now, result, cx.rng);
        self.settle(cx);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.endpoint.handle_timeout(cx.now, cx.rng);
        self.settle(cx);
    }

    /// Tells the server that everything is over.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) {
        self.endpoint.flush(cx.now, cx.rng);
        self.settle(cx);
    }

    pub(crate) fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Makes ESP of the L2TP packet in the buffer; false when there is no SA.
    pub(crate) fn seal(&mut self, now: Instant, packet: &mut Buffer) -> bool {
        let own = SocketAddr::new(self.own, L2TP);
        let server = SocketAddr::new(self.server, L2TP);
        if udp::prepend(packet, own, server).is_none() {
            return false;
        }
        let to = Outbound {
            source: self.own,
            destination: self.server,
            protocol: udp::PROTOCOL,
            source_port: L2TP,
            destination_port: L2TP,
            policy: None,
        };
        self.ipsec.output(now, 0, to, packet).is_ok()
    }

    /// Takes ESP off: the buffer then holds an L2TP packet; false when it does not.
    pub(crate) fn open(&mut self, now: Instant, packet: &mut Buffer) -> bool {
        let from = InboundEsp {
            source: SocketAddr::new(self.server, NATT),
            destination: SocketAddr::new(self.own, NATT),
            encapsulated: true,
        };
        let Ok(Inbound { payload, .. }) = self.ipsec.input(now, 0, from, packet) else {
            return false;
        };
        packet.truncate(payload.end);
        packet.trim_front(payload.start) && udp::strip(packet).is_some()
    }

    fn ask(&mut self, cx: &mut Context<'_>, request: &[u8]) {
        self.ipsec.request(cx.now, 0, self.socket, request, cx.rng);
        while let Some((_, message)) = self.ipsec.poll_message() {
            if let Some(Outcome::Reply(reply)) = self.translator.receive(&message) {
                self.endpoint.handle_kernel(cx.now, reply, cx.rng);
            }
        }
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => self.steps.push_back(Step::Send(transmit)),
                Output::Job(job) => self.steps.push_back(Step::Compute(job)),
                Output::Kernel(_, request) => {
                    for message in self.translator.submit(&request) {
                        self.ask(cx, &message.bytes);
                    }
                }
                Output::Event(event) => self.tell(event),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        let step = match event {
            Event::IkeUp { replaces: None, .. } => Step::Authenticated,
            Event::ChildUp { replaces: None, .. } => Step::Protected,
            Event::IkeDown { ike, reason, .. } if Some(ike) == self.ike => {
                Step::Down(format!("IKE: {reason}"))
            }
            Event::ChildDown { reason, .. } => Step::Down(format!("IPsec SAs: {reason}")),
            _ => return,
        };
        self.steps.push_back(step);
    }
}

fn policy(terms: &Terms, own: IpAddr) -> Policy {
    let mut policy = Policy {
        secrets: vec![SecretEntry {
            peer: SecretPeer::Any,
            secret: terms.psk.clone(),
        }],
        respond: true,
        connections: vec![Connection {
            name: CONNECTION.to_owned(),
            local: own,
            peer: terms.server,
            local_identity: None,
            peer_identity: None,
            mode: Mode::Transport,
            protocol: udp::PROTOCOL,
            local_port: L2TP,
            peer_port: L2TP,
            local_network: None,
            peer_network: None,
            pfs: None,
            // Clients may share an address, and no server but ours is known to tell them apart then.
            initial_contact: false,
            login: None,
            mode_config: false,
            aggressive: false,
        }],
        ..Policy::default()
    };
    policy.nat.ike_port = terms.server.port();
    policy.phase1.ciphers = vec![Cipher::Aes256, Cipher::Aes128];
    policy.phase1.hashes = vec![Hash::Sha256, Hash::Sha1];
    policy.phase1.groups = vec![terms.group];
    policy.phase1.allow_modp1024 = true;
    policy.phase2.suites.clone_from(&terms.suites);
    // The server asks; we answer.
    policy.dpd.interval = std::time::Duration::ZERO;
    policy
}

/// What is offered when nothing is said: what clients in use offer first.
pub(crate) fn usual_suites() -> Vec<EspSuite> {
    let suite = |cipher, auth| EspSuite {
        cipher,
        key_bits: 128,
        auth,
    };
    vec![
        suite(EspTransform::AES_GCM_16, EspAuth::NONE),
        suite(EspTransform::AES_CBC, EspAuth::HMAC_SHA2_256),
        suite(EspTransform::AES_CBC, EspAuth::HMAC_SHA1),
    ]
}

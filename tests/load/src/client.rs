//! One client: IKE, L2TP and PPP put together. No I/O: datagrams, results and time in, datagrams,
//! computations and milestones out.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ike_proto::io::{Job, JobResult};
use ppp_proto::{Config, Credentials, Link, Network, Output as Ppp};
use softkernel::buffer::Buffer;

use crate::echo::{self, Echo};
use crate::ike::{Context, Ike, L2TP, NATT, Step as IkeStep, Terms};
use crate::l2tp::{L2tp, Step as L2tpStep};

/// RFC 3948 2.2: an IKE message, where ESP could be.
const MARKER: [u8; 4] = [0; 4];
/// PPP protocol number of IPv4.
const IPV4: u16 = 0x0021;

/// How far a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Phase 1 done.
    Authenticated,
    /// Phase 2 done.
    Protected,
    /// The L2TP call is established.
    Called,
    /// PPP has an address; with IKE only, the same as the one before it.
    Online,
}

/// What is to be done, or known.
#[derive(Debug)]
pub(crate) enum Output {
    /// A datagram to this port of the server.
    Send(u16, Vec<u8>),
    /// A computation; its result goes to [`Client::job_done`].
    Compute(Job),
    /// Something was reached.
    Reached(Stage),
    /// An echo reply came, after so long.
    Answered(Duration),
    /// The connection could not be made, or broke; why. The last output.
    Down(String),
}

/// One client.
pub(crate) struct Client {
    own: IpAddr,
    server: SocketAddr,
    ike_only: bool,
    ike: Ike,
    l2tp: L2tp,
    link: Link,
    echo: Option<Echo>,
    outputs: VecDeque<Output>,
    down: bool,
}

impl Client {
    pub(crate) fn new(
        terms: &Terms,
        credentials: Credentials,
        own: IpAddr,
        cx: &mut Context<'_>,
    ) -> Self {
        let config = Config {
            // The server asks; we answer.
            echo_interval: Duration::ZERO,
            ..Config::client(credentials)
        };
        Self {
            own,
            server: terms.server,
            ike_only: terms.ike_only,
            ike: Ike::new(terms, own, cx.now),
            l2tp: L2tp::new(),
            link: Link::new(config, cx.rng),
            echo: None,
            outputs: VecDeque::new(),
            down: false,
        }
    }

    pub(crate) fn start(&mut self, cx: &mut Context<'_>) {
        self.ike.start(cx);
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What came from this port of the server; `packet` is scratch space.
    pub(crate) fn datagram(
        &mut self,
        cx: &mut Context<'_>,
        port: u16,
        payload: &[u8],
        packet: &mut Buffer,
    ) {
        if port != NATT {
            self.ike.datagram(cx, false, payload);
        } else if let Some(message) = payload.strip_prefix(&MARKER) {
            self.ike.datagram(cx, true, message);
        } else if packet.fill(payload) && self.ike.open(cx.now, packet) {
            match self.l2tp.packet(cx.now, packet, cx.rng) {
                Some((IPV4, ip)) => {
                    let answered = self.echo.as_mut().and_then(|echo| echo.take(cx.now, ip));
                    self.outputs.extend(answered.map(Output::Answered));
                }
                Some((protocol, frame)) => {
                    self.link.handle_frame(cx.now, protocol, frame, cx.rng);
                }
                None => {}
            }
        }
    }

    pub(crate) fn job_done(&mut self, cx: &mut Context<'_>, result: JobResult) {
        self.ike.job_done(cx, result);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.ike.next_timeout(),
            self.l2tp.next_timeout(),
            self.link.next_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.ike.handle_timeout(cx);
        self.l2tp.handle_timeout(cx.now);
        self.link.handle_timeout(cx.now, cx.rng);
    }

    /// Sends an echo request through the tunnel to the server's address in it.
    pub(crate) fn ping(&mut self, now: Instant, size: usize, packet: &mut Buffer) -> bool {
        let Some(request) = self.echo.as_mut().map(|echo| echo.request(now, size)) else {
            return false;
        };
        self.frame(now, IPV4, &request, packet);
        true
    }

    /// Says good-bye on every layer.
    pub(crate) fn stop(&mut self, cx: &mut Context<'_>, packet: &mut Buffer) {
        self.l2tp.stop(cx.now);
        self.settle(cx, packet);
        self.ike.flush(cx);
        self.settle(cx, packet);
    }

    /// Everything that follows from the last input.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>, packet: &mut Buffer) {
        loop {
            if let Some(step) = self.ike.poll() {
                self.on_ike(cx, step);
            } else if let Some(step) = self.l2tp.poll() {
                self.on_l2tp(cx, step, packet);
            } else if let Some(output) = self.link.poll_output() {
                self.on_link(cx, output, packet);
            } else {
                return;
            }
        }
    }

    fn on_ike(&mut self, cx: &mut Context<'_>, step: IkeStep) {
        match step {
            IkeStep::Send(transmit) => {
                let port = if transmit.natt_port {
                    NATT
                } else {
                    self.server.port()
                };
                self.outputs
                    .push_back(Output::Send(port, transmit.udp_payload()));
            }
            IkeStep::Compute(job) => self.outputs.push_back(Output::Compute(job)),
            IkeStep::Authenticated => self.reached(Stage::Authenticated),
            IkeStep::Protected => {
                self.reached(Stage::Protected);
                if self.ike_only {
                    return self.reached(Stage::Online);
                }
                let own = SocketAddr::new(self.own, L2TP);
                let server = SocketAddr::new(self.server.ip(), L2TP);
                self.l2tp.start(cx.now, own, server, cx.rng);
            }
            IkeStep::Down(reason) => self.fail(reason),
        }
    }

    fn on_l2tp(&mut self, cx: &mut Context<'_>, step: L2tpStep, packet: &mut Buffer) {
        match step {
            L2tpStep::Send(bytes) => self.esp(cx.now, &bytes, packet),
            L2tpStep::Up => {
                self.reached(Stage::Called);
                self.link.open(cx.now, cx.rng);
            }
            L2tpStep::Down(reason) => self.fail(reason),
        }
    }

    fn on_link(&mut self, cx: &mut Context<'_>, output: Ppp, packet: &mut Buffer) {
        match output {
            Ppp::Send { protocol, payload } => self.frame(cx.now, protocol, &payload, packet),
            Ppp::NetworkUp(Network::V4 { local, peer, .. }) => {
                self.echo = Some(Echo::new(local, inside(peer, self.server.ip())));
                self.reached(Stage::Online);
            }
            Ppp::AuthFailed { reason, .. } => self.fail(format!("PPP: {reason}")),
            Ppp::Down { reason } => self.fail(format!("PPP: {reason}")),
            _ => {}
        }
    }

    fn frame(&mut self, now: Instant, protocol: u16, payload: &[u8], packet: &mut Buffer) {
        if let Some(bytes) = self.l2tp.data(protocol, payload) {
            self.esp(now, &bytes, packet);
        }
    }

    fn esp(&mut self, now: Instant, bytes: &[u8], packet: &mut Buffer) {
        if packet.fill(bytes) && self.ike.seal(now, packet) {
            self.outputs.push_back(Output::Send(NATT, packet.to_vec()));
        }
    }

    fn reached(&mut self, stage: Stage) {
        self.outputs.push_back(Output::Reached(stage));
    }

    fn fail(&mut self, reason: String) {
        if !std::mem::replace(&mut self.down, true) {
            self.outputs.push_back(Output::Down(reason));
        }
    }
}

/// Whom to ask for echoes: the server's end of the link, if it told one.
fn inside(peer: Ipv4Addr, server: IpAddr) -> Ipv4Addr {
    match (peer.is_unspecified(), server) {
        (true, IpAddr::V4(server)) => server,
        _ => peer,
    }
}

/// Sizes that an echo request may have.
pub(crate) const ECHO_SIZES: std::ops::RangeInclusive<u64> = echo::LEAST..=1372;

//! A client's L2TP: the daemon's own core as LAC, and softkernel's reliable channel under it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use l2tp_proto::{
    CallRequest, Config, FlowId, KernelId, Output, SessionSetup, Target, TunnelId, Tunnels,
};
use rand_core::CryptoRng;
use softkernel::graph::l2tp::channel::{Channel, Message, Order};
use softkernel::graph::l2tp::header::{CONTROL_HEADER, DataHeader, Header, control_header};

/// Address and control field of PPP (RFC 1662 3.1).
const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
/// As ng_l2tp has it.
const RETRANSMIT_MAX: u16 = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What came of it.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole L2TP packet.
    Send(Vec<u8>),
    /// The call is established.
    Up,
    /// Never, or no more; why.
    Down(String),
}

/// One client's.
pub(crate) struct L2tp {
    tunnels: Tunnels,
    tunnel: Option<TunnelId>,
    peer: u16,
    session: Option<SessionSetup>,
    channel: Channel,
    steps: std::collections::VecDeque<Step>,
}

impl L2tp {
    pub(crate) fn new() -> Self {
        let config = Config {
            host_name: "tanuki-load".to_owned(),
            // The server asks; we answer.
            hello_interval: Duration::ZERO,
            ..Config::default()
        };
        Self {
            tunnels: Tunnels::new(config),
            tunnel: None,
            peer: 0,
            session: None,
            channel: Channel::new(),
            steps: std::collections::VecDeque::new(),
        }
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        rng: &mut dyn CryptoRng,
    ) {
        let target = Target {
            flow: FlowId {
                local,
                peer,
                reqid: 0,
                kernel: KernelId::Soft,
            },
            tie_breaker: false,
            secret: None,
            call: Some(CallRequest::default()),
        };
        match self.tunnels.connect(now, target, rng) {
            Ok(connecting) => self.tunnel = Some(connecting.tunnel),
            Err(error) => self.steps.push_back(Step::Down(format!("L2TP: {error}"))),
        }
        self.settle(now);
    }

    pub(crate) fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// A PPP frame out of the packet: its protocol and what follows; control messages are dealt with.
    pub(crate) fn packet<'a>(
        &mut self,
        now: Instant,
        packet: &'a [u8],
        rng: &mut dyn CryptoRng,
    ) -> Option<(u16, &'a [u8])> {
        let header = Header::parse(packet).ok()?;
        let body = packet.get(header.start..header.end)?;
        if header.control {
            self.control(now, header, body, rng);
            return None;
        }
        let frame = body.strip_prefix(&ADDRESS_CONTROL).unwrap_or(body);
        match frame {
            // RFC 1661 6.5: the least significant bit ends the field.
            [one, rest @ ..] if one & 1 == 1 => Some((u16::from(*one), rest)),
            [high, low, rest @ ..] => Some((u16::from_be_bytes([*high, *low]), rest)),
            _ => None,
        }
    }

    fn control(&mut self, now: Instant, header: Header, body: &[u8], rng: &mut dyn CryptoRng) {
        let (Some((ns, nr)), Some(tunnel)) = (header.sequence, self.tunnel) else {
            return;
        };
        self.channel.handle_ack(now, nr);
        if !body.is_empty() {
            let order = self.channel.order(ns);
            if order == Order::Expected {
                self.channel.accepted();
                self.tunnels
                    .handle_control(now, tunnel, header.session, body, rng);
            }
            let before = self.steps.len();
            self.settle(now);
            // What was sent just now has acknowledged it.
            let sent = self.steps.iter().skip(before);
            if !sent.into_iter().any(|step| matches!(step, Step::Send(_))) {
                let (ns, nr) = (self.channel.ns(), self.channel.nr());
                self.steps.push_back(Step::Send(
                    control_header(12, self.peer, 0, ns, nr).to_vec(),
                ));
            }
        }
        self.settle(now);
    }

    /// A data packet with a PPP frame, its contents written by `emit`.
    pub(crate) fn data(&self, protocol: u16, payload: &[u8]) -> Option<Vec<u8>> {
        let session = self.session?;
        let header = DataHeader {
            tunnel: self.peer,
            session: session.peer_id,
            length: false,
            sequence: None,
        };
        let mut packet = vec![0; header.size()];
        header.emit(0, &mut packet);
        packet.extend_from_slice(&ADDRESS_CONTROL);
        packet.extend_from_slice(&protocol.to_be_bytes());
        packet.extend_from_slice(payload);
        Some(packet)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [self.channel.next_timeout(), self.tunnels.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let exhausted = self
            .channel
            .handle_timeout(now, RETRANSMIT_MAX, LONGEST_WAIT);
        if let (Some(true), Some(tunnel)) = (exhausted, self.tunnel) {
            self.tunnels.handle_ack_failure(now, tunnel);
        }
        self.tunnels.handle_timeout(now);
        self.settle(now);
    }

    /// Says StopCCN.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.tunnels.shutdown(now);
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.tunnels.poll_output() {
            match output {
                Output::UpdateTunnel {
                    peer_id,
                    peer_window,
                    ..
                } => {
                    self.peer = peer_id;
                    self.channel.set_peer_window(peer_window);
                }
                Output::SendControl {
                    session_id, avps, ..
                } => {
                    let message = Message {
                        session: session_id,
                        body: avps,
                    };
                    if self.channel.push(message).is_err() {
                        self.steps.push_back(Step::Down("L2TP: window".to_owned()));
                    }
                }
                Output::CreateSession(setup) => self.session = Some(setup),
                Output::SessionUp(up) => {
                    self.session = Some(up.setup);
                    self.steps.push_back(Step::Up);
                }
                Output::SessionDown { reason, .. } => {
                    self.steps
                        .push_back(Step::Down(format!("L2TP call: {reason}")));
                }
                Output::TunnelDown { reason, .. } => {
                    self.steps.push_back(Step::Down(format!("L2TP: {reason}")));
                }
                Output::CreateTunnel(_)
                | Output::SendDatagram { .. }
                | Output::TunnelUp { .. }
                | Output::RemoveTunnel { .. }
                | Output::Refused(_) => {}
            }
        }
        let nr = self.channel.nr();
        while let Some((ns, message)) = self.channel.poll_send(now) {
            let length = CONTROL_HEADER + message.body.len();
            let field = u16::try_from(length).unwrap_or(u16::MAX);
            let header = control_header(field, self.peer, message.session, ns, nr);
            let packet = [&header[..], &message.body].concat();
            self.steps.push_back(Step::Send(packet));
        }
    }
}

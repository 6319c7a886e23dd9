//! The `l2tp` node: `ng_l2tp(4)`.
//!
//! Below it is a UDP socket, above it the daemon (control messages) and one hook per session
//! (PPP frames).

pub mod channel;
pub mod header;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use netgraph::node::l2tp::{
    self as ng, Config, SequenceConfig, SessionConfig, SessionStats, Stats,
};
use netgraph::{Errno, NgMessage};

use self::channel::{Acknowledged, Channel, Message, Order};
use self::header::{DataHeader, Header, HeaderError};
use super::{Drop, HookIndex, NodeId, Verdict, command};
use crate::buffer::Buffer;
use crate::table::Table;

/// Longest control message, header excluded (what fits into the length field).
const MAX_CONTROL: usize = 0x1_0000 - 14;
/// Longest PPP frame.
const MAX_DATA: usize = 0x1_0000 - 12;

/// What a hook of this node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Control messages, to and from the daemon.
    Control,
    /// L2TP packets, to and from the UDP socket.
    Lower,
    /// PPP frames of the session with this local id.
    Session(u16),
}

/// The node.
#[derive(Debug)]
pub struct L2tpNode {
    config: Config,
    channel: Channel,
    control: Option<HookIndex>,
    lower: Option<HookIndex>,
    sessions: Table<u16, Session>,
    stats: Stats,
    /// Who configured the node, and hears of failures.
    owner: NodeId,
    /// L2TP packets of the control channel that are to leave by `lower`.
    outgoing: VecDeque<Vec<u8>>,
    failed: bool,
    /// A peer has begun or ceased to number its data.
    sequencing_changed: bool,
}

#[derive(Debug)]
struct Session {
    hook: HookIndex,
    config: SessionConfig,
    stats: SessionStats,
    /// Ns of the next data packet, and Ns expected.
    ns: u16,
    nr: u16,
}

impl L2tpNode {
    /// A node without configuration.
    pub fn new(owner: NodeId) -> Self {
        Self {
            config: Config {
                peer_window: 1,
                retransmit_max: 5,
                retransmit_max_timeout: 30,
                ..Config::default()
            },
            channel: Channel::new(),
            control: None,
            lower: None,
            sessions: Table::default(),
            stats: Stats::default(),
            owner,
            outgoing: VecDeque::new(),
            failed: false,
            sequencing_changed: false,
        }
    }

    pub(super) fn attach(&mut self, name: &str, hook: HookIndex) -> Result<Role, Errno> {
        match name {
            ng::HOOK_CTRL => {
                self.control = Some(hook);
                Ok(Role::Control)
            }
            ng::HOOK_LOWER => {
                self.lower = Some(hook);
                Ok(Role::Lower)
            }
            _ => {
                let id = ng::parse_session_hook(name).ok_or(Errno::EINVAL)?;
                let config = SessionConfig {
                    session_id: id,
                    control_sequencing: true,
                    enable_sequencing: true,
                    ..SessionConfig::default()
                };
                let stats = SessionStats::default();
                self.sessions.insert(
                    id,
                    Session {
                        hook,
                        config,
                        stats,
                        ns: 0,
                        nr: 0,
                    },
                );
                Ok(Role::Session(id))
            }
        }
    }

    pub(super) fn detach(&mut self, role: Role) {
        match role {
            Role::Control => self.control = None,
            Role::Lower => self.lower = None,
            Role::Session(id) => {
                self.sessions.remove(&id);
            }
        }
    }

    /// Who hears of failures.
    pub(super) fn owner(&self) -> NodeId {
        self.owner
    }

    pub(super) fn control_hook(&self) -> Option<HookIndex> {
        self.control
    }

    pub(super) fn lower_hook(&self) -> Option<HookIndex> {
        self.lower
    }

    /// Whether tunnel id 0 is not for this node.
    pub(super) fn matches_id(&self) -> bool {
        self.config.match_id
    }

    /// Our tunnel id, the header of what is sent and the hook of a session whose data has no sequence
    /// numbers.
    pub(super) fn plain_session(&self, id: u16) -> Option<(u16, DataHeader, HookIndex)> {
        let session = self.sessions.get(&id)?;
        let plain = self.config.enabled && !session.config.enable_sequencing;
        let header = DataHeader {
            tunnel: self.config.peer_id,
            session: session.config.peer_id,
            length: session.config.include_length,
            sequence: None,
        };
        plain.then_some((self.config.tunnel_id, header, session.hook))
    }

    /// Counts data that did not come this way: packets and octets received and sent.
    pub(super) fn credit(&mut self, id: u16, received: (u64, u64), sent: (u64, u64)) {
        // These are counters of 32 bits, which wrap.
        let stats = &mut self.stats;
        let add = |counter: &mut u32, more: u64| *counter = counter.wrapping_add(more as u32);
        add(&mut stats.receive_packets, received.0);
        add(&mut stats.receive_octets, received.1);
        add(&mut stats.transmit_packets, sent.0);
        add(&mut stats.transmit_octets, sent.1);
        if let Some(Session { stats, .. }) = self.sessions.get_mut(&id) {
            stats.receive_packets += received.0;
            stats.receive_octets += received.1;
            stats.transmit_packets += sent.0;
            stats.transmit_octets += sent.1;
        }
    }

    /// Whether a peer has begun or ceased to number its data, once.
    pub(super) fn take_sequencing_changed(&mut self) -> bool {
        std::mem::take(&mut self.sequencing_changed)
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The next packet of the control channel for the `lower` hook.
    pub(super) fn poll_outgoing(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.channel.next_timeout()
    }

    /// True: the owner must be told of a failure.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let longest = Duration::from_secs(self.config.retransmit_max_timeout.into());
        let limit = self.config.retransmit_max;
        let Some(exhausted) = self.channel.handle_timeout(now, limit, longest) else {
            return false;
        };
        self.stats.retransmits = self.stats.retransmits.wrapping_add(1);
        self.flush(now);
        self.failed = exhausted;
        exhausted
    }

    pub(super) fn message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: &NgMessage,
    ) -> Result<Option<Vec<u8>>, Errno> {
        if message.cookie != ng::COOKIE {
            return Err(Errno::EINVAL);
        }
        if let Some(ng::SetConfig(config)) = command(message)? {
            self.set_config(now, from, config).map(|()| None)
        } else if command::<ng::GetConfig>(message)?.is_some() {
            Ok(Some(self.config.emit()))
        } else if let Some(ng::SetSessionConfig(config)) = command(message)? {
            self.session(config.session_id)?.config = config;
            Ok(None)
        } else if let Some(ng::GetSessionConfig(id)) = command(message)? {
            Ok(Some(self.session(id.0)?.config.emit()))
        } else if command::<ng::GetStats>(message)?.is_some() {
            Ok(Some(self.stats.emit()))
        } else if command::<ng::ClearStats>(message)?.is_some() {
            self.stats = Stats::default();
            Ok(None)
        } else if command::<ng::GetClearStats>(message)?.is_some() {
            Ok(Some(std::mem::take(&mut self.stats).emit()))
        } else if let Some(ng::GetSessionStats(id)) = command(message)? {
            Ok(Some(self.session(id.0)?.stats.emit()))
        } else if let Some(ng::ClearSessionStats(id)) = command(message)? {
            self.session(id.0)?.stats = SessionStats::default();
            Ok(None)
        } else if let Some(ng::GetClearSessionStats(id)) = command(message)? {
            Ok(Some(std::mem::take(&mut self.session(id.0)?.stats).emit()))
        } else if let Some(ng::SetSequence(sequence)) = command(message)? {
            self.set_sequence(sequence).map(|()| None)
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn session(&mut self, id: u16) -> Result<&mut Session, Errno> {
        self.sessions.get_mut(&id).ok_or(Errno::ENOENT)
    }

    fn set_config(&mut self, now: Instant, from: NodeId, config: Config) -> Result<(), Errno> {
        let old = &self.config;
        let moved = |old: u16, new: u16| old != 0 && old != new;
        if old.enabled
            && (moved(old.tunnel_id, config.tunnel_id) || moved(old.peer_id, config.peer_id))
        {
            return Err(Errno::EBUSY);
        }
        self.owner = from;
        if config.enabled {
            if config.peer_window == 0 {
                return Err(Errno::EINVAL);
            }
            let window = config.peer_window.min(channel::MAX_WINDOW);
            if old.enabled && window < self.channel.peer_window() {
                return Err(Errno::EBUSY);
            }
            self.channel.set_peer_window(window);
        } else {
            self.channel = Channel::new();
            self.outgoing.clear();
            for session in self.sessions.values_mut() {
                session.config.control_sequencing = false;
                session.config.enable_sequencing = false;
                session.stats = SessionStats::default();
                (session.ns, session.nr) = (0, 0);
            }
        }
        self.config = config;
        if config.enabled {
            self.flush(now);
        }
        Ok(())
    }

    fn set_sequence(&mut self, sequence: SequenceConfig) -> Result<(), Errno> {
        if self.config.enabled {
            return Err(Errno::EBUSY);
        }
        if sequence.sent_ack != sequence.next_receive || sequence.next_send != sequence.received_ack
        {
            return Err(Errno::EINVAL);
        }
        self.channel
            .set_sequence(sequence.next_send, sequence.next_receive);
        Ok(())
    }

    /// Takes a frame from above or a packet from below.
    pub(super) fn receive(&mut self, now: Instant, role: Role, buffer: &mut Buffer) -> Verdict {
        if !self.config.enabled {
            return Verdict::Drop(Drop::NotEnabled);
        }
        match role {
            Role::Control => self.transmit_control(now, buffer),
            Role::Session(id) => self.transmit_data(id, buffer),
            Role::Lower => self.receive_lower(now, buffer),
        }
    }

    /// The control message handed out as [`Verdict::Acknowledge`] was taken by the daemon, or
    /// not; in the latter case it is as if it had never arrived.
    pub(super) fn delivered(&mut self, taken: bool) {
        if taken {
            self.channel.accepted();
            self.acknowledge();
        }
    }

    fn transmit_control(&mut self, now: Instant, buffer: &mut Buffer) -> Verdict {
        let Some((session, body)) = buffer.split_first_chunk::<2>() else {
            bump(&mut self.stats.transmit_invalid);
            return Verdict::Drop(Drop::Malformed);
        };
        if buffer.len() >= MAX_CONTROL {
            bump(&mut self.stats.transmit_too_big);
            return Verdict::Drop(Drop::TooLong);
        }
        let session = u16::from_be_bytes(*session);
        if self
            .channel
            .push(Message {
                session,
                body: body.to_vec(),
            })
            .is_err()
        {
            bump(&mut self.stats.transmit_drops);
            return Verdict::Drop(Drop::WindowFull);
        }
        self.flush(now);
        Verdict::Done
    }

    fn transmit_data(&mut self, id: u16, buffer: &mut Buffer) -> Verdict {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Verdict::Drop(Drop::UnknownSession);
        };
        let Some(lower) = self.lower else {
            return Verdict::Drop(Drop::NotConnected);
        };
        if buffer.len() >= MAX_DATA {
            bump(&mut self.stats.transmit_data_too_big);
            return Verdict::Drop(Drop::TooLong);
        }
        let sequence = session.config.enable_sequencing.then(|| {
            let ns = session.ns;
            session.ns = ns.wrapping_add(1);
            (ns, session.nr)
        });
        let header = DataHeader {
            tunnel: self.config.peer_id,
            session: session.config.peer_id,
            length: session.config.include_length,
            sequence,
        };
        let payload = buffer.len();
        let Some(room) = buffer.prepend(header.size()) else {
            return Verdict::Drop(Drop::NoRoom);
        };
        header.emit(payload, room);
        let length = buffer.len();
        session.stats.transmit_packets += 1;
        session.stats.transmit_octets += length as u64;
        bump(&mut self.stats.transmit_packets);
        add(&mut self.stats.transmit_octets, length);
        Verdict::Forward(lower)
    }

    fn receive_lower(&mut self, now: Instant, buffer: &mut Buffer) -> Verdict {
        let length = buffer.len();
        bump(&mut self.stats.receive_packets);
        add(&mut self.stats.receive_octets, length);
        let header = match Header::parse(buffer) {
            Ok(header) => header,
            Err(HeaderError::Runt) => {
                bump(&mut self.stats.receive_runts);
                return Verdict::Drop(Drop::Malformed);
            }
            Err(HeaderError::Invalid) => {
                bump(&mut self.stats.receive_invalid);
                return Verdict::Drop(Drop::Malformed);
            }
        };
        if header.tunnel != self.config.tunnel_id && (self.config.match_id || header.tunnel != 0) {
            bump(&mut self.stats.receive_wrong_tunnel);
            return Verdict::Drop(Drop::WrongTunnel);
        }
        buffer.truncate(header.end);
        if !buffer.trim_front(header.start) {
            return Verdict::Drop(Drop::Malformed);
        }
        if header.control {
            self.receive_control(now, header, buffer)
        } else {
            self.receive_data(header, length, buffer)
        }
    }

    fn receive_control(&mut self, now: Instant, header: Header, buffer: &mut Buffer) -> Verdict {
        let Some((ns, nr)) = header.sequence else {
            return Verdict::Drop(Drop::Malformed);
        };
        if self.channel.handle_ack(now, nr) == Acknowledged::Bad {
            bump(&mut self.stats.receive_bad_acks);
        }
        self.flush(now);
        if buffer.is_empty() {
            bump(&mut self.stats.receive_zlbs);
            return Verdict::Done;
        }
        match self.channel.order(ns) {
            Order::Expected => {}
            Order::Duplicate => {
                bump(&mut self.stats.receive_duplicates);
                self.acknowledge();
                return Verdict::Done;
            }
            Order::TooEarly => {
                bump(&mut self.stats.receive_out_of_order);
                self.acknowledge();
                return Verdict::Done;
            }
        }
        let Some(control) = self.control else {
            return Verdict::Drop(Drop::NotConnected);
        };
        let Some(room) = buffer.prepend(2) else {
            return Verdict::Drop(Drop::NoRoom);
        };
        room.copy_from_slice(&header.session.to_be_bytes());
        Verdict::Acknowledge(control)
    }

    fn receive_data(&mut self, header: Header, length: usize, buffer: &mut Buffer) -> Verdict {
        let Some(session) = self.sessions.get_mut(&header.session) else {
            bump(&mut self.stats.receive_unknown_session);
            return Verdict::Drop(Drop::UnknownSession);
        };
        session.stats.receive_packets += 1;
        session.stats.receive_octets += length as u64;
        if !session.config.control_sequencing {
            let numbered = header.sequence.is_some();
            self.sequencing_changed |= session.config.enable_sequencing != numbered;
            session.config.enable_sequencing = numbered;
        }
        if let Some((ns, _)) = header.sequence {
            if session.config.enable_sequencing && channel::difference(ns, session.nr) < 0 {
                bump(&mut self.stats.receive_data_drops);
                return Verdict::Drop(Drop::OldData);
            }
            session.nr = ns.wrapping_add(1);
        }
        if buffer.is_empty() {
            Verdict::Done
        } else {
            Verdict::Forward(session.hook)
        }
    }

    /// Sends what the window admits.
    fn flush(&mut self, now: Instant) {
        loop {
            let nr = self.channel.nr();
            let Some((ns, message)) = self.channel.poll_send(now) else {
                return;
            };
            let length = header::CONTROL_HEADER + message.body.len();
            let mut packet = Vec::with_capacity(length);
            let field = u16::try_from(length).unwrap_or(u16::MAX);
            packet.extend_from_slice(&header::control_header(
                field,
                self.config.peer_id,
                message.session,
                ns,
                nr,
            ));
            packet.extend_from_slice(&message.body);
            self.send(packet);
        }
    }

    /// Sends a zero-length body message.
    fn acknowledge(&mut self) {
        let (ns, nr) = (self.channel.ns(), self.channel.nr());
        bump(&mut self.stats.transmit_zlbs);
        self.send(header::control_header(12, self.config.peer_id, 0, ns, nr).to_vec());
    }

    fn send(&mut self, packet: Vec<u8>) {
        bump(&mut self.stats.transmit_packets);
        add(&mut self.stats.transmit_octets, packet.len());
        self.outgoing.push_back(packet);
    }

    /// For the state dump.
    pub(super) fn status(&self) -> String {
        format!(
            "tunnel {} peer {} sessions {} unacknowledged {}{}{}",
            self.config.tunnel_id,
            self.config.peer_id,
            self.sessions.len(),
            self.channel.unacknowledged(),
            if self.config.enabled { "" } else { " disabled" },
            if self.failed { " failed" } else { "" },
        )
    }
}

fn bump(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}

fn add(counter: &mut u32, octets: usize) {
    *counter = counter.wrapping_add(u32::try_from(octets).unwrap_or(u32::MAX));
}

//! `ng_l2tp(4)`, `<netgraph/ng_l2tp.h>`: the L2TP header, the reliable control channel of
//! RFC 2661 section 5.8, and session demultiplexing.
//!
//! Frames on [`HOOK_CTRL`] are the session id (two bytes, network order) and the AVPs of one
//! control message; Ns, Nr, windows, retransmission and acknowledgements are the node's affair.

use crate::command::{plain_command, reply, struct_command};
use crate::error::WireError;
use crate::wire::{Reader, Writer};

/// The node type.
pub const TYPE: &str = "l2tp";
/// `NGM_L2TP_COOKIE`.
pub const COOKIE: u32 = 1_091_515_793;
/// Control messages, for the daemon.
pub const HOOK_CTRL: &str = "ctrl";
/// L2TP packets, for a UDP socket.
pub const HOOK_LOWER: &str = "lower";
/// Prefix of session hooks.
pub const HOOK_SESSION_PREFIX: &str = "session_";

/// The hook of a session, by its local id.
pub fn session_hook(local_session: u16) -> String {
    format!("{HOOK_SESSION_PREFIX}{local_session:04x}")
}

/// The local session id in a hook name: the prefix and exactly four lower-case hex digits.
pub fn parse_session_hook(hook: &str) -> Option<u16> {
    let digits = hook.strip_prefix(HOOK_SESSION_PREFIX)?;
    let canonical = digits.len() == 4
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    canonical
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

struct_command! {
    /// `NGM_L2TP_SET_CONFIG`. Disabling resets the sequence numbers; while enabled, ids that are
    /// not zero cannot change and the window can only grow (EBUSY). The asker becomes the
    /// recipient of [`AckFailure`].
    ///
    /// Configure a new node once, with `enabled`, after [`SetSequence`] if that is needed: FreeBSD
    /// gives a node that is configured with `enabled` off a window of 128, which then cannot
    /// shrink any more (EBUSY).
    SetConfig(Config), COOKIE, 1, "setconfig", ()
}
plain_command! {
    /// `NGM_L2TP_GET_CONFIG`.
    GetConfig, COOKIE, 2, "getconfig", Config
}
struct_command! {
    /// `NGM_L2TP_SET_SESS_CONFIG`: the hook of the session must be connected (ENOENT).
    SetSessionConfig(SessionConfig), COOKIE, 3, "setsessconfig", ()
}
struct_command! {
    /// `NGM_L2TP_GET_SESS_CONFIG`, by local session id.
    GetSessionConfig(SessionId), COOKIE, 4, "getsessconfig", SessionConfig
}
plain_command! {
    /// `NGM_L2TP_GET_STATS`.
    GetStats, COOKIE, 5, "getstats", Stats
}
plain_command! {
    /// `NGM_L2TP_CLR_STATS`.
    ClearStats, COOKIE, 6, "clrstats", ()
}
plain_command! {
    /// `NGM_L2TP_GETCLR_STATS`.
    GetClearStats, COOKIE, 7, "getclrstats", Stats
}
struct_command! {
    /// `NGM_L2TP_GET_SESSION_STATS`, by local session id.
    GetSessionStats(SessionId), COOKIE, 8, "getsessstats", SessionStats
}
struct_command! {
    /// `NGM_L2TP_CLR_SESSION_STATS`, by local session id.
    ClearSessionStats(SessionId), COOKIE, 9, "clrsessstats", ()
}
struct_command! {
    /// `NGM_L2TP_GETCLR_SESSION_STATS`, by local session id.
    GetClearSessionStats(SessionId), COOKIE, 10, "getclrsessstats", SessionStats
}
plain_command! {
    /// `NGM_L2TP_ACK_FAILURE`: sent *by* the node to whoever configured it, when the peer has not
    /// acknowledged a control message after `retransmit_max` retransmissions. Repeated while
    /// nothing changes.
    AckFailure, COOKIE, 11, "ackfailure", ()
}
struct_command! {
    /// `NGM_L2TP_SET_SEQ`: starting sequence numbers of a node that is not enabled yet (EBUSY);
    /// `sent_ack` must equal `next_receive` and `received_ack` `next_send` (EINVAL).
    SetSequence(SequenceConfig), COOKIE, 12, "setsequence", ()
}

/// `struct ng_l2tp_config`, 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// Lets traffic flow.
    pub enabled: bool,
    /// Tunnel id 0 in received packets is refused too (it is right only in an SCCRQ).
    pub match_id: bool,
    /// Our tunnel id.
    pub tunnel_id: u16,
    /// The peer's tunnel id.
    pub peer_id: u16,
    /// The peer's receive window, at least 1.
    pub peer_window: u16,
    /// Retransmissions before [`AckFailure`].
    pub retransmit_max: u16,
    /// Longest wait between two retransmissions, seconds.
    pub retransmit_max_timeout: u16,
}

impl Config {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_l2tp_config", bytes);
        let out = Self {
            enabled: reader.flag()?,
            match_id: reader.flag()?,
            tunnel_id: reader.u16()?,
            peer_id: reader.u16()?,
            peer_window: reader.u16()?,
            retransmit_max: reader.u16()?,
            retransmit_max_timeout: reader.u16()?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .flag(self.enabled)
            .flag(self.match_id)
            .u16(self.tunnel_id)
            .u16(self.peer_id)
            .u16(self.peer_window)
            .u16(self.retransmit_max)
            .u16(self.retransmit_max_timeout)
            .finish()
    }
}

/// `struct ng_l2tp_sess_config`, 7 bytes padded to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionConfig {
    /// Our session id, the one in the hook's name.
    pub session_id: u16,
    /// The peer's session id.
    pub peer_id: u16,
    /// We decide on data sequencing; otherwise the peer's packets do.
    pub control_sequencing: bool,
    /// Data packets carry sequence numbers.
    pub enable_sequencing: bool,
    /// Data packets carry the length field.
    pub include_length: bool,
}

impl SessionConfig {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_l2tp_sess_config", bytes);
        let out = Self {
            session_id: reader.u16()?,
            peer_id: reader.u16()?,
            control_sequencing: reader.flag()?,
            enable_sequencing: reader.flag()?,
            include_length: reader.flag()?,
        };
        reader.skip(1)?;
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .u16(self.session_id)
            .u16(self.peer_id)
            .flag(self.control_sequencing)
            .flag(self.enable_sequencing)
            .flag(self.include_length)
            .zeros(1)
            .finish()
    }
}

/// A local session id as the whole argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId(pub u16);

impl SessionId {
    /// Reads the number.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("session id", bytes);
        let id = reader.u16()?;
        reader.end()?;
        Ok(Self(id))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().u16(self.0).finish()
    }
}

/// `struct ng_l2tp_seq_config`, 8 bytes. The kernel swaps the four numbers from network order,
/// alone among the messages of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequenceConfig {
    /// `ns`: the number of the next message we send.
    pub next_send: u16,
    /// `nr`: the number expected next from the peer.
    pub next_receive: u16,
    /// `rack`: the last Nr received.
    pub received_ack: u16,
    /// `xack`: the last Nr sent.
    pub sent_ack: u16,
}

impl SequenceConfig {
    /// The numbers after the peer's SCCRQ was read elsewhere: nothing sent, one received.
    pub const AFTER_SCCRQ: Self = Self {
        next_send: 0,
        next_receive: 1,
        received_ack: 0,
        sent_ack: 1,
    };

    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_l2tp_seq_config", bytes);
        let out = Self {
            next_send: reader.u16_be()?,
            next_receive: reader.u16_be()?,
            received_ack: reader.u16_be()?,
            sent_ack: reader.u16_be()?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .u16_be(self.next_send)
            .u16_be(self.next_receive)
            .u16_be(self.received_ack)
            .u16_be(self.sent_ack)
            .finish()
    }
}

/// `struct ng_l2tp_stats`, 80 bytes: counts since the node was made or cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets sent.
    pub transmit_packets: u32,
    /// Octets sent, L2TP header included.
    pub transmit_octets: u32,
    /// Acknowledgements sent without a message.
    pub transmit_zlbs: u32,
    /// Control messages dropped because the queue was full.
    pub transmit_drops: u32,
    /// Control messages that were too long.
    pub transmit_too_big: u32,
    /// Control frames without a session id.
    pub transmit_invalid: u32,
    /// Data packets that were too long.
    pub transmit_data_too_big: u32,
    /// Retransmissions.
    pub retransmits: u32,
    /// Packets received.
    pub receive_packets: u32,
    /// Octets received, L2TP header included.
    pub receive_octets: u32,
    /// Packets shorter than their header.
    pub receive_runts: u32,
    /// Packets with a wrong header.
    pub receive_invalid: u32,
    /// Packets for another tunnel.
    pub receive_wrong_tunnel: u32,
    /// Data packets for an unknown session.
    pub receive_unknown_session: u32,
    /// Acknowledgements of what was not sent.
    pub receive_bad_acks: u32,
    /// Control messages ahead of order.
    pub receive_out_of_order: u32,
    /// Control messages received again.
    pub receive_duplicates: u32,
    /// Data packets dropped as old.
    pub receive_data_drops: u32,
    /// Acknowledgements received without a message.
    pub receive_zlbs: u32,
    /// Times that memory was short.
    pub memory_failures: u32,
}

impl Stats {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_l2tp_stats", bytes);
        let mut out = Self::default();
        for field in out.fields() {
            *field = reader.u32()?;
        }
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut copy = *self;
        let mut writer = Writer::new();
        for field in copy.fields() {
            writer.u32(*field);
        }
        writer.finish()
    }

    fn fields(&mut self) -> [&mut u32; 20] {
        [
            &mut self.transmit_packets,
            &mut self.transmit_octets,
            &mut self.transmit_zlbs,
            &mut self.transmit_drops,
            &mut self.transmit_too_big,
            &mut self.transmit_invalid,
            &mut self.transmit_data_too_big,
            &mut self.retransmits,
            &mut self.receive_packets,
            &mut self.receive_octets,
            &mut self.receive_runts,
            &mut self.receive_invalid,
            &mut self.receive_wrong_tunnel,
            &mut self.receive_unknown_session,
            &mut self.receive_bad_acks,
            &mut self.receive_out_of_order,
            &mut self.receive_duplicates,
            &mut self.receive_data_drops,
            &mut self.receive_zlbs,
            &mut self.memory_failures,
        ]
    }
}

/// `struct ng_l2tp_session_stats`, 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Data packets sent.
    pub transmit_packets: u64,
    /// Octets sent, L2TP header included.
    pub transmit_octets: u64,
    /// Data packets received.
    pub receive_packets: u64,
    /// Octets received, L2TP header included.
    pub receive_octets: u64,
}

impl SessionStats {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_l2tp_session_stats", bytes);
        let out = Self {
            transmit_packets: reader.u64()?,
            transmit_octets: reader.u64()?,
            receive_packets: reader.u64()?,
            receive_octets: reader.u64()?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .u64(self.transmit_packets)
            .u64(self.transmit_octets)
            .u64(self.receive_packets)
            .u64(self.receive_octets)
            .finish()
    }
}

reply!(Config);
reply!(SessionConfig);
reply!(Stats);
reply!(SessionStats);

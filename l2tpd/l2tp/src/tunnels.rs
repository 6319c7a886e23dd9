//! The endpoint: every tunnel of the server, which datagram opens one, and when what is due.

use std::collections::VecDeque;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::checkpoint::TunnelRecord;
use crate::config::Config;
use crate::id::{FlowId, SessionId, TunnelId};
use crate::io::{
    CallRequest, CloseSession, CloseTunnel, Connecting, Counters, LocalError, Output, SessionView,
    Target, TunnelView,
};

/// All tunnels. See [`crate::io`] for the rules.
#[derive(Debug)]
pub struct Tunnels {
    config: Config,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Tunnels {
    /// An endpoint without tunnels.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a new configuration. Established tunnels stay as they are; timers set from now on,
    /// and new tunnels and sessions, follow it.
    pub fn reconfigure(&mut self, config: Config) {
        self.config = config;
    }

    /// A datagram at the port 1701 listener, which no tunnel's own socket took: an SCCRQ normally.
    pub fn handle_first_datagram(
        &mut self,
        now: Instant,
        flow: FlowId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let _ = (now, flow, bytes, rng);
    }

    /// A control message from a tunnel node's `ctrl` hook: Session ID of its header, and AVPs.
    pub fn handle_control(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        session_id: u16,
        avps: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let _ = (now, tunnel, session_id, avps, rng);
    }

    /// The node gave up retransmitting (`NGM_L2TP_ACK_FAILURE`). The tunnel ends, unless the only
    /// thing unanswered is a HELLO and data arrived since (older Android clients do not answer
    /// HELLO): then it lives on as long as [`Tunnels::note_traffic`] says so.
    pub fn handle_ack_failure(&mut self, now: Instant, tunnel: TunnelId) {
        let _ = (now, tunnel);
    }

    /// The tunnel's nodes could not be made, or broke. `RemoveTunnel` follows at once.
    pub fn tunnel_failed(&mut self, now: Instant, tunnel: TunnelId) {
        let _ = (now, tunnel);
    }

    /// The session's nodes could not be made, or broke. The peer gets a CDN.
    pub fn session_failed(&mut self, now: Instant, tunnel: TunnelId, session: SessionId) {
        let _ = (now, tunnel, session);
    }

    /// Data of the tunnel arrived from the peer (a PPP frame, a counter that grew): as good as an
    /// answered HELLO. Cheap.
    pub fn note_traffic(&mut self, now: Instant, tunnel: TunnelId) {
        let _ = (now, tunnel);
    }

    /// When [`Tunnels::handle_timeout`] wants to be called; `None`: nothing is due ever.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next thing for the driver to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Calls a peer (as LAC).
    ///
    /// # Errors
    /// [`LocalError::Limit`], [`LocalError::NoNumber`], [`LocalError::ShuttingDown`].
    pub fn connect(
        &mut self,
        now: Instant,
        target: Target,
        rng: &mut dyn CryptoRng,
    ) -> Result<Connecting, LocalError> {
        let _ = (now, target, rng);
        Err(LocalError::Limit)
    }

    /// Places a call in a tunnel we called with; it waits while the tunnel is not up.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], [`LocalError::CannotCall`], [`LocalError::Limit`],
    /// [`LocalError::NoNumber`].
    pub fn open_session(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        call: CallRequest,
        rng: &mut dyn CryptoRng,
    ) -> Result<SessionId, LocalError> {
        let _ = (now, tunnel, call, rng);
        Err(LocalError::Limit)
    }

    /// Ends a call with CDN.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], [`LocalError::NoSuchSession`].
    pub fn close_session(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        session: SessionId,
        reason: CloseSession,
    ) -> Result<(), LocalError> {
        let _ = (now, tunnel, session, reason);
        Err(LocalError::NoSuchTunnel)
    }

    /// Ends a tunnel with StopCCN.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], also when it is closing already.
    pub fn close_tunnel(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        reason: CloseTunnel,
    ) -> Result<(), LocalError> {
        let _ = (now, tunnel, reason);
        Err(LocalError::NoSuchTunnel)
    }

    /// Ends every tunnel with StopCCN and opens no more. All is said when `is_empty`.
    pub fn shutdown(&mut self, now: Instant) {
        let _ = now;
    }

    /// Whether no tunnel is left, closing ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Every tunnel, closing ones included, by number.
    #[must_use]
    pub fn tunnels(&self, now: Instant) -> Vec<TunnelView> {
        let _ = now;
        Vec::new()
    }

    /// One tunnel.
    #[must_use]
    pub fn tunnel(&self, now: Instant, tunnel: TunnelId) -> Option<TunnelView> {
        let _ = (now, tunnel);
        None
    }

    /// Every session of every tunnel, by tunnel and number.
    #[must_use]
    pub fn sessions(&self, now: Instant) -> Vec<SessionView> {
        let _ = now;
        Vec::new()
    }

    /// One session.
    #[must_use]
    pub fn session(
        &self,
        now: Instant,
        tunnel: TunnelId,
        session: SessionId,
    ) -> Option<SessionView> {
        let _ = (now, tunnel, session);
        None
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What to save: the established tunnels with their established sessions.
    #[must_use]
    pub fn checkpoint(&self, now: Instant) -> Vec<TunnelRecord> {
        let _ = now;
        Vec::new()
    }

    /// Takes a saved tunnel whose nodes still exist back. No output says so; leave out of
    /// `record.sessions` those whose nodes are gone.
    ///
    /// # Errors
    /// [`LocalError::Conflict`], [`LocalError::Limit`].
    pub fn restore(&mut self, now: Instant, record: TunnelRecord) -> Result<(), LocalError> {
        let _ = (now, record);
        Err(LocalError::Conflict)
    }
}

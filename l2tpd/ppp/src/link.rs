//! The link: LCP, authentication and network control protocols put together (RFC 1661 section 3).

use std::collections::VecDeque;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::io::{
    Checkpoint, CloseReason, Config, Counters, Ipv4Assignment, Output, Phase, Question,
    RestoreError, Secret, View,
};

/// One PPP link, either end.
#[derive(Debug)]
pub struct Link {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Link {
    /// A dead link; nothing happens before [`Link::open`]. `rng` gives magic number and identifiers.
    #[must_use]
    pub fn new(config: Config, _rng: &mut dyn CryptoRng) -> Self {
        Self {
            config,
            outputs: VecDeque::new(),
        }
    }

    /// The call is up: start LCP.
    pub fn open(&mut self, _now: Instant, _rng: &mut dyn CryptoRng) {}

    /// A frame came out of the link: its PPP protocol number and what follows it.
    pub fn handle_frame(
        &mut self,
        _now: Instant,
        _protocol: u16,
        _payload: &[u8],
        _rng: &mut dyn CryptoRng,
    ) {
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub fn handle_timeout(&mut self, _now: Instant, _rng: &mut dyn CryptoRng) {}

    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Ends the link with Terminate-Requests; [`Output::Down`] follows when the peer agreed or
    /// did not answer (at most `max_terminate` + 1 restart periods).
    pub fn close(&mut self, _now: Instant, _reason: CloseReason) {}

    /// The call is gone: [`Output::Down`] at once.
    pub fn lower_down(&mut self) {}

    /// Answers [`Output::NeedSecret`]; `None` if there is no such user.
    pub fn provide_secret(
        &mut self,
        _now: Instant,
        _question: Question,
        _secret: Option<Secret>,
        _rng: &mut dyn CryptoRng,
    ) {
    }

    /// Answers [`Output::NeedAddress`]; `None` if there is none left.
    pub fn provide_address(
        &mut self,
        _now: Instant,
        _question: Question,
        _assignment: Option<Ipv4Assignment>,
        _rng: &mut dyn CryptoRng,
    ) {
    }

    /// Network packets came in since the last call: the peer lives, no Echo-Request is needed.
    pub fn note_traffic(&mut self, _now: Instant) {}

    /// The next thing to do or to know, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where the link is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::Dead
    }

    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// For the command line.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            phase: self.phase(),
            lcp_state: String::new(),
            ipcp_state: String::new(),
            ipv6cp_state: String::new(),
            lcp: None,
            user: None,
            method: None,
            ipv4: None,
            ipv6: None,
            echo_missed: 0,
            counters: Counters::default(),
        }
    }

    /// An open link on paper; `None` while no network protocol is open.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        None
    }

    /// Takes up an open link where [`Link::checkpoint`] left it. Nothing is sent and no output is
    /// queued: the owner knows what it wrote down.
    ///
    /// # Errors
    /// The checkpoint does not fit the configuration or itself.
    pub fn restore(
        config: Config,
        _checkpoint: &Checkpoint,
        _now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, RestoreError> {
        Ok(Self::new(config, rng))
    }
}

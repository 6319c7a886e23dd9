//! An open link on paper and back, so that a restarted daemon goes on answering Echo-Requests,
//! Terminate-Requests and renegotiations of links that carried traffic all the while.

use std::time::Instant;

use rand_core::CryptoRng;

use crate::auth::Applicant;
use crate::automaton::Automaton;
use crate::fsm::State;
use crate::io::{Checkpoint, Config, Phase, RestoreError};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::lcp::Lcp;

use super::Link;

impl Link {
    /// An open link on paper; `None` while no network protocol is open.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let open = self.phase == Phase::Network
            && self.lcp.state() == State::Opened
            && (self.v4.is_some() || self.v6.is_some());
        open.then(|| Checkpoint {
            lcp: self.lcp.negotiator.opened(),
            next_ids: [
                self.lcp.next_id(),
                self.ipcp.as_ref().map_or(1, Automaton::next_id),
                self.ipv6cp.as_ref().map_or(1, Automaton::next_id),
            ],
            user: self.user.clone(),
            peer_method: self.peer_method(),
            our_method: self.lcp.negotiator.our_method(),
            assignment: self
                .ipcp
                .as_ref()
                .and_then(|ncp| ncp.negotiator.assignment()),
            ipv4: self.v4,
            ipv6: self.v6,
            counters: self.counters,
        })
    }

    /// Takes up an open link where [`Link::checkpoint`] left it. Nothing is sent and no output is
    /// queued: the owner knows what it wrote down. Call `next_timeout` afterwards: the keepalive
    /// runs.
    ///
    /// # Errors
    /// The checkpoint does not fit the configuration or itself.
    pub fn restore(
        config: Config,
        checkpoint: &Checkpoint,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, RestoreError> {
        if !config.authenticate_peer.is_empty() && checkpoint.peer_method.is_none() {
            return Err(RestoreError::NotAuthenticated);
        }
        if checkpoint.ipv4.is_none() && checkpoint.ipv6.is_none() {
            return Err(RestoreError::NothingOpen);
        }
        let [lcp_id, ipcp_id, ipv6cp_id] = checkpoint.next_ids;
        let negotiator = Lcp::restored(
            &config,
            &checkpoint.lcp,
            checkpoint.peer_method,
            checkpoint.our_method,
            rng,
        );
        let lcp = Automaton::restored(negotiator, &config, lcp_id, State::Opened);
        let mut link = Self::with_lcp(config, lcp);
        link.phase = Phase::Network;
        link.peer_proven = true;
        link.us_proven = true;
        link.network_heard = true;
        link.user.clone_from(&checkpoint.user);
        link.counters = checkpoint.counters;
        link.ipcp_next_id = ipcp_id;
        if let (Some(method), Some(own)) = (checkpoint.our_method, &link.config.credentials) {
            link.applicant = Applicant::passed(method, own, &link.config, now);
        }
        if let Some(network) = &checkpoint.ipv4 {
            let negotiator =
                Ipcp::restored(checkpoint.assignment, network).ok_or(RestoreError::Inconsistent)?;
            let ncp = Automaton::restored(negotiator, &link.config, ipcp_id, State::Opened);
            link.ipcp = Some(ncp);
            link.v4 = Some(*network);
        }
        if let Some(network) = &checkpoint.ipv6 {
            let negotiator = Ipv6cp::restored(network).ok_or(RestoreError::Inconsistent)?;
            let ncp = Automaton::restored(negotiator, &link.config, ipv6cp_id, State::Opened);
            link.ipv6cp = Some(ncp);
            link.v6 = Some(*network);
        } else if link.config.ipv6 {
            // Not agreed on then; a Configure-Request of the peer may still begin it.
            let fresh = Ipv6cp::new(rng);
            let ncp = Automaton::restored(fresh, &link.config, ipv6cp_id, State::Stopped);
            link.ipv6cp = Some(ncp);
        }
        link.keepalive.start(now);
        Ok(link)
    }
}

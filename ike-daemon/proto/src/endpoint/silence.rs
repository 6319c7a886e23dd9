//! Peers that have gone without a word and do not speak RFC 3706: Windows, TunnelForge, and whoever
//! has left only IPsec SAs behind.
//!
//! While L2TP lives there is no silence: a HELLO of ours is acknowledged every minute. After
//! [`DpdPolicy::silence`](crate::policy::DpdPolicy) a client is asked by a Quick Mode that renews its
//! youngest pair of IPsec SAs, which every peer answers. Who is silent still when that has given up
//! is gone, with everything that is its own.

use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::error::DownReason;
use crate::ikev1::child::ChildStage;
use crate::ikev1::dpd::LOOK_AHEAD;
use crate::io::{ChildId, Reqid};

use super::Endpoint;
use super::clients::Client;
use super::timers::TimerKey;

/// So often the kernel is asked for ESP meanwhile; what it says counts from then on.
const LOOKS: u32 = 5;
/// For the answer to the last question.
const MARGIN: Duration = Duration::from_secs(1);

impl Endpoint {
    /// Starts, or takes back, the watch over a client.
    pub(super) fn arm_client(&mut self, reqid: Reqid) {
        let last = self
            .clients
            .get(&reqid)
            .map(|client| self.last_sign(client));
        let due = last
            .flatten()
            .zip(self.silence_of(reqid))
            .map(|(last, silence)| last + silence / LOOKS);
        self.timers.set(TimerKey::Client(reqid), due);
    }

    /// Until when a client may be silent.
    fn quiet_until(&self, reqid: Reqid) -> Option<Instant> {
        let last = self.last_sign(self.clients.get(&reqid)?)?;
        Some(last + self.silence_of(reqid)?)
    }

    /// How long a client may be silent. Whom we have called is ours to watch over.
    fn silence_of(&self, reqid: Reqid) -> Option<Duration> {
        let client = self.clients.get(&reqid)?;
        let silence = self.shared.policy.terms(client.peer.ip()).dpd.silence;
        (client.connection.is_none() && !silence.is_zero()).then_some(silence)
    }

    pub(super) fn client_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng, reqid: Reqid) {
        let (Some(silence), Some(quiet_until)) = (self.silence_of(reqid), self.quiet_until(reqid))
        else {
            return;
        };
        let by_dpd = self.is_asked_by_dpd(reqid);
        if now < quiet_until || by_dpd {
            let ahead = quiet_until - LOOK_AHEAD;
            let due = match by_dpd {
                true => now + silence,
                false if now < ahead => ahead.min(now + silence / LOOKS),
                false => quiet_until,
            };
            if !by_dpd {
                self.look_for_traffic(reqid);
            }
            if let Some(client) = self.clients.get_mut(&reqid) {
                client.asked = false;
            }
            self.timers.set(TimerKey::Client(reqid), Some(due));
            return;
        }
        let asked = self.clients.get(&reqid).is_some_and(|client| client.asked);
        if asked {
            let counters = &mut self.shared.counters;
            counters.dpd_deaths = counters.dpd_deaths.wrapping_add(1);
            self.remove_client(now, rng, reqid, &DownReason::DpdTimeout, true);
        } else if self.ask_by_renewing(now, rng, reqid) {
            if let Some(client) = self.clients.get_mut(&reqid) {
                client.asked = true;
            }
            let patience = self.shared.policy.retransmit.patience() + MARGIN;
            self.timers
                .set(TimerKey::Client(reqid), Some(now + patience));
        } else {
            self.remove_client(now, rng, reqid, &DownReason::Silent, true);
        }
    }

    /// The last that came of a client, or was agreed with it.
    fn last_sign(&self, client: &Client) -> Option<Instant> {
        let sessions = client.sessions.iter().filter_map(|id| {
            let established = self.sessions.get(id)?.established()?;
            Some(established.dpd.last_sign())
        });
        let children = client.children.iter().filter_map(|id| {
            let child = self.children.get(id)?;
            Some(child.created)
        });
        sessions.chain(children).chain(client.traffic).max()
    }

    /// Whether dead peer detection watches over it.
    fn is_asked_by_dpd(&self, reqid: Reqid) -> bool {
        let session = self
            .newest_session(reqid)
            .and_then(|id| self.sessions.get(&id));
        session.is_some_and(|session| {
            let terms = self.shared.policy.terms(session.path.peer.ip());
            session
                .established()
                .is_some_and(|e| !e.superseded && e.dpd.due(terms.dpd).is_some())
        })
    }

    /// Says whether there was anything to renew.
    fn ask_by_renewing(&mut self, now: Instant, rng: &mut dyn CryptoRng, reqid: Reqid) -> bool {
        let stage = |id: &ChildId| self.children.get(id).map(|child| child.stage);
        let client = self.clients.get(&reqid);
        let youngest = client.and_then(|client| {
            let mut ids = client.children.iter().rev();
            ids.find(|id| {
                matches!(
                    stage(id),
                    Some(ChildStage::Installed | ChildStage::Rekeying)
                )
            })
        });
        match youngest.copied() {
            None => false,
            Some(id) if stage(&id) == Some(ChildStage::Rekeying) => true,
            Some(id) => self.replace_child(now, rng, id),
        }
    }
}

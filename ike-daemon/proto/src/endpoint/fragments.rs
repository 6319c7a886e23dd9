//! Where fragments come in: only with the cookies of an ISAKMP SA whose peer and we agreed on
//! them, unless the policy takes them from everybody. A whole message is handled as if it had
//! come in one datagram.

use std::time::Instant;

use rand_core::CryptoRng;

use crate::iana::PayloadType;
use crate::ikev1::Received;
use crate::nat::Path;
use crate::policy::Fragmentation;
use crate::wire::fragment::Fragment;
use crate::wire::header::Header;

use super::Endpoint;
use super::arrival::without_trailer;
use super::timers::TimerKey;

impl Endpoint {
    /// Takes in a message whose first payload is a fragment.
    pub(super) fn fragment(&mut self, now: Instant, rng: &mut dyn CryptoRng, piece: &Received<'_>) {
        let header = &piece.header;
        let counters = &mut self.shared.counters;
        counters.fragments_in = counters.fragments_in.wrapping_add(1);
        let whole = self.reassemble(now, piece);
        self.arm_fragments();
        let Some(message) = whole else {
            return;
        };
        let counters = &mut self.shared.counters;
        counters.messages_reassembled = counters.messages_reassembled.wrapping_add(1);
        // Fragments of fragments have no end, and a message belongs to the SA of its fragments.
        match Header::parse(&message) {
            Ok((inner, body))
                if inner.next_payload != PayloadType::FRAGMENT
                    && inner.initiator_cookie == header.initiator_cookie
                    && inner.responder_cookie == header.responder_cookie =>
            {
                let whole = Received {
                    path: piece.path,
                    header: inner,
                    body,
                    datagram: without_trailer(&message, body),
                };
                self.dispatch(now, rng, &whole);
            }
            _ => counters.malformed = counters.malformed.wrapping_add(1),
        }
    }

    fn reassemble(&mut self, now: Instant, piece: &Received<'_>) -> Option<Vec<u8>> {
        let (path, header) = (piece.path, &piece.header);
        let policy = &self.shared.policy.fragmentation;
        let key = (path.peer, header.initiator_cookie, header.responder_cookie);
        let whole = Fragment::parse(piece.body)
            .ok()
            .filter(|_| self.fragments_welcome(path, header))
            .and_then(|fragment| self.reassembly.add(now, key, &fragment, policy).ok());
        if whole.is_none() {
            let counters = &mut self.shared.counters;
            counters.fragments_dropped = counters.fragments_dropped.wrapping_add(1);
        }
        whole.flatten()
    }

    /// Whether fragments are taken with these cookies.
    fn fragments_welcome(&self, path: Path, header: &Header) -> bool {
        let cookies = (header.initiator_cookie, header.responder_cookie);
        match self.shared.policy.terms(path.peer.ip()).fragmentation {
            Fragmentation::Off => false,
            Fragmentation::Force => true,
            Fragmentation::On => self
                .by_cookies
                .get(&cookies)
                .or_else(|| self.by_own_cookie.get(&cookies.0))
                .and_then(|id| self.sessions.get(id))
                // As initiator we have told so in our first message.
                .is_some_and(|session| session.fragments || session.initiator),
        }
    }

    pub(super) fn fragments_timeout(&mut self, now: Instant) {
        self.reassembly
            .expire(now, &self.shared.policy.fragmentation);
        self.arm_fragments();
    }

    fn arm_fragments(&mut self) {
        let due = self.reassembly.due(&self.shared.policy.fragmentation);
        self.timers.set(TimerKey::Fragments, due);
    }
}

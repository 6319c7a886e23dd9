//! The IPv6 Control Protocol's options (RFC 5072 section 4): the Interface-Identifier (1).
//! IPv6-Compression-Protocol (2) and everything else is rejected.

use rand_core::CryptoRng;

use crate::automaton::Negotiator;
use crate::io::{DownReason, Network};
use crate::options::{Judge, Opt, Repeat, Verdict, put};
use crate::packet::protocol;

const INTERFACE_IDENTIFIER: u8 = 1;

#[derive(Debug)]
pub(crate) struct Ipv6cp {
    local: [u8; 8],
    peer: Option<[u8; 8]>,
}

impl Ipv6cp {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        Self {
            local: tentative(rng),
            peer: None,
        }
    }

    /// As it was when `network` was written down.
    pub(crate) fn restored(network: &Network) -> Option<Self> {
        match *network {
            Network::V6 { local, peer } => Some(Self {
                local,
                peer: Some(peer),
            }),
            Network::V4 { .. } => None,
        }
    }

    /// What was agreed on.
    pub(crate) fn network(&self) -> Option<Network> {
        self.peer.map(|peer| Network::V6 {
            local: self.local,
            peer,
        })
    }
}

impl Negotiator for Ipv6cp {
    const PROTOCOL: u16 = protocol::IPV6CP;

    fn request(&self) -> Vec<u8> {
        let mut list = Vec::new();
        put(&mut list, INTERFACE_IDENTIFIER, &self.local);
        list
    }

    fn judge(
        &mut self,
        options: &[Opt<'_>],
        exhausted: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<Verdict, DownReason> {
        let mut judge = Judge::new(exhausted);
        let mut peer = None;
        let mut named = false;
        for option in options
            .iter()
            .filter(|option| option.repeat != Repeat::Same)
        {
            match option.array::<8>() {
                Some(asked) if option.kind == INTERFACE_IDENTIFIER => {
                    named = true;
                    if asked == [0; 8] || asked == self.local || option.repeat != Repeat::First {
                        judge.insist(INTERFACE_IDENTIFIER, &self.suggestion(rng));
                    } else {
                        peer = Some(asked);
                    }
                }
                _ => judge.reject(option),
            }
        }
        if !named {
            judge.insist(INTERFACE_IDENTIFIER, &self.suggestion(rng));
        }
        let verdict = judge.verdict();
        if verdict == Verdict::Ack {
            self.peer = peer;
        }
        Ok(verdict)
    }

    fn naked(&mut self, options: &[Opt<'_>], rng: &mut dyn CryptoRng) -> Result<(), DownReason> {
        for option in options
            .iter()
            .filter(|option| option.repeat == Repeat::First)
        {
            if option.kind == INTERFACE_IDENTIFIER {
                let asked: Option<[u8; 8]> = option.array();
                self.local = asked
                    .filter(|id| *id != [0; 8] && Some(*id) != self.peer)
                    .unwrap_or_else(|| tentative(rng));
            }
        }
        Ok(())
    }

    fn rejected(&mut self, _options: &[Opt<'_>]) -> Result<(), DownReason> {
        // It is the only option there is; without it there is no address to use.
        Err(DownReason::NoNetworkProtocol)
    }
}

impl Ipv6cp {
    fn suggestion(&self, rng: &mut dyn CryptoRng) -> [u8; 8] {
        let mut id = tentative(rng);
        if id == self.local {
            id[7] ^= 1;
        }
        id
    }
}

/// A random identifier with the universal/local bit clear: local significance (section 4.1).
fn tentative(rng: &mut dyn CryptoRng) -> [u8; 8] {
    let mut id = rng.next_u64().to_be_bytes();
    id[0] &= !2;
    id[7] |= 1;
    id
}

//! The Link Control Protocol's options (RFC 1661 section 6, RFC 1662 section 7.1).
//!
//! Taken: Maximum-Receive-Unit (1), Async-Control-Character-Map (2, without meaning on a
//! synchronous link), Authentication-Protocol (3), Magic-Number (5), Protocol- (7) and
//! Address-and-Control-Field-Compression (8). Everything else is rejected: Callback (13),
//! Multilink-MRRU (17), Short-Sequence (18), Endpoint-Discriminator (19), Link-Discriminator (23).

use rand_core::CryptoRng;

use crate::automaton::Negotiator;
use crate::io::{AuthMethod, Config, DownReason, LcpOpened};
use crate::options::{Judge, Opt, Repeat, Verdict, put};
use crate::packet::protocol;

/// Option types.
mod kind {
    pub(super) const MRU: u8 = 1;
    pub(super) const ACCM: u8 = 2;
    pub(super) const AUTH: u8 = 3;
    pub(super) const MAGIC: u8 = 5;
    pub(super) const PFC: u8 = 7;
    pub(super) const ACFC: u8 = 8;
}

/// The MRU without the option (section 6.1).
const DEFAULT_MRU: u16 = 1500;
/// The smallest MRU agreed to; less leaves no room for a packet behind the headers.
const MIN_MRU: u16 = 128;
/// Our own magic number seen this often in a row means a loop (section 6.4).
const LOOPS: u8 = 5;

/// Our wishes and what the peer said.
#[derive(Debug)]
pub(crate) struct Lcp {
    /// What we may still ask the peer to authenticate with, the first one now.
    methods: Vec<AuthMethod>,
    must_authenticate: bool,
    /// What we may be asked to authenticate with.
    ours: Vec<AuthMethod>,
    /// The MRU to ask for; `None`: do not ask.
    mru: Option<u16>,
    magic: Option<u32>,
    pfc: bool,
    acfc: bool,
    allow_pfc: bool,
    allow_acfc: bool,
    mtu: u16,
    loops: u8,
    peer: Peer,
}

/// The options of the peer's Configure-Request that was acknowledged last.
#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    mru: Option<u16>,
    auth: Option<AuthMethod>,
    magic: Option<u32>,
    pfc: bool,
    acfc: bool,
}

impl Lcp {
    pub(crate) fn new(config: &Config, rng: &mut dyn CryptoRng) -> Self {
        let mru = config.mru.clamp(MIN_MRU, DEFAULT_MRU);
        Self {
            methods: config.authenticate_peer.clone(),
            must_authenticate: !config.authenticate_peer.is_empty(),
            ours: config
                .credentials
                .as_ref()
                .map_or(Vec::new(), |own| own.methods.clone()),
            mru: (mru != DEFAULT_MRU).then_some(mru),
            magic: Some(nonzero(rng)),
            pfc: config.pfc,
            acfc: config.acfc,
            allow_pfc: config.pfc,
            allow_acfc: config.acfc,
            mtu: config.mtu,
            loops: 0,
            peer: Peer::default(),
        }
    }

    /// As it was when `opened` was written down.
    pub(crate) fn restored(
        config: &Config,
        opened: &LcpOpened,
        peer_method: Option<AuthMethod>,
        our_method: Option<AuthMethod>,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut lcp = Self::new(config, rng);
        if let Some(method) = peer_method {
            lcp.methods.retain(|each| *each != method);
            lcp.methods.insert(0, method);
        }
        lcp.mru = (opened.our_mru != DEFAULT_MRU).then_some(opened.our_mru);
        lcp.magic = (opened.magic != 0).then_some(opened.magic);
        lcp.pfc = opened.receive_pfc;
        lcp.acfc = opened.receive_acfc;
        lcp.peer = Peer {
            mru: Some(opened.peer_mru),
            auth: our_method,
            magic: (opened.peer_magic != 0).then_some(opened.peer_magic),
            pfc: opened.send_pfc,
            acfc: opened.send_acfc,
        };
        lcp
    }

    /// What was agreed on, once the automaton is Opened.
    pub(crate) fn opened(&self) -> LcpOpened {
        let peer_mru = self.peer.mru.unwrap_or(DEFAULT_MRU);
        LcpOpened {
            peer_mru,
            our_mru: self.mru.unwrap_or(DEFAULT_MRU),
            mtu: self.mtu.min(peer_mru),
            send_pfc: self.peer.pfc,
            send_acfc: self.peer.acfc,
            receive_pfc: self.pfc,
            receive_acfc: self.acfc,
            magic: self.magic(),
            peer_magic: self.peer.magic.unwrap_or(0),
        }
    }

    /// Our magic number, 0 without one.
    pub(crate) fn magic(&self) -> u32 {
        self.magic.unwrap_or(0)
    }

    /// The largest frame the peer takes, octets.
    pub(crate) fn frame_limit(&self) -> usize {
        usize::from(self.peer.mru.unwrap_or(DEFAULT_MRU).min(DEFAULT_MRU))
    }

    /// How the peer agreed to authenticate.
    pub(crate) fn peer_method(&self) -> Option<AuthMethod> {
        self.methods.first().copied()
    }

    /// How we agreed to authenticate.
    pub(crate) fn our_method(&self) -> Option<AuthMethod> {
        self.peer.auth
    }

    fn is_our_magic(&self, option: &Opt<'_>) -> bool {
        option.kind == kind::MAGIC && option.array().map(u32::from_be_bytes) == self.magic
    }

    /// The peer wants `asked` (or something we do not know) instead of our first method.
    fn other_method(&mut self, asked: Option<AuthMethod>) -> Result<(), DownReason> {
        if self.methods.is_empty() {
            return Ok(());
        }
        let refused = self.methods.remove(0);
        if let Some(asked) = asked
            && asked != refused
            && let Some(place) = self.methods.iter().position(|each| *each == asked)
        {
            // The others keep their order behind it.
            let asked = self.methods.remove(place);
            self.methods.insert(0, asked);
        }
        if self.methods.is_empty() {
            Err(DownReason::AuthNotAgreed)
        } else {
            Ok(())
        }
    }
}

impl Negotiator for Lcp {
    const PROTOCOL: u16 = protocol::LCP;

    fn request(&self) -> Vec<u8> {
        let mut list = Vec::new();
        if let Some(mru) = self.mru {
            put(&mut list, kind::MRU, &mru.to_be_bytes());
        }
        if let Some(method) = self.methods.first() {
            put(&mut list, kind::AUTH, auth_value(*method));
        }
        if let Some(magic) = self.magic {
            put(&mut list, kind::MAGIC, &magic.to_be_bytes());
        }
        if self.pfc {
            put(&mut list, kind::PFC, &[]);
        }
        if self.acfc {
            put(&mut list, kind::ACFC, &[]);
        }
        list
    }

    fn judge(
        &mut self,
        options: &[Opt<'_>],
        exhausted: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<Verdict, DownReason> {
        let mut judge = Judge::new(exhausted);
        if self.magic.is_some() && options.iter().any(|option| self.is_our_magic(option)) {
            // Probably our own request (section 6.4): nothing else in it is worth an answer.
            self.loops = self.loops.saturating_add(1);
            if self.loops >= LOOPS {
                return Err(DownReason::Loopback);
            }
            judge.insist(kind::MAGIC, &nonzero(rng).to_be_bytes());
            return Ok(judge.verdict());
        }
        self.loops = 0;
        let mut peer = Peer::default();
        for option in options {
            match (option.kind, option.repeat) {
                (_, Repeat::Same) => {}
                (_, Repeat::Different) => judge.reject(option),
                (kind::MRU, _) => match option.array().map(u16::from_be_bytes) {
                    // A large one is a promise of the peer we need not use up.
                    Some(mru) if mru >= MIN_MRU => peer.mru = Some(mru),
                    Some(_) => judge.nak(option, &MIN_MRU.to_be_bytes()),
                    None => judge.reject(option),
                },
                (kind::ACCM, _) if option.data.len() == 4 => {}
                (kind::AUTH, _) => match (auth_method(option.data), self.ours.first()) {
                    (_, None) => judge.reject(option),
                    (Some(method), _) if self.ours.contains(&method) => peer.auth = Some(method),
                    (_, Some(preferred)) => judge.nak(option, auth_value(*preferred)),
                },
                (kind::MAGIC, _) => match option.array().map(u32::from_be_bytes) {
                    Some(0) => judge.nak(option, &nonzero(rng).to_be_bytes()),
                    Some(magic) => peer.magic = Some(magic),
                    None => judge.reject(option),
                },
                (kind::PFC, _) if option.data.is_empty() && self.allow_pfc => peer.pfc = true,
                (kind::ACFC, _) if option.data.is_empty() && self.allow_acfc => peer.acfc = true,
                _ => judge.reject(option),
            }
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
            match option.kind {
                // A smaller MRU is a service to the peer; a larger one we cannot give.
                kind::MRU => {
                    if let (Some(mru), Some(ours)) =
                        (option.array().map(u16::from_be_bytes), self.mru)
                        && (MIN_MRU..ours).contains(&mru)
                    {
                        self.mru = Some(mru);
                    }
                }
                kind::AUTH => self.other_method(auth_method(option.data))?,
                kind::MAGIC if self.magic.is_some() => self.magic = Some(nonzero(rng)),
                // These two have no value that could be another.
                kind::PFC => self.pfc = false,
                kind::ACFC => self.acfc = false,
                _ => {}
            }
        }
        Ok(())
    }

    fn rejected(&mut self, options: &[Opt<'_>]) -> Result<(), DownReason> {
        for option in options {
            match option.kind {
                kind::MRU => self.mru = None,
                kind::AUTH if self.must_authenticate => return Err(DownReason::AuthNotAgreed),
                kind::MAGIC => self.magic = None,
                kind::PFC => self.pfc = false,
                kind::ACFC => self.acfc = false,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The value of option 3.
fn auth_value(method: AuthMethod) -> &'static [u8] {
    match method {
        AuthMethod::MsChapV2 => &[0xc2, 0x23, 0x81],
        AuthMethod::ChapMd5 => &[0xc2, 0x23, 0x05],
        AuthMethod::Pap => &[0xc0, 0x23],
    }
}

fn auth_method(value: &[u8]) -> Option<AuthMethod> {
    [AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap]
        .into_iter()
        .find(|method| auth_value(*method) == value)
}

/// Zero is no magic number (section 6.4).
fn nonzero(rng: &mut dyn CryptoRng) -> u32 {
    rng.next_u32().max(1)
}

//! `proposal`: what phase 1 may be made of.

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::policy::{Method, Phase1Policy};
use racoon_conf::ast::{Lifetime, ProposalItem, RemoteItem};
use racoon_conf::words::{Encryption, Method as Written, ProposalCheck, spelling};
use racoon_conf::{Span, Spanned};

use super::algorithms::{aes, aes_bits, group, hash, serves};
use super::block::Block;
use super::lower::Lowering;

/// What `obey` takes at most, and what can be written at most: a year, in seconds.
const YEAR: u64 = 8760 * 3600;

/// An algorithm that is not served: the directive, the place, the word.
struct Unserved(&'static str, Span, &'static str);

/// A proposal that can be served.
struct Proposal {
    method: Method,
    encryption: Encryption,
    bits: Option<u64>,
    hash: Hash,
    group: Group,
    lifetime: Option<(u64, Span)>,
}

/// What a block allows in phase 1.
pub(super) struct Phase1 {
    pub(super) policy: Phase1Policy,
    pub(super) methods: Vec<Method>,
    /// Where clients give us a name and a password, rather than we a server.
    pub(super) xauth_server: Option<Span>,
}

fn served_method(method: Written) -> Option<Method> {
    Some(match method {
        Written::PreSharedKey => Method::Psk,
        Written::RsaSig => Method::Rsa,
        Written::XauthPskServer | Written::XauthPskClient => Method::XauthPsk,
        Written::XauthRsaServer | Written::XauthRsaClient => Method::XauthRsa,
        Written::HybridRsaServer | Written::HybridRsaClient => Method::HybridRsa,
        _ => return None,
    })
}

impl Lowering {
    /// The block's phase 1; `None` when something of it is refused.
    pub(super) fn phase1(&mut self, block: &Block<'_>, is_general: bool) -> Option<Phase1> {
        let check = block.check().value;
        let proposals = self.proposals(block);
        let own = block.lifetime();
        let in_proposals = proposals.iter().filter_map(|proposal| proposal.lifetime);
        let (seconds, span) = in_proposals
            .max_by_key(|(seconds, _)| *seconds)
            .unwrap_or((own.value, own.span));
        if !is_lifetime(seconds) {
            self.value("remote lifetime time", "out of range", span, "");
            return None;
        }
        let lists = Lists::new(&proposals, check);
        if lists.is_wider(&proposals) {
            let span = block.span_of("proposal").unwrap_or(block.span);
            self.value("remote proposal", "mixed", span, "");
        }
        if is_general {
            self.phase1_origins(block, span);
        }
        let (lifetime, lifetime_max) = lifetimes(seconds, check);
        Some(Phase1 {
            policy: Phase1Policy {
                allow_modp1024: lists.groups.contains(&Group::Modp1024),
                ciphers: lists.ciphers,
                hashes: lists.hashes,
                groups: lists.groups,
                lifetime,
                lifetime_max,
            },
            methods: lists.methods,
            xauth_server: block.method(|method| {
                matches!(
                    method,
                    Written::XauthPskServer | Written::XauthRsaServer | Written::HybridRsaServer
                )
            }),
        })
    }

    fn phase1_origins(&mut self, block: &Block<'_>, lifetime: Span) {
        if lifetime != block.span {
            self.from("phase1.lifetime", lifetime);
        }
        if let Some(span) = block.span_of("proposal_check") {
            self.from("phase1.lifetime_max", span);
        }
        if let Some(span) = block.span_of("proposal") {
            for path in ["ciphers", "hashes", "groups"] {
                self.from(format!("phase1.{path}"), span);
            }
        }
    }

    /// The proposals that can be served.
    fn proposals(&mut self, block: &Block<'_>) -> Vec<Proposal> {
        let mut served = Vec::new();
        let mut unserved: Vec<Unserved> = Vec::new();
        let mut any = false;
        for item in &block.items {
            let RemoteItem::Proposal(items) = &item.value else {
                continue;
            };
            any = true;
            match self.proposal(items, item.span) {
                Some(Ok(proposal)) => served.push(proposal),
                Some(Err(bad)) => unserved.extend(bad),
                None => {}
            }
        }
        if !any {
            self.missing("remote proposal", "missing", block.span);
        }
        for Unserved(directive, span, word) in unserved {
            self.unserved(directive, span, word, !served.is_empty());
        }
        served
    }

    /// One proposal: served, not served because of some algorithms, or not complete.
    fn proposal(
        &mut self,
        items: &[Spanned<ProposalItem>],
        span: Span,
    ) -> Option<Result<Proposal, Vec<Unserved>>> {
        let (mut cipher, mut own_hash, mut method, mut own_group) = (None, None, None, None);
        let mut lifetime = None;
        for item in items {
            match &item.value {
                ProposalItem::Encryption(value) => cipher = Some(value),
                ProposalItem::Hash(value) => own_hash = Some(value),
                ProposalItem::Method(value) => method = Some(value),
                ProposalItem::DhGroup(value) => own_group = Some(value),
                ProposalItem::Lifetime(value) => {
                    if let Lifetime::Time(time) = value.value {
                        lifetime = Some((time.seconds(), value.span));
                    }
                }
                ProposalItem::GssId(_) => {}
            }
        }
        let (Some(cipher), Some(own_hash), Some(method), Some(own_group)) =
            (cipher, own_hash, method, own_group)
        else {
            self.missing("remote proposal", "incomplete", span);
            return None;
        };
        let bits = cipher.bits.as_ref().map(|bits| bits.value);
        let aes_fits = aes_bits(bits, ProposalCheck::Exact).is_some();
        if cipher.name.value == Encryption::Aes && !aes_fits {
            let span = cipher.bits.as_ref().map_or(span, |bits| bits.span);
            self.value("proposal encryption_algorithm", "key length", span, "");
            return None;
        }
        let mut bad = Vec::new();
        if !serves(cipher.name.value) {
            let word = spelling(cipher.name.value);
            bad.push(Unserved(
                "proposal encryption_algorithm",
                cipher.name.span,
                word,
            ));
        }
        let own_method = served_method(method.value);
        if own_method.is_none() {
            let word = spelling(method.value);
            bad.push(Unserved(
                "proposal authentication_method",
                method.span,
                word,
            ));
        }
        match (hash(own_hash.value), group(own_group.value), own_method) {
            (Some(hash), Some(group), Some(method)) if bad.is_empty() => Some(Ok(Proposal {
                method,
                encryption: cipher.name.value,
                bits,
                hash,
                group,
                lifetime,
            })),
            (hash, group, _) => {
                if hash.is_none() {
                    let word = spelling(own_hash.value);
                    bad.push(Unserved("proposal hash_algorithm", own_hash.span, word));
                }
                if group.is_none() {
                    let word = spelling(own_group.value);
                    bad.push(Unserved("proposal dh_group", own_group.span, word));
                }
                Some(Err(bad))
            }
        }
    }
}

/// The lists that a [`ike_proto::policy::Phase1Policy`] has, each without repetition.
struct Lists {
    ciphers: Vec<Cipher>,
    hashes: Vec<Hash>,
    groups: Vec<Group>,
    methods: Vec<Method>,
}

impl Lists {
    fn new(proposals: &[Proposal], check: ProposalCheck) -> Self {
        let (mut ciphers, mut hashes) = (Vec::new(), Vec::new());
        let (mut groups, mut methods) = (Vec::new(), Vec::new());
        // What is written comes before what `check` adds.
        for check in [ProposalCheck::Exact, check] {
            for proposal in proposals {
                for cipher in proposal.ciphers(check) {
                    push(&mut ciphers, cipher);
                }
            }
        }
        for proposal in proposals {
            push(&mut hashes, proposal.hash);
            push(&mut groups, proposal.group);
            push(&mut methods, proposal.method);
        }
        Self {
            ciphers,
            hashes,
            groups,
            methods,
        }
    }

    /// Whether the lists hold combinations that no proposal has.
    fn is_wider(&self, proposals: &[Proposal]) -> bool {
        let mut written = Vec::new();
        for proposal in proposals {
            for cipher in proposal.ciphers(ProposalCheck::Exact) {
                let Proposal {
                    hash,
                    group,
                    method,
                    ..
                } = *proposal;
                push(&mut written, (cipher, hash, group, method));
            }
        }
        let exact = Self::new(proposals, ProposalCheck::Exact).ciphers.len();
        exact * self.hashes.len() * self.groups.len() * self.methods.len() > written.len()
    }
}

impl Proposal {
    fn ciphers(&self, check: ProposalCheck) -> Vec<Cipher> {
        match self.encryption {
            Encryption::TripleDes => vec![Cipher::TripleDes],
            _ => aes_bits(self.bits, check)
                .unwrap_or_default()
                .into_iter()
                .map(aes)
                .collect(),
        }
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// Our lifetime, and the most that is taken.
pub(super) fn lifetimes(seconds: u64, check: ProposalCheck) -> (Duration, Duration) {
    let own = Duration::from_secs(seconds);
    match check {
        ProposalCheck::Obey => (own, own.max(Duration::from_secs(YEAR))),
        ProposalCheck::Claim | ProposalCheck::Strict | ProposalCheck::Exact => (own, own),
    }
}

/// Whether a lifetime in seconds can be meant.
pub(super) fn is_lifetime(seconds: u64) -> bool {
    (60..=YEAR).contains(&seconds)
}

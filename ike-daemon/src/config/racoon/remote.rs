//! `remote` and `proposal`: phase 1, dead peer detection, whom we connect to.
//!
//! The daemon has one phase 1 policy. It is that of `remote anonymous`, or of the first block; the
//! others may narrow nothing and widen nothing, and are told so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::io::Mode;
use ike_proto::policy::{Connection, Fragmentation};
use ike_proto::wire::id::Identification;
use racoon_conf::ast::{
    Endpoint, Identifier, Lifetime, ProposalItem, Remote, RemoteItem, RemotePeer, Statement,
};
use racoon_conf::words::{
    Encryption, ExchangeMode, Force, GeneratePolicy, IdKind, IdQualifier, Method, ProposalCheck,
    ScriptEvent, Situation, spelling,
};
use racoon_conf::{Span, Spanned};

use super::algorithms::{aes, aes_bits, group, hash, serves};
use super::lower::{Lowering, port};
use crate::config::model::{ConfiguredConnection, PeerScripts, Start};

/// racoon's own phase 1 lifetime, in seconds.
const LIFETIME: u64 = 8 * 3600;
/// What `obey` takes at most, and what can be written at most: a year, in seconds.
const YEAR: u64 = 8760 * 3600;

/// A block with what it inherits.
struct Block<'t> {
    peer: &'t RemotePeer,
    span: Span,
    items: Vec<&'t Spanned<RemoteItem>>,
}

/// An algorithm that is not served: the directive, the place, the word.
struct Unserved(&'static str, Span, &'static str);

/// A proposal that can be served.
struct Proposal {
    encryption: Encryption,
    bits: Option<u64>,
    hash: Hash,
    group: Group,
    lifetime: Option<(u64, Span)>,
}

pub(super) fn lower(lowering: &mut Lowering, statements: &[Spanned<Statement>], end: Span) {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for statement in statements {
        if let Statement::Remote(remote) = &statement.value {
            for item in &remote.body {
                lowering.visit_remote(item);
            }
            let block = inherit(lowering, &blocks, remote, statement.span);
            blocks.push(block);
        }
    }
    let anonymous = blocks
        .iter()
        .position(|block| *block.peer == RemotePeer::Anonymous);
    let Some(first) = blocks.get(anonymous.unwrap_or(0)) else {
        lowering.missing("remote", "missing", end);
        return;
    };
    lowering.first_block(first);
    for block in &blocks {
        lowering.every_block(block, first);
    }
}

/// The block with what it does not write itself taken from the one it names.
fn inherit<'t>(
    lowering: &mut Lowering,
    blocks: &[Block<'t>],
    remote: &'t Remote,
    span: Span,
) -> Block<'t> {
    let mut items: Vec<&Spanned<RemoteItem>> = Vec::new();
    if let Some(parent) = &remote.inherit {
        lowering.visit("remote", "inherit", parent.span);
        let known = blocks
            .iter()
            .find(|block| same_peer(block.peer, &parent.value));
        match known {
            None => lowering.value("remote inherit", "unknown", parent.span, ""),
            Some(known) => {
                // Each event has a script of its own, and the last one written counts.
                let written = |item: &RemoteItem| {
                    let name = item.name();
                    let is_written = remote.body.iter().any(|own| own.value.name() == name);
                    is_written && !matches!(item, RemoteItem::Script(..))
                };
                items.extend(known.items.iter().filter(|item| {
                    // Whom it connects to is not passed on.
                    !written(&item.value) && !matches!(item.value, RemoteItem::RemoteAddress(_))
                }));
            }
        }
    }
    items.extend(&remote.body);
    Block {
        peer: &remote.peer.value,
        span,
        items,
    }
}

fn same_peer(one: &RemotePeer, other: &RemotePeer) -> bool {
    match (one, other) {
        (RemotePeer::Anonymous, RemotePeer::Anonymous) => true,
        (RemotePeer::Name(one), RemotePeer::Name(other)) => one == other,
        (RemotePeer::Address(one), RemotePeer::Address(other)) => {
            one.host.value == other.host.value && port(one, 500) == port(other, 500)
        }
        _ => false,
    }
}

impl Lowering {
    fn visit_remote(&mut self, item: &Spanned<RemoteItem>) {
        let name = item.value.name();
        self.visit("remote", name, item.span);
        match &item.value {
            RemoteItem::Situation(situation) if situation.value != Situation::IdentityOnly => {
                let word = spelling(situation.value);
                self.value("remote situation", word, situation.span, "");
            }
            RemoteItem::Switch("support_proxy", on) if on.value => {
                self.value("remote support_proxy", "on", on.span, "");
            }
            RemoteItem::Proposal(items) => {
                for item in items {
                    self.visit("proposal", item.value.name(), item.span);
                }
            }
            RemoteItem::ExchangeMode(modes) => self.exchange_modes(modes, item.span),
            _ => {}
        }
    }

    fn exchange_modes(&mut self, modes: &[Spanned<ExchangeMode>], span: Span) {
        let has = |wanted| modes.iter().any(|mode| mode.value == wanted);
        let (main, aggressive) = (has(ExchangeMode::Main), has(ExchangeMode::Aggressive));
        if !main && !aggressive {
            self.value("remote exchange_mode", "only base", span, "");
            return;
        }
        for mode in modes {
            match mode.value {
                ExchangeMode::Main => {}
                ExchangeMode::Base => self.value("remote exchange_mode", "base", mode.span, ""),
                ExchangeMode::Aggressive => {
                    self.policy.aggressive = true;
                    self.aggressive.get_or_insert(mode.span);
                    self.from("aggressive", mode.span);
                    if !main {
                        self.value("remote exchange_mode", "without main", mode.span, "");
                    }
                }
            }
        }
    }

    /// The settings of all peers.
    fn first_block(&mut self, block: &Block<'_>) {
        let check = block.check();
        self.check = check.value;
        match check.value {
            ProposalCheck::Strict if block.writes_check() => {
                self.value("remote proposal_check", "strict", check.span, "");
            }
            ProposalCheck::Exact => {
                self.value("remote proposal_check", "exact", check.span, "");
            }
            _ => {}
        }
        let generate = block.last(|item| match item {
            RemoteItem::GeneratePolicy(value) => Some(value.clone()),
            _ => None,
        });
        if let Some(generate) = generate.filter(|value| value.value == GeneratePolicy::Off) {
            self.value("remote generate_policy", "off", generate.span, "");
        }
        let proposals = self.proposals(block);
        self.phase1(block, &proposals, check.value);
        self.dead_peers(block);
        let nat = block.nat();
        self.policy.nat.enabled = nat.value != Force::Off;
        self.policy.nat.force = nat.value == Force::Force;
        self.from("nat_t.enabled", nat.span);
        if nat.value == Force::Force {
            self.from("nat_t.force", nat.span);
        }
        let frag = block.last(|item| match item {
            RemoteItem::IkeFrag(value) => Some(value.clone()),
            _ => None,
        });
        if let Some(frag) = frag {
            self.policy.fragmentation.mode = match frag.value {
                Force::Off => Fragmentation::Off,
                Force::On => Fragmentation::On,
                Force::Force => Fragmentation::Force,
            };
            self.from("fragmentation", frag.span);
        }
        self.policy.local_identity = self.my_identity(block);
        if let Some(span) = block.span_of("my_identifier") {
            self.from("identity", span);
        }
        // A responder takes whoever has the key; racoon always responds.
        self.policy.respond = true;
    }

    fn phase1(&mut self, block: &Block<'_>, proposals: &[Proposal], check: ProposalCheck) {
        let own = block.lifetime();
        let in_proposals = proposals.iter().filter_map(|proposal| proposal.lifetime);
        let (seconds, span) = in_proposals
            .max_by_key(|(seconds, _)| *seconds)
            .unwrap_or((own.value, own.span));
        if !(60..=YEAR).contains(&seconds) {
            self.value("remote lifetime time", "out of range", span, "");
            return;
        }
        let lists = Lists::new(proposals, check);
        if lists.is_wider(proposals) {
            let span = block
                .items
                .iter()
                .find(|item| matches!(item.value, RemoteItem::Proposal(_)))
                .map_or(block.span, |item| item.span);
            self.value("remote proposal", "mixed", span, "");
        }
        if span != block.span {
            self.from("phase1.lifetime", span);
        }
        if let Some(span) = block.span_of("proposal_check") {
            self.from("phase1.lifetime_max", span);
        }
        if let Some(span) = block.span_of("proposal") {
            for path in ["ciphers", "hashes", "groups"] {
                self.from(format!("phase1.{path}"), span);
            }
        }
        let phase1 = &mut self.policy.phase1;
        (phase1.lifetime, phase1.lifetime_max) = lifetimes(seconds, check);
        phase1.allow_modp1024 = lists.groups.contains(&Group::Modp1024);
        phase1.ciphers = lists.ciphers;
        phase1.hashes = lists.hashes;
        phase1.groups = lists.groups;
    }

    fn dead_peers(&mut self, block: &Block<'_>) {
        let on = block.switch("dpd", true).value;
        for (name, path) in [
            ("dpd_delay", "dpd.interval"),
            ("dpd_retry", "dpd.retry"),
            ("dpd_maxfail", "dpd.attempts"),
        ] {
            if let Some(number) = block.number(name) {
                self.from(path, number.span);
            }
        }
        if let Some(delay) = block.number("dpd_delay") {
            match delay.value {
                0..=86_400 if on => self.policy.dpd.interval = Duration::from_secs(delay.value),
                0..=86_400 => {}
                _ => self.value("remote dpd_delay", "out of range", delay.span, ""),
            }
        }
        // racoon asks nobody unless told to.
        if !on || block.number("dpd_delay").is_none() {
            self.policy.dpd.interval = Duration::ZERO;
        }
        if let Some(retry) = block.number("dpd_retry") {
            match retry.value {
                1..=86_400 => self.policy.dpd.retry = Duration::from_secs(retry.value),
                _ => self.value("remote dpd_retry", "out of range", retry.span, ""),
            }
        }
        if let Some(fails) = block.number("dpd_maxfail") {
            match u32::try_from(fails.value) {
                Ok(attempts @ 1..=100) => self.policy.dpd.attempts = attempts,
                _ => self.value("remote dpd_maxfail", "out of range", fails.span, ""),
            }
        }
    }

    /// What a block has to have, how it differs from the first one, and its connection.
    fn every_block(&mut self, block: &Block<'_>, first: &Block<'_>) {
        let has_mode =
            |item: &&Spanned<RemoteItem>| matches!(item.value, RemoteItem::ExchangeMode(_));
        if !block.items.iter().any(has_mode) {
            self.missing("remote exchange_mode", "missing", block.span);
        }
        let address = self.peer_address(block);
        self.peer_scripts(block, address.map(|(peer, _)| peer.ip()));
        let passive = block.switch("passive", false).value;
        let connects = address.is_some() && !passive;
        if !std::ptr::eq(block, first) {
            self.differences(block, first, connects);
        }
        let verify = block.switch("verify_identifier", false);
        let mut peer_identity = None;
        if verify.value && !connects {
            self.value("remote verify_identifier", "responder", verify.span, "");
        } else if verify.value {
            peer_identity = self.peer_identity(block);
        }
        let Some((peer, span)) = address.filter(|_| connects) else {
            return;
        };
        let name = match block.peer {
            RemotePeer::Name(name) => name.clone(),
            _ => peer.ip().to_string(),
        };
        let local_identity = match std::ptr::eq(block, first) {
            true => None,
            false => self.my_identity(block),
        };
        let connection = Connection {
            name: self.unused(&name),
            local: unspecified(peer.ip()),
            peer,
            local_identity,
            peer_identity,
            mode: Mode::Transport,
            protocol: 17,
            local_port: 1701,
            peer_port: 1701,
            local_network: None,
            peer_network: None,
            pfs: None,
            initial_contact: block.switch("initial_contact", true).value,
        };
        self.remotes.push((peer.ip(), self.connections.len(), span));
        self.connections.push(ConfiguredConnection {
            connection,
            start: Start::Manual,
        });
    }

    /// Programs of the block; those of `anonymous` are for everybody else.
    fn peer_scripts(&mut self, block: &Block<'_>, peer: Option<IpAddr>) {
        let path = |event: ScriptEvent| {
            block.last(|item| match item {
                RemoteItem::Script(path, own) if own.value == event => Some(path.clone()),
                _ => None,
            })
        };
        let events = [ScriptEvent::Up, ScriptEvent::Down, ScriptEvent::Dead].map(path);
        let [up, down, dead] = events.map(|written| {
            let written = written?;
            let path = self.script_folder.join(&written.value);
            if !path.is_absolute() {
                self.value("remote script", "relative", written.span, "");
            }
            Some(path)
        });
        let scripts = PeerScripts {
            peer,
            up,
            down,
            dead,
        };
        match peer {
            // Whom nobody else's block is for.
            None => self.peer_scripts.push(scripts),
            Some(_) => self.peer_scripts.insert(0, scripts),
        }
    }

    /// `name`, with a number behind it if there is one of that name.
    pub(super) fn unused(&self, name: &str) -> String {
        let taken = |name: &str| {
            let mut known = self.connections.iter();
            known.any(|known| known.connection.name == name)
        };
        let mut unused = name.to_owned();
        let mut number = 2;
        while taken(&unused) {
            unused = format!("{name}-{number}");
            number += 1;
        }
        unused
    }

    fn differences(&mut self, block: &Block<'_>, first: &Block<'_>, connects: bool) {
        let line = format!("line {} has it otherwise", first.span.line);
        let (own, other) = (block.nat(), first.nat());
        if own.value != other.value {
            self.value("remote nat_traversal", "differs", own.span, &line);
        }
        let (own, other) = (block.lifetime(), first.lifetime());
        if own.value != other.value {
            self.value("remote lifetime time", "differs", own.span, &line);
        }
        let (own, other) = (block.check(), first.check());
        if own.value != other.value {
            self.value("remote proposal_check", "differs", own.span, &line);
        }
        let delay = |block: &Block<'_>| {
            let on = block.switch("dpd", true).value;
            let delay = block.number("dpd_delay");
            (
                delay.as_ref().filter(|_| on).map_or(0, |delay| delay.value),
                delay.map_or(block.span, |delay| delay.span),
            )
        };
        let (own, span) = delay(block);
        if own != delay(first).0 {
            self.value("remote dpd_delay", "differs", span, &line);
        }
        let identity = |block: &Block<'_>| {
            block.last(|item| match item {
                RemoteItem::MyIdentifier(identifier) => Some(identifier.words()),
                _ => None,
            })
        };
        if let Some(span) = block.span_of("my_identifier")
            && identity(block) != identity(first)
            && !connects
        {
            self.value("remote my_identifier", "differs", span, &line);
        }
        let allowed = &self.policy.phase1;
        let (ciphers, hashes, groups) = (
            allowed.ciphers.clone(),
            allowed.hashes.clone(),
            allowed.groups.clone(),
        );
        for (proposal, span) in self.proposals_with_places(block) {
            let known = Lists::new(std::slice::from_ref(&proposal), ProposalCheck::Exact);
            let within = known.ciphers.iter().all(|own| ciphers.contains(own))
                && hashes.contains(&proposal.hash)
                && groups.contains(&proposal.group);
            if !within && !ciphers.is_empty() {
                self.value("remote proposal", "wider", span, &line);
            }
        }
    }

    /// The proposals that can be served.
    fn proposals(&mut self, block: &Block<'_>) -> Vec<Proposal> {
        self.proposals_with_places(block)
            .into_iter()
            .map(|(proposal, _)| proposal)
            .collect()
    }

    fn proposals_with_places(&mut self, block: &Block<'_>) -> Vec<(Proposal, Span)> {
        let mut served = Vec::new();
        let mut unserved: Vec<Unserved> = Vec::new();
        let mut any = false;
        for item in &block.items {
            let RemoteItem::Proposal(items) = &item.value else {
                continue;
            };
            any = true;
            match self.proposal(items, item.span) {
                Some(Ok(proposal)) => served.push((proposal, item.span)),
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
        if method.value != Method::PreSharedKey {
            let word = spelling(method.value);
            bad.push(Unserved(
                "proposal authentication_method",
                method.span,
                word,
            ));
        }
        match (hash(own_hash.value), group(own_group.value)) {
            (Some(hash), Some(group)) if bad.is_empty() => Some(Ok(Proposal {
                encryption: cipher.name.value,
                bits,
                hash,
                group,
                lifetime,
            })),
            (hash, group) => {
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

    fn peer_address(&mut self, block: &Block<'_>) -> Option<(SocketAddr, Span)> {
        let endpoint: &Endpoint = match block.peer {
            RemotePeer::Anonymous => return None,
            RemotePeer::Address(endpoint) => endpoint,
            RemotePeer::Name(_) => {
                let written = block.items.iter().rev().find_map(|item| match &item.value {
                    RemoteItem::RemoteAddress(endpoint) => Some(endpoint),
                    _ => None,
                });
                match written {
                    Some(endpoint) => endpoint,
                    None => {
                        self.missing("remote", "named without address", block.span);
                        return None;
                    }
                }
            }
        };
        let address = self.address("remote", endpoint)?;
        let default = self.policy.nat.ike_port;
        Some((
            SocketAddr::new(address, port(endpoint, default)),
            endpoint.host.span,
        ))
    }

    fn my_identity(&mut self, block: &Block<'_>) -> Option<Identification> {
        let identifier = block
            .items
            .iter()
            .rev()
            .find_map(|item| match &item.value {
                RemoteItem::MyIdentifier(identifier) => Some(identifier),
                _ => None,
            })?;
        self.identity("remote my_identifier", identifier)
    }

    fn peer_identity(&mut self, block: &Block<'_>) -> Option<Identification> {
        let mut identifiers = block.items.iter().filter_map(|item| match &item.value {
            RemoteItem::PeersIdentifier(identifier) => Some((identifier, item.span)),
            _ => None,
        });
        let (identifier, _) = identifiers.next()?;
        if let Some((_, span)) = identifiers.next() {
            self.value("remote peers_identifier", "several", span, "");
        }
        self.identity("remote peers_identifier", identifier)
    }

    /// `None` also stands for our address, which the core knows.
    fn identity(&mut self, directive: &str, identifier: &Identifier) -> Option<Identification> {
        let value = identifier.value.as_ref();
        match (identifier.kind.value, value) {
            (IdKind::Asn1Dn, _) => {
                self.value(directive, "asn1dn", identifier.kind.span, "");
                None
            }
            (_, None) => None,
            (IdKind::Address | IdKind::Subnet, Some(value)) => {
                match value.value.parse::<IpAddr>() {
                    Ok(address) => Some(Identification::from_address(address)),
                    Err(_) => {
                        self.value("remote my_identifier", "no address", value.span, "");
                        None
                    }
                }
            }
            (IdKind::Fqdn, Some(value)) => Some(Identification::from_fqdn(&value.value)),
            (IdKind::UserFqdn, Some(value)) => Some(Identification::from_user_fqdn(&value.value)),
            (IdKind::KeyId, Some(value)) => {
                let qualifier = identifier.qualifier.as_ref();
                if qualifier.is_none_or(|word| word.value == IdQualifier::File) {
                    let span = identifier.kind.span;
                    self.value("remote my_identifier", "keyid file", span, "");
                    return None;
                }
                Some(Identification::from_key_id(value.value.as_bytes()))
            }
        }
    }
}

impl Block<'_> {
    /// The last one written counts.
    fn last<T>(&self, value: impl Fn(&RemoteItem) -> Option<T>) -> Option<T> {
        self.items.iter().rev().find_map(|item| value(&item.value))
    }

    fn span_of(&self, name: &str) -> Option<Span> {
        let mut items = self.items.iter().rev();
        items
            .find(|item| item.value.name() == name)
            .map(|item| item.span)
    }

    fn switch(&self, name: &str, default: bool) -> Spanned<bool> {
        self.last(|item| match item {
            RemoteItem::Switch(own, value) if *own == name => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(default, self.span))
    }

    fn number(&self, name: &str) -> Option<Spanned<u64>> {
        self.last(|item| match item {
            RemoteItem::Number(own, value) if *own == name => Some(value.clone()),
            _ => None,
        })
    }

    fn nat(&self) -> Spanned<Force> {
        self.last(|item| match item {
            RemoteItem::NatTraversal(value) => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(Force::Off, self.span))
    }

    fn check(&self) -> Spanned<ProposalCheck> {
        self.last(|item| match item {
            RemoteItem::ProposalCheck(value) => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(ProposalCheck::Strict, self.span))
    }

    fn writes_check(&self) -> bool {
        self.span_of("proposal_check").is_some()
    }

    /// In seconds.
    fn lifetime(&self) -> Spanned<u64> {
        self.last(|item| match item {
            RemoteItem::Lifetime(value) => match value.value {
                Lifetime::Time(time) => Some(Spanned::new(time.seconds(), value.span)),
                Lifetime::Bytes(..) => None,
            },
            _ => None,
        })
        .unwrap_or(Spanned::new(LIFETIME, self.span))
    }
}

/// The lists that a [`ike_proto::policy::Phase1Policy`] has, each without repetition.
struct Lists {
    ciphers: Vec<Cipher>,
    hashes: Vec<Hash>,
    groups: Vec<Group>,
}

impl Lists {
    fn new(proposals: &[Proposal], check: ProposalCheck) -> Self {
        let (mut ciphers, mut hashes, mut groups) = (Vec::new(), Vec::new(), Vec::new());
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
        }
        Self {
            ciphers,
            hashes,
            groups,
        }
    }

    /// Whether the lists hold combinations that no proposal has.
    fn is_wider(&self, proposals: &[Proposal]) -> bool {
        let mut written = Vec::new();
        for proposal in proposals {
            for cipher in proposal.ciphers(ProposalCheck::Exact) {
                push(&mut written, (cipher, proposal.hash, proposal.group));
            }
        }
        let exact = Self::new(proposals, ProposalCheck::Exact).ciphers.len();
        exact * self.hashes.len() * self.groups.len() > written.len()
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

/// The address that stands for all of `address`'s family.
pub(super) fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

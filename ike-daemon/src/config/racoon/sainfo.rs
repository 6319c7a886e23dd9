//! `sainfo`: phase 2.
//!
//! `sainfo anonymous`, or the first block, is what counts for all; a block for the address of a peer
//! with a `remote` of its own, or with that one's `ph1id`, counts for that peer.

use ike_crypto::Group;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::{EspSuite, Phase2Policy};
use racoon_conf::ast::{
    Host, Lifetime, RemoteItem, RemotePeer, Sainfo, SainfoId, SainfoItem, Statement,
};
use racoon_conf::words::{Encryption, ProposalCheck, spelling};
use racoon_conf::{Span, Spanned};

use super::algorithms::{aes_bits, authentication, group, serves, suites};
use super::lower::Lowering;
use super::proposals::{is_lifetime, lifetimes};
use super::remote::RemoteTerms;

/// racoon's own phase 2 lifetime, in seconds.
const LIFETIME: u64 = 8 * 3600;

pub(super) fn lower(lowering: &mut Lowering, statements: &[Spanned<Statement>], end: Span) {
    let mut blocks: Vec<(&Sainfo, Span)> = Vec::new();
    for statement in statements {
        if let Statement::Sainfo(sainfo) = &statement.value {
            lowering.visit_sainfo(sainfo);
            blocks.push((sainfo, statement.span));
        }
    }
    let number = lowering.general_number(statements);
    let is_general = |(sainfo, _): &(&Sainfo, Span)| {
        let remote = sainfo.remote.as_ref().map(|remote| &remote.value);
        sainfo.local.value == SainfoId::Anonymous
            && matches!(remote, None | Some(SainfoId::Anonymous))
    };
    let anonymous = blocks
        .iter()
        .position(|block| is_general(block) && remote_id(block.0) == number)
        .or_else(|| blocks.iter().position(is_general));
    let Some((first, span)) = blocks.get(anonymous.unwrap_or(0)).copied() else {
        lowering.missing("sainfo", "missing", end);
        return;
    };
    if anonymous.is_none() {
        lowering.value("sainfo", "specific", span, "");
    }
    let check = lowering.check;
    if let Some(terms) = lowering.phase2(first, span, check, true) {
        lowering.policy.phase2 = terms.policy;
        for configured in &mut lowering.connections {
            configured.connection.pfs = terms.pfs;
        }
    }
    let mut used = vec![first.local.span];
    for index in 0..lowering.terms.len() {
        let Some(terms) = lowering.terms.get(index).copied() else {
            continue;
        };
        let own = blocks
            .iter()
            .filter(|(sainfo, _)| remote_id(sainfo) == terms.number);
        let (sainfo, span) = own
            .clone()
            .find(|(sainfo, _)| is_for(sainfo, &terms))
            .or_else(|| own.clone().find(|block| is_general(block)))
            .copied()
            .unwrap_or((first, span));
        used.push(sainfo.local.span);
        lowering.phase2_of_remote(index, &terms, sainfo, span);
    }
    for (sainfo, span) in blocks {
        if !used.contains(&sainfo.local.span) {
            lowering.other_sainfo(sainfo, span, first);
        }
    }
}

/// What a block says.
struct Phase2 {
    policy: Phase2Policy,
    pfs: Option<Group>,
}

/// The `ph1id` that a block asks for.
fn remote_id(sainfo: &Sainfo) -> u64 {
    let written = sainfo.body.iter().rev().find_map(|item| match &item.value {
        SainfoItem::RemoteId(number) => Some(number.value),
        _ => None,
    });
    written.unwrap_or(0)
}

/// Whether the peer's side is that peer alone.
fn is_for(sainfo: &Sainfo, terms: &RemoteTerms) -> bool {
    match sainfo.remote.as_ref().map(|remote| &remote.value) {
        Some(SainfoId::Network(network)) => {
            network.host.value == Host::Address(terms.peer)
                && network.prefix.is_none_or(|length| length >= 32)
        }
        _ => false,
    }
}

impl Lowering {
    fn visit_sainfo(&mut self, sainfo: &Sainfo) {
        if let Some(from) = &sainfo.from {
            self.visit("sainfo", "from", from.kind.span);
        }
        if let Some(group) = &sainfo.group {
            self.visit("sainfo", "group", group.span);
        }
        for item in &sainfo.body {
            self.visit("sainfo", item.value.name(), item.span);
        }
    }

    /// `ph1id` of `remote anonymous`.
    fn general_number(&self, statements: &[Spanned<Statement>]) -> u64 {
        let written = statements
            .iter()
            .find_map(|statement| match &statement.value {
                Statement::Remote(remote) if remote.peer.value == RemotePeer::Anonymous => {
                    remote.body.iter().rev().find_map(|item| match &item.value {
                        RemoteItem::Number("ph1id", number) => Some(number.value),
                        _ => None,
                    })
                }
                _ => None,
            });
        written.unwrap_or(0)
    }

    fn phase2_of_remote(&mut self, index: usize, terms: &RemoteTerms, sainfo: &Sainfo, span: Span) {
        let Some(own) = self.phase2(sainfo, span, terms.check, false) else {
            return;
        };
        if let Some(remote) = self.policy.remotes.get_mut(index) {
            remote.phase2 = own.policy;
        }
        for configured in &mut self.connections {
            if configured.connection.peer.ip() == terms.peer {
                configured.connection.pfs = own.pfs;
            }
        }
    }

    /// What a block allows; `None` when something of it is refused.
    fn phase2(
        &mut self,
        sainfo: &Sainfo,
        span: Span,
        check: ProposalCheck,
        is_general: bool,
    ) -> Option<Phase2> {
        let suites = self.suites(sainfo, span, check);
        let (seconds, place) = lifetime(sainfo).unwrap_or((LIFETIME, span));
        if !is_lifetime(seconds) {
            self.value("sainfo lifetime time", "out of range", place, "");
        }
        let kilobytes = sainfo.body.iter().rev().find_map(|item| match &item.value {
            SainfoItem::Lifetime(lifetime) => lifetime.value.kilobytes(),
            _ => None,
        });
        let pfs = self.pfs(sainfo);
        if is_general {
            self.phase2_origins(sainfo);
        }
        let suites = suites.filter(|_| is_lifetime(seconds))?;
        let (lifetime, lifetime_max) = lifetimes(seconds, check);
        let is_3des = |suite: &EspSuite| suite.cipher == EspTransform::TRIPLE_DES;
        Some(Phase2 {
            policy: Phase2Policy {
                allow_3des: suites.iter().any(is_3des),
                suites,
                lifetime,
                lifetime_max,
                lifetime_kilobytes: kilobytes.unwrap_or(0),
                require_pfs: pfs.is_some() && check != ProposalCheck::Obey,
                ..Phase2Policy::default()
            },
            pfs,
        })
    }

    fn phase2_origins(&mut self, sainfo: &Sainfo) {
        for (word, path) in [
            ("encryption_algorithm", "phase2.suites"),
            ("lifetime time", "phase2.lifetime"),
            ("lifetime byte", "phase2.lifetime_kilobytes"),
            ("pfs_group", "phase2.require_pfs"),
        ] {
            if let Some(place) = place_of(sainfo, word) {
                self.from(path, place);
            }
        }
    }

    fn other_sainfo(&mut self, sainfo: &Sainfo, span: Span, first: &Sainfo) {
        let line = format!("line {} has it otherwise", first.local.span.line);
        if let Some(own) = self.suites(sainfo, span, ProposalCheck::Exact) {
            let allowed = &self.policy.phase2.suites;
            if !own.iter().all(|suite| allowed.contains(suite)) {
                let place = place_of(sainfo, "encryption_algorithm").unwrap_or(span);
                self.value("sainfo", "wider", place, &line);
            }
        }
        let (own, other) = (pfs_group(sainfo), pfs_group(first));
        if own.map(|(group, _)| group) != other.map(|(group, _)| group) {
            let place = own.map_or(span, |(_, span)| span);
            self.value("sainfo pfs_group", "differs", place, &line);
        }
        let (own, other) = (lifetime(sainfo), lifetime(first));
        let seconds = |lifetime: Option<(u64, Span)>| lifetime.map_or(LIFETIME, |own| own.0);
        if seconds(own) != seconds(other) {
            let place = own.map_or(span, |(_, span)| span);
            self.value("sainfo lifetime time", "differs", place, &line);
        }
    }

    fn suites(
        &mut self,
        sainfo: &Sainfo,
        span: Span,
        check: ProposalCheck,
    ) -> Option<Vec<EspSuite>> {
        let ciphers = self.ciphers(sainfo, check);
        let auths = self.authentications(sainfo);
        let (Some(ciphers), Some(auths)) = (ciphers, auths) else {
            self.missing("sainfo", "incomplete", span);
            return None;
        };
        (!ciphers.is_empty() && !auths.is_empty()).then(|| suites(&ciphers, &auths))
    }

    fn ciphers(
        &mut self,
        sainfo: &Sainfo,
        check: ProposalCheck,
    ) -> Option<Vec<(EspTransform, u16)>> {
        let directive = "sainfo encryption_algorithm";
        let list = sainfo
            .body
            .iter()
            .rev()
            .find_map(|item| match &item.value {
                SainfoItem::Encryption(list) => Some(list),
                _ => None,
            })?;
        let served = list.iter().any(|cipher| serves(cipher.name.value));
        let mut written = Vec::new();
        let mut added = Vec::new();
        for cipher in list {
            let bits = cipher.bits.as_ref().map(|bits| bits.value);
            match cipher.name.value {
                Encryption::TripleDes => written.push((EspTransform::TRIPLE_DES, 0)),
                Encryption::Aes => match aes_bits(bits, check) {
                    Some(all) => {
                        let mut all = all.into_iter().map(|bits| (EspTransform::AES_CBC, bits));
                        written.extend(all.next());
                        added.extend(all);
                    }
                    None => {
                        let span = cipher.bits.as_ref().map_or(cipher.name.span, |b| b.span);
                        self.value(directive, "key length", span, "");
                    }
                },
                other => self.unserved(directive, cipher.name.span, spelling(other), served),
            }
        }
        written.extend(added);
        Some(written)
    }

    fn authentications(&mut self, sainfo: &Sainfo) -> Option<Vec<EspAuth>> {
        let list = sainfo
            .body
            .iter()
            .rev()
            .find_map(|item| match &item.value {
                SainfoItem::Authentication(list) => Some(list),
                _ => None,
            })?;
        let auths: Vec<EspAuth> = list
            .iter()
            .filter_map(|auth| authentication(auth.value))
            .collect();
        for auth in list {
            if authentication(auth.value).is_none() {
                self.unserved(
                    "sainfo authentication_algorithm",
                    auth.span,
                    spelling(auth.value),
                    !auths.is_empty(),
                );
            }
        }
        Some(auths)
    }

    fn pfs(&mut self, sainfo: &Sainfo) -> Option<Group> {
        let written = sainfo
            .body
            .iter()
            .rev()
            .find_map(|item| match &item.value {
                SainfoItem::PfsGroup(group) => Some(group),
                _ => None,
            })?;
        let served = group(written.value);
        if served.is_none() {
            let word = spelling(written.value);
            self.value("sainfo pfs_group", "unserved", written.span, word);
        }
        served
    }
}

fn pfs_group(sainfo: &Sainfo) -> Option<(racoon_conf::words::DhGroup, Span)> {
    sainfo.body.iter().rev().find_map(|item| match &item.value {
        SainfoItem::PfsGroup(group) => Some((group.value, group.span)),
        _ => None,
    })
}

/// In seconds.
fn lifetime(sainfo: &Sainfo) -> Option<(u64, Span)> {
    sainfo.body.iter().rev().find_map(|item| match &item.value {
        SainfoItem::Lifetime(lifetime) => match lifetime.value {
            Lifetime::Time(time) => Some((time.seconds(), lifetime.span)),
            Lifetime::Bytes(..) => None,
        },
        _ => None,
    })
}

fn place_of(sainfo: &Sainfo, name: &str) -> Option<Span> {
    let mut items = sainfo.body.iter().rev();
    items
        .find(|item| item.value.name() == name)
        .map(|item| item.span)
}

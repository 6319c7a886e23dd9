//! `sainfo`: phase 2.
//!
//! The daemon has one phase 2 policy: that of `sainfo anonymous`, or of the first block.

use ike_crypto::Group;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::EspSuite;
use racoon_conf::ast::{Lifetime, Sainfo, SainfoId, SainfoItem, Statement};
use racoon_conf::words::{Encryption, ProposalCheck, spelling};
use racoon_conf::{Span, Spanned};

use super::algorithms::{aes_bits, authentication, group, serves, suites};
use super::lower::Lowering;
use super::remote::{is_lifetime, lifetimes};

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
    let anonymous = blocks.iter().position(|(sainfo, _)| {
        let remote = sainfo.remote.as_ref().map(|remote| &remote.value);
        sainfo.local.value == SainfoId::Anonymous
            && matches!(remote, None | Some(SainfoId::Anonymous))
    });
    let Some((first, span)) = blocks.get(anonymous.unwrap_or(0)).copied() else {
        lowering.missing("sainfo", "missing", end);
        return;
    };
    if anonymous.is_none() {
        lowering.value("sainfo", "specific", span, "");
    }
    let check = lowering.check;
    lowering.first_sainfo(first, span, check);
    for (sainfo, span) in blocks {
        if !std::ptr::eq(sainfo, first) {
            lowering.other_sainfo(sainfo, span, first);
        }
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

    fn first_sainfo(&mut self, sainfo: &Sainfo, span: Span, check: ProposalCheck) {
        if let Some(suites) = self.suites(sainfo, span, check) {
            let phase2 = &mut self.policy.phase2;
            phase2.allow_3des = suites
                .iter()
                .any(|suite| suite.cipher == EspTransform::TRIPLE_DES);
            phase2.suites = suites;
            if let Some(place) = place_of(sainfo, "encryption_algorithm") {
                self.from("phase2.suites", place);
            }
        }
        let (seconds, place) = lifetime(sainfo).unwrap_or((LIFETIME, span));
        if is_lifetime(seconds) {
            let phase2 = &mut self.policy.phase2;
            (phase2.lifetime, phase2.lifetime_max) = lifetimes(seconds, check);
            if place != span {
                self.from("phase2.lifetime", place);
            }
        } else {
            self.value("sainfo lifetime time", "out of range", place, "");
        }
        let kilobytes = sainfo.body.iter().rev().find_map(|item| match &item.value {
            SainfoItem::Lifetime(lifetime) => lifetime.value.kilobytes(),
            _ => None,
        });
        self.policy.phase2.lifetime_kilobytes = kilobytes.unwrap_or(0);
        let pfs = self.pfs(sainfo);
        if let Some(place) = place_of(sainfo, "pfs_group") {
            self.from("phase2.require_pfs", place);
        }
        if let Some(place) = place_of(sainfo, "lifetime byte") {
            self.from("phase2.lifetime_kilobytes", place);
        }
        self.policy.phase2.require_pfs = pfs.is_some() && check != ProposalCheck::Obey;
        for configured in &mut self.connections {
            configured.connection.pfs = pfs;
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

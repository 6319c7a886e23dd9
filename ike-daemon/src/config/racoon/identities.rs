//! `my_identifier` and `peers_identifier`.

use std::net::IpAddr;

use ike_pki::{DistinguishedName, NamePattern};
use ike_proto::policy::PeerPattern;
use ike_proto::wire::id::Identification;
use racoon_conf::Span;
use racoon_conf::ast::{Identifier, RemoteItem};
use racoon_conf::words::{IdKind, IdQualifier};

use super::block::Block;
use super::lower::Lowering;

impl Lowering {
    /// `None` is our address or, with certificates, our certificate's name: the core knows them.
    pub(super) fn my_identity(
        &mut self,
        block: &Block<'_>,
        certified: bool,
    ) -> Option<Identification> {
        let identifier = block
            .items
            .iter()
            .rev()
            .find_map(|item| match &item.value {
                RemoteItem::MyIdentifier(identifier) => Some(identifier),
                _ => None,
            })?;
        if identifier.kind.value == IdKind::Asn1Dn && identifier.value.is_none() && !certified {
            // Without signatures the core has no certificate to look into.
            let subject = self.certificate_subject(block);
            if subject.is_none() {
                self.value("remote my_identifier", "asn1dn", identifier.kind.span, "");
            }
            return subject;
        }
        self.identity("remote my_identifier", identifier)
    }

    /// Whom a peer that we connect to has to be.
    pub(super) fn peer_identity(&mut self, block: &Block<'_>) -> Option<Identification> {
        let (identifier, _) = *peers_identifiers(block).first()?;
        if let Some((_, span)) = peers_identifiers(block).get(1) {
            self.value("remote peers_identifier", "several", *span, "");
        }
        self.identity("remote peers_identifier", identifier)
    }

    /// Who may come with a certificate, and how ike-daemon.yaml(5) writes that.
    pub(super) fn peer_patterns(&mut self, block: &Block<'_>) -> Vec<(PeerPattern, String)> {
        let mut patterns = Vec::new();
        for (identifier, _) in peers_identifiers(block) {
            let name = identifier.value.as_ref().filter(|_| {
                // Anything else is an identity as it stands.
                identifier.kind.value == IdKind::Asn1Dn
            });
            let pattern = match name {
                Some(name) => match NamePattern::from_text(&name.value) {
                    Some(pattern) => Some((
                        PeerPattern::Name(pattern),
                        format!("dn:{}", name.value.trim()),
                    )),
                    None => {
                        let directive = "remote peers_identifier";
                        self.value(directive, "no name", name.span, "");
                        None
                    }
                },
                None => self
                    .identity("remote peers_identifier", identifier)
                    .map(|identity| {
                        let text = crate::config::write::identity_name(&identity);
                        (PeerPattern::Identity(identity), text)
                    }),
            };
            patterns.extend(pattern);
        }
        patterns
    }

    fn identity(&mut self, directive: &str, identifier: &Identifier) -> Option<Identification> {
        let value = identifier.value.as_ref()?;
        match identifier.kind.value {
            IdKind::Asn1Dn => match DistinguishedName::from_text(&value.value) {
                Some(name) => Some(Identification::from_name(&name)),
                None => {
                    self.value(directive, "no name", value.span, "");
                    None
                }
            },
            IdKind::Address | IdKind::Subnet => match value.value.parse::<IpAddr>() {
                Ok(address) => Some(Identification::from_address(address)),
                Err(_) => {
                    self.value("remote my_identifier", "no address", value.span, "");
                    None
                }
            },
            IdKind::Fqdn => Some(Identification::from_fqdn(&value.value)),
            IdKind::UserFqdn => Some(Identification::from_user_fqdn(&value.value)),
            IdKind::KeyId => {
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

fn peers_identifiers<'t>(block: &Block<'t>) -> Vec<(&'t Identifier, Span)> {
    let written = |item: &&'t racoon_conf::Spanned<RemoteItem>| match &item.value {
        RemoteItem::PeersIdentifier(identifier) => Some((identifier, item.span)),
        _ => None,
    };
    block.items.iter().filter_map(written).collect()
}

//! `remote ... { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, Identifier, PeersCert, Remote, RemoteItem, RemotePeer};
use crate::lexer::Token;
use crate::span::Spanned;
use crate::words::{ExchangeMode, Keyword};

const EXPECTED: &[&str] = &[
    "remote_address",
    "exchange_mode",
    "doi",
    "situation",
    "my_identifier",
    "peers_identifier",
    "verify_identifier",
    "xauth_login",
    "certificate_type",
    "ca_type",
    "peers_certfile",
    "verify_cert",
    "send_cert",
    "send_cr",
    "match_empty_cr",
    "dh_group",
    "nonce_size",
    "generate_policy",
    "support_proxy",
    "initial_contact",
    "nat_traversal",
    "proposal_check",
    "passive",
    "lifetime",
    "dpd",
    "dpd_delay",
    "dpd_retry",
    "dpd_maxfail",
    "ph1id",
    "ike_frag",
    "esp_frag",
    "script",
    "mode_cfg",
    "weak_phase1_check",
    "rekey",
    "keepalive",
    "proposal",
];
const SWITCHES: &[&str] = &[
    "verify_identifier",
    "verify_cert",
    "send_cert",
    "send_cr",
    "match_empty_cr",
    "support_proxy",
    "initial_contact",
    "passive",
    "dpd",
    "mode_cfg",
    "weak_phase1_check",
];
const NUMBERS: &[&str] = &[
    "nonce_size",
    "dpd_delay",
    "dpd_retry",
    "dpd_maxfail",
    "ph1id",
    "esp_frag",
];

impl Parser<'_> {
    pub(super) fn remote(&mut self) -> Outcome<Remote> {
        let peer = self.remote_peer()?;
        let inherit = match self.take_word("inherit") {
            Some(_) => Some(self.remote_peer()?),
            None => None,
        };
        // `remote "x" inherit y;` has nothing of its own.
        if inherit.is_some() && self.take(&Token::Semicolon).is_some() {
            return Ok(Remote {
                peer,
                inherit,
                body: Vec::new(),
            });
        }
        let body = self.remote_body()?;
        Ok(Remote {
            peer,
            inherit,
            body,
        })
    }

    fn remote_peer(&mut self) -> Outcome<Spanned<RemotePeer>> {
        if let Some(name) = self.optional_text()? {
            return Ok(name.map(RemotePeer::Name));
        }
        if let Some(span) = self.take_word("anonymous") {
            // `remote anonymous [500]` says no more than `remote anonymous`.
            self.port()?;
            return Ok(Spanned::new(RemotePeer::Anonymous, span));
        }
        if !matches!(self.peek().token, Token::Word(_)) {
            return Err(self.unexpected("anonymous, an address, or a name in double quotes"));
        }
        let endpoint = self.endpoint()?;
        let span = endpoint.host.span;
        Ok(Spanned::new(RemotePeer::Address(endpoint), span))
    }

    fn remote_body(&mut self) -> Outcome<Block<RemoteItem>> {
        self.block("remote", EXPECTED, |parser, word, _| {
            if let Some(name) = SWITCHES.iter().find(|name| **name == word) {
                let value = parser.ended(Self::keyword);
                return Some(value.map(|value| RemoteItem::Switch(name, value)));
            }
            if let Some(name) = NUMBERS.iter().find(|name| **name == word) {
                let value = parser.ended(Self::number);
                return Some(value.map(|value| RemoteItem::Number(name, value)));
            }
            if word == "proposal" {
                return Some(parser.proposal().map(RemoteItem::Proposal));
            }
            EXPECTED.contains(&word).then(|| {
                let item = parser.remote_item(word)?;
                parser.end()?;
                Ok(item)
            })
        })
    }

    fn remote_item(&mut self, word: &str) -> Outcome<RemoteItem> {
        Ok(match word {
            "remote_address" => RemoteItem::RemoteAddress(self.endpoint()?),
            "exchange_mode" => {
                let mut modes = vec![self.keyword()?];
                // Commas between them can be left out.
                while self.take(&Token::Comma).is_some() || self.peek_mode() {
                    modes.push(self.keyword()?);
                }
                RemoteItem::ExchangeMode(modes)
            }
            "doi" => RemoteItem::Doi(self.keyword()?),
            "situation" => RemoteItem::Situation(self.keyword()?),
            "my_identifier" => RemoteItem::MyIdentifier(self.identifier()?),
            "peers_identifier" => RemoteItem::PeersIdentifier(self.identifier()?),
            "xauth_login" => RemoteItem::XauthLogin(self.text()?),
            "certificate_type" => {
                let kind = self.keyword()?;
                let file = self.text()?;
                RemoteItem::CertificateType(kind, file, self.optional_text()?)
            }
            "ca_type" => RemoteItem::CaType(self.keyword()?, self.text()?),
            "peers_certfile" => RemoteItem::PeersCertfile(self.peers_certfile()?),
            "dh_group" => RemoteItem::DhGroup(self.dh_group()?),
            "generate_policy" => RemoteItem::GeneratePolicy(self.keyword()?),
            "nat_traversal" => RemoteItem::NatTraversal(self.keyword()?),
            "ike_frag" => RemoteItem::IkeFrag(self.keyword()?),
            "rekey" => RemoteItem::Rekey(self.keyword()?),
            "proposal_check" => RemoteItem::ProposalCheck(self.keyword()?),
            "lifetime" => RemoteItem::Lifetime(self.lifetime()?),
            "script" => RemoteItem::Script(self.text()?, self.keyword()?),
            _ => {
                // Old files gave `keepalive` a switch; it never meant anything.
                if self.peek_word().is_some() {
                    let _: Spanned<bool> = self.keyword()?;
                }
                RemoteItem::Keepalive
            }
        })
    }

    fn peek_mode(&mut self) -> bool {
        let word = self.peek_word();
        word.is_some_and(|word| ExchangeMode::from_word(&word.value).is_some())
    }

    fn peers_certfile(&mut self) -> Outcome<PeersCert> {
        if let Some(file) = self.optional_text()? {
            return Ok(PeersCert::X509(file));
        }
        match self.peek_word().map(|word| word.value).as_deref() {
            Some("dnssec") => {
                self.next();
                Ok(PeersCert::Dnssec)
            }
            Some("x509") => {
                self.next();
                self.text().map(PeersCert::X509)
            }
            Some("plain_rsa") => {
                self.next();
                self.text().map(PeersCert::PlainRsa)
            }
            _ => Err(self.unexpected("a file in double quotes, x509, plain_rsa or dnssec")),
        }
    }
}

impl Identifier {
    /// As it would be written.
    pub fn words(&self) -> String {
        let kind = crate::words::IdKind::ALL
            .iter()
            .find(|(_, kind)| *kind == self.kind.value)
            .map_or("", |(word, _)| word);
        match &self.value {
            Some(value) => format!("{kind} \"{}\"", value.value),
            None => kind.to_owned(),
        }
    }
}

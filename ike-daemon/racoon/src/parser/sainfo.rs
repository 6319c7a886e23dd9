//! `sainfo ... { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, Host, Sainfo, SainfoId, SainfoItem, SainfoNetwork};
use crate::span::Spanned;
use crate::words::IdKind;

const EXPECTED: &[&str] = &[
    "pfs_group",
    "lifetime",
    "remoteid",
    "reqid",
    "encryption_algorithm",
    "authentication_algorithm",
    "compression_algorithm",
    "my_identifier",
];

impl Parser<'_> {
    pub(super) fn sainfo(&mut self) -> Outcome<Sainfo> {
        let local = self.sainfo_id()?;
        if local.value == SainfoId::ClientAddr {
            return Err(self.problem(
                local.span,
                "`clientaddr` is the peer's side; expected anonymous or our own side first",
            ));
        }
        let (mut remote, mut from, mut group) = (None, None, None);
        while let Some(word) = self.peek_word() {
            match word.value.as_str() {
                "from" if from.is_none() => {
                    self.next();
                    from = Some(self.identifier()?);
                }
                "group" if group.is_none() => {
                    self.next();
                    group = Some(self.text()?);
                }
                _ if remote.is_none() && from.is_none() && group.is_none() => {
                    remote = Some(self.sainfo_id()?);
                }
                _ => return Err(self.unexpected("`{`")),
            }
        }
        let body = self.sainfo_body()?;
        Ok(Sainfo {
            local,
            remote,
            from,
            group,
            body,
        })
    }

    fn sainfo_id(&mut self) -> Outcome<Spanned<SainfoId>> {
        let expected = "anonymous, clientaddr, address, subnet, fqdn, user_fqdn, keyid or asn1dn";
        if let Some(span) = self.take_word("anonymous") {
            return Ok(Spanned::new(SainfoId::Anonymous, span));
        }
        if let Some(span) = self.take_word("clientaddr") {
            return Ok(Spanned::new(SainfoId::ClientAddr, span));
        }
        let known = self.peek_word().is_some_and(|word| {
            <IdKind as crate::words::Keyword>::from_word(&word.value).is_some()
        });
        if !known {
            return Err(self.unexpected(expected));
        }
        let kind = self.keyword::<IdKind>()?;
        let span = kind.span;
        let id = match kind.value {
            IdKind::Address | IdKind::Subnet => SainfoId::Network(self.sainfo_network(kind)?),
            _ => SainfoId::Name(kind, self.text()?),
        };
        Ok(Spanned::new(id, span))
    }

    fn sainfo_network(&mut self, kind: Spanned<IdKind>) -> Outcome<SainfoNetwork> {
        let expected = "an address such as 192.0.2.7 or a network such as 10.1.0.0/16";
        let Some(word) = self.peek_word() else {
            return Err(self.unexpected(expected));
        };
        let (address, length) = match word.value.split_once('/') {
            Some((address, length)) => (address, Some(length.to_owned())),
            None => (word.value.as_str(), None),
        };
        let Some(host) = super::values::host(address) else {
            return Err(self.unexpected(expected));
        };
        self.next();
        // A blank may stand before the slash.
        let length = match (length, self.peek_word()) {
            (None, Some(next)) if next.value.starts_with('/') => {
                self.next();
                next.value.get(1..).map(str::to_owned)
            }
            (length, _) => length,
        };
        let most = match &host {
            Host::Address(address) if address.is_ipv4() => 32,
            _ => 128,
        };
        let prefix = match length.map(|length| length.parse::<u8>()) {
            None => None,
            Some(Ok(length)) if length <= most => Some(length),
            Some(_) => {
                return Err(self.problem(
                    word.span,
                    format!("expected a prefix length from 0 to {most}"),
                ));
            }
        };
        let port = self.port()?;
        let protocol = self.protocol()?;
        Ok(SainfoNetwork {
            kind,
            host: Spanned::new(host, word.span),
            prefix,
            port,
            protocol,
        })
    }

    /// An upper-layer protocol by name or number.
    fn protocol(&mut self) -> Outcome<Spanned<u8>> {
        let expected = "a protocol: any, udp, tcp, icmp, icmp6, gre, esp, ah, or a number";
        let Some(word) = self.peek_word() else {
            return Err(self.unexpected(expected));
        };
        match protocol_number(&word.value) {
            Some(number) => {
                self.next();
                Ok(Spanned::new(number, word.span))
            }
            None => Err(self.unexpected(expected)),
        }
    }

    fn sainfo_body(&mut self) -> Outcome<Block<SainfoItem>> {
        self.block("sainfo", EXPECTED, |parser, word, _| {
            Some(match word {
                "pfs_group" => parser.ended(Self::dh_group).map(SainfoItem::PfsGroup),
                "lifetime" => parser.ended(Self::lifetime).map(SainfoItem::Lifetime),
                "remoteid" => parser.ended(Self::number).map(SainfoItem::RemoteId),
                "reqid" => parser.ended(Self::number).map(SainfoItem::ReqId),
                "encryption_algorithm" => parser
                    .ended(|parser| parser.commas(Self::cipher))
                    .map(SainfoItem::Encryption),
                "authentication_algorithm" => parser
                    .ended(|parser| parser.commas(Self::keyword))
                    .map(SainfoItem::Authentication),
                "compression_algorithm" => parser
                    .ended(|parser| parser.commas(Self::keyword))
                    .map(SainfoItem::Compression),
                "my_identifier" => parser.ended(Self::identifier).map(SainfoItem::MyIdentifier),
                _ => return None,
            })
        })
    }
}

/// The number of an upper-layer protocol; 0 for `any`.
pub(crate) fn protocol_number(word: &str) -> Option<u8> {
    Some(match word {
        "any" => 0,
        "icmp" => 1,
        "ip4" | "ipencap" => 4,
        "tcp" => 6,
        "udp" => 17,
        "ipv6" => 41,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmp6" | "ipv6-icmp" => 58,
        "ospf" => 89,
        "l2tp" => 115,
        number => return number.parse().ok(),
    })
}

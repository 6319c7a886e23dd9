//! Mode Config: draft-dukes-ike-mode-cfg-02, with Cisco's Unity attributes, as racoon serves them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::context::{Context, Effect};
use crate::error::{DownReason, Refusal};
use crate::iana::{ConfigAttribute, ConfigType};
use crate::ikev1::Session;
use crate::io::Event;
use crate::policy::ModeConfig;
use crate::wire::attribute::{Attribute, Value};
use crate::wire::attributes::Attributes;

use super::Purpose;

/// The longest text in an attribute.
const MAX_TEXT: usize = 4096;

impl Session {
    /// As responder: what a client asks for, as far as there is something.
    pub(super) fn give_configuration(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Attributes,
    ) -> Option<Vec<Attribute>> {
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let config = terms.mode_config.cloned()?;
        let established = self.established()?;
        if !established.xauth.is_through() || self.initiator {
            return None;
        }
        let client = established.client;
        let user = established.xauth.user().map(str::to_owned);
        let mut answer = Attributes {
            kind: ConfigType::REPLY,
            identifier: asked.identifier,
            list: Vec::new(),
        };
        let mut address = None;
        for attribute in &asked.list {
            let class = ConfigAttribute(attribute.class);
            if class == ConfigAttribute::INTERNAL_IP4_ADDRESS && address.is_none() {
                let wanted = asked.octets(class).and_then(|octets| ipv4(&octets));
                let wanted = wanted.filter(|wanted| !wanted.is_unspecified());
                let Some(lease) = cx
                    .shared
                    .leases
                    .lease(client, &config, user.as_deref(), wanted)
                else {
                    self.refuse(cx, Refusal::NoAddress);
                    continue;
                };
                address = Some(lease.address);
                answer.push(class, lease.address.octets());
                if let Some(displaced) = lease.displaced {
                    cx.effects.push(Effect::Displaced(displaced));
                }
                cx.shared.changed();
            } else {
                give(&config, class, &mut answer);
            }
        }
        if let Some(address) = address {
            let peer = self.path.peer;
            cx.shared.event(Event::AddressGiven {
                reqid: client,
                peer,
                user,
                address,
            });
        }
        Some(answer.list)
    }

    /// As initiator: asks for an address and what belongs to it.
    pub(crate) fn ask_address(&mut self, cx: &mut Context<'_>) {
        let list = [
            ConfigAttribute::INTERNAL_IP4_ADDRESS,
            ConfigAttribute::INTERNAL_IP4_NETMASK,
            ConfigAttribute::INTERNAL_IP4_DNS,
            ConfigAttribute::INTERNAL_IP4_NBNS,
            ConfigAttribute::UNITY_DEF_DOMAIN,
            ConfigAttribute::UNITY_SPLIT_INCLUDE,
        ]
        .map(|class| Attribute {
            class: class.0,
            value: Value::Long(Vec::new()),
        });
        self.begin_transaction(cx, ConfigType::REQUEST, list.to_vec(), Purpose::Address);
    }

    /// As initiator: the address is there.
    pub(super) fn address_received(&mut self, cx: &mut Context<'_>, told: &Attributes) {
        let address = told
            .octets(ConfigAttribute::INTERNAL_IP4_ADDRESS)
            .and_then(|octets| ipv4(&octets))
            .filter(|address| !address.is_unspecified() && !address.is_multicast());
        let Some(address) = address else {
            self.refuse(cx, Refusal::NoAddress);
            let reason = DownReason::Refused(Refusal::NoAddress);
            cx.effects.push(Effect::Dismissed(reason));
            return;
        };
        let all = |class: ConfigAttribute| {
            told.list
                .iter()
                .filter(move |own| own.class == class.0)
                .filter_map(|own| match &own.value {
                    Value::Long(octets) => ipv4(octets),
                    Value::Short(_) => None,
                })
                .collect()
        };
        let Some(established) = self.established_mut() else {
            return;
        };
        established.address = Some(address);
        let event = Event::AddressTaken {
            reqid: established.client,
            connection: self.connection.clone().unwrap_or_default(),
            address,
            dns: all(ConfigAttribute::INTERNAL_IP4_DNS),
        };
        cx.shared.event(event);
        cx.effects.push(Effect::Ready);
    }

    /// As initiator: a responder that tells of its own accord. We take what we ask for, and
    /// acknowledge nothing else.
    pub(super) fn take_configuration(
        &mut self,
        _cx: &mut Context<'_>,
        _told: &Attributes,
    ) -> Option<Vec<Attribute>> {
        self.initiator.then(Vec::new)
    }
}

/// Adds what a client asked for, if we have it.
fn give(config: &ModeConfig, class: ConfigAttribute, answer: &mut Attributes) {
    let text = |text: &Option<String>| {
        let text = text.as_ref()?;
        Some(
            text.as_bytes()
                .get(..MAX_TEXT)
                .unwrap_or(text.as_bytes())
                .to_vec(),
        )
    };
    match class {
        ConfigAttribute::INTERNAL_IP4_NETMASK => {
            if let Some(mask) = config.netmask {
                answer.push(class, mask.octets());
            }
        }
        ConfigAttribute::INTERNAL_IP4_DNS => addresses(class, &config.dns, answer),
        ConfigAttribute::INTERNAL_IP4_NBNS => addresses(class, &config.nbns, answer),
        ConfigAttribute::APPLICATION_VERSION => {
            answer.push(class, concat!("tanuki ", env!("CARGO_PKG_VERSION")));
        }
        ConfigAttribute::UNITY_DEF_DOMAIN => {
            if let Some(domain) = text(&config.default_domain) {
                answer.push(class, domain);
            }
        }
        ConfigAttribute::UNITY_BANNER => {
            if let Some(banner) = text(&config.banner) {
                answer.push(class, banner);
            }
        }
        ConfigAttribute::UNITY_SAVE_PASSWD => {
            let save = Attribute::short(class.0, config.save_password.into());
            answer.list.push(save);
        }
        ConfigAttribute::UNITY_SPLIT_INCLUDE => networks(class, &config.split_include, answer),
        ConfigAttribute::UNITY_LOCAL_LAN => networks(class, &config.split_exclude, answer),
        ConfigAttribute::UNITY_SPLITDNS_NAME if !config.split_dns.is_empty() => {
            answer.push(class, config.split_dns.join(","));
        }
        // IPv6, DHCP, firewalls and what else there is: not asked, as it were.
        _ => {}
    }
}

fn addresses(class: ConfigAttribute, addresses: &[Ipv4Addr], answer: &mut Attributes) {
    for address in addresses {
        answer.push(class, address.octets());
    }
}

/// Unity networks: address, mask, and six octets of protocol and ports that nobody uses.
fn networks(class: ConfigAttribute, networks: &[Ipv4Net], answer: &mut Attributes) {
    if networks.is_empty() {
        return;
    }
    let mut octets = Vec::new();
    for network in networks {
        octets.extend_from_slice(&network.network().octets());
        octets.extend_from_slice(&network.netmask().octets());
        octets.extend_from_slice(&[0; 6]);
    }
    answer.push(class, octets);
}

fn ipv4(octets: &[u8]) -> Option<Ipv4Addr> {
    Some(<[u8; 4]>::try_from(octets).ok()?.into())
}

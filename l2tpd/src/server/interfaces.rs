//! What is done to a session's interface besides its addresses (`set iface` of mpd5).

use std::net::Ipv4Addr;

use ppp_proto::Network;

use super::session::{Session, Side};
use crate::config::profile::InterfaceSettings;

impl Session {
    /// What the interface is to be called; none: as the kernel does.
    pub(super) fn interface_name_wanted(&self) -> Option<String> {
        let name = self.bundle.as_ref()?.interface.name.as_ref()?;
        match self.side {
            Side::Server => Some(format!("{name}{}", self.number)),
            Side::Client(_) => Some(name.clone()),
        }
    }

    /// The peer's address, when this host is to answer ARP requests for it.
    pub(super) fn proxy_arp(&self, settings: &InterfaceSettings) -> Option<Ipv4Addr> {
        match self.ipv4 {
            Some(Network::V4 { peer, .. }) if settings.proxy_arp => Some(peer),
            _ => self.leased.filter(|_| settings.proxy_arp),
        }
    }

    /// The description with mpd5's conversions carried out.
    pub(super) fn description(
        &self,
        interface: &str,
        settings: &InterfaceSettings,
    ) -> Option<String> {
        let template = settings.description.as_ref()?;
        let ends = self.addresses().into_iter().next();
        let or_dash = |text: &str| match text {
            "" => "-".to_owned(),
            text => text.to_owned(),
        };
        let (ours, theirs) = match (&self.side, self.user.as_str()) {
            (Side::Server, user) => ("-".to_owned(), or_dash(user)),
            (Side::Client(_), user) => (or_dash(user), "-".to_owned()),
        };
        let mut text = String::new();
        let mut letters = template.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                text.push(letter);
                continue;
            }
            match letters.next() {
                Some('a') => text.extend(ends.map(|(local, _)| local.to_string())),
                Some('A') => text.extend(ends.map(|(_, peer)| peer.to_string())),
                Some('I') => text.push_str(interface),
                Some('l') => text.push_str(&self.link_name()),
                Some('O') => text.push_str(&self.peer.ip().to_string()),
                Some('P') => text.push_str(&self.peer.port().to_string()),
                Some('S') => text.push_str("UP"),
                Some('t') => text.push_str("l2tp"),
                Some('u') => text.push_str(&ours),
                Some('U') => text.push_str(&theirs),
                Some(other) => text.push(other),
                None => text.push('%'),
            }
        }
        Some(text)
    }

    /// The name of the session as a link of mpd5.
    pub(super) fn link_name(&self) -> String {
        match (&self.side, &self.profile) {
            (Side::Client(name), _) => name.clone(),
            (Side::Server, Some(profile)) => format!("{}-{}", profile.name, self.number),
            (Side::Server, None) => self.number.to_string(),
        }
    }

    /// The name of the session as a bundle of mpd5.
    pub(super) fn bundle_name(&self) -> String {
        match (&self.side, &self.bundle) {
            (_, None) => String::new(),
            (Side::Client(_), Some(bundle)) => bundle.name.clone(),
            (Side::Server, Some(bundle)) => format!("{}-{}", bundle.name, self.number),
        }
    }
}

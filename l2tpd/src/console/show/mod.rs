//! The listings of mpd5's console, column by column as mpd5 prints them: scripts cut them up.
//!
//! | file | what |
//! |---|---|
//! | `lists.rs` | sessions, summary, tunnels, pools |
//! | `link.rs` `ppp.rs` `device.rs` `customer.rs` | one link: link; lcp, auth; device; customer |
//! | `bundle.rs` | one bundle: bundle, iface, ipcp, ipv6cp |
//! | `global.rs` | console, web, users, global settings, version |

mod bundle;
mod customer;
mod device;
mod global;
mod link;
mod lists;
mod ppp;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

pub(super) use bundle::{bundle, iface, ipcp, ipv6cp};
pub(super) use customer::customer;
pub(super) use device::device;
pub(super) use global::{console, global, users, version, web};
pub(super) use link::link;
pub(super) use lists::{ippool, l2tp, sessions, summary};
pub(super) use ppp::{auth, lcp};

use super::view::SessionView;

/// Lines that end with CR and LF.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: impl fmt::Display) -> &mut Self {
        use fmt::Write;
        // Writing into a String does not fail.
        let _ = write!(self.0, "{line}\r\n");
        self
    }

    /// `OptStat` of mpd5: options, whether we want them, and whether the peer may have them.
    fn options(&mut self, options: &[(&str, bool, Option<bool>)]) -> &mut Self {
        if options.iter().any(|(_, _, accepted)| accepted.is_some()) {
            self.line("\t\t\tSelf\t\tPeer");
        }
        for (name, enabled, accepted) in options {
            let own = if *enabled { "enable" } else { "disable" };
            let peer = match accepted {
                None => "",
                Some(true) => "\t\taccept",
                Some(false) => "\t\tdeny",
            };
            self.line(format_args!("\t{name:<10}\t{own}{peer}"));
        }
        self
    }

    /// The traffic of a link or bundle, indented by `tabs`.
    fn traffic(&mut self, tabs: &str, session: &SessionView) -> &mut Self {
        let traffic = &session.traffic;
        for (name, count) in [
            ("Input octets  ", traffic.received_octets),
            ("Input frames  ", traffic.received_frames),
            ("Output octets ", traffic.sent_octets),
            ("Output frames ", traffic.sent_frames),
            // ng_ppp's, which nobody reads here.
            ("Bad protocols ", 0),
            ("Runts         ", 0),
        ] {
            self.line(format_args!("{tabs}{name} : {count}"));
        }
        self
    }

    fn done(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

fn on(session: &SessionView) -> &'static str {
    if session.up { "Up" } else { "Down" }
}

fn server(list: &[Ipv4Addr], at: usize) -> Ipv4Addr {
    list.get(at).copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// mpd5 has nothing for an address that is not known.
fn address(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

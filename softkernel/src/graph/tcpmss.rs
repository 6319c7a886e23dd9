//! The `tcpmss` node: `ng_tcpmss(4)`. Lowers the maximum segment size option (RFC 9293 section
//! 3.7.1) of TCP SYN packets, IPv4 and IPv6, and corrects the checksum (RFC 1624).

use netgraph::node::tcpmss::{self as ng, Config};
use netgraph::{Errno, NgMessage};

use super::{Drop, HookIndex, Verdict, command};

const PROTOCOL_TCP: u8 = 6;
const FLAG_SYN: u8 = 0x02;
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MSS: u8 = 2;
/// Hooks of a node, at most.
const MAX_HOOKS: usize = 16;

/// The node.
#[derive(Debug, Default)]
pub struct TcpmssNode {
    hooks: Vec<Hook>,
}

#[derive(Debug)]
struct Hook {
    name: String,
    index: HookIndex,
    out: Option<Out>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    hook: HookIndex,
    max_mss: u16,
}

impl TcpmssNode {
    /// A node without hooks.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn attach(&mut self, name: &str, index: HookIndex) -> Result<(), Errno> {
        if self.hooks.len() >= MAX_HOOKS {
            return Err(Errno::ENOBUFS);
        }
        self.hooks.push(Hook {
            name: name.to_owned(),
            index,
            out: None,
        });
        Ok(())
    }

    pub(super) fn detach(&mut self, index: HookIndex) {
        self.hooks.retain(|hook| hook.index != index);
        for hook in &mut self.hooks {
            hook.out = hook.out.filter(|out| out.hook != index);
        }
    }

    pub(super) fn message(&mut self, message: &NgMessage) -> Result<Option<Vec<u8>>, Errno> {
        if message.cookie != ng::COOKIE {
            return Err(Errno::EINVAL);
        }
        let Some(ng::SetConfig(Config {
            in_hook,
            out_hook,
            max_mss,
        })) = command(message)?
        else {
            return Err(Errno::EINVAL);
        };
        let named = |name: &str| self.hooks.iter().position(|hook| hook.name == name);
        let (from, to) = (named(&in_hook).ok_or(Errno::ENOENT)?, named(&out_hook));
        let to = to
            .and_then(|to| self.hooks.get(to))
            .ok_or(Errno::ENOENT)?
            .index;
        if let Some(hook) = self.hooks.get_mut(from) {
            hook.out = Some(Out { hook: to, max_mss });
        }
        Ok(None)
    }

    /// Where what enters by a hook leaves, and its largest segments.
    pub(super) fn exit(&self, index: HookIndex) -> Option<(HookIndex, u16)> {
        let hook = self.hooks.iter().find(|hook| hook.index == index)?;
        hook.out.map(|out| (out.hook, out.max_mss))
    }

    pub(super) fn receive(&mut self, index: HookIndex, packet: &mut [u8]) -> Verdict {
        let Some((hook, max_mss)) = self.exit(index) else {
            return Verdict::Drop(Drop::NotConnected);
        };
        if max_mss != 0 {
            clamp(packet, max_mss);
        }
        Verdict::Forward(hook)
    }
}

/// Lowers the MSS option of a SYN to `max_mss`; whatever else the packet is, it is left alone.
pub fn clamp(packet: &mut [u8], max_mss: u16) {
    let Some(tcp) = tcp_segment(packet) else {
        return;
    };
    let (Some(&[offset, flags]), true) = (
        tcp.get(12..14).and_then(<[u8]>::first_chunk::<2>),
        tcp.len() >= 20,
    ) else {
        return;
    };
    let header = usize::from(offset >> 4) * 4;
    if flags & FLAG_SYN == 0 || header > tcp.len() {
        return;
    }
    let mut at = 20;
    while at < header {
        match tcp.get(at) {
            Some(&OPTION_END) | None => return,
            Some(&OPTION_NOP) => at += 1,
            Some(&kind) => {
                let length = usize::from(tcp.get(at + 1).copied().unwrap_or(0));
                if length < 2 || at + length > header {
                    return;
                }
                if kind == OPTION_MSS && length == 4 {
                    lower(tcp, at + 2, max_mss);
                    return;
                }
                at += length;
            }
        }
    }
}

/// The TCP header and what follows, of a packet that has one: no later fragment, no extension
/// headers.
fn tcp_segment(packet: &mut [u8]) -> Option<&mut [u8]> {
    let first = *packet.first()?;
    let (protocol, header) = match first >> 4 {
        4 => {
            let fragment = packet.get(6..8).and_then(<[u8]>::first_chunk::<2>)?;
            if u16::from_be_bytes(*fragment) & 0x1fff != 0 {
                return None;
            }
            (*packet.get(9)?, usize::from(first & 0xf) * 4)
        }
        6 => (*packet.get(6)?, 40),
        _ => return None,
    };
    if protocol != PROTOCOL_TCP || header < 20 {
        return None;
    }
    packet.get_mut(header..)
}

fn lower(tcp: &mut [u8], at: usize, max_mss: u16) {
    let field = |tcp: &[u8], at: usize| {
        tcp.get(at..)
            .and_then(<[u8]>::first_chunk::<2>)
            .map(|bytes| u16::from_be_bytes(*bytes))
    };
    let (Some(mss), Some(checksum)) = (field(tcp, at), field(tcp, 16)) else {
        return;
    };
    if mss <= max_mss {
        return;
    }
    // The checksum is a sum over 16-bit words; an option at an odd place has its bytes swapped.
    let word = |value: u16| {
        if at.is_multiple_of(2) {
            value
        } else {
            value.swap_bytes()
        }
    };
    // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    let mut sum = u32::from(!checksum) + u32::from(!word(mss)) + u32::from(word(max_mss));
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    let corrected = !u16::try_from(sum).unwrap_or(0);
    for (at, value) in [(at, max_mss), (16, corrected)] {
        if let Some(place) = tcp.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    fn sum(bytes: &[u8]) -> u32 {
        bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
            .sum()
    }

    /// The checksum with its pseudo header comes out as 0xffff.
    fn checksum_holds(packet: &[u8]) -> bool {
        let (addresses, tcp) = if packet[0] >> 4 == 4 {
            (&packet[12..20], &packet[20..])
        } else {
            (&packet[8..40], &packet[40..])
        };
        let mut total = sum(addresses) + 6 + tcp.len() as u32 + sum(tcp);
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        total == 0xffff
    }

    /// A SYN of a Linux machine: MSS 1460, SACK, timestamps, NOP, window scale.
    const SYN: [u8; 60] = hex!(
        "4500 003c 1c46 4000 4006 b1e6 ac10 0a63 ac10 0a0c"
        "e2c4 0050 0a3b 5e71 0000 0000 a002 faf0 0000 0000"
        "0204 05b4 0402 080a 9a5c 1f3e 0000 0000 0103 0307"
    );

    fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
        let (from, tcp) = if packet[0] >> 4 == 4 {
            (12..20, 20)
        } else {
            (8..40, 40)
        };
        packet[tcp + 16..tcp + 18].copy_from_slice(&[0, 0]);
        let mut total = sum(&packet[from]) + 6 + (packet.len() - tcp) as u32 + sum(&packet[tcp..]);
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        packet[tcp + 16..tcp + 18].copy_from_slice(&(!(total as u16)).to_be_bytes());
        packet
    }

    #[test]
    fn lowers_and_never_raises() {
        let syn = with_checksum(SYN.to_vec());
        assert!(checksum_holds(&syn));
        let mut packet = syn.clone();
        clamp(&mut packet, 1360);
        assert_eq!(packet[40..44], hex!("0204 0550"));
        assert!(checksum_holds(&packet));
        let mut packet = syn.clone();
        clamp(&mut packet, 1460);
        assert_eq!(packet, syn);
        // The same segment with an odd offset of the option, in IPv6.
        let mut v6 = hex!("6000 0000 0028 0640").to_vec();
        v6.extend_from_slice(&[0x20; 32]);
        v6.extend_from_slice(&SYN[20..40]);
        v6.extend_from_slice(&hex!("01 0204 05b4 0402 01 080a 9a5c 1f3e 0000 0000 01 01"));
        let mut v6 = with_checksum(v6);
        clamp(&mut v6, 1220);
        assert_eq!(v6[61..65], hex!("0204 04c4"));
        assert!(checksum_holds(&v6));
    }

    #[test]
    fn leaves_other_packets_alone() {
        let mut no_syn = SYN;
        no_syn[33] = 0x10;
        let mut fragment = SYN;
        fragment[7] = 1;
        let mut udp = SYN;
        udp[9] = 17;
        for packet in [no_syn, fragment, udp] {
            let mut clamped = packet;
            clamp(&mut clamped, 500);
            assert_eq!(clamped, packet);
        }
    }

    proptest! {
        #[test]
        fn any_bytes(mut packet in prop::collection::vec(any::<u8>(), 0..120), max: u16) {
            let length = packet.len();
            clamp(&mut packet, max);
            prop_assert_eq!(packet.len(), length);
        }

        #[test]
        fn any_options(options in prop::collection::vec(any::<u8>(), 0..40), max: u16) {
            let mut packet = SYN[..40].to_vec();
            let words = options.len() / 4;
            packet.extend_from_slice(&options[..words * 4]);
            packet[32] = ((5 + words) as u8) << 4;
            let mut packet = with_checksum(packet);
            clamp(&mut packet, max);
            prop_assert!(checksum_holds(&packet));
        }
    }
}

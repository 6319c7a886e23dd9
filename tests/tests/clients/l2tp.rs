//! L2TP and PPP of a client, by hand.

use std::time::Duration;

use ppp_proto::auth::mschapv2::{self, Response};

use crate::client::Client;
use crate::stack::Stack;

pub(crate) const LCP: u16 = 0xc021;
pub(crate) const CCP: u16 = 0x80fd;
pub(crate) const IPV6CP: u16 = 0x8057;
/// Apple's Client Server Control Protocol.
pub(crate) const ACSP: u16 = 0x8235;
const CHAP: u16 = 0xc223;
const IPCP: u16 = 0x8021;
const IP: u16 = 0x0021;
pub(crate) const IPV6: u16 = 0x0057;

/// Two seconds apart.
const SCCRQ_ATTEMPTS: usize = 12;
/// Seconds that LCP, login and IPCP may take.
const PPP_PATIENCE: u32 = 15;

pub(crate) fn avp(mandatory: bool, vendor: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let bits = (6 + value.len() as u16) | if mandatory { 0x8000 } else { 0 };
    let mut out = [bits, vendor, attribute].map(u16::to_be_bytes).concat();
    out.extend(value);
    out
}

/// A number AVP in a control message.
fn number(message: &[u8], attribute: u16) -> u16 {
    let mut avps = &message[12..];
    while avps.len() >= 8 {
        let length = usize::from(u16::from_be_bytes([avps[0], avps[1]]) & 0x3ff);
        if avps[2..6] == [0, 0, (attribute >> 8) as u8, attribute as u8] {
            return u16::from_be_bytes([avps[6], avps[7]]);
        }
        avps = &avps[length..];
    }
    panic!("no AVP {attribute} in {message:02x?}")
}

pub(crate) fn control_packet(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = (data.len() as u16 + 4).to_be_bytes();
    [&[code, id, high, low], data].concat()
}

impl Client {
    pub(crate) fn control(&mut self, stack: &mut Stack, session: u16, avps: &[Vec<u8>]) {
        let body = avps.concat();
        let length = 12 + body.len() as u16;
        let header = [0xc802, length, self.tunnel, session, self.ns, self.nr];
        let packet = [header.map(u16::to_be_bytes).concat(), body].concat();
        self.ns += u16::from(!avps.is_empty());
        self.send(stack, &packet);
    }

    /// The answer to the last control message.
    fn answer(&mut self, stack: &Stack, kind: u16) -> Vec<u8> {
        let answer = self.control.pop_front();
        let answer = answer.unwrap_or_else(|| panic!("{:#?}", stack.log));
        assert_eq!(number(&answer, 0), kind);
        answer
    }

    pub(crate) fn frame(&mut self, stack: &mut Stack, protocol: u16, payload: &[u8]) {
        let header = [0x0002, self.tunnel, self.session, 0xff03, protocol];
        let packet = [&header.map(u16::to_be_bytes).concat(), payload].concat();
        self.send(stack, &packet);
    }

    pub(crate) fn l2tp(&mut self, stack: &mut Stack) {
        (self.ns, self.nr, self.tunnel, self.session) = (0, 0, 0, 0);
        self.control.clear();
        self.frames.clear();
        // As every client it sends again what nobody answers.
        for _ in 0..SCCRQ_ATTEMPTS {
            self.ns = 0;
            self.control(stack, 0, &self.model.sccrq.clone());
            if !self.control.is_empty() {
                break;
            }
            self.second(stack);
            self.second(stack);
        }
        self.tunnel = number(&self.answer(stack, 2), 9);
        self.control(stack, 0, &[avp(true, 0, 0, &[0, 3])]);
        self.control(stack, 0, &self.model.icrq.clone());
        self.session = number(&self.answer(stack, 11), 14);
        self.control(stack, self.session, &self.model.iccn.clone());
        self.control(stack, 0, &[]);
    }

    /// LCP, MS-CHAPv2 and IPCP to their ends: rejected options are left out, Nak'd ones taken.
    pub(crate) fn ppp(&mut self, stack: &mut Stack) {
        let mut options = [
            (LCP, self.model.lcp.clone()),
            (IPCP, self.model.ipcp.clone()),
        ];
        let mut up = [false; 2];
        let request = control_packet(1, 1, &options[0].1.concat());
        self.frame(stack, LCP, &request);
        let deaf_until = stack.now + Duration::from_secs(self.model.deaf);
        let mut rejected = 0;
        let (mut id, mut seconds) = (1, 0);
        loop {
            let Some((protocol, packet)) = self.frames.pop_front() else {
                if up == [true; 2] || seconds == PPP_PATIENCE {
                    break;
                }
                seconds += 1;
                self.second(stack);
                continue;
            };
            if (protocol, packet[0]) == (LCP, 1) && stack.now < deaf_until {
                continue;
            }
            let at = usize::from(protocol == IPCP);
            match (protocol, packet[0]) {
                (LCP | IPCP, 1) => {
                    let mut ack = packet.clone();
                    ack[0] = 2;
                    self.frame(stack, protocol, &ack);
                }
                (LCP | IPCP, 2) => up[at] = true,
                (LCP | IPCP, 3 | 4) => {
                    let mut changed = &packet[4..];
                    while let [kind, length, ..] = changed {
                        let (option, rest) = changed.split_at(usize::from(*length));
                        let list = &mut options[at].1;
                        let index = list.iter().position(|own| own[0] == *kind).unwrap();
                        if packet[0] == 4 {
                            list.remove(index);
                        } else {
                            list[index] = option.to_vec();
                        }
                        changed = rest;
                    }
                    id += 1;
                    let request = control_packet(1, id, &options[at].1.concat());
                    self.frame(stack, protocol, &request);
                }
                (CHAP, 1) => {
                    let authenticator = packet[5..21].try_into().unwrap();
                    let peer_challenge = [0x21; 16];
                    let hash = mschapv2::nt_password_hash(b"clientPass");
                    let nt_response =
                        mschapv2::nt_response(&authenticator, &peer_challenge, b"User", &hash);
                    let value = Response {
                        peer_challenge,
                        nt_response,
                    };
                    let data = [&[49][..], &value.emit(), b"User"].concat();
                    self.frame(stack, CHAP, &control_packet(2, packet[1], &data));
                }
                // The server's, where it has IPv6: `Client::ipv6` goes on from there.
                (IPV6CP, 1) => {
                    let mut ack = packet.clone();
                    ack[0] = 2;
                    self.frame(stack, protocol, &ack);
                }
                (IPV6CP, 2) => self.ipv6_is_up = true,
                (IPV6, _) => {}
                (LCP, 8) => {
                    let protocol = u16::from_be_bytes([packet[4], packet[5]]);
                    assert!(self.model.besides.iter().any(|own| own.0 == protocol));
                    rejected += 1;
                }
                (CHAP, 3) => {
                    for (id, text) in (2..).zip(self.model.identification.clone()) {
                        let data = [&[0x16, 0xc0, 0x29, 0x43], text.as_slice()].concat();
                        self.frame(stack, LCP, &control_packet(12, id, &data));
                    }
                    for (protocol, options) in self.model.besides.clone() {
                        self.frame(stack, protocol, &control_packet(1, 5, &options));
                    }
                    let request = control_packet(1, 1, &options[1].1.concat());
                    self.frame(stack, IPCP, &request);
                }
                other => panic!("{other:x?} {packet:02x?}"),
            }
        }
        assert_eq!(up, [true; 2], "{:#?}", stack.log);
        let taken = usize::from(self.ipv6_is_up);
        assert_eq!(
            rejected + taken,
            self.model.besides.len(),
            "and the link stays"
        );
        let address = options[1].1.iter().find(|option| option[0] == 3).unwrap();
        self.inner = address[2..].try_into().unwrap();
        assert_eq!(self.inner[..3], [10, 77, 0]);
    }

    /// Answers what keeps a link alive.
    pub(crate) fn keep_alive(&mut self, stack: &mut Stack) {
        while let Some(message) = self.control.pop_front() {
            let kind = number(&message, 0);
            assert!([4, 6, 14].contains(&kind), "HELLO, or the end: {kind}");
            self.control(stack, 0, &[]);
        }
        while let Some((protocol, mut packet)) = self.frames.pop_front() {
            match (protocol, packet[0]) {
                (LCP, 9) => {
                    packet[0] = 10;
                    packet[4..8].fill(0);
                    self.frame(stack, LCP, &packet);
                }
                (LCP, 5 | 6) | (IPV6, _) => {}
                other => panic!("{other:x?} {packet:02x?}"),
            }
        }
    }

    /// An echo request to the server's inner address reaches its TUN device, the reply comes back.
    pub(crate) fn ping(&mut self, stack: &mut Stack) {
        let packet = |from: [u8; 4], to: [u8; 4], kind: u8| {
            let mut ip = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0];
            ip.extend(from);
            ip.extend(to);
            let sum: u32 = ip
                .chunks(2)
                .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
                .sum();
            let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            ip.extend([kind, 0, !kind, 0xff, 0, 0, 0, 0]);
            ip
        };
        let server = [10, 77, 0, 1];
        self.pump(stack);
        self.keep_alive(stack);
        let request = packet(self.inner, server, 8);
        self.frame(stack, IP, &request);
        assert_eq!(
            stack.kernel.tun.pop_front(),
            Some(request),
            "{:#?}",
            stack.log
        );
        let reply = packet(server, self.inner, 0);
        stack.kernel.tun_packet(&reply);
        let others = stack.esp.len();
        stack.esp.append(&mut stack.kernel.outgoing);
        self.pump(stack);
        let back = self.frames.pop_front();
        assert_eq!(back, Some((IP, reply)), "{:#?}", stack.log);
        assert_eq!(stack.esp.len(), others, "nobody else gets it");
    }
}

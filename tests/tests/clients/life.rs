//! A client's life: it connects, stays, renews its SAs in its way and leaves in its way.

use std::time::Duration;

use tanuki_tests::ike::{INFORMATIONAL, NOTIFY, QUICK_MODE};

use crate::client::Client;
use crate::l2tp::{LCP, avp, control_packet};
use crate::model::{Farewell, Renewal};
use crate::stack::Stack;

/// RFC 3706 5.3.
const R_U_THERE: [u8; 2] = 36_136_u16.to_be_bytes();
const R_U_THERE_ACK: [u8; 2] = 36_137_u16.to_be_bytes();
/// macOS renews phase 1 then, 80 % of its hour.
const FORTY_EIGHT_MINUTES: u64 = 48 * 60;

impl Client {
    pub(crate) fn connect(&mut self, stack: &mut Stack) {
        self.main_mode(stack);
        self.quick_mode(stack);
        self.l2tp(stack);
        self.ppp(stack);
        self.ping(stack);
    }

    /// One second of everybody's time in which the client is there.
    pub(crate) fn second(&mut self, stack: &mut Stack) {
        stack.advance(Duration::from_secs(1));
        self.pump(stack);
        self.answer_ike(stack);
    }

    /// Takes in what there is for it, and answers.
    pub(crate) fn attend(&mut self, stack: &mut Stack) {
        self.pump(stack);
        self.answer_ike(stack);
        self.keep_alive(stack);
    }

    /// Stays, and answers whatever keeps tunnels, links and SAs alive.
    pub(crate) fn live(&mut self, stack: &mut Stack, seconds: u64) {
        for _ in 0..seconds {
            self.second(stack);
            self.keep_alive(stack);
        }
    }

    fn answer_ike(&mut self, stack: &mut Stack) {
        for message in stack.take_ike(self.peer(self.udp)) {
            // A keepalive, or of an SA that it does not talk over any more.
            if message.len() == 1 {
                continue;
            }
            if message[..16] != [self.ike.cky_i, self.ike.cky_r].concat() {
                continue;
            }
            match message[18] {
                INFORMATIONAL => {
                    for (kind, body) in self.ike.read_informational(&message) {
                        if kind == NOTIFY && body[6..8] == R_U_THERE {
                            let ack = [&body[..6], &R_U_THERE_ACK, &body[8..]].concat();
                            let message = self.ike.informational(&[(NOTIFY, ack)]);
                            self.tell(stack, &message);
                        }
                    }
                }
                QUICK_MODE => self.answer_quick_mode(stack, &message),
                other => panic!("exchange {other}"),
            }
        }
    }

    /// The server renews.
    fn answer_quick_mode(&mut self, stack: &mut Stack, qm1: &[u8]) {
        let (spi, nonce) = (self.next_spi(), self.model.quick_nonce);
        let (qm2, under_way, pair) = self.ike.qm2(qm1, spi, nonce);
        self.install(&pair);
        self.tell(stack, &qm2);
        let qm3 = stack.take_ike(self.peer(self.udp));
        self.ike.read_qm3(&under_way, &qm3[0]);
        self.pairs.push(pair);
    }

    /// Makes new SAs of the old ones, and has them carry traffic.
    pub(crate) fn renew(&mut self, stack: &mut Stack) {
        match self.model.renewal {
            Renewal::Never => return,
            Renewal::Beside => self.quick_mode(stack),
            Renewal::DeleteOld => {
                // Six times within half a minute, as when the L2TP server does not answer at once.
                for _ in 0..6 {
                    let old = self.pairs.last().unwrap().spi_in;
                    self.quick_mode(stack);
                    let delete = self.ike.delete_esp(old);
                    self.tell(stack, &delete);
                    self.ping(stack);
                    self.live(stack, 4);
                }
            }
            Renewal::BothPhases => {
                self.live(stack, FORTY_EIGHT_MINUTES);
                let mut old = self.main_mode_again(stack);
                self.ping(stack);
                self.quick_mode(stack);
                // racoon deletes the old one when its hour is over.
                self.live(stack, 3600 - FORTY_EIGHT_MINUTES);
                let delete = old.delete_isakmp();
                self.tell(stack, &delete);
            }
        }
        self.ping(stack);
    }

    pub(crate) fn leave(&mut self, stack: &mut Stack) {
        match self.model.farewell {
            Farewell::Polite => {
                self.hang_up(stack, &[0, 3], &[0, 1]);
                self.delete_all(stack);
            }
            Farewell::Windows => {
                self.frame(stack, LCP, &control_packet(5, 10, &[]));
                let ack = self.frames.pop_front().map(|frame| frame.1[0]);
                assert_eq!(ack, Some(6), "Terminate-Ack");
                self.live(stack, 2);
                self.frame(stack, LCP, &control_packet(5, 11, &[]));
                self.hang_up(stack, &[0, 3], &[0, 1]);
                self.live(stack, 4);
                let last = self.pairs.last().unwrap().spi_in;
                let delete = self.ike.delete_esp(last);
                self.tell(stack, &delete);
                let delete = self.ike.delete_isakmp();
                self.tell(stack, &delete);
            }
            Farewell::Apple => {
                let code = |code: u8| [code, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
                self.hang_up(stack, &code(3), &code(1));
                self.delete_all(stack);
            }
            Farewell::Android => self.stop(stack, &[0, 6]),
            Farewell::TunnelForge => self.hang_up(stack, &[0, 3], &[0, 6]),
        }
    }

    /// CDN and StopCCN with these Result Codes.
    fn hang_up(&mut self, stack: &mut Stack, call: &[u8], tunnel: &[u8]) {
        let cdn = [
            avp(true, 0, 0, &[0, 14]),
            avp(true, 0, 1, call),
            self.model.icrq[1].clone(),
        ];
        self.control(stack, self.session, &cdn);
        self.stop(stack, tunnel);
    }

    fn stop(&mut self, stack: &mut Stack, result: &[u8]) {
        let assigned = self.model.sccrq.iter().find(|avp| avp[4..6] == [0, 9]);
        let stop = [
            avp(true, 0, 0, &[0, 4]),
            assigned.unwrap().clone(),
            avp(true, 0, 1, result),
        ];
        self.control(stack, 0, &stop);
    }

    fn delete_all(&mut self, stack: &mut Stack) {
        for pair in self.pairs.clone() {
            let delete = self.ike.delete_esp(pair.spi_in);
            self.tell(stack, &delete);
        }
        let delete = self.ike.delete_isakmp();
        self.tell(stack, &delete);
    }
}

/// Lets time pass without anybody.
pub(crate) fn silence(stack: &mut Stack, seconds: u64) {
    for _ in 0..seconds {
        stack.advance(Duration::from_secs(1));
        stack.forget_packets();
    }
}

//! The reliable control channel: RFC 2661 section 5.8 and appendix A, windows and timers as in
//! FreeBSD's `ng_l2tp(4)`.
//!
//! Differs from FreeBSD in one thing: a received message is acknowledged at once, not after 50 ms
//! of waiting for something to piggy-back on (Android's mtpd retransmits only once and gives up).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages that wait for acknowledgement or for the window, at most (`L2TP_MAX_XWIN`).
pub const MAX_WINDOW: u16 = 128;
/// The first retransmission comes after a second and then ever later.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// Exponent at which the wait stops growing, whatever the configured maximum.
const MAX_BACKOFF: u32 = 12;

/// What the peer may do with sequence numbers; see the fields of the same name in RFC 2661.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Ns of the next new message.
    ns: u16,
    /// Ns after the last message ever sent: after a timeout `ns` goes back, and the peer may yet
    /// confirm what it had received before.
    sent: u16,
    /// Ns expected from the peer, sent as Nr.
    nr: u16,
    /// Highest Nr received.
    received_ack: u16,
    /// Congestion window, messages.
    window: u16,
    /// The peer's receive window, messages.
    peer_window: u16,
    /// Slow start threshold, messages.
    threshold: u16,
    /// Acknowledgements towards the next growth of the window.
    acks: u16,
    /// Retransmissions of the oldest message.
    retransmits: u32,
    /// Messages not acknowledged yet, those sent first: session id and AVPs.
    queue: VecDeque<Message>,
    /// When the oldest message is sent again.
    timer: Option<Instant>,
}

/// One control message without header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The peer's session id.
    pub session: u16,
    /// Its AVPs.
    pub body: Vec<u8>,
}

/// What to do with a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The one expected: deliver it, then call [`Channel::accepted`].
    Expected,
    /// Had before: acknowledge again.
    Duplicate,
    /// Too early: drop it, acknowledge what there is.
    TooEarly,
}

/// How a received Nr was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It confirms messages, or repeats what was known.
    Fine,
    /// It confirms what was never sent; ignored.
    Bad,
}

impl Channel {
    /// A channel on which nothing was sent or received.
    pub fn new() -> Self {
        Self {
            ns: 0,
            sent: 0,
            nr: 0,
            received_ack: 0,
            window: 1,
            peer_window: MAX_WINDOW,
            threshold: MAX_WINDOW,
            acks: 0,
            retransmits: 0,
            queue: VecDeque::new(),
            timer: None,
        }
    }

    /// Sets the starting numbers of an unused channel.
    pub fn set_sequence(&mut self, next_send: u16, next_receive: u16) {
        self.ns = next_send;
        self.sent = next_send;
        self.received_ack = next_send;
        self.nr = next_receive;
    }

    /// The peer's receive window; more than [`MAX_WINDOW`] is not used.
    pub fn set_peer_window(&mut self, messages: u16) {
        self.peer_window = messages.clamp(1, MAX_WINDOW);
        self.threshold = self.threshold.clamp(1, self.peer_window);
        self.window = self.window.clamp(1, self.peer_window);
    }

    /// The peer's receive window in use.
    pub fn peer_window(&self) -> u16 {
        self.peer_window
    }

    /// The Nr to put into whatever is sent now.
    pub fn nr(&self) -> u16 {
        self.nr
    }

    /// The Ns to put into an acknowledgement without message.
    pub fn ns(&self) -> u16 {
        self.ns
    }

    /// Messages that are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.queue.len()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timer
    }

    /// Queues a message; [`poll_send`](Self::poll_send) has it when the window admits it.
    ///
    /// # Errors
    /// The message, when the queue is full.
    pub fn push(&mut self, message: Message) -> Result<(), Message> {
        if self.queue.len() >= usize::from(MAX_WINDOW) {
            return Err(message);
        }
        self.queue.push_back(message);
        Ok(())
    }

    /// The next message that the window admits, with its Ns.
    pub fn poll_send(&mut self, now: Instant) -> Option<(u16, &Message)> {
        let in_flight = self.ns.wrapping_sub(self.received_ack);
        if in_flight >= self.window {
            return None;
        }
        let message = self.queue.get(usize::from(in_flight))?;
        let ns = self.ns;
        self.ns = ns.wrapping_add(1);
        if difference(self.ns, self.sent) > 0 {
            self.sent = self.ns;
        }
        if self.timer.is_none() {
            self.timer = Some(now + FIRST_TIMEOUT);
        }
        Some((ns, message))
    }

    /// Takes the Nr of a received message.
    pub fn handle_ack(&mut self, now: Instant, nr: u16) -> Acknowledged {
        let confirmed = difference(nr, self.received_ack);
        if confirmed <= 0 {
            return Acknowledged::Fine;
        }
        if difference(nr, self.sent) > 0 {
            return Acknowledged::Bad;
        }
        if difference(nr, self.ns) > 0 {
            self.ns = nr;
        }
        let confirmed = confirmed.unsigned_abs();
        self.received_ack = nr;
        self.retransmits = 0;
        self.queue
            .drain(..usize::from(confirmed).min(self.queue.len()));
        self.grow_window(confirmed);
        self.timer = if self.queue.is_empty() {
            None
        } else {
            Some(now + FIRST_TIMEOUT)
        };
        Acknowledged::Fine
    }

    /// Where a received message with this Ns stands.
    pub fn order(&self, ns: u16) -> Order {
        match difference(ns, self.nr) {
            0 => Order::Expected,
            difference if difference < 0 => Order::Duplicate,
            _ => Order::TooEarly,
        }
    }

    /// The expected message has been delivered; its acknowledgement is to be sent.
    pub fn accepted(&mut self) {
        self.nr = self.nr.wrapping_add(1);
    }

    /// Whether the retransmission timer has run out. If so the window shrinks to one message,
    /// which [`poll_send`](Self::poll_send) has again, and the wait is doubled up to `longest`.
    /// Some(true): the message had been retransmitted `limit` times before.
    pub fn handle_timeout(&mut self, now: Instant, limit: u16, longest: Duration) -> Option<bool> {
        if self.timer.is_none_or(|due| now < due) {
            return None;
        }
        let exhausted = self.retransmits >= u32::from(limit);
        self.retransmits = self.retransmits.saturating_add(1);
        let wait = FIRST_TIMEOUT * (1 << self.retransmits.min(MAX_BACKOFF));
        // A wait of zero would spin.
        self.timer = Some(now + wait.min(longest.max(FIRST_TIMEOUT)));
        self.ns = self.received_ack;
        self.threshold = self.window.div_ceil(2);
        self.window = 1;
        self.acks = 0;
        Some(exhausted)
    }

    /// RFC 2661 appendix A; several confirmations at once count as if each had come alone.
    fn grow_window(&mut self, mut confirmed: u16) {
        if self.window >= self.peer_window {
            return;
        }
        if self.window < self.threshold {
            let grown = self.window.saturating_add(confirmed);
            confirmed = grown.saturating_sub(self.threshold);
            self.window = grown.min(self.threshold);
        }
        if self.window >= self.threshold {
            self.acks = self.acks.saturating_add(confirmed);
            while self.acks >= self.window {
                self.acks -= self.window;
                if self.window < self.peer_window {
                    self.window += 1;
                }
            }
        }
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}

/// `a - b` in the circle of sequence numbers: negative when `a` is before `b`.
pub fn difference(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8) -> Message {
        Message {
            session: 0,
            body: vec![number],
        }
    }

    #[test]
    fn window_opens_with_acknowledgements_and_closes_with_a_timeout() {
        let now = Instant::now();
        let mut channel = Channel::new();
        channel.set_peer_window(4);
        for number in 0..8 {
            channel.push(message(number)).unwrap();
        }
        let sent = |channel: &mut Channel, now| {
            std::iter::from_fn(|| channel.poll_send(now).map(|(ns, _)| ns)).collect::<Vec<_>>()
        };
        assert_eq!(sent(&mut channel, now), [0]);
        assert_eq!(channel.handle_ack(now, 1), Acknowledged::Fine);
        assert_eq!(sent(&mut channel, now), [1, 2]);
        assert_eq!(channel.handle_ack(now, 3), Acknowledged::Fine);
        assert_eq!(sent(&mut channel, now), [3, 4, 5, 6]);
        assert_eq!(channel.handle_ack(now, 9), Acknowledged::Bad);
        let later = now + Duration::from_secs(1);
        assert_eq!(
            channel.handle_timeout(later, 1, Duration::from_secs(10)),
            Some(false)
        );
        assert_eq!(sent(&mut channel, later), [3]);
        assert_eq!(channel.next_timeout(), Some(later + Duration::from_secs(2)));
        let later = later + Duration::from_secs(2);
        assert_eq!(
            channel.handle_timeout(later, 1, Duration::from_secs(3)),
            Some(true)
        );
        assert_eq!(channel.next_timeout(), Some(later + Duration::from_secs(3)));
        // The peer had all four: one Nr confirms them although only one was sent again.
        assert_eq!(sent(&mut channel, later), [3]);
        assert_eq!(channel.handle_ack(later, 7), Acknowledged::Fine);
        assert_eq!(channel.unacknowledged(), 1);
        assert_eq!(sent(&mut channel, later), [7]);
        assert_eq!(channel.handle_ack(later, 8), Acknowledged::Fine);
        assert_eq!(channel.next_timeout(), None);
    }

    #[test]
    fn order_wraps() {
        let mut channel = Channel::new();
        channel.set_sequence(0, 0xffff);
        assert_eq!(channel.order(0xffff), Order::Expected);
        assert_eq!(channel.order(0xfffe), Order::Duplicate);
        assert_eq!(channel.order(0), Order::TooEarly);
        channel.accepted();
        assert_eq!(channel.order(0), Order::Expected);
        assert_eq!(channel.order(0x8001), Order::Duplicate);
    }
}

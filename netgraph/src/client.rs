//! Requests matched with their replies by token; what was not asked for becomes an event.

use std::collections::{HashMap, VecDeque};

use crate::command::{Command, Reply};
use crate::error::Errno;
use crate::message::NgMessage;

/// Events kept while nobody asks for them; beyond it data is dropped, as a full socket buffer
/// would.
const MAX_EVENTS: usize = 4096;

/// Identifies a request that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u32);

/// What arrives without having been asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node sent a message of its own accord, for instance `NGM_L2TP_ACK_FAILURE`.
    Message {
        /// Path of the sender: FreeBSD says `[id]:` even of nodes with a name; the user-space
        /// kernel says `name:` of those.
        from: String,
        /// The message.
        message: NgMessage,
    },
    /// Data came out of a hook of our node.
    Data {
        /// The hook.
        hook: String,
        /// The data.
        payload: Vec<u8>,
    },
}

/// The bookkeeping of one netgraph socket.
#[derive(Debug, Default)]
pub struct Client {
    last_token: u32,
    /// By token: whether a reply message is to follow the status.
    pending: HashMap<Token, bool>,
    completed: HashMap<Token, Result<Vec<u8>, Errno>>,
    events: VecDeque<Event>,
    dropped: u64,
}

impl Client {
    /// No requests yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a request: the message to send.
    pub fn request<C: Command>(&mut self, command: &C) -> (Token, NgMessage) {
        self.last_token = self.last_token.checked_add(1).unwrap_or(1);
        let token = Token(self.last_token);
        self.pending.insert(token, <C::Reply as Reply>::EXPECTED);
        (token, NgMessage::request(command, token.0))
    }

    /// The kernel took or refused a message.
    pub fn handle_status(&mut self, token: Token, result: Result<(), Errno>) {
        let Some(&reply_follows) = self.pending.get(&token) else {
            return;
        };
        match result {
            Ok(()) if reply_follows => {}
            Ok(()) => self.complete(token, Ok(Vec::new())),
            Err(errno) => self.complete(token, Err(errno)),
        }
    }

    /// A control message arrived.
    pub fn handle_message(&mut self, from: &str, message: NgMessage) {
        let token = Token(message.token);
        if message.is_response() {
            if self.pending.contains_key(&token) {
                self.complete(token, Ok(message.data));
            }
        } else {
            self.push(Event::Message {
                from: from.to_owned(),
                message,
            });
        }
    }

    /// Data arrived.
    pub fn handle_data(&mut self, hook: &str, payload: &[u8]) {
        self.push(Event::Data {
            hook: hook.to_owned(),
            payload: payload.to_vec(),
        });
    }

    /// Forgets a request: its answer, should it still come, is ignored.
    pub fn abandon(&mut self, token: Token) {
        self.pending.remove(&token);
        self.completed.remove(&token);
    }

    /// The outcome of a request, once.
    pub fn take_completion(&mut self, token: Token) -> Option<Result<Vec<u8>, Errno>> {
        self.completed.remove(&token)
    }

    /// The oldest event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Events dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn complete(&mut self, token: Token, result: Result<Vec<u8>, Errno>) {
        self.pending.remove(&token);
        self.completed.insert(token, result);
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generic::{GetNodeInfo, NodeInfo, Shutdown};
    use crate::node::l2tp;

    #[test]
    fn a_reply_completes_its_request_and_no_other() {
        let mut client = Client::new();
        let (first, asked) = client.request(&GetNodeInfo);
        let (second, _) = client.request(&Shutdown);
        assert_ne!(first, second);
        client.handle_status(first, Ok(()));
        assert_eq!(client.take_completion(first), None);
        client.handle_status(second, Err(Errno::ENOENT));
        assert_eq!(client.take_completion(second), Some(Err(Errno::ENOENT)));
        let info = NodeInfo {
            name: "a".to_owned(),
            kind: "socket".to_owned(),
            id: 7,
            hooks: 0,
        };
        client.handle_message("a:", asked.response(info.emit()));
        assert_eq!(client.take_completion(first), Some(Ok(info.emit())));
        client.handle_message("a:", asked.response(info.emit()));
        assert_eq!(client.take_completion(first), None);
        assert_eq!(client.poll_event(), None);
    }

    #[test]
    fn unasked_messages_and_data_are_events_in_order() {
        let mut client = Client::new();
        let failure = NgMessage::request(&l2tp::AckFailure, 0);
        client.handle_data("c0001", &[1, 2]);
        client.handle_message("tanuki-t0001:", failure.clone());
        assert_eq!(
            client.poll_event(),
            Some(Event::Data {
                hook: "c0001".to_owned(),
                payload: vec![1, 2]
            })
        );
        assert_eq!(
            client.poll_event(),
            Some(Event::Message {
                from: "tanuki-t0001:".to_owned(),
                message: failure
            })
        );
    }
}

//! The `socket` node: `ng_socket(4)`, one per connection to `netgraph.sock`.

use std::collections::{HashMap, VecDeque};

use netgraph::node::socket as ng;
use netgraph::{Errno, NgMessage};

use super::{HookIndex, command};

/// Frames that wait for a slow reader; beyond it data is refused, as a full socket buffer would.
const MAX_QUEUE: usize = 1024;
/// Replies and notices may use this much more.
const MAX_QUEUE_CONTROL: usize = 2 * MAX_QUEUE;

/// The node.
#[derive(Debug, Default)]
pub(super) struct SocketNode {
    queue: VecDeque<Vec<u8>>,
    hooks: HashMap<String, HookIndex>,
    no_linger: bool,
    /// In the list of sockets with something to read.
    pub(super) announced: bool,
}

impl SocketNode {
    /// A node without hooks.
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn attach(&mut self, name: &str, hook: HookIndex) {
        self.hooks.insert(name.to_owned(), hook);
    }

    pub(super) fn detach(&mut self, name: &str) {
        self.hooks.remove(name);
    }

    pub(super) fn hook(&self, name: &str) -> Option<HookIndex> {
        self.hooks.get(name).copied()
    }

    /// Whether the node goes away with its last hook.
    pub(super) fn no_linger(&self) -> bool {
        self.no_linger
    }

    pub(super) fn message(&mut self, message: &NgMessage) -> Result<Option<Vec<u8>>, Errno> {
        if message.cookie != ng::COOKIE {
            return Err(Errno::EINVAL);
        }
        if command::<ng::NoLinger>(message)?.is_some() {
            self.no_linger = true;
        } else if command::<ng::Linger>(message)?.is_some() {
            self.no_linger = false;
        } else {
            return Err(Errno::EINVAL);
        }
        Ok(None)
    }

    /// Queues data for the reader; false when it is too slow.
    pub(super) fn push_data(&mut self, frame: Vec<u8>) -> bool {
        self.push(frame, MAX_QUEUE)
    }

    /// Queues a reply or notice; false when the reader is beyond help.
    pub(super) fn push_control(&mut self, frame: Vec<u8>) -> bool {
        self.push(frame, MAX_QUEUE_CONTROL)
    }

    fn push(&mut self, frame: Vec<u8>, limit: usize) -> bool {
        let room = self.queue.len() < limit;
        if room {
            self.queue.push_back(frame);
        }
        room
    }

    pub(super) fn front(&self) -> Option<&Vec<u8>> {
        self.queue.front()
    }

    pub(super) fn pop(&mut self) {
        self.queue.pop_front();
    }
}

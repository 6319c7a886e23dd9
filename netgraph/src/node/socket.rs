//! `ng_socket(4)`, `<netgraph/ng_socket.h>`: the node behind a netgraph socket.

use crate::command::plain_command;

/// The node type.
pub const TYPE: &str = "socket";
/// `NGM_SOCKET_COOKIE`.
pub const COOKIE: u32 = 851_601_233;

plain_command! {
    /// `NGM_SOCK_CMD_NOLINGER`: the node goes away when its last hook breaks.
    NoLinger, COOKIE, 1, "nolinger", ()
}
plain_command! {
    /// `NGM_SOCK_CMD_LINGER`: the node lives as long as its socket (the default).
    Linger, COOKIE, 2, "linger", ()
}

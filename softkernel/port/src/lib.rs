//! UDP sockets of the user-space kernel: what `socket`, `bind`, `recvfrom` and `sendto` are to a
//! kernel, as packets on its `udp.sock` (Unix `SOCK_SEQPACKET`). One connection is one socket.
//!
//! Three kinds of socket can be bound:
//!
//! * **inner** (`encap` off): receives datagrams that came out of ESP transport mode and that no
//!   connected socket of the kernel takes. There is no socket of the operating system behind it,
//!   so nothing in clear text reaches it.
//! * **encapsulation** (`encap` on): the port of RFC 3948, usually 4500, opened as a real socket.
//!   The kernel keeps ESP and keepalives; datagrams that begin with the four zero bytes of the
//!   non-ESP marker come through with the marker, and are to be sent with it. When the connection
//!   ends the real socket stays open for ESP, and can be bound again.
//! * **connected encapsulation** (with a peer): the same for one client alone, beside a socket of
//!   another process at the same port. So a client whom the system's kernel cannot serve is taken
//!   out of it. When the connection ends the real socket stays open as long as an SA is there for
//!   that peer, and can be bound again meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `wire.rs` | the packets on the socket |
//! | `client.rs` | [`UdpPort`], for tokio |
//! | `register.rs` | hands the socket to tokio's reactor |

mod client;
mod register;
pub mod wire;

pub use client::{BindError, UdpPort};
pub use wire::{MAX_PACKET, MAX_PAYLOAD, Meta, Packet, WireError};

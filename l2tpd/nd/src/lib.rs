//! Neighbour discovery (RFC 4861) as far as a point-to-point link needs it: a server tells its
//! client the prefix, the name servers and the MTU by router advertisements, and a client asks for
//! them. Of the other messages a link without addresses of its own has no use.
//!
//! No I/O and no clock: whole IPv6 packets go in and come out.
//!
//! | file | what |
//! |---|---|
//! | `packet.rs` | ICMPv6 in IPv6: header, checksum, what is valid |
//! | `advertisement.rs` | the router advertisement and its options |
//! | `router.rs` | when a router advertises (RFC 4861 section 6.2) |
//! | `host.rs` | when a host solicits (RFC 4861 section 6.3.7) |

mod advertisement;
mod host;
mod packet;
mod router;

pub use advertisement::{Advertisement, ON_LINK_AND_AUTONOMOUS, Prefix};
pub use host::Host;
pub use packet::{ALL_NODES, ALL_ROUTERS, Invalid, Solicitation};
pub use router::{Router, Settings};

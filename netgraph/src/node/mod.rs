//! Node types: one file per type, named as the type, with what its `<netgraph/ng_*.h>` defines.

pub mod bpf;
pub mod iface;
pub mod ksocket;
pub mod l2tp;
pub mod ppp;
pub mod socket;
pub mod soft_iface;
pub mod tcpmss;

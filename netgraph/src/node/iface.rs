//! `ng_iface(4)`, `<netgraph/ng_iface.h>`: a point-to-point network interface `ngN`.

use crate::command::{plain_command, reply};
use crate::error::WireError;
use crate::wire::{Reader, Writer};

/// The node type.
pub const TYPE: &str = "iface";
/// `NGM_IFACE_COOKIE`.
pub const COOKIE: u32 = 1_108_312_559;
/// IPv4 packets.
pub const HOOK_INET: &str = "inet";
/// IPv6 packets.
pub const HOOK_INET6: &str = "inet6";

plain_command! {
    /// `NGM_IFACE_GET_IFNAME`: asks for the interface's name.
    GetIfName, COOKIE, 1, "getifname", IfName
}
plain_command! {
    /// `NGM_IFACE_POINT2POINT`.
    PointToPoint, COOKIE, 2, "point2point", ()
}
plain_command! {
    /// `NGM_IFACE_BROADCAST`.
    Broadcast, COOKIE, 3, "broadcast", ()
}
plain_command! {
    /// `NGM_IFACE_GET_IFINDEX`: asks for the interface's index.
    GetIfIndex, COOKIE, 4, "getifindex", IfIndex
}

/// An interface name (`IFNAMSIZ`: 16 bytes with the final NUL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfName(pub String);

impl IfName {
    const SIZE: usize = 16;

    /// Reads the name.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ifname", bytes);
        let name = reader.name(Self::SIZE)?;
        reader.end()?;
        Ok(Self(name))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().name(&self.0, Self::SIZE).finish()
    }
}

/// An interface index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfIndex(pub u32);

impl IfIndex {
    /// Reads the number.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ifindex", bytes);
        let index = reader.u32()?;
        reader.end()?;
        Ok(Self(index))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().u32(self.0).finish()
    }
}

reply!(IfName);
reply!(IfIndex);

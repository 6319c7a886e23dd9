//! Addresses, MTU and routes of an `iface` node of the user-space kernel.
//!
//! FreeBSD's `ngN` is an interface of the system and gets these by ioctl and routing messages.
//! The interfaces of the user-space kernel share one tunnel device and get them by these
//! messages, sent to the `iface` node. They exist nowhere else: FreeBSD's node answers EINVAL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::command::struct_command;
use crate::error::WireError;
use crate::wire::{Reader, Writer};

/// Cookie of this set.
pub const COOKIE: u32 = 1_764_288_001;

struct_command! {
    /// Adds a pair of addresses, one pair per family; the peer becomes reachable through the
    /// interface (EEXIST when another interface has this peer). A second pair of the same family
    /// replaces the first.
    SetAddress(AddressPair), COOKIE, 1, "setaddress", ()
}
struct_command! {
    /// Sets the MTU, 72 to 65535 octets (EINVAL): longer packets are fragmented or answered
    /// "too big".
    SetMtu(Mtu), COOKIE, 2, "setmtu", ()
}
struct_command! {
    /// Adds a route through the interface (EEXIST when the network is routed already).
    AddRoute(Network), COOKIE, 3, "addroute", ()
}
struct_command! {
    /// Removes a route (ENOENT).
    DelRoute(Network), COOKIE, 4, "delroute", ()
}
struct_command! {
    /// Whether packets from the peer must come from its address or from a network routed to it.
    /// On from the start; a client of somebody else's server turns it off.
    SourceCheck(Switch), COOKIE, 5, "sourcecheck", ()
}

struct_command! {
    /// Whether the system makes addresses of the peer's router advertisements (RFC 4862). Off from
    /// the start; the default router it does not take from them, routes are set by messages.
    AcceptAdvertisements(Switch), COOKIE, 6, "acceptadvertisements", ()
}

/// The hook by which router solicitations (RFC 4861 section 4.1) leave that come from the peer; while
/// it is not connected they go where all packets go.
pub const HOOK_SOLICITATIONS: &str = "solicitations";

/// Our address and the peer's, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPair {
    /// Our address on the interface.
    pub local: IpAddr,
    /// The peer's.
    pub peer: IpAddr,
}

impl AddressPair {
    /// Reads the pair.
    ///
    /// # Errors
    /// Wrong size or family, or two families.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("address pair", bytes);
        let local = read_address(&mut reader)?;
        let peer = read_address(&mut reader)?;
        reader.end()?;
        if local.is_ipv4() != peer.is_ipv4() {
            return Err(WireError::Unknown {
                what: "address pair family",
                value: 0,
            });
        }
        Ok(Self { local, peer })
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        write_address(&mut writer, self.local);
        write_address(&mut writer, self.peer);
        writer.finish()
    }
}

/// An MTU in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mtu(pub u32);

impl Mtu {
    /// Reads the number.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("mtu", bytes);
        let mtu = reader.u32()?;
        reader.end()?;
        Ok(Self(mtu))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().u32(self.0).finish()
    }
}

/// A network: address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// Any address of the network.
    pub address: IpAddr,
    /// Bits of the network part.
    pub prefix: u8,
}

impl Network {
    /// Reads the network.
    ///
    /// # Errors
    /// Wrong size, family or prefix length.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("network", bytes);
        let address = read_address(&mut reader)?;
        let prefix = reader.u8()?;
        reader.end()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if prefix > longest {
            return Err(WireError::Unknown {
                what: "prefix length",
                value: prefix.into(),
            });
        }
        Ok(Self { address, prefix })
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        write_address(&mut writer, self.address);
        writer.u8(self.prefix);
        writer.finish()
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl Switch {
    /// Reads one byte.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("switch", bytes);
        let on = reader.flag()?;
        reader.end()?;
        Ok(Self(on))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().flag(self.0).finish()
    }
}

/// One byte 4 or 6, then the address.
fn read_address(reader: &mut Reader<'_>) -> Result<IpAddr, WireError> {
    match reader.u8()? {
        4 => {
            let mut octets = [0; 4];
            octets.copy_from_slice(reader.bytes(4)?);
            Ok(Ipv4Addr::from(octets).into())
        }
        6 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(reader.bytes(16)?);
            Ok(Ipv6Addr::from(octets).into())
        }
        other => Err(WireError::Unknown {
            what: "address version",
            value: other.into(),
        }),
    }
}

fn write_address(writer: &mut Writer, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => writer.u8(4).bytes(&v4.octets()),
        IpAddr::V6(v6) => writer.u8(6).bytes(&v6.octets()),
    };
}

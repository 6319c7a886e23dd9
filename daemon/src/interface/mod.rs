//! Addresses, MTU and routes of a FreeBSD network interface: ioctls of netintro(4) and messages of
//! route(4). On other systems every call answers `Unsupported`.

mod layout;
#[cfg_attr(target_os = "freebsd", path = "freebsd.rs")]
#[cfg_attr(not(target_os = "freebsd"), path = "elsewhere.rs")]
mod system;

use std::io;
use std::net::IpAddr;

use self::layout::RouteAction;
use self::system::Request;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    name: String,
    index: u32,
}

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    /// A host reached through the interface.
    Address(IpAddr),
    /// The interface itself.
    Interface,
}

/// A route through an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The destination.
    pub network: IpAddr,
    /// Its length in bits.
    pub prefix: u8,
    /// What it leads to.
    pub gateway: Gateway,
    /// The address of the interface that this host sends from, if not its first.
    pub source: Option<IpAddr>,
    /// Largest packet, octets, if not the interface's.
    pub mtu: Option<u32>,
}

impl Route {
    /// A route to a single host.
    fn is_host(&self) -> bool {
        self.prefix == if self.network.is_ipv4() { 32 } else { 128 }
    }
}

impl Interface {
    /// The interface of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn open(name: &str) -> io::Result<Self> {
        let index = nix::net::if_::if_nametoindex(name)?;
        let name = name.to_owned();
        Ok(Self { name, index })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it another name, at most 15 octets.
    ///
    /// # Errors
    /// The name is taken; no privilege.
    pub fn rename(&mut self, name: &str) -> io::Result<()> {
        system::rename(&self.name, name)?;
        name.clone_into(&mut self.name);
        Ok(())
    }

    /// Takes an interface that a program has made out of the system.
    ///
    /// # Errors
    /// It is not one of those; no privilege.
    pub fn destroy(&self) -> io::Result<()> {
        system::control(Request::Destroy, layout::name_request(&self.name))
    }

    /// Sets the MTU in octets.
    ///
    /// # Errors
    /// Out of range; no privilege.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        let mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
        system::control(Request::SetMtu, layout::mtu_request(&self.name, mtu))
    }

    /// Adds an address of this host: one end of a point-to-point interface with the other end, or
    /// without it an address alone.
    ///
    /// # Errors
    /// The interface is of the other kind; no privilege.
    pub fn add_address(&self, local: IpAddr, peer: Option<IpAddr>) -> io::Result<()> {
        let request = match local {
            IpAddr::V4(_) => Request::AddAddress,
            IpAddr::V6(_) => Request::AddAddress6,
        };
        let argument = layout::alias_request(&self.name, self.index, local, peer);
        system::control(request, argument)
    }

    /// Takes an address away.
    ///
    /// # Errors
    /// `AddrNotAvailable`: it is not there; no privilege.
    pub fn remove_address(&self, local: IpAddr) -> io::Result<()> {
        let request = match local {
            IpAddr::V4(_) => Request::RemoveAddress,
            IpAddr::V6(_) => Request::RemoveAddress6,
        };
        let argument = layout::address_request(&self.name, self.index, local);
        system::control(request, argument)
    }

    /// Adds a route.
    ///
    /// # Errors
    /// `AlreadyExists`: there is one to this network; the gateway cannot be reached; no privilege.
    pub fn add_route(&self, route: &Route) -> io::Result<()> {
        self.route(RouteAction::Add, route)
    }

    /// Adds a route, or changes the one that there is to this network.
    ///
    /// # Errors
    /// The gateway cannot be reached; no privilege.
    pub fn set_route(&self, route: &Route) -> io::Result<()> {
        match self.route(RouteAction::Add, route) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.route(RouteAction::Change, route)
            }
            result => result,
        }
    }

    /// Takes a route away.
    ///
    /// # Errors
    /// `NotFound` or ESRCH: it is not there; no privilege.
    pub fn remove_route(&self, route: &Route) -> io::Result<()> {
        self.route(RouteAction::Delete, route)
    }

    fn route(&self, action: RouteAction, route: &Route) -> io::Result<()> {
        system::route(&layout::route_message(action, route, self.index))
    }
}

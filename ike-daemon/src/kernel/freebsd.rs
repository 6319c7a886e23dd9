//! FreeBSD: sysctl(3) and the other half of `kernel: auto`.
#![allow(unsafe_code)]

use std::ffi::CStr;

use socket2::{Domain, Protocol, Socket, Type};

/// What to do when there is no PF_KEY.
pub(super) const NO_PF_KEY: &str = "load the module (kldload ipsec, or sysrc kld_list+=ipsec for every boot), or set `kernel: soft`";

/// Whether of several SAs for the same traffic the oldest is used: `net.key.preferred_oldsa`, which
/// is 1 unless changed.
pub fn oldest_first() -> bool {
    sysctl(c"net.key.preferred_oldsa") != Some(0)
}

/// Whether this is a jail that shares the host's network stack, where there is no PF_KEY.
pub(super) fn is_jail_without_network() -> bool {
    sysctl(c"security.jail.jailed") == Some(1) && sysctl(c"security.jail.vnet") == Some(0)
}

/// PF_KEY for us and netgraph for l2tpd: with only one of them the daemons would talk to different
/// kernels.
pub(super) fn system_has_both() -> bool {
    /// `AF_NETGRAPH` of sys/socket.h.
    const AF_NETGRAPH: i32 = 32;
    /// `NG_CONTROL` of netgraph/ng_socket.h.
    const NG_CONTROL: i32 = 2;
    let netgraph = Socket::new(
        Domain::from(AF_NETGRAPH),
        Type::DGRAM,
        Some(Protocol::from(NG_CONTROL)),
    );
    pfkey::Socket::open_system().is_ok() && netgraph.is_ok()
}

/// A number that the kernel has under `name`.
fn sysctl(name: &CStr) -> Option<i32> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>();
    // SAFETY: `name` ends with a NUL; `value` and `length` outlive the call, `length` is the size of
    // `value`, and nothing is written to the kernel (no new value).
    let result = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            (&raw mut value).cast(),
            &raw mut length,
            std::ptr::null(),
            0,
        )
    };
    (result == 0 && length == size_of::<libc::c_int>()).then_some(value)
}

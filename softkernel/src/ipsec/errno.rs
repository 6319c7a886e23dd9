//! Error numbers of PF_KEY replies: errno(2) of the host, as a kernel would give them.

/// A value of `sadb_msg_errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno(pub(super) u8);

impl Errno {
    pub(super) const ENOENT: Self = Self(libc::ENOENT as u8);
    pub(super) const ESRCH: Self = Self(libc::ESRCH as u8);
    pub(super) const EEXIST: Self = Self(libc::EEXIST as u8);
    pub(super) const EINVAL: Self = Self(libc::EINVAL as u8);
    pub(super) const ENOBUFS: Self = Self(libc::ENOBUFS as u8);
    pub(super) const EOPNOTSUPP: Self = Self(libc::EOPNOTSUPP as u8);
    pub(super) const EPROTONOSUPPORT: Self = Self(libc::EPROTONOSUPPORT as u8);
}

//! Systems without these interfaces.

use std::io;

#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    SetMtu,
    Destroy,
    AddAddress,
    RemoveAddress,
    AddAddress6,
    RemoveAddress6,
}

pub(super) fn control(_: Request, _: Vec<u8>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn rename(_: &str, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn route(_: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

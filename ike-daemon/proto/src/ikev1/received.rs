//! A message on its way to whoever wants it.

use crate::error::Refusal;
use crate::nat::Path;
use crate::wire::chain::Chain;
use crate::wire::header::Header;

/// A message whose header is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// Where it came from, and where to.
    pub(crate) path: Path,
    pub(crate) header: Header,
    /// What is behind the header, encrypted or not.
    pub(crate) body: &'a [u8],
    /// All of it, header included, without what may stand behind: repetitions are known by it.
    pub(crate) datagram: &'a [u8],
}

impl<'a> Received<'a> {
    /// The payloads of a message that is not encrypted.
    pub(crate) fn chain(&self) -> Result<Chain<'a>, Refusal> {
        Chain::parse(self.header.next_payload, self.body).map_err(|_| Refusal::Malformed)
    }
}

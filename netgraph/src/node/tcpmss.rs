//! `ng_tcpmss(4)`, `<netgraph/ng_tcpmss.h>`: lowers the maximum segment size in TCP SYN packets.

use crate::command::struct_command;
use crate::error::WireError;
use crate::wire::{HOOK_SIZE, Reader, Writer};

/// The node type.
pub const TYPE: &str = "tcpmss";
/// `NGM_TCPMSS_COOKIE`.
pub const COOKIE: u32 = 1_097_623_478;

struct_command! {
    /// `NGM_TCPMSS_CONFIG`: what enters by one hook leaves by another, clamped on the way. Both
    /// hooks must exist (ENOENT).
    SetConfig(Config), COOKIE, 4, "config", ()
}

/// `struct ng_tcpmss_config`, 66 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Hook where packets enter.
    pub in_hook: String,
    /// Hook where they leave.
    pub out_hook: String,
    /// Largest segment size let through, octets; 0 lets all through.
    pub max_mss: u16,
}

impl Config {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_tcpmss_config", bytes);
        let out = Self {
            in_hook: reader.name(HOOK_SIZE)?,
            out_hook: reader.name(HOOK_SIZE)?,
            max_mss: reader.u16()?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .name(&self.in_hook, HOOK_SIZE)
            .name(&self.out_hook, HOOK_SIZE)
            .u16(self.max_mss)
            .finish()
    }
}

//! What the operator can do, as part of a log record.

use slog::{KV, Record, Result, Serializer};

/// The key `remedy` of a log record; nothing where there is no remedy.
#[derive(Clone, Copy, Debug)]
pub struct Remedy(pub Option<&'static str>);

impl KV for Remedy {
    fn serialize(&self, _record: &Record<'_>, serializer: &mut dyn Serializer) -> Result {
        match self.0 {
            Some(remedy) => serializer.emit_str("remedy", remedy),
            None => Ok(()),
        }
    }
}

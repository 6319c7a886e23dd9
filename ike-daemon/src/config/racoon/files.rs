//! Files for the parser, from the disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use racoon_conf::Loader;

/// Reads the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disk;

impl Loader for Disk {
    fn read(&mut self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        read(Path::new(path), limit).map_err(|error| error.to_string())
    }

    fn list(&mut self, path: &str, limit: usize) -> Result<Vec<String>, String> {
        let names = std::fs::read_dir(path).map_err(|error| error.to_string())?;
        Ok(names
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .take(limit)
            .collect())
    }
}

/// At most `limit` octets and one more.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut octets)?;
    Ok(octets)
}

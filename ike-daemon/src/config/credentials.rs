//! Files with keys, certificates and revocation lists, whatever the configuration is written in.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ike_pki::encoding::{certificates, private_key};
use ike_pki::{Certificate, PrivateKey};
use ike_proto::policy::OwnCertificate;
use zeroize::Zeroizing;

/// The largest file with a key, a chain or authorities, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// The largest file with revocation lists, in octets.
const MAX_LISTS: u64 = 16 * 1024 * 1024;

/// Who on this machine may read a file besides its owner.
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;

/// Certificates of a file in PEM or DER.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let octets = read(file, MAX_FILE)?;
    certificates(&octets).map_err(|error| format!("{}: {error}", file.display()))
}

/// A key, and what is unwise about its file.
pub(super) fn read_key(file: &Path) -> Result<(PrivateKey, Option<String>), String> {
    let octets = read(file, MAX_FILE)?;
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS != 0 {
        return Err(format!(
            "{} can be read by everybody; chmod 600",
            file.display()
        ));
    }
    let warning = (mode & GROUP != 0)
        .then(|| format!("{} can be read by its group; chmod 600", file.display()));
    let key = private_key(&octets).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((key, warning))
}

/// The octets of a file with revocation lists.
pub(super) fn read_lists(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read(file, MAX_LISTS)
}

/// A chain with the key of its first certificate.
pub(super) fn own(
    chain: Vec<Certificate>,
    key: PrivateKey,
    file: &Path,
) -> Result<OwnCertificate, String> {
    match chain.first() {
        Some(first) if *first.key() == key.public() => Ok(OwnCertificate { chain, key }),
        Some(first) => Err(format!(
            "not the key of {}, which comes first in {}",
            first.subject(),
            file.display()
        )),
        None => Err(format!("{}: no certificate", file.display())),
    }
}

/// What is to be said about the dates of certificates.
pub(super) fn ages(certificates: &[Certificate]) -> Vec<String> {
    let now = crate::state::wall_clock();
    let age = |certificate: &Certificate| {
        let (not_before, not_after) = certificate.validity();
        let subject = certificate.subject();
        if now > not_after {
            Some(format!("{subject} has expired"))
        } else if now < not_before {
            Some(format!("{subject} is not valid yet"))
        } else {
            None
        }
    };
    certificates.iter().filter_map(age).collect()
}

fn read(file: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut octets = Zeroizing::new(Vec::new());
    let outcome =
        fs::File::open(file).and_then(|opened| opened.take(most + 1).read_to_end(&mut octets));
    match outcome {
        Err(error) => Err(format!("{}: {error}", file.display())),
        Ok(_) if octets.len() as u64 > most => {
            Err(format!("{}: longer than {most} octets", file.display()))
        }
        Ok(_) => Ok(octets),
    }
}

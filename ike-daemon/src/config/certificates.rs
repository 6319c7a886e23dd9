//! `authentication`: methods, our certificates and keys, whom we believe.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ike_pki::encoding::{certificates, private_key};
use ike_pki::{Certificate, TrustStore, Weaknesses};
use ike_proto::policy::{Authentication, Method, OwnCertificate};
use zeroize::Zeroizing;

use super::check::{Check, set};
use super::yaml::{AuthenticationSection, CertificateSection};

/// The largest file with a key, a chain or authorities, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// The largest file with revocation lists, in octets.
const MAX_LISTS: u64 = 16 * 1024 * 1024;

/// Who on this machine may read a file besides its owner.
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;

impl Check<'_> {
    /// The section at `path`; without one, what was there before.
    pub(super) fn authentication(
        &mut self,
        path: &str,
        section: &AuthenticationSection,
    ) -> Authentication {
        let mut authentication = Authentication::default();
        if let Some(methods) = &section.methods {
            authentication.methods = methods.0.iter().map(|method| method.0).collect();
            if methods.0.is_empty() {
                self.problem(&format!("{path}.methods"), "empty; expected psk, rsa, ...");
            }
        }
        for (index, own) in section.certificates.iter().enumerate() {
            let own = self.own_certificate(&format!("{path}.certificates.{index}"), own);
            authentication.own.extend(own.map(Arc::new));
        }
        authentication.trust = Arc::new(self.trust(path, section));
        authentication.peers = Arc::new(section.peers.iter().map(|p| p.0.clone()).collect());
        set(
            &mut authentication.send_certificate,
            section.send_certificate,
        );
        set(
            &mut authentication.request_certificate,
            section.request_certificate,
        );
        self.methods_have_what_they_need(path, section, &authentication);
        authentication
    }

    fn methods_have_what_they_need(
        &mut self,
        path: &str,
        section: &AuthenticationSection,
        authentication: &Authentication,
    ) {
        let place = format!("{path}.methods");
        let mut certificates = false;
        for method in &authentication.methods {
            let Some(kind) = method.signature() else {
                continue;
            };
            certificates = true;
            let has = |own: &Arc<OwnCertificate>| own.key.public().kind() == kind;
            if !section.certificates.is_empty() && !authentication.own.iter().any(has) {
                self.problem(
                    &place,
                    format_args!("{method} needs a certificate of ours with an {kind} key"),
                );
            }
            if section.certificates.is_empty() {
                self.problem(
                    &place,
                    format_args!(
                        "{method} needs a certificate of ours: `certificates`, with `chain` and `key`"
                    ),
                );
            }
            if section.ca.is_none() && *method != Method::HybridRsa {
                self.problem(
                    &place,
                    format_args!("{method} needs authorities to believe: `ca`"),
                );
            }
        }
        if !certificates && !section.certificates.is_empty() {
            self.warn(
                &format!("{path}.certificates"),
                "no use: no method in `methods` takes a certificate",
            );
        }
    }

    fn own_certificate(&mut self, path: &str, own: &CertificateSection) -> Option<OwnCertificate> {
        let chain_place = format!("{path}.chain");
        let key_place = format!("{path}.key");
        let chain = self.read_certificates(&chain_place, &own.chain);
        let key = self.read_key(&key_place, &own.key);
        let (chain, key) = (chain?, key?);
        let first = chain.first()?;
        if *first.key() != key.public() {
            self.problem(
                &key_place,
                format_args!(
                    "not the key of {}, which comes first in {}",
                    first.subject(),
                    own.chain.display()
                ),
            );
            return None;
        }
        self.warn_of_age(&chain_place, &chain);
        Some(OwnCertificate { chain, key })
    }

    fn trust(&mut self, path: &str, section: &AuthenticationSection) -> TrustStore {
        let weaknesses = match section.allow_weak {
            Some(true) => Weaknesses::Allowed,
            Some(false) | None => Weaknesses::Refused,
        };
        let mut trust = TrustStore::new(weaknesses);
        for (index, file) in section.ca.iter().flat_map(|list| &list.0).enumerate() {
            let place = format!("{path}.ca.{index}");
            let Some(found) = self.read_certificates(&place, &file.0) else {
                continue;
            };
            self.warn_of_age(&place, &found);
            for certificate in found {
                trust.add_anchor(certificate);
            }
        }
        for (index, file) in section.crl.iter().flat_map(|list| &list.0).enumerate() {
            let place = format!("{path}.crl.{index}");
            let Some(octets) = self.read_file(&place, &file.0, MAX_LISTS) else {
                continue;
            };
            if let Err(error) = trust.add_revocation_lists(&octets) {
                self.problem(&place, format_args!("{}: {error}", file.0.display()));
            }
        }
        trust
    }

    fn read_certificates(&mut self, place: &str, file: &Path) -> Option<Vec<Certificate>> {
        let octets = self.read_file(place, file, MAX_FILE)?;
        match certificates(&octets) {
            Ok(found) => Some(found),
            Err(error) => {
                self.problem(place, format_args!("{}: {error}", file.display()));
                None
            }
        }
    }

    fn read_key(&mut self, place: &str, file: &Path) -> Option<ike_pki::PrivateKey> {
        let octets = self.read_file(place, file, MAX_FILE)?;
        let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
        if mode & OTHERS != 0 {
            self.problem(
                place,
                format_args!("{} can be read by everybody; chmod 600", file.display()),
            );
        } else if mode & GROUP != 0 {
            self.warn(
                place,
                format_args!("{} can be read by its group; chmod 600", file.display()),
            );
        }
        match private_key(&octets) {
            Ok(key) => Some(key),
            Err(error) => {
                self.problem(place, format_args!("{}: {error}", file.display()));
                None
            }
        }
    }

    fn read_file(&mut self, place: &str, file: &Path, most: u64) -> Option<Zeroizing<Vec<u8>>> {
        let mut octets = Zeroizing::new(Vec::new());
        let outcome =
            fs::File::open(file).and_then(|opened| opened.take(most + 1).read_to_end(&mut octets));
        match outcome {
            Err(error) => {
                self.problem(place, format_args!("{}: {error}", file.display()));
                None
            }
            Ok(_) if octets.len() as u64 > most => {
                self.problem(
                    place,
                    format_args!("{}: longer than {most} octets", file.display()),
                );
                None
            }
            Ok(_) => Some(octets),
        }
    }

    fn warn_of_age(&mut self, place: &str, certificates: &[Certificate]) {
        let now = crate::state::wall_clock();
        for certificate in certificates {
            let (not_before, not_after) = certificate.validity();
            let subject = certificate.subject();
            if now > not_after {
                self.warn(place, format_args!("{subject} has expired"));
            } else if now < not_before {
                self.warn(place, format_args!("{subject} is not valid yet"));
            }
        }
    }
}

//! `authentication`: methods, our certificates and keys, whom we believe.

use std::path::Path;
use std::sync::Arc;

use ike_pki::{Certificate, PrivateKey, TrustStore, Weaknesses};
use ike_proto::policy::{Authentication, Method, OwnCertificate};

use super::check::{Check, set};
use super::credentials;
use super::model::AuthenticationFiles;
use super::values::{FileName, OneOrMany};
use super::yaml::{AuthenticationSection, CertificateSection};

/// The path of the section for everybody.
pub(super) const GENERAL: &str = "authentication";

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
            // In general that means: nobody but those of `remotes`.
            if methods.0.is_empty() && path != GENERAL {
                self.problem(&format!("{path}.methods"), "empty; expected psk, rsa, ...");
            }
        }
        for (index, own) in section.certificates.iter().enumerate() {
            let own = self.own_certificate(&format!("{path}.certificates.{index}"), own);
            authentication.own.extend(own.map(Arc::new));
        }
        authentication.trust = Arc::new(self.trust(path, section));
        let peers = section.peers.iter().map(|peer| peer.pattern.clone());
        authentication.peers = Arc::new(peers.collect());
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
        match credentials::own(chain, key, &own.chain) {
            Ok(own) => {
                self.warn_of_age(&chain_place, &own.chain);
                Some(own)
            }
            Err(why) => {
                self.problem(&key_place, why);
                None
            }
        }
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
            let octets = match credentials::read_lists(&file.0) {
                Ok(octets) => octets,
                Err(why) => {
                    self.problem(&place, why);
                    continue;
                }
            };
            if let Err(error) = trust.add_revocation_lists(&octets) {
                self.problem(&place, format_args!("{}: {error}", file.0.display()));
            }
        }
        trust
    }

    fn read_certificates(&mut self, place: &str, file: &Path) -> Option<Vec<Certificate>> {
        let read = credentials::read_certificates(file);
        read.map_err(|why| self.problem(place, why)).ok()
    }

    fn read_key(&mut self, place: &str, file: &Path) -> Option<PrivateKey> {
        let read = credentials::read_key(file);
        let (key, warning) = read.map_err(|why| self.problem(place, why)).ok()?;
        if let Some(warning) = warning {
            self.warn(place, warning);
        }
        Some(key)
    }

    fn warn_of_age(&mut self, place: &str, certificates: &[Certificate]) {
        for words in credentials::ages(certificates) {
            self.warn(place, words);
        }
    }
}

/// The files of a section.
pub(super) fn files(section: &AuthenticationSection) -> AuthenticationFiles {
    let paths = |list: &Option<OneOrMany<FileName>>| {
        let list = list.iter().flat_map(|list| &list.0);
        list.map(|file| file.0.clone()).collect()
    };
    AuthenticationFiles {
        own: section
            .certificates
            .iter()
            .map(|own| (own.chain.clone(), own.key.clone()))
            .collect(),
        ca: paths(&section.ca),
        crl: paths(&section.crl),
        peers: section.peers.iter().map(|peer| peer.text.clone()).collect(),
    }
}

//! Certificates: what `certificate_type`, `ca_type` and their like lead to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ike_pki::{TrustStore, Weaknesses};
use ike_proto::policy::{Authentication, Method};
use ike_proto::wire::id::Identification;
use racoon_conf::Span;
use racoon_conf::ast::{PeersCert, RemoteItem};
use racoon_conf::words::{CertificateKind, Method as Written};

use super::block::Block;
use super::lower::Lowering;
use crate::config::credentials;
use crate::config::model::AuthenticationFiles;

/// Files of a folder that are looked at.
const MAX_LISTED: usize = 10_000;

impl Lowering {
    /// Who proves what to the peers of a block.
    pub(super) fn authentication(
        &mut self,
        block: &Block<'_>,
        methods: &[Method],
    ) -> (Authentication, AuthenticationFiles) {
        let mut authentication = Authentication {
            methods: methods.to_vec(),
            send_certificate: block.switch("send_cert", true).value,
            request_certificate: block.switch("send_cr", true).value,
            ..Authentication::default()
        };
        let mut files = AuthenticationFiles::default();
        let Some(signed) = methods.iter().find(|method| method.signature().is_some()) else {
            return (authentication, files);
        };
        let verify = block.switch("verify_cert", true);
        if !verify.value {
            self.value("remote verify_cert", "off", verify.span, "");
        }
        let mut trust = TrustStore::new(Weaknesses::Refused);
        for item in &block.items {
            match &item.value {
                RemoteItem::CertificateType(kind, chain, key) => {
                    if kind.value == CertificateKind::PlainRsa {
                        self.value("remote certificate_type", "plain_rsa", kind.span, "");
                        continue;
                    }
                    let Some(key) = key else { continue };
                    let chain = self.certificate_path(&chain.value);
                    let key = self.certificate_path(&key.value);
                    match own(&chain, &key) {
                        Ok((own, warnings)) => {
                            authentication.own = vec![Arc::new(own)];
                            self.notices_at(item.span, warnings);
                        }
                        Err(why) => self.problem(item.span, format!("`certificate_type`: {why}")),
                    }
                    files.own = vec![(chain, key)];
                }
                RemoteItem::CaType(_, file) => {
                    let file = self.certificate_path(&file.value);
                    self.anchor(&mut trust, &file, item.span);
                    files.ca.push(file);
                }
                RemoteItem::PeersCertfile(PeersCert::X509(file)) => {
                    let file = self.certificate_path(&file.value);
                    self.anchor(&mut trust, &file, item.span);
                    files.ca.push(file);
                }
                RemoteItem::PeersCertfile(PeersCert::PlainRsa(_) | PeersCert::Dnssec) => {
                    self.value("remote peers_certfile", "no certificate", item.span, "");
                }
                _ => {}
            }
        }
        self.folder_of_authorities(&mut trust, &mut files, block.span);
        // With hybrid authentication the server alone has a certificate.
        let hybrid_only = *signed == Method::HybridRsa;
        let is_server = block
            .method(|method| method == Written::HybridRsaServer)
            .is_some();
        if files.own.is_empty() && (!hybrid_only || is_server) {
            self.missing("remote certificate_type", "missing", block.span);
        }
        if trust.is_empty() && (!hybrid_only || !is_server) {
            self.missing("remote ca_type", "missing", block.span);
        }
        authentication.trust = Arc::new(trust);
        if block.switch("verify_identifier", false).value {
            let (patterns, texts) = self.peer_patterns(block).into_iter().unzip();
            authentication.peers = Arc::new(patterns);
            files.peers = texts;
        }
        (authentication, files)
    }

    /// The name in the certificate of a block.
    pub(super) fn certificate_subject(&mut self, block: &Block<'_>) -> Option<Identification> {
        let file = block.last(|item| match item {
            RemoteItem::CertificateType(_, file, _) => Some(file.clone()),
            _ => None,
        })?;
        match credentials::read_certificates(&self.certificate_path(&file.value)) {
            Ok(found) => found
                .first()
                .map(|first| Identification::from_name(first.subject())),
            Err(why) => {
                self.problem(file.span, format!("`certificate_type`: {why}"));
                None
            }
        }
    }

    /// A relative path starts at `path certificate`.
    fn certificate_path(&self, name: &str) -> PathBuf {
        self.certificate_folder().join(name)
    }

    fn anchor(&mut self, trust: &mut TrustStore, file: &Path, span: Span) {
        match credentials::read_certificates(file) {
            Ok(found) => {
                self.notices_at(span, credentials::ages(&found));
                for certificate in found {
                    trust.add_anchor(certificate);
                }
            }
            Err(why) => self.problem(span, why),
        }
    }

    /// As openssl rehash(1) names them: `HASH.0` is an authority, `HASH.r0` a revocation list.
    fn folder_of_authorities(
        &mut self,
        trust: &mut TrustStore,
        files: &mut AuthenticationFiles,
        span: Span,
    ) {
        let Ok(folder) = std::fs::read_dir(self.certificate_folder()) else {
            return;
        };
        let mut names: Vec<PathBuf> = folder
            .take(MAX_LISTED)
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        names.sort();
        for path in names {
            let Some((hash, suffix)) = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.split_once('.'))
            else {
                continue;
            };
            let is_hash = hash.len() == 8 && hash.bytes().all(|octet| octet.is_ascii_hexdigit());
            let number = suffix.strip_prefix('r').unwrap_or(suffix);
            if !is_hash || number.parse::<u32>().is_err() {
                continue;
            }
            if !suffix.starts_with('r') {
                self.anchor(trust, &path, span);
                files.ca.push(path);
                continue;
            }
            let added = credentials::read_lists(&path).and_then(|octets| {
                let added = trust.add_revocation_lists(&octets);
                added.map_err(|error| format!("{}: {error}", path.display()))
            });
            match added {
                Ok(_) => files.crl.push(path),
                Err(why) => self.problem(span, why),
            }
        }
    }

    fn notices_at(&mut self, span: Span, words: Vec<String>) {
        for words in words {
            self.notice(span, words);
        }
    }
}

/// A certificate of ours with its key, and what is unwise about them.
fn own(
    chain: &Path,
    key: &Path,
) -> Result<(ike_proto::policy::OwnCertificate, Vec<String>), String> {
    let certificates = credentials::read_certificates(chain)?;
    let mut warnings = credentials::ages(&certificates);
    let (read, warning) = credentials::read_key(key)?;
    warnings.extend(warning);
    Ok((credentials::own(certificates, read, chain)?, warnings))
}

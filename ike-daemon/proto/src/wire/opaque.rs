//! Payloads that are octets: Key Exchange (RFC 2408 3.7), Hash (3.11), Nonce (3.13, lengths in
//! RFC 2409 5), Vendor ID (3.16). Only the nonce has a rule of its own.

/// Whether a nonce is as long as RFC 2409 section 5 demands: 8 to 256 octets.
pub fn nonce_fits(body: &[u8]) -> bool {
    (8..=256).contains(&body.len())
}

/// Longest KE payload looked at; MODP 8192 has 1024 octets.
pub const MAX_KE: usize = 1024;

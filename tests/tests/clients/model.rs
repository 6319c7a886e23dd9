//! What makes a client the one it is.

use tanuki_tests::ike::Dialect;

/// How a client offers, encodes, renews and leaves.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) dialect: Dialect,
    /// INITIAL-CONTACT in an Informational behind Main Mode: Android.
    pub(crate) contact_apart: bool,
    /// The longest ISAKMP message it sends in one packet, where the server takes fragments.
    pub(crate) fragment: Option<usize>,
    /// The phase 2 offer for an SPI and an encapsulation mode.
    pub(crate) esp: fn(u32, u16) -> Vec<u8>,
    pub(crate) quick_nonce: usize,
    /// Windows counts its message IDs up from 1.
    pub(crate) counts: bool,
    /// Group of PFS: RouterOS.
    pub(crate) pfs: Option<ike_crypto::Group>,
    /// Its kernel cuts HMAC-SHA-256 to 96 bits: Android 4.4 to 7.0.
    pub(crate) cuts_sha256: bool,
    /// UDP port of L2TP.
    pub(crate) port: u16,
    /// Port in IDci: 0 from Android.
    pub(crate) id_port: u16,
    /// Whether it sends NAT-OA.
    pub(crate) nat_oa: bool,
    pub(crate) sccrq: Vec<Vec<u8>>,
    pub(crate) icrq: Vec<Vec<u8>>,
    pub(crate) iccn: Vec<Vec<u8>>,
    /// Seconds behind ICCN in which it hears no PPP: Windows.
    pub(crate) deaf: u64,
    /// LCP options, to be sent without those that are rejected.
    pub(crate) lcp: Vec<Vec<u8>>,
    pub(crate) ipcp: Vec<Vec<u8>>,
    /// LCP packets once LCP is open: Identification of Windows.
    pub(crate) identification: Vec<Vec<u8>>,
    /// Network protocols that it tries besides IPCP, with options; the link must outlive their
    /// rejection.
    pub(crate) besides: Vec<(u16, Vec<u8>)>,
    pub(crate) renewal: Renewal,
    pub(crate) farewell: Farewell,
}

/// What a client does when an SA gets old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Nothing: TunnelForge.
    Never,
    /// A new pair beside the old one, which stays until it expires: strongSwan, racoon.
    Beside,
    /// A new pair, and a DELETE of the old one right behind the third message: Windows.
    DeleteOld,
    /// As `Beside`, and phase 1 anew 48 minutes after it was made: racoon of macOS.
    BothPhases,
}

/// How a client takes its leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// CDN, StopCCN, DELETE of all: xl2tpd and strongSwan.
    Polite,
    /// LCP Terminate-Request twice, CDN, StopCCN; four seconds later DELETE of ESP and of ISAKMP.
    Windows,
    /// CDN and StopCCN with Result Codes in host byte order in AVPs of 14 octets; DELETE of all.
    Apple,
    /// StopCCN alone; racoon is killed: `exit` without a word (main.c).
    Android,
    /// CDN and StopCCN, and nothing by IKE.
    TunnelForge,
}

//! Vendor IDs: what peers say they can do, and what they are. RFC 3706, RFC 3947, the NAT-T drafts,
//! Microsoft's and Cisco's own.

use crate::iana::PayloadType;

/// NAT traversal as RFC 3947 3.1 has it.
pub const RFC_3947: &[u8] = b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
/// NAT traversal as draft-ietf-ipsec-nat-t-ike-03 has it.
pub const NATT_03: &[u8] = b"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56";
/// The same as draft-ietf-ipsec-nat-t-ike-02 has it.
pub const NATT_02: &[u8] = b"\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48";
/// draft-ietf-ipsec-nat-t-ike-02 and a newline, which is what everybody sends.
pub const NATT_02_N: &[u8] = b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f";
/// Dead peer detection, RFC 3706 5.1.
pub const DPD: &[u8] = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
/// IKE fragmentation; four octets of capabilities may follow.
pub const FRAGMENTATION: &[u8] =
    b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3";
/// The same with the capability everybody names: fragments in phase 1.
pub const FRAGMENTATION_CAPABLE: &[u8] =
    b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\x00\x00\x00";
/// Name and password after phase 1: draft-ietf-ipsec-isakmp-xauth-06.
pub const XAUTH: &[u8] = b"\x09\x00\x26\x89\xdf\xd6\xb7\x12";
/// Cisco Unity: Mode Config has attributes of Cisco's own.
pub const UNITY: &[u8] = b"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00";
/// Microsoft, four octets of version follow.
pub const MS_NT5: &[u8] = b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61";
/// Microsoft's first vendor id since Windows 8.1, four octets of version follow.
pub const MS_KEY_MODS: &[u8] = b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51";
/// MS-Negotiation Discovery Capable.
pub const MS_NEGOTIATION_DISCOVERY: &[u8] =
    b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20";
/// Microsoft's Vid-Initial-Contact: stands for the INITIAL-CONTACT notification.
pub const MS_INITIAL_CONTACT: &[u8] =
    b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19";
/// IKE CGA version 1.
pub const MS_IKE_CGA: &[u8] = b"\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52";
/// strongSwan (only when told to).
pub const STRONGSWAN: &[u8] = b"\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb";
/// Apple's draft-ietf-ipsec-nat-t-ike without number.
pub const NATT_APPLE: &[u8] = b"\x4d\xf3\x79\x28\xe9\xfc\x4f\xd1\xb3\x26\x21\x70\xd5\x15\xc6\x62";

/// Names of vendor ids, also of those nothing is done about. Matched by their beginning.
const NAMES: &[(&[u8], &str)] = &[
    (RFC_3947, "RFC 3947"),
    (NATT_APPLE, "draft-ietf-ipsec-nat-t-ike"),
    (
        b"\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc",
        "draft-ietf-ipsec-nat-t-ike-00",
    ),
    (
        b"\x16\xf6\xca\x16\xe4\xa4\x06\x6d\x83\x82\x1a\x0f\x0a\xea\xa8\x62",
        "draft-ietf-ipsec-nat-t-ike-01",
    ),
    (NATT_02, "draft-ietf-ipsec-nat-t-ike-02"),
    (NATT_02_N, "draft-ietf-ipsec-nat-t-ike-02\\n"),
    (NATT_03, "draft-ietf-ipsec-nat-t-ike-03"),
    (
        b"\x99\x09\xb6\x4e\xed\x93\x7c\x65\x73\xde\x52\xac\xe9\x52\xfa\x6b",
        "draft-ietf-ipsec-nat-t-ike-04",
    ),
    (
        b"\x80\xd0\xbb\x3d\xef\x54\x56\x5e\xe8\x46\x45\xd4\xc8\x5c\xe3\xee",
        "draft-ietf-ipsec-nat-t-ike-05",
    ),
    (
        b"\x4d\x1e\x0e\x13\x6d\xea\xfa\x34\xc4\xf3\xea\x9f\x02\xec\x72\x85",
        "draft-ietf-ipsec-nat-t-ike-06",
    ),
    (
        b"\x43\x9b\x59\xf8\xba\x67\x6c\x4c\x77\x37\xae\x22\xea\xb8\xf5\x82",
        "draft-ietf-ipsec-nat-t-ike-07",
    ),
    (
        b"\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8",
        "draft-ietf-ipsec-nat-t-ike-08",
    ),
    (FRAGMENTATION, "FRAGMENTATION"),
    (DPD, "DPD"),
    (XAUTH, "XAUTH"),
    (UNITY, "Cisco Unity"),
    (MS_NT5, "MS NT5 ISAKMPOAKLEY"),
    (MS_KEY_MODS, "MS KEY-MODS"),
    (MS_NEGOTIATION_DISCOVERY, "MS-Negotiation Discovery Capable"),
    (MS_INITIAL_CONTACT, "Vid-Initial-Contact"),
    (MS_IKE_CGA, "IKE CGA version 1"),
    (STRONGSWAN, "strongSwan"),
];

/// The name of a vendor id, if known.
pub fn name(vendor_id: &[u8]) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(known, _)| vendor_id.starts_with(known))
        .map(|(_, name)| *name)
}

/// Which NAT traversal a peer and we agree on. The better comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NatVariant {
    /// None.
    #[default]
    None,
    /// Drafts 02 and 03, which are the same on the wire.
    Draft,
    /// RFC 3947.
    Rfc3947,
}

impl NatVariant {
    /// Payload type of NAT-D.
    pub fn nat_d(self) -> PayloadType {
        if self == Self::Draft {
            PayloadType::NAT_D_DRAFT
        } else {
            PayloadType::NAT_D
        }
    }

    /// Payload type of NAT-OA.
    pub fn nat_oa(self) -> PayloadType {
        if self == Self::Draft {
            PayloadType::NAT_OA_DRAFT
        } else {
            PayloadType::NAT_OA
        }
    }
}

/// What a peer's vendor ids tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The best NAT traversal it speaks of those we speak.
    pub natt: NatVariant,
    /// The vendor id to answer with for it.
    pub natt_answer: Option<&'static [u8]>,
    /// RFC 3706.
    pub dpd: bool,
    /// IKE fragmentation, and the vendor id to answer with: as long as the peer's.
    pub fragmentation: Option<&'static [u8]>,
    /// XAUTH.
    pub xauth: bool,
    /// Cisco Unity's attributes in Mode Config.
    pub unity: bool,
    /// Windows says INITIAL-CONTACT this way.
    pub initial_contact: bool,
    /// A guess at what the peer is.
    pub vendor: Option<&'static str>,
}

/// Whether it is IKE fragmentation with any capability at all.
fn can_fragment(id: &[u8]) -> bool {
    id.strip_prefix(FRAGMENTATION)
        .is_some_and(|capabilities| capabilities.len() == 4 && capabilities != [0; 4])
}

impl Capabilities {
    /// Reads vendor ids in any order. Unknown ones, and ones too short or too long, mean nothing.
    pub fn from_vendor_ids<'a>(vendor_ids: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        let mut rank = 0;
        for id in vendor_ids {
            let natt = match id {
                RFC_3947 => Some((4, NatVariant::Rfc3947, RFC_3947)),
                NATT_03 => Some((3, NatVariant::Draft, NATT_03)),
                NATT_02_N => Some((2, NatVariant::Draft, NATT_02_N)),
                NATT_02 => Some((1, NatVariant::Draft, NATT_02)),
                _ => None,
            };
            if let Some((better, variant, answer)) = natt
                && better > rank
            {
                rank = better;
                found.natt = variant;
                found.natt_answer = Some(answer);
            }
            match id {
                DPD => found.dpd = true,
                XAUTH => found.xauth = true,
                UNITY => found.unity = true,
                FRAGMENTATION => found.fragmentation = Some(FRAGMENTATION),
                _ if can_fragment(id) => found.fragmentation = Some(FRAGMENTATION_CAPABLE),
                MS_INITIAL_CONTACT => found.initial_contact = true,
                NATT_APPLE if found.vendor.is_none() => found.vendor = Some("Apple"),
                STRONGSWAN => found.vendor = Some("strongSwan"),
                _ if id.starts_with(MS_NT5) => found.vendor = Some("Windows"),
                _ => {}
            }
        }
        found
    }
}

//! Algorithm numbers of `net/pfkeyv2.h` (the same on FreeBSD and Linux) and their setkey(8) names.
//! 240 and 241 are softkernel's own: no system's header has them, and softkernel alone announces
//! them in its answer to REGISTER.

/// `SADB_EALG_*`: encryption algorithm of an ESP SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EncryptionAlgorithm(pub u8);

impl EncryptionAlgorithm {
    /// No encryption algorithm (AH).
    pub const NONE: Self = Self(0);
    /// Triple DES in CBC mode, RFC 2451.
    pub const TRIPLE_DES_CBC: Self = Self(3);
    /// NULL encryption, RFC 2410.
    pub const NULL: Self = Self(11);
    /// AES-CBC, RFC 3602.
    pub const AES_CBC: Self = Self(12);
    /// AES counter mode, RFC 3686.
    pub const AES_CTR: Self = Self(13);
    /// ChaCha20-Poly1305, RFC 7634 (FreeBSD's number).
    pub const CHACHA20_POLY1305: Self = Self(15);
    /// AES-GCM with a 16-byte ICV, RFC 4106. The key carries its 4-byte salt at the end.
    pub const AES_GCM_16: Self = Self(20);
    /// AES-GMAC, RFC 4543.
    pub const AES_GMAC: Self = Self(23);

    /// The word setkey(8) prints; `None` for a number it does not know and prints in decimal.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "none",
            Self::TRIPLE_DES_CBC => "3des-cbc",
            Self::NULL => "null",
            Self::AES_CBC => "aes-cbc",
            Self::AES_CTR => "aes-ctr",
            Self::AES_GCM_16 => "aes-gcm-16",
            _ => return None,
        })
    }
}

/// `SADB_AALG_*`: authentication algorithm of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AuthenticationAlgorithm(pub u8);

impl AuthenticationAlgorithm {
    /// None: the cipher authenticates by itself.
    pub const NONE: Self = Self(0);
    /// HMAC-SHA-1, ICV 96 bits, RFC 2404.
    pub const SHA1_HMAC: Self = Self(3);
    /// HMAC-SHA-256, ICV 128 bits, RFC 4868.
    pub const SHA2_256: Self = Self(5);
    /// HMAC-SHA-384, ICV 192 bits, RFC 4868.
    pub const SHA2_384: Self = Self(6);
    /// HMAC-SHA-512, ICV 256 bits, RFC 4868.
    pub const SHA2_512: Self = Self(7);
    /// AES-XCBC-MAC-96, RFC 3566.
    pub const AES_XCBC_MAC: Self = Self(9);
    /// AES-128-GMAC as the kernel itself sets it on an AES-GCM SA.
    pub const AES128_GMAC: Self = Self(11);
    /// AES-192-GMAC.
    pub const AES192_GMAC: Self = Self(12);
    /// AES-256-GMAC.
    pub const AES256_GMAC: Self = Self(13);
    /// ChaCha20-Poly1305.
    pub const CHACHA20_POLY1305: Self = Self(14);
    /// HMAC-SHA-256 with an ICV of 96 bits (draft-ietf-ipsec-ciph-sha-256-00), as Android up to 7
    /// and Linux before 2.6.33 have it under the name of RFC 4868's. softkernel only.
    pub const SHA2_256_96: Self = Self(240);
    /// HMAC-SHA-256 with an ICV of 128 or 96 bits, whichever the peer's first authentic packet has;
    /// from then on the SA is shown, and the other direction sends, with that one. softkernel only.
    pub const SHA2_256_DETECT: Self = Self(241);
    /// No authentication.
    pub const NULL: Self = Self(251);
    /// TCP-MD5, RFC 2385.
    pub const TCP_MD5: Self = Self(252);

    /// The word setkey(8) prints, a similar one for softkernel's own; `None` for a number that
    /// setkey(8) does not know and prints in decimal.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "none",
            Self::SHA1_HMAC => "hmac-sha1",
            Self::SHA2_256 => "hmac-sha2-256",
            Self::SHA2_384 => "hmac-sha2-384",
            Self::SHA2_512 => "hmac-sha2-512",
            Self::AES_XCBC_MAC => "aes-xcbc-mac",
            Self::SHA2_256_96 => "hmac-sha2-256-96",
            Self::SHA2_256_DETECT => "hmac-sha2-256-detect",
            Self::NULL => "null",
            Self::TCP_MD5 => "tcp-md5",
            _ => return None,
        })
    }
}

//! The closed sets of words of racoon.conf(5): each type knows all its spellings, so that a
//! refusal can name them.

/// A type that is written as one of a closed set of words.
pub trait Keyword: Copy + 'static {
    /// What the set is called in a refusal.
    const WHAT: &'static str;
    /// Every spelling and what it means.
    const ALL: &'static [(&'static str, Self)];

    /// What `word` means, if it is one of them.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(spelling, _)| *spelling == word)
            .map(|(_, value)| *value)
    }
}

/// The first spelling of `value`.
pub fn spelling<K: Keyword + PartialEq>(value: K) -> &'static str {
    K::ALL
        .iter()
        .find(|(_, own)| *own == value)
        .map_or("", |(word, _)| word)
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $what:literal { $($variant:ident: $first:literal $($more:literal)*,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $first, "`")] $variant,)*
        }

        impl Keyword for $name {
            const WHAT: &'static str = $what;
            const ALL: &'static [(&'static str, Self)] = &[
                $(($first, Self::$variant), $(($more, Self::$variant),)*)*
            ];
        }
    )*};
}

impl Keyword for bool {
    const WHAT: &'static str = "switch";
    const ALL: &'static [(&'static str, Self)] = &[("on", true), ("off", false)];
}

words! {
    /// What a `path` is for.
    PathKind "kind of path" {
        Include: "include",
        PreSharedKey: "pre_shared_key",
        Certificate: "certificate",
        Script: "script",
        BackupSa: "backupsa",
        PidFile: "pidfile",
    }
    /// How talkative.
    LogLevel "log level" {
        Error: "error",
        Warning: "warning",
        Notify: "notify",
        Info: "info",
        Debug: "debug",
        Debug2: "debug2",
    }
    /// Encoding of a GSS-API name.
    GssEncoding "encoding" {
        Latin1: "latin1",
        Utf16Le: "utf-16le",
    }
    /// Phase 1 exchanges.
    ExchangeMode "exchange mode" {
        Main: "main",
        Aggressive: "aggressive",
        Base: "base",
    }
    /// Domains of interpretation.
    Doi "domain of interpretation" {
        Ipsec: "ipsec_doi",
    }
    /// Situations (RFC 2407 4.2).
    Situation "situation" {
        IdentityOnly: "identity_only",
        Secrecy: "secrecy",
        Integrity: "integrity",
    }
    /// Kinds of identities.
    IdKind "kind of identity" {
        Address: "address",
        Subnet: "subnet",
        Fqdn: "fqdn",
        UserFqdn: "user_fqdn",
        KeyId: "keyid",
        Asn1Dn: "asn1dn",
    }
    /// Where a keyid comes from.
    IdQualifier "qualifier" {
        File: "file",
        Tag: "tag",
    }
    /// What `generate_policy` says.
    GeneratePolicy "setting" {
        Off: "off",
        On: "on",
        Require: "require",
        Unique: "unique",
    }
    /// What `nat_traversal`, `ike_frag` and `rekey` say.
    Force "setting" {
        Off: "off",
        On: "on",
        Force: "force",
    }
    /// What `proposal_check` says.
    ProposalCheck "level" {
        Obey: "obey",
        Strict: "strict",
        Claim: "claim",
        Exact: "exact",
    }
    /// Events that run a script.
    ScriptEvent "event" {
        Up: "phase1_up",
        Down: "phase1_down",
        Dead: "phase1_dead",
    }
    /// Formats of our certificate.
    CertificateKind "format" {
        X509: "x509",
        PlainRsa: "plain_rsa",
    }
    /// The only format of a CA's certificate.
    CaKind "format" {
        X509: "x509",
    }
    /// Units of time.
    TimeUnit "unit" {
        Seconds: "sec" "secs" "second" "seconds",
        Minutes: "min" "mins" "minute" "minutes",
        Hours: "hour" "hours",
    }
    /// Units of traffic.
    ByteUnit "unit" {
        Byte: "B" "byte" "bytes",
        Kilobyte: "KB",
        Megabyte: "MB",
        Terabyte: "TB",
    }
    /// What a `lifetime` counts.
    LifetimeKind "lifetime" {
        Time: "time",
        Byte: "byte",
    }
    /// Ciphers of phase 1 and phase 2.
    Encryption "encryption algorithm" {
        Aes: "aes" "rijndael",
        TripleDes: "3des",
        Des: "des",
        DesIv64: "des_iv64",
        DesIv32: "des_iv32",
        Blowfish: "blowfish",
        Cast128: "cast128",
        Camellia: "camellia",
        Twofish: "twofish",
        Idea: "idea",
        TripleIdea: "3idea",
        Rc4: "rc4",
        Rc5: "rc5",
        Null: "null_enc",
    }
    /// Hashes of phase 1.
    HashAlgorithm "hash algorithm" {
        Md5: "md5",
        Sha1: "sha1",
        Sha256: "sha256" "sha2_256",
        Sha384: "sha384" "sha2_384",
        Sha512: "sha512" "sha2_512",
        Tiger: "tiger",
    }
    /// Authentication of ESP and AH.
    Authentication "authentication algorithm" {
        HmacMd5: "hmac_md5",
        HmacSha1: "hmac_sha1",
        HmacSha256: "hmac_sha256" "hmac_sha2_256",
        HmacSha384: "hmac_sha384" "hmac_sha2_384",
        HmacSha512: "hmac_sha512" "hmac_sha2_512",
        DesMac: "des_mac",
        Kpdk: "kpdk",
        None: "non_auth",
    }
    /// Compression of IPComp.
    Compression "compression algorithm" {
        Deflate: "deflate",
        Lzs: "lzs",
        Oui: "oui",
    }
    /// Authentication of phase 1.
    Method "authentication method" {
        PreSharedKey: "pre_shared_key",
        RsaSig: "rsasig",
        DssSig: "dsssig",
        RsaEnc: "rsaenc",
        RsaRev: "rsarev",
        GssapiKrb: "gssapi_krb",
        HybridRsaServer: "hybrid_rsa_server",
        HybridRsaClient: "hybrid_rsa_client",
        HybridDssServer: "hybrid_dss_server",
        HybridDssClient: "hybrid_dss_client",
        XauthPskServer: "xauth_psk_server",
        XauthPskClient: "xauth_psk_client",
        XauthRsaServer: "xauth_rsa_server",
        XauthRsaClient: "xauth_rsa_client",
    }
    /// Diffie-Hellman groups; their numbers are accepted, too.
    DhGroup "Diffie-Hellman group" {
        Modp768: "modp768" "1",
        Modp1024: "modp1024" "2",
        Ec2n155: "ec2n155" "3",
        Ec2n185: "ec2n185" "4",
        Modp1536: "modp1536" "5",
        Modp2048: "modp2048" "14",
        Modp3072: "modp3072" "15",
        Modp4096: "modp4096" "16",
        Modp6144: "modp6144" "17",
        Modp8192: "modp8192" "18",
    }
    /// Where XAuth looks a user up.
    AuthSource "source" {
        System: "system",
        Radius: "radius",
        Pam: "pam",
        Ldap: "ldap",
    }
    /// Where XAuth looks a group up.
    GroupSource "source" {
        System: "system",
        Ldap: "ldap",
    }
    /// Where mode-config takes addresses from.
    ConfSource "source" {
        Local: "local",
        Radius: "radius",
        Ldap: "ldap",
    }
    /// Accounting of XAuth users.
    Accounting "accounting" {
        None: "none",
        System: "system",
        Radius: "radius",
        Pam: "pam",
    }
    /// What split networks are.
    SplitKind "kind of split network" {
        Include: "include",
        LocalLan: "local_lan",
    }
}

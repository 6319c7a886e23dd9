//! What becomes of every directive of racoon.conf(5), racoon's psk.txt aside: honoured, without
//! effect (said once), or refused. The words that users see stand here.

/// What becomes of a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It means what it means to racoon, within what is said here.
    Honoured(&'static str),
    /// It has no effect, for the reason said here; the user is told once.
    NoOp(&'static str),
    /// It is refused.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
}

/// A directive and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directive {
    /// Its section and its word, such as `remote doi`; outside of sections its word.
    pub name: &'static str,
    /// What becomes of it.
    pub class: Class,
}

/// A value of an honoured directive that is not taken as racoon takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The directive.
    pub directive: &'static str,
    /// The value, or what is special about it.
    pub value: &'static str,
    /// What becomes of it: [`Class::NoOp`] is said every time, the others as for directives.
    pub class: Class,
}

/// What becomes of the directive `name`.
pub fn class(name: &str) -> Option<Class> {
    DIRECTIVES
        .iter()
        .find(|directive| directive.name == name)
        .map(|directive| directive.class)
}

/// What becomes of `value` of `directive`, if that is special.
pub fn value_class(directive: &str, value: &str) -> Option<Class> {
    VALUES
        .iter()
        .find(|entry| entry.directive == directive && entry.value == value)
        .map(|entry| entry.class)
}

const XAUTH: &str =
    "users of XAuth stand in users.yaml beside this file; L2TP clients log in at l2tpd";
const PADDING: &str = "ISAKMP padding is always made and accepted as RFC 2409 has it";
const PRIVSEP: &str = "the daemon keeps the privileges it was started with";

const fn honoured(name: &'static str, how: &'static str) -> Directive {
    Directive {
        name,
        class: Class::Honoured(how),
    }
}

const fn no_op(name: &'static str, why: &'static str) -> Directive {
    Directive {
        name,
        class: Class::NoOp(why),
    }
}

const fn refused(name: &'static str, reason: &'static str, instead: &'static str) -> Directive {
    Directive {
        name,
        class: Class::Refused { reason, instead },
    }
}

/// Every directive.
pub const DIRECTIVES: &[Directive] = &[
    honoured("path include", "where relative includes start"),
    honoured("path pre_shared_key", "read again whenever it changes"),
    honoured(
        "path certificate",
        "certificates, and authorities by their hash",
    ),
    honoured("path script", "where relative scripts of `remote` are"),
    no_op(
        "path backupsa",
        "what a restart needs is always kept in the runtime folder",
    ),
    honoured(
        "path pidfile",
        "besides the one in the runtime folder (--runtime-dir)",
    ),
    honoured("include", "with patterns, up to 10 deep"),
    no_op(
        "pfkey_buffer",
        "the PF_KEY socket's buffer is left as large as the kernel makes it, and what is lost is \
         asked for again",
    ),
    no_op("complex_bundle", "there are no bundles: ESP alone is used"),
    no_op("gss_id_enc", "GSS-API is not served"),
    honoured("log", "notify is logged with info, debug2 is trace"),
    honoured("privsep", "a section"),
    no_op("privsep user", PRIVSEP),
    no_op("privsep group", PRIVSEP),
    no_op("privsep chroot", PRIVSEP),
    honoured("padding", "a section"),
    no_op("padding randomize", PADDING),
    no_op("padding randomize_length", PADDING),
    no_op("padding maximum_length", PADDING),
    no_op("padding exclusive_tail", PADDING),
    no_op("padding strict_check", PADDING),
    honoured("listen", "a section"),
    honoured("listen isakmp", "one port for all addresses"),
    honoured("listen isakmp_natt", "one port for all addresses"),
    no_op("listen admin", "TCP is not listened on; see `adminsock`"),
    honoured("listen adminsock", "racoonctl's; ikectl works without it"),
    honoured("listen strict_address", "every address has to work"),
    honoured("timer", "a section"),
    honoured("timer counter", "times a packet is sent in total"),
    honoured("timer interval", "always the same interval"),
    no_op(
        "timer persend",
        "a packet is sent once at a time; what is lost is sent again",
    ),
    honoured("timer phase1", "how long a peer has for phase 1"),
    no_op(
        "timer phase2",
        "phase 2 ends when `counter` packets have gone unanswered",
    ),
    honoured("timer natt_keepalive", "0 turns it off"),
    honoured("radiuscfg", "a section"),
    no_op("radiuscfg auth", XAUTH),
    no_op("radiuscfg acct", XAUTH),
    no_op("radiuscfg timeout", XAUTH),
    no_op("radiuscfg retries", XAUTH),
    honoured("ldapcfg", "a section"),
    no_op("ldapcfg version", XAUTH),
    no_op("ldapcfg host", XAUTH),
    no_op("ldapcfg port", XAUTH),
    no_op("ldapcfg base", XAUTH),
    no_op("ldapcfg subtree", XAUTH),
    no_op("ldapcfg bind_dn", XAUTH),
    no_op("ldapcfg bind_pw", XAUTH),
    no_op("ldapcfg attr_user", XAUTH),
    no_op("ldapcfg attr_addr", XAUTH),
    no_op("ldapcfg attr_mask", XAUTH),
    no_op("ldapcfg attr_group", XAUTH),
    no_op("ldapcfg attr_member", XAUTH),
    honoured("mode_cfg", "a section"),
    honoured("mode_cfg network4", "for clients in tunnel mode"),
    honoured("mode_cfg netmask4", "for clients in tunnel mode"),
    honoured("mode_cfg dns4", "for clients in tunnel mode"),
    honoured("mode_cfg nbns4", "for clients in tunnel mode"),
    honoured("mode_cfg wins4", "for clients in tunnel mode"),
    honoured("mode_cfg default_domain", "for clients in tunnel mode"),
    no_op("mode_cfg auth_source", XAUTH),
    no_op("mode_cfg auth_groups", XAUTH),
    no_op("mode_cfg group_source", XAUTH),
    no_op("mode_cfg conf_source", XAUTH),
    no_op("mode_cfg accounting", XAUTH),
    honoured("mode_cfg pool_size", "up to 65536"),
    honoured("mode_cfg banner", "up to 1024 octets"),
    no_op("mode_cfg auth_throttle", XAUTH),
    honoured("mode_cfg split_network", "IPv4"),
    honoured("mode_cfg split_dns", "for clients in tunnel mode"),
    no_op("mode_cfg pfs_group", XAUTH),
    honoured("mode_cfg save_passwd", "for clients in tunnel mode"),
    honoured(
        "remote",
        "those of `remote anonymous` are for all peers without a block of their own",
    ),
    honoured("remote inherit", "what is not written is taken from there"),
    honoured("remote remote_address", "whom a named block connects to"),
    honoured(
        "remote exchange_mode",
        "main and aggressive; aggressive in one block allows it to every peer whose identity has \
         a key",
    ),
    honoured("remote doi", "there is only one"),
    honoured("remote situation", "identity_only"),
    honoured(
        "remote my_identifier",
        "address, fqdn, user_fqdn, keyid tag, asn1dn",
    ),
    honoured(
        "remote peers_identifier",
        "for peers that we connect to; without verify_identifier it is not checked",
    ),
    honoured(
        "remote verify_identifier",
        "for peers that we connect to, and for certificates",
    ),
    honoured(
        "remote xauth_login",
        "as a client, with the password in psk.txt",
    ),
    honoured("remote certificate_type", "x509"),
    honoured(
        "remote ca_type",
        "the authority; besides those of `path certificate`",
    ),
    honoured(
        "remote peers_certfile",
        "a certificate that is believed as it is",
    ),
    honoured("remote verify_cert", "on"),
    honoured("remote send_cert", "as in racoon"),
    honoured("remote send_cr", "as in racoon"),
    no_op(
        "remote match_empty_cr",
        "whoever asks for certificates of no particular authority gets ours",
    ),
    no_op(
        "remote dh_group",
        "only used in aggressive and base mode; main mode takes those of the proposals",
    ),
    no_op(
        "remote nonce_size",
        "nonces always have one length that all peers take",
    ),
    honoured(
        "remote generate_policy",
        "every client gets policies of its own, as with `unique`, for the traffic it is allowed",
    ),
    honoured("remote support_proxy", "off"),
    honoured("remote initial_contact", "for peers that we connect to"),
    honoured("remote nat_traversal", "off, on, force"),
    honoured(
        "remote proposal_check",
        "obey takes the peer's lifetime, the others cut it to ours",
    ),
    honoured("remote passive", "off: a connection for `ikectl connect`"),
    honoured("remote lifetime time", "of phase 1"),
    no_op("remote lifetime byte", "phase 1 ends by time only"),
    honoured(
        "remote dpd",
        "off: peers are not asked; they are always answered",
    ),
    honoured("remote dpd_delay", "0: peers are not asked"),
    honoured("remote dpd_retry", "seconds"),
    honoured("remote dpd_maxfail", "1 to 100"),
    honoured("remote ph1id", "for a block with an address of its own"),
    honoured(
        "remote ike_frag",
        "on when not written: fragments are taken, and sent to peers that announce them",
    ),
    no_op(
        "remote esp_frag",
        "the kernel fragments after encapsulation, as on FreeBSD",
    ),
    honoured(
        "remote script",
        "run without a shell, with racoon's environment; the status is only logged",
    ),
    honoured(
        "remote mode_cfg",
        "as a client, with everything through the tunnel",
    ),
    no_op(
        "remote weak_phase1_check",
        "messages that are not protected never delete anything",
    ),
    no_op(
        "remote rekey",
        "an ISAKMP SA that ends is followed by a new one when one side needs it",
    ),
    no_op(
        "remote keepalive",
        "it never meant anything; see `timer natt_keepalive`",
    ),
    honoured("remote proposal", "in this order"),
    honoured("proposal encryption_algorithm", "aes, 3des"),
    honoured(
        "proposal hash_algorithm",
        "md5, sha1, sha256, sha384, sha512",
    ),
    honoured("proposal authentication_method", "pre_shared_key, rsasig"),
    honoured("proposal dh_group", "modp1024 to modp4096"),
    honoured("proposal lifetime time", "the longest one counts"),
    no_op("proposal lifetime byte", "phase 1 ends by time only"),
    no_op("proposal gss_id", "GSS-API is not served"),
    honoured(
        "sainfo",
        "that of `sainfo anonymous`, or the first one, is for all peers; one for the address of a \
         peer with a `remote` of its own is for that peer",
    ),
    refused(
        "sainfo from",
        "phase 2 goes by addresses and `remoteid`, not by identities",
        "leave `from` out, or write `ph1id` and `remoteid`",
    ),
    refused(
        "sainfo group",
        "users of XAuth have no groups",
        "leave `group` out",
    ),
    honoured(
        "sainfo pfs_group",
        "asked for; insisted on unless proposal_check is obey",
    ),
    honoured("sainfo lifetime time", "of phase 2"),
    honoured(
        "sainfo lifetime byte",
        "offered to peers that we connect to",
    ),
    honoured("sainfo remoteid", "the `ph1id` of a block with an address"),
    refused(
        "sainfo reqid",
        "the daemon gives every client a reqid of its own",
        "leave it out; SAs for if_ipsec(4) are not made",
    ),
    honoured("sainfo encryption_algorithm", "aes, 3des"),
    honoured(
        "sainfo authentication_algorithm",
        "hmac_sha1, hmac_sha256, hmac_sha384, hmac_sha512",
    ),
    honoured(
        "sainfo compression_algorithm",
        "only used by a policy that asks for IPComp, as in racoon",
    ),
    no_op(
        "sainfo my_identifier",
        "obsolete; the one of `remote` counts",
    ),
    honoured(
        "setkey spdadd",
        "put into the kernel; also what peers may carry, and connections",
    ),
    no_op(
        "setkey spddelete",
        "the daemon looks after its own policies only",
    ),
    no_op(
        "setkey spdflush",
        "the daemon looks after its own policies only",
    ),
    no_op("setkey spddump", "see `ikectl show policies`"),
    no_op("setkey flush", "the daemon looks after its own SAs only"),
    no_op("setkey dump", "see `ikectl show ipsec`"),
    no_op("setkey get", "see `ikectl show ipsec`"),
    no_op("setkey delete", "the daemon looks after its own SAs only"),
    no_op(
        "setkey deleteall",
        "the daemon looks after its own SAs only",
    ),
    honoured("setkey add", "put into the kernel; ESP only"),
];

const fn value(directive: &'static str, value: &'static str, class: Class) -> Value {
    Value {
        directive,
        value,
        class,
    }
}

const fn not(reason: &'static str, instead: &'static str) -> Class {
    Class::Refused { reason, instead }
}

/// Values that are not taken as racoon takes them.
pub const VALUES: &[Value] = &[
    value(
        "mode_cfg",
        "no address",
        not("no IPv4 address", "write such as 10.99.0.1"),
    ),
    value(
        "mode_cfg pool_size",
        "out of range",
        not("out of range", "write 1 to 65536, within IPv4's addresses"),
    ),
    value(
        "mode_cfg banner",
        "unreadable",
        not("no text of 1024 octets at most", "write the path of one"),
    ),
    value(
        "remote xauth_login",
        "no password",
        not("no password", "write `LOGIN PASSWORD` into psk.txt"),
    ),
    value(
        "proposal authentication_method",
        "no users",
        not(
            "users of this system are not asked",
            "write names and passwords into users.yaml beside this file",
        ),
    ),
    value(
        "remote exchange_mode",
        "several groups",
        Class::NoOp("aggressive mode needs one dh_group: we begin with main mode"),
    ),
    value(
        "listen isakmp",
        "host name",
        not("a name instead of an address", "write the address"),
    ),
    value(
        "listen isakmp",
        "other port",
        not(
            "all addresses share one IKE port",
            "write the same port everywhere, normally [500]",
        ),
    ),
    value(
        "listen isakmp_natt",
        "host name",
        not("a name instead of an address", "write the address"),
    ),
    value(
        "listen isakmp_natt",
        "other port",
        not(
            "all addresses share one NAT-T port, which is not the IKE port",
            "write the same port everywhere, normally [4500]",
        ),
    ),
    value(
        "listen isakmp_natt",
        "other address",
        not(
            "the NAT-T port is bound where the IKE port is",
            "write `isakmp` with this address, too",
        ),
    ),
    value(
        "timer counter",
        "out of range",
        not("out of range", "write 1 to 20"),
    ),
    value(
        "timer interval",
        "out of range",
        not("out of range", "write 1 sec to 1 hour"),
    ),
    value(
        "timer phase1",
        "out of range",
        not("out of range", "write 5 sec to 1 hour"),
    ),
    value(
        "timer natt_keepalive",
        "out of range",
        not("out of range", "write 0 sec to 1 hour"),
    ),
    value(
        "remote dpd_delay",
        "out of range",
        not("out of range", "write 0 to 86400"),
    ),
    value(
        "path pre_shared_key",
        "empty",
        not(
            "no key in it",
            "write `ADDRESS KEY` or `* KEY` into it, one a line",
        ),
    ),
    value(
        "remote",
        "missing",
        not("nobody can connect", "write `remote anonymous { ... }`"),
    ),
    value(
        "sainfo",
        "missing",
        not("no phase 2 settings", "write `sainfo anonymous { ... }`"),
    ),
    value(
        "remote",
        "same address",
        Class::NoOp("ports do not tell peers apart; the last block for an address counts"),
    ),
    value(
        "remote",
        "named without address",
        not(
            "nobody is meant: a name alone is no address",
            "write `remote_address` into it",
        ),
    ),
    value(
        "remote",
        "host name",
        not("a name instead of an address", "write the address"),
    ),
    value(
        "remote inherit",
        "unknown",
        not(
            "no such `remote` above",
            "write the one to inherit from first",
        ),
    ),
    value(
        "remote exchange_mode",
        "base",
        Class::NoOp("base mode is not served"),
    ),
    value(
        "remote exchange_mode",
        "only base",
        not(
            "base mode is not served",
            "write `exchange_mode main;` or `exchange_mode aggressive;`",
        ),
    ),
    value(
        "remote exchange_mode",
        "without main",
        Class::NoOp("main mode is accepted as well"),
    ),
    value(
        "remote script",
        "relative",
        not(
            "a relative path, and there is no `path script`",
            "write the path from the root",
        ),
    ),
    value(
        "remote exchange_mode",
        "missing",
        not("`exchange_mode` is missing", "write `exchange_mode main;`"),
    ),
    value(
        "remote situation",
        "secrecy",
        not("labels are not served", "write `situation identity_only;`"),
    ),
    value(
        "remote situation",
        "integrity",
        not("labels are not served", "write `situation identity_only;`"),
    ),
    value(
        "remote my_identifier",
        "asn1dn",
        not(
            "a name out of a certificate, and there is none",
            "write `certificate_type` and rsasig, or address, fqdn, user_fqdn or keyid tag",
        ),
    ),
    value(
        "remote my_identifier",
        "no name",
        not(
            "no X.500 name",
            "write such as \"C=CH, O=example, CN=vpn.example.org\"",
        ),
    ),
    value(
        "remote peers_identifier",
        "no name",
        not("no X.500 name", "write such as \"C=CH, O=example, CN=*\""),
    ),
    value(
        "remote certificate_type",
        "plain_rsa",
        not(
            "bare RSA keys are not served",
            "write x509 with a certificate and its key",
        ),
    ),
    value(
        "remote certificate_type",
        "missing",
        not(
            "rsasig needs a certificate of ours",
            "write `certificate_type x509 \"CERTIFICATE\" \"KEY\";`",
        ),
    ),
    value(
        "remote ca_type",
        "missing",
        not(
            "rsasig needs an authority to believe",
            "write `ca_type x509 \"FILE\";`",
        ),
    ),
    value(
        "remote peers_certfile",
        "no certificate",
        not(
            "no certificate",
            "write the peer's certificate: `peers_certfile x509 \"FILE\";`",
        ),
    ),
    value(
        "remote verify_cert",
        "off",
        not(
            "certificates are always verified",
            "write `verify_cert on;` and the authority as `ca_type`",
        ),
    ),
    value(
        "remote my_identifier",
        "keyid file",
        not(
            "files with a keyid are not read",
            "write `keyid tag` and the octets in double quotes",
        ),
    ),
    value(
        "remote my_identifier",
        "no address",
        not("no address", "write an address, or nothing"),
    ),
    value(
        "remote peers_identifier",
        "several",
        not(
            "more than one, checked because of verify_identifier",
            "write one",
        ),
    ),
    value(
        "remote verify_identifier",
        "responder",
        not(
            "identities of peers that connect to us are not checked; the pre-shared key is",
            "write `verify_identifier off;` and give every peer its own key in psk.txt",
        ),
    ),
    value(
        "remote generate_policy",
        "off",
        Class::NoOp("off, but clients that are allowed in get their policies all the same"),
    ),
    value(
        "remote support_proxy",
        "on",
        not(
            "identities in phase 2 that are not the peer's own are taken in tunnel mode only",
            "write `support_proxy off;`",
        ),
    ),
    value(
        "remote proposal_check",
        "strict",
        Class::NoOp("a peer with a longer lifetime is not refused; its SA ends after ours"),
    ),
    value(
        "remote proposal_check",
        "exact",
        Class::NoOp("a peer with another lifetime is not refused; the shorter one counts"),
    ),
    value(
        "remote lifetime time",
        "out of range",
        not("out of range", "write 1 min to 8760 hours"),
    ),
    value(
        "remote dpd_retry",
        "out of range",
        not("out of range", "write 1 or more"),
    ),
    value(
        "remote dpd_maxfail",
        "out of range",
        not("out of range", "write 1 to 100"),
    ),
    value(
        "remote proposal",
        "missing",
        not("`proposal` is missing", "write at least one"),
    ),
    value(
        "remote proposal",
        "incomplete",
        not(
            "incomplete",
            "write encryption_algorithm, hash_algorithm, authentication_method and dh_group",
        ),
    ),
    value(
        "remote proposal",
        "mixed",
        Class::NoOp("any mixture of the algorithms of all proposals is accepted, too"),
    ),
    value(
        "proposal encryption_algorithm",
        "unserved",
        not("not served", "write aes 256, aes 128 or 3des"),
    ),
    value(
        "proposal encryption_algorithm",
        "key length",
        not(
            "no such key length",
            "write aes 128, aes 192, aes 256 or 3des",
        ),
    ),
    value(
        "proposal hash_algorithm",
        "unserved",
        not("not served", "write sha256, sha384, sha512, sha1 or md5"),
    ),
    value(
        "proposal authentication_method",
        "unserved",
        not(
            "not served",
            "write pre_shared_key, rsasig, or an xauth or hybrid_rsa method",
        ),
    ),
    value(
        "proposal dh_group",
        "unserved",
        not(
            "not served",
            "write modp2048, modp3072, modp4096, modp1536 or modp1024",
        ),
    ),
    value(
        "sainfo",
        "wider",
        not(
            "algorithms that are not allowed to all peers",
            "write the same algorithms as in the first block, or fewer",
        ),
    ),
    value(
        "sainfo",
        "specific",
        Class::NoOp("there is no `sainfo anonymous`: these settings are those of all peers"),
    ),
    value(
        "sainfo",
        "incomplete",
        not(
            "incomplete",
            "write encryption_algorithm and authentication_algorithm",
        ),
    ),
    value(
        "sainfo pfs_group",
        "unserved",
        not(
            "not served",
            "write modp2048, modp3072, modp4096, modp1536 or modp1024",
        ),
    ),
    value(
        "sainfo pfs_group",
        "differs",
        not(
            "not the same for all peers",
            "write the same as in the first block",
        ),
    ),
    value(
        "sainfo lifetime time",
        "differs",
        Class::NoOp("not the same for all peers; that of the first block counts"),
    ),
    value(
        "sainfo lifetime time",
        "out of range",
        not("out of range", "write 1 min to 8760 hours"),
    ),
    value(
        "sainfo encryption_algorithm",
        "unserved",
        not("not served", "write aes 256, aes 128 or 3des"),
    ),
    value(
        "sainfo encryption_algorithm",
        "key length",
        not(
            "no such key length",
            "write aes 128, aes 192, aes 256 or 3des",
        ),
    ),
    value(
        "sainfo authentication_algorithm",
        "unserved",
        not(
            "not served",
            "write hmac_sha256, hmac_sha384, hmac_sha512 or hmac_sha1",
        ),
    ),
    value(
        "setkey spdadd",
        "not esp",
        not("only ESP is served", "write esp/transport//require"),
    ),
    value(
        "setkey spdadd",
        "several",
        not("bundles are not served", "write one request, with esp"),
    ),
    value(
        "setkey spdadd",
        "mode any",
        not("no mode", "write transport or tunnel"),
    ),
    value(
        "setkey spdadd",
        "host name",
        not("a name instead of an address", "write the address"),
    ),
];

//! What becomes of every command, setting and option: honoured, a no-op with one notice, or
//! refused with the reason and what to do instead. This table is the documentation of it.

/// What becomes of a command, setting or option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It means what it means to mpd.
    Honoured,
    /// Read and kept, nothing comes of it; one notice says why.
    NoOp(&'static str),
    /// An option whose state never changes here; asking for the other state gets one notice.
    Always(bool, &'static str),
    /// Not accepted. Options: not accepted switched on.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to write or do instead.
        remedy: &'static str,
    },
}

/// The three answers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It means what it means to mpd.
    Honoured,
    /// Nothing comes of it, and a notice says so.
    NoOp,
    /// The file is not accepted with it.
    Refused,
}

impl Class {
    /// Which of the three it is.
    #[must_use]
    pub const fn answer(self) -> Answer {
        match self {
            Self::Honoured => Answer::Honoured,
            Self::NoOp(_) | Self::Always(..) => Answer::NoOp,
            Self::Refused { .. } => Answer::Refused,
        }
    }
}

/// The class of a command or setting by its whole path, such as `set link mtu`.
#[must_use]
pub fn command(path: &str) -> Option<Class> {
    COMMANDS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, class)| *class)
}

/// The class of an option by its menu and name, such as `link` and `pap`.
#[must_use]
pub fn option(menu: &str, name: &str) -> Option<Class> {
    OPTIONS
        .iter()
        .find(|(of, option, _)| *of == menu && *option == name)
        .map(|row| row.2)
}

const fn refused(reason: &'static str, remedy: &'static str) -> Class {
    Class::Refused { reason, remedy }
}

const HONOURED: Class = Class::Honoured;

const RADIUS_KEPT: &str = "kept for RADIUS, which is not served yet";
const BANDWIDTH: &str = "bandwidth on demand needs multilink, which L2TP clients do not use";
const MULTILINK: &str = "there is no multilink: every link is a bundle of its own";
const IPFW: &str = "no ipfw rules are made: they come from RADIUS attributes only";
const NAT: &str = "without 'set iface enable nat', which is refused, it does nothing";
const NETFLOW: &str = "without 'set iface enable netflow-in', which is refused, it does nothing";
const CCP: &str = "CCP is not negotiated: every session is inside ESP, and clients go on without";
const ECP: &str = "ECP is not negotiated: every session is inside ESP";
const PROGRAM: &str = "without ext-auth and ext-acct, which are refused, the program never runs";
const PPTP: &str = "PPTP is not served, so its limits limit nothing";
const LIVE: Class = refused(
    "it selects a session that is up, and none is while the file is read",
    "take the line out; l2tpctl does this while the daemon runs",
);
const FOREIGN: Class = refused(
    "only L2TP links are served here",
    "leave these links to mpd5, or start with --skip-unsupported",
);
const NOT_RADIUS: Class = refused(
    "RADIUS is not served yet, and a session must not be let in or counted by half",
    "use mpd.secret ('set auth enable internal') or stay with mpd5 until it is",
);
const NOT_PROGRAMS: Class = refused(
    "external authentication and accounting programs are not served",
    "put users in mpd.secret; its '!program' passwords work",
);
const NOT_SYSTEM: Class = refused(
    "the system's password file, PAM and OPIE cannot verify MS-CHAPv2 and are not served",
    "put users in mpd.secret",
);
const NOT_NAT: Class = refused(
    "ng_nat is not part of a session here",
    "translate in pf or ipfw on the outer interface",
);
const NOT_NETFLOW: Class = refused(
    "sessions are not counted by ng_netflow or ng_ipacct",
    "export flows from the outer interface; l2tpctl shows octets of each session",
);

/// Commands and settings.
pub const COMMANDS: &[(&str, Class)] = &[
    ("authname", LIVE),
    ("bundle", HONOURED),
    ("close", HONOURED),
    ("create link", HONOURED),
    ("create bundle", HONOURED),
    ("destroy link", HONOURED),
    ("destroy bundle", HONOURED),
    (
        "exit",
        Class::NoOp("a file has no console session to leave"),
    ),
    (
        "help",
        Class::NoOp("it prints to a console, and a file has none"),
    ),
    ("iface", LIVE),
    ("link", HONOURED),
    ("load", HONOURED),
    (
        "log",
        Class::NoOp("what is logged goes by level: start with -D for more"),
    ),
    ("msession", LIVE),
    ("open", HONOURED),
    (
        "quit",
        refused(
            "it would end the daemon as soon as it has started",
            "take the line out",
        ),
    ),
    (
        "repeater",
        refused(
            "calls are not handed on to another server",
            "use 'set link action bundle'",
        ),
    ),
    ("session", LIVE),
    (
        "show",
        Class::NoOp("it prints to a console, and a file has none"),
    ),
    (
        "shutdown",
        refused(
            "it would end the daemon as soon as it has started",
            "take the line out",
        ),
    ),
    ("unset radius server", HONOURED),
    ("unset nat red-port", Class::NoOp(NAT)),
    ("unset nat red-addr", Class::NoOp(NAT)),
    ("unset nat red-proto", Class::NoOp(NAT)),
    (
        "set debug",
        Class::NoOp("netgraph messages are logged at level trace instead"),
    ),
    ("set user", HONOURED),
    // Link types that are not served.
    ("set modem", FOREIGN),
    ("set ng", FOREIGN),
    ("set pppoe", FOREIGN),
    ("set pptp", FOREIGN),
    ("set tcp", FOREIGN),
    ("set udp", FOREIGN),
    // set bundle
    ("set bundle period", Class::NoOp(BANDWIDTH)),
    ("set bundle lowat", Class::NoOp(BANDWIDTH)),
    ("set bundle hiwat", Class::NoOp(BANDWIDTH)),
    ("set bundle min-con", Class::NoOp(BANDWIDTH)),
    ("set bundle min-dis", Class::NoOp(BANDWIDTH)),
    ("set bundle links", HONOURED),
    (
        "set bundle fsm-timeout",
        Class::NoOp("the restart timer is RFC 1661's"),
    ),
    // set link
    ("set link action bundle", HONOURED),
    (
        "set link action forward",
        refused(
            "calls are not handed on to another server",
            "use 'set link action bundle'",
        ),
    ),
    ("set link action drop", HONOURED),
    ("set link action clear", HONOURED),
    ("set link bandwidth", Class::NoOp(MULTILINK)),
    ("set link latency", Class::NoOp(MULTILINK)),
    (
        "set link accmap",
        Class::NoOp("L2TP carries no asynchronous framing"),
    ),
    ("set link mrru", Class::NoOp(MULTILINK)),
    ("set link mru", HONOURED),
    ("set link mtu", HONOURED),
    (
        "set link fsm-timeout",
        Class::NoOp("the restart timer is RFC 1661's"),
    ),
    ("set link max-redial", HONOURED),
    ("set link redial-delay", HONOURED),
    ("set link max-children", HONOURED),
    ("set link keep-alive", HONOURED),
    (
        "set link ident",
        Class::NoOp("LCP Identification is not sent"),
    ),
    // set iface
    ("set iface addrs", HONOURED),
    ("set iface route", HONOURED),
    ("set iface mtu", HONOURED),
    ("set iface name", HONOURED),
    ("set iface description", HONOURED),
    ("set iface group", HONOURED),
    ("set iface up-script", HONOURED),
    ("set iface down-script", HONOURED),
    ("set iface idle", HONOURED),
    ("set iface session", HONOURED),
    // set ipcp, ippool
    ("set ipcp ranges", HONOURED),
    ("set ipcp dns", HONOURED),
    ("set ipcp nbns", HONOURED),
    ("set ippool add", HONOURED),
    ("set ecp key", Class::NoOp(ECP)),
    // set auth
    ("set auth max-logins", HONOURED),
    ("set auth authname", HONOURED),
    ("set auth password", HONOURED),
    ("set auth extauth-script", Class::NoOp(PROGRAM)),
    ("set auth extacct-script", Class::NoOp(PROGRAM)),
    ("set auth acct-update", Class::NoOp(RADIUS_KEPT)),
    ("set auth update-limit-in", Class::NoOp(RADIUS_KEPT)),
    ("set auth update-limit-out", Class::NoOp(RADIUS_KEPT)),
    ("set auth timeout", HONOURED),
    // set radius, radsrv
    ("set radius server", Class::NoOp(RADIUS_KEPT)),
    ("set radius src-addr", Class::NoOp(RADIUS_KEPT)),
    ("set radius me", Class::NoOp(RADIUS_KEPT)),
    ("set radius v6me", Class::NoOp(RADIUS_KEPT)),
    ("set radius identifier", Class::NoOp(RADIUS_KEPT)),
    ("set radius timeout", Class::NoOp(RADIUS_KEPT)),
    ("set radius retries", Class::NoOp(RADIUS_KEPT)),
    ("set radius config", Class::NoOp(RADIUS_KEPT)),
    (
        "set radsrv open",
        refused(
            "CoA and Disconnect requests of RADIUS are not served yet",
            "take the line out; l2tpctl ends sessions",
        ),
    ),
    ("set radsrv close", HONOURED),
    ("set radsrv self", Class::NoOp(RADIUS_KEPT)),
    ("set radsrv peer", Class::NoOp(RADIUS_KEPT)),
    // set console, web
    ("set console open", HONOURED),
    ("set console close", HONOURED),
    ("set console self", HONOURED),
    ("set web open", HONOURED),
    ("set web close", HONOURED),
    ("set web self", HONOURED),
    // set global
    ("set global startrule", Class::NoOp(IPFW)),
    ("set global startqueue", Class::NoOp(IPFW)),
    ("set global startpipe", Class::NoOp(IPFW)),
    ("set global starttable", Class::NoOp(IPFW)),
    ("set global l2tptimeout", HONOURED),
    ("set global l2tplimit", HONOURED),
    ("set global pptptimeout", Class::NoOp(PPTP)),
    ("set global pptplimit", Class::NoOp(PPTP)),
    ("set global max-children", HONOURED),
    (
        "set global qthreshold",
        Class::NoOp("half-open tunnels are limited by number instead"),
    ),
    (
        "set global filter",
        Class::NoOp("filters apply through RADIUS attributes only"),
    ),
    // set nat, netflow
    ("set nat address", Class::NoOp(NAT)),
    ("set nat target", Class::NoOp(NAT)),
    ("set nat red-port", Class::NoOp(NAT)),
    ("set nat red-addr", Class::NoOp(NAT)),
    ("set nat red-proto", Class::NoOp(NAT)),
    ("set netflow export", Class::NoOp(NETFLOW)),
    ("set netflow self", Class::NoOp(NETFLOW)),
    ("set netflow timeouts", Class::NoOp(NETFLOW)),
    ("set netflow node", Class::NoOp(NETFLOW)),
    ("set netflow hook", Class::NoOp(NETFLOW)),
    ("set netflow mtu", Class::NoOp(NETFLOW)),
    ("set netflow version", Class::NoOp(NETFLOW)),
    // set l2tp
    ("set l2tp self", HONOURED),
    ("set l2tp peer", HONOURED),
    ("set l2tp callingnum", HONOURED),
    ("set l2tp callednum", HONOURED),
    ("set l2tp hostname", HONOURED),
    (
        "set l2tp pmask",
        refused(
            "peers are not told apart by the host name they claim",
            "tell them apart by pre-shared key or certificate in IKE",
        ),
    ),
    ("set l2tp secret", HONOURED),
];

/// Options: menu, option, class.
pub const OPTIONS: &[(&str, &str, Class)] = &[
    ("bundle", "ipcp", HONOURED),
    ("bundle", "ipv6cp", HONOURED),
    ("bundle", "compression", Class::Always(false, CCP)),
    ("bundle", "encryption", Class::Always(false, ECP)),
    (
        "bundle",
        "crypt-reqd",
        refused(
            "PPP itself does not encrypt",
            "take it out: nothing is let in that did not come through ESP",
        ),
    ),
    ("bundle", "bw-manage", refused(BANDWIDTH, "take it out")),
    ("bundle", "round-robin", Class::Always(false, MULTILINK)),
    ("link", "incoming", HONOURED),
    ("link", "pap", HONOURED),
    ("link", "chap-md5", HONOURED),
    (
        "link",
        "chap-msv1",
        refused(
            "MS-CHAP version 1 gives the password away",
            "write chap-msv2",
        ),
    ),
    ("link", "chap-msv2", HONOURED),
    (
        "link",
        "eap",
        refused("EAP is not served", "write chap-msv2"),
    ),
    ("link", "acfcomp", HONOURED),
    ("link", "protocomp", HONOURED),
    (
        "link",
        "keep-ms-domain",
        refused(
            "a Windows domain is always taken off: DOMAIN\\user logs in as user",
            "take it out, and write the names in mpd.secret without their domains",
        ),
    ),
    (
        "link",
        "magicnum",
        Class::Always(true, "the magic number is always negotiated"),
    ),
    (
        "link",
        "passive",
        Class::Always(false, "LCP begins at once"),
    ),
    (
        "link",
        "check-magic",
        Class::Always(true, "the magic number is always checked"),
    ),
    (
        "link",
        "no-orig-auth",
        Class::Always(true, "a peer that we call is never asked"),
    ),
    (
        "link",
        "callback",
        refused("nobody is called back over L2TP", "take it out"),
    ),
    ("link", "multilink", Class::Always(false, MULTILINK)),
    ("link", "shortseq", Class::NoOp(MULTILINK)),
    (
        "link",
        "time-remain",
        Class::Always(false, "sessions have no time limit to announce"),
    ),
    ("link", "peer-as-calling", Class::NoOp(RADIUS_KEPT)),
    ("link", "report-mac", Class::NoOp(RADIUS_KEPT)),
    (
        "link",
        "remove-tee",
        Class::Always(true, "there is no ng_tee to take away"),
    ),
    (
        "iface",
        "on-demand",
        refused(
            "connections are not dialled by traffic",
            "open the link in the file instead",
        ),
    ),
    ("iface", "proxy-arp", HONOURED),
    (
        "iface",
        "keep-timeout",
        Class::Always(false, "sessions have no timeout to keep"),
    ),
    (
        "iface",
        "tcpmssfix",
        Class::Always(true, "the TCP maximum segment size is always clamped"),
    ),
    (
        "iface",
        "tee",
        Class::Always(false, "observe packets with tcpdump on ngN"),
    ),
    ("iface", "nat", NOT_NAT),
    ("iface", "netflow-in", NOT_NETFLOW),
    ("iface", "netflow-out", NOT_NETFLOW),
    ("iface", "netflow-once", NOT_NETFLOW),
    ("iface", "ipacct", NOT_NETFLOW),
    (
        "ipcp",
        "vjcomp",
        Class::Always(false, "Van Jacobson compression is not negotiated"),
    ),
    (
        "ipcp",
        "req-pri-dns",
        Class::Always(true, "both name servers are always asked for"),
    ),
    (
        "ipcp",
        "req-sec-dns",
        Class::Always(true, "both name servers are always asked for"),
    ),
    (
        "ipcp",
        "req-pri-nbns",
        Class::Always(false, "NetBIOS name servers are not asked for"),
    ),
    (
        "ipcp",
        "req-sec-nbns",
        Class::Always(false, "NetBIOS name servers are not asked for"),
    ),
    (
        "ipcp",
        "pretend-ip",
        refused(
            "a client has the address that IPCP gave it, no other may pass",
            "take it out",
        ),
    ),
    ("ccp", "mppc", Class::Always(false, CCP)),
    ("ccp", "deflate", Class::Always(false, CCP)),
    ("ccp", "pred1", Class::Always(false, CCP)),
    ("mppc", "compress", Class::Always(false, CCP)),
    ("mppc", "e40", Class::Always(false, CCP)),
    ("mppc", "e56", Class::Always(false, CCP)),
    ("mppc", "e128", Class::Always(false, CCP)),
    ("mppc", "stateless", Class::Always(false, CCP)),
    ("mppc", "policy", Class::Always(false, CCP)),
    ("ecp", "dese-bis", Class::Always(false, ECP)),
    ("ecp", "dese-old", Class::Always(false, ECP)),
    (
        "eap",
        "radius-proxy",
        refused("EAP is not served", "write 'set link enable chap-msv2'"),
    ),
    ("eap", "md5", Class::Always(false, "EAP is not served")),
    ("auth", "internal", HONOURED),
    ("auth", "radius-auth", NOT_RADIUS),
    ("auth", "radius-acct", NOT_RADIUS),
    ("auth", "ext-auth", NOT_PROGRAMS),
    ("auth", "ext-acct", NOT_PROGRAMS),
    ("auth", "system-auth", NOT_SYSTEM),
    ("auth", "system-acct", NOT_SYSTEM),
    ("auth", "pam-auth", NOT_SYSTEM),
    ("auth", "pam-acct", NOT_SYSTEM),
    ("auth", "opie", NOT_SYSTEM),
    (
        "auth",
        "acct-mandatory",
        Class::NoOp("there is no accounting to insist on"),
    ),
    ("radius", "message-authentic", Class::NoOp(RADIUS_KEPT)),
    ("radsrv", "disconnect", Class::NoOp(RADIUS_KEPT)),
    ("radsrv", "coa", Class::NoOp(RADIUS_KEPT)),
    ("console", "auth", HONOURED),
    (
        "console",
        "logging",
        Class::Always(false, "the log is not shown in console sessions"),
    ),
    ("web", "auth", HONOURED),
    (
        "global",
        "tcp-wrapper",
        refused(
            "hosts.allow is not read",
            "filter UDP 500 and 4500 in the firewall",
        ),
    ),
    (
        "global",
        "one-shot",
        refused("the daemon does not end with a connection", "take it out"),
    ),
    (
        "global",
        "agent-cid",
        Class::Always(false, "only PPPoE has an Agent-Circuit-Id"),
    ),
    ("global", "session-time", HONOURED),
    ("nat", "log", Class::NoOp(NAT)),
    ("nat", "incoming", Class::NoOp(NAT)),
    ("nat", "same-ports", Class::NoOp(NAT)),
    ("nat", "unreg-only", Class::NoOp(NAT)),
    (
        "l2tp",
        "outcall",
        refused(
            "the server is never asked to call us",
            "take it out: we call the server",
        ),
    ),
    ("l2tp", "hidden", HONOURED),
    ("l2tp", "length", HONOURED),
    ("l2tp", "dataseq", HONOURED),
    (
        "l2tp",
        "resolve-once",
        Class::Always(true, "names are looked up when the file is read"),
    ),
];

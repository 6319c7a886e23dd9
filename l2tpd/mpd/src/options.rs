//! The switches of each menu: their names, whether the peer has a say (`accept`, `deny`), and
//! mpd's defaults.

use std::fmt::Debug;
use std::marker::PhantomData;

use crate::diag::Span;

/// What the interpreter needs to know about an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// As written in the file.
    pub name: &'static str,
    /// Whether `accept` and `deny` mean something.
    pub peered: bool,
    /// mpd's default of enable/disable.
    pub enabled: bool,
    /// mpd's default of accept/deny.
    pub accepted: bool,
}

/// The options of one menu.
pub trait OptionMenu: Copy + Debug + Eq + 'static {
    /// The menu's name after `set`.
    const MENU: &'static str;
    /// Every option in the order of the enumeration.
    const ALL: &'static [(Self, OptionSpec)];
    /// Position in [`Self::ALL`].
    fn index(self) -> usize;
}

/// One option's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// We want it.
    pub enabled: bool,
    /// The peer may have it.
    pub accepted: bool,
    /// The last line that said something about it.
    pub span: Option<Span>,
}

/// The state of all options of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches<M> {
    states: Vec<Switch>,
    menu: PhantomData<M>,
}

impl<M: OptionMenu> Default for Switches<M> {
    fn default() -> Self {
        let states = M::ALL.iter().map(|(_, spec)| Switch {
            enabled: spec.enabled,
            accepted: spec.accepted,
            span: None,
        });
        Self {
            states: states.collect(),
            menu: PhantomData,
        }
    }
}

impl<M: OptionMenu> Switches<M> {
    /// Whether we want it.
    #[must_use]
    pub fn enabled(&self, option: M) -> bool {
        self.states
            .get(option.index())
            .is_some_and(|state| state.enabled)
    }

    /// Whether the peer may have it.
    #[must_use]
    pub fn accepted(&self, option: M) -> bool {
        self.states
            .get(option.index())
            .is_some_and(|state| state.accepted)
    }

    /// The line that decided; none: mpd's default stands.
    #[must_use]
    pub fn span(&self, option: M) -> Option<&Span> {
        self.states
            .get(option.index())
            .and_then(|state| state.span.as_ref())
    }

    pub(crate) fn state(&mut self, index: usize) -> Option<&mut Switch> {
        self.states.get_mut(index)
    }
}

macro_rules! option_menu {
    ($(#[$doc:meta])* $menu:ident $title:literal {
        $($(#[$what:meta])* $option:ident $name:literal $peered:literal $enabled:literal $accepted:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $menu { $($(#[$what])* $option,)* }

        impl OptionMenu for $menu {
            const MENU: &'static str = $title;
            const ALL: &'static [(Self, OptionSpec)] = &[$((
                Self::$option,
                OptionSpec { name: $name, peered: $peered, enabled: $enabled, accepted: $accepted },
            ),)*];
            fn index(self) -> usize { self as usize }
        }
    };
}

// Columns: name, peered, enabled, accepted.
option_menu! {
    /// `set bundle`.
    BundleOption "bundle" {
        /// IPv4.
        Ipcp "ipcp" false true false;
        /// IPv6.
        Ipv6cp "ipv6cp" false false false;
        /// CCP.
        Compression "compression" false false false;
        /// ECP.
        Encryption "encryption" false false false;
        /// No session without PPP encryption.
        CryptReqd "crypt-reqd" false false false;
        /// Bandwidth on demand.
        BwManage "bw-manage" false false false;
        /// Multilink scheduling.
        RoundRobin "round-robin" false false false;
    }
}
option_menu! {
    /// `set link`.
    LinkOption "link" {
        /// Calls come in here.
        Incoming "incoming" false false false;
        /// RFC 1334.
        Pap "pap" true false true;
        /// RFC 1994.
        ChapMd5 "chap-md5" true false true;
        /// RFC 2433.
        ChapMsv1 "chap-msv1" true false false;
        /// RFC 2759.
        ChapMsv2 "chap-msv2" true false true;
        /// RFC 3748.
        Eap "eap" true false true;
        /// Address and control field compression.
        Acfcomp "acfcomp" true true true;
        /// Protocol field compression.
        Protocomp "protocomp" true true true;
        /// `DOMAIN\user` stays as it is.
        KeepMsDomain "keep-ms-domain" false false false;
        /// RFC 1661 section 6.4.
        Magicnum "magicnum" false true false;
        /// Wait for the peer's Configure-Request.
        Passive "passive" false false false;
        /// Refuse frames with our own magic number.
        CheckMagic "check-magic" false true false;
        /// As a caller do not ask the peer to authenticate.
        NoOrigAuth "no-orig-auth" false false false;
        /// RFC 1570 callback.
        Callback "callback" false false false;
        /// RFC 1990.
        Multilink "multilink" false false false;
        /// Short sequence numbers of RFC 1990.
        Shortseq "shortseq" true true true;
        /// LCP Time-Remaining.
        TimeRemain "time-remain" false false false;
        /// The peer's address as Calling-Station-Id.
        PeerAsCalling "peer-as-calling" false false false;
        /// The peer's MAC address to RADIUS.
        ReportMac "report-mac" false false false;
        /// Take the ng_tee away once it has done its work.
        RemoveTee "remove-tee" false false false;
    }
}
option_menu! {
    /// `set iface`.
    IfaceOption "iface" {
        /// Dial when a packet comes.
        OnDemand "on-demand" false false false;
        /// Answer ARP for the peer.
        ProxyArp "proxy-arp" false false false;
        /// Session timeout from RADIUS survives.
        KeepTimeout "keep-timeout" false false false;
        /// ng_tcpmss.
        Tcpmssfix "tcpmssfix" false false false;
        /// ng_tee for observers.
        Tee "tee" false false false;
        /// ng_nat.
        Nat "nat" false false false;
        /// ng_netflow, incoming.
        NetflowIn "netflow-in" false false false;
        /// ng_netflow, outgoing.
        NetflowOut "netflow-out" false false false;
        /// Count a packet once.
        NetflowOnce "netflow-once" false false false;
        /// ng_ipacct.
        Ipacct "ipacct" false false false;
    }
}
option_menu! {
    /// `set ipcp`.
    IpcpOption "ipcp" {
        /// RFC 1144.
        Vjcomp "vjcomp" true true true;
        /// As a client ask for the first name server.
        ReqPriDns "req-pri-dns" false false false;
        /// As a client ask for the second name server.
        ReqSecDns "req-sec-dns" false false false;
        /// As a client ask for the first NetBIOS name server.
        ReqPriNbns "req-pri-nbns" false false false;
        /// As a client ask for the second NetBIOS name server.
        ReqSecNbns "req-sec-nbns" false false false;
        /// Let the peer believe it has the address it asked for.
        PretendIp "pretend-ip" false false false;
    }
}
option_menu! {
    /// `set ccp`.
    CcpOption "ccp" {
        /// RFC 2118.
        Mppc "mppc" true false false;
        /// RFC 1979.
        Deflate "deflate" true false false;
        /// RFC 1978.
        Pred1 "pred1" true false false;
    }
}
option_menu! {
    /// `set mppc`.
    MppcOption "mppc" {
        /// Compression besides encryption.
        Compress "compress" true false false;
        /// 40 bits.
        E40 "e40" true false false;
        /// 56 bits.
        E56 "e56" true false false;
        /// 128 bits.
        E128 "e128" true false false;
        /// A new key for each packet.
        Stateless "stateless" true false false;
        /// What RADIUS says.
        Policy "policy" false false false;
    }
}
option_menu! {
    /// `set ecp`.
    EcpOption "ecp" {
        /// RFC 2419.
        DeseBis "dese-bis" true false false;
        /// RFC 1969.
        DeseOld "dese-old" true false false;
    }
}
option_menu! {
    /// `set eap`.
    EapOption "eap" {
        /// Hand EAP over to RADIUS.
        RadiusProxy "radius-proxy" false false false;
        /// EAP-MD5.
        Md5 "md5" true false true;
    }
}
option_menu! {
    /// `set auth`.
    AuthOption "auth" {
        /// mpd.secret.
        Internal "internal" false true false;
        /// RADIUS says who may.
        RadiusAuth "radius-auth" false false false;
        /// RADIUS counts.
        RadiusAcct "radius-acct" false false false;
        /// A program says who may.
        ExtAuth "ext-auth" false false false;
        /// A program counts.
        ExtAcct "ext-acct" false false false;
        /// The password file.
        SystemAuth "system-auth" false false false;
        /// utmp.
        SystemAcct "system-acct" false false false;
        /// PAM says who may.
        PamAuth "pam-auth" false false false;
        /// PAM counts.
        PamAcct "pam-acct" false false false;
        /// One-time passwords.
        Opie "opie" false false false;
        /// No session without an accounting start.
        AcctMandatory "acct-mandatory" false true false;
    }
}
option_menu! {
    /// `set radius`.
    RadiusOption "radius" {
        /// Message-Authenticator in requests.
        MessageAuthentic "message-authentic" false false false;
    }
}
option_menu! {
    /// `set radsrv`.
    RadsrvOption "radsrv" {
        /// RFC 5176 Disconnect.
        Disconnect "disconnect" false true false;
        /// RFC 5176 CoA.
        Coa "coa" false true false;
    }
}
option_menu! {
    /// `set console`.
    ConsoleOption "console" {
        /// Ask for name and password.
        Auth "auth" false true false;
        /// Show the log in the session.
        Logging "logging" false true false;
    }
}
option_menu! {
    /// `set web`.
    WebOption "web" {
        /// Ask for name and password.
        Auth "auth" false true false;
    }
}
option_menu! {
    /// `set global`.
    GlobalOption "global" {
        /// hosts.allow.
        TcpWrapper "tcp-wrapper" false false false;
        /// End after the first connection.
        OneShot "one-shot" false false false;
        /// PPPoE's Agent-Circuit-Id in listings.
        AgentCid "agent-cid" false false false;
        /// Session time in listings.
        SessionTime "session-time" false false false;
    }
}
option_menu! {
    /// `set nat`.
    NatOption "nat" {
        /// Log translations.
        Log "log" false false false;
        /// Let incoming connections in.
        Incoming "incoming" false false false;
        /// Keep port numbers.
        SamePorts "same-ports" false true false;
        /// Private addresses only.
        UnregOnly "unreg-only" false false false;
    }
}
option_menu! {
    /// `set l2tp`.
    L2tpOption "l2tp" {
        /// Ask the peer to call (OCRQ) instead of calling it.
        Outcall "outcall" false false false;
        /// Hide AVPs.
        Hidden "hidden" false false false;
        /// Length field in data messages.
        Length "length" false false false;
        /// Sequence numbers in data messages.
        Dataseq "dataseq" false true false;
        /// Look the peer's name up once only.
        ResolveOnce "resolve-once" false true false;
    }
}

impl AuthOption {
    /// Those besides `internal` that can let somebody in.
    pub const BACKENDS: &'static [Self] = &[
        Self::RadiusAuth,
        Self::ExtAuth,
        Self::SystemAuth,
        Self::PamAuth,
        Self::Opie,
    ];
}

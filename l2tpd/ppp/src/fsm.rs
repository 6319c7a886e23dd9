//! The option negotiation automaton of RFC 1661 section 4, once for every control protocol.
//!
//! [`transition`] is the state transition table of section 4.1, nothing else: no timer, no packet.
//! Who runs it is `automaton.rs`.

use std::fmt;

/// The states of section 4.2, numbered as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// 0: lower layer unavailable, no Open.
    Initial,
    /// 1: lower layer unavailable, an Open waits.
    Starting,
    /// 2: lower layer available, no Open.
    Closed,
    /// 3: finished; waits for the peer to begin again.
    Stopped,
    /// 4: a Terminate-Request was sent because of a Close.
    Closing,
    /// 5: like Closing, but without a Close: the peer ended it.
    Stopping,
    /// 6: a Configure-Request was sent.
    ReqSent,
    /// 7: a Configure-Request was sent and acknowledged.
    AckRcvd,
    /// 8: a Configure-Request was sent, the peer's acknowledged.
    AckSent,
    /// 9: acknowledged both ways.
    Opened,
}

impl State {
    /// All states in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Initial,
        Self::Starting,
        Self::Closed,
        Self::Stopped,
        Self::Closing,
        Self::Stopping,
        Self::ReqSent,
        Self::AckRcvd,
        Self::AckSent,
        Self::Opened,
    ];

    /// The Restart timer runs in Closing, Stopping, Req-Sent, Ack-Rcvd and Ack-Sent only
    /// (section 4.2).
    #[must_use]
    pub fn timer_runs(self) -> bool {
        use State::*;
        matches!(self, Closing | Stopping | ReqSent | AckRcvd | AckSent)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initial => "Initial",
            Self::Starting => "Starting",
            Self::Closed => "Closed",
            Self::Stopped => "Stopped",
            Self::Closing => "Closing",
            Self::Stopping => "Stopping",
            Self::ReqSent => "Req-Sent",
            Self::AckRcvd => "Ack-Rcvd",
            Self::AckSent => "Ack-Sent",
            Self::Opened => "Opened",
        })
    }
}

/// The events of section 4.3, in the order of the table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The lower layer is up.
    Up,
    /// The lower layer is down.
    Down,
    /// Administrative Open.
    Open,
    /// Administrative Close.
    Close,
    /// TO+: timeout with a restart counter above zero.
    TimeoutRetry,
    /// TO-: timeout with an expired counter.
    TimeoutExpired,
    /// RCR+: Receive-Configure-Request (good).
    ConfigureRequestGood,
    /// RCR-: Receive-Configure-Request (bad).
    ConfigureRequestBad,
    /// RCA: Receive-Configure-Ack.
    ConfigureAck,
    /// RCN: Receive-Configure-Nak or -Reject.
    ConfigureNak,
    /// RTR: Receive-Terminate-Request.
    TerminateRequest,
    /// RTA: Receive-Terminate-Ack.
    TerminateAck,
    /// RUC: Receive-Unknown-Code.
    UnknownCode,
    /// RXJ+: Receive-Code-Reject or -Protocol-Reject, permitted.
    RejectPermitted,
    /// RXJ-: Receive-Code-Reject or -Protocol-Reject, catastrophic.
    RejectCatastrophic,
    /// RXR: Receive-Echo-Request, -Echo-Reply or -Discard-Request.
    Echo,
}

impl Event {
    /// All events, in the order of the table's rows.
    pub const ALL: [Self; 16] = [
        Self::Up,
        Self::Down,
        Self::Open,
        Self::Close,
        Self::TimeoutRetry,
        Self::TimeoutExpired,
        Self::ConfigureRequestGood,
        Self::ConfigureRequestBad,
        Self::ConfigureAck,
        Self::ConfigureNak,
        Self::TerminateRequest,
        Self::TerminateAck,
        Self::UnknownCode,
        Self::RejectPermitted,
        Self::RejectCatastrophic,
        Self::Echo,
    ];
}

/// The actions of section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// tlu: This-Layer-Up.
    ThisLayerUp,
    /// tld: This-Layer-Down.
    ThisLayerDown,
    /// tls: This-Layer-Started.
    ThisLayerStarted,
    /// tlf: This-Layer-Finished.
    ThisLayerFinished,
    /// irc: Initialize-Restart-Count.
    InitializeRestartCount,
    /// zrc: Zero-Restart-Count.
    ZeroRestartCount,
    /// scr: Send-Configure-Request.
    SendConfigureRequest,
    /// sca: Send-Configure-Ack.
    SendConfigureAck,
    /// scn: Send-Configure-Nak or -Reject.
    SendConfigureNak,
    /// str: Send-Terminate-Request.
    SendTerminateRequest,
    /// sta: Send-Terminate-Ack.
    SendTerminateAck,
    /// scj: Send-Code-Reject.
    SendCodeReject,
    /// ser: Send-Echo-Reply.
    SendEchoReply,
}

impl Action {
    /// The abbreviation the table uses.
    #[must_use]
    pub fn abbreviation(self) -> &'static str {
        match self {
            Self::ThisLayerUp => "tlu",
            Self::ThisLayerDown => "tld",
            Self::ThisLayerStarted => "tls",
            Self::ThisLayerFinished => "tlf",
            Self::InitializeRestartCount => "irc",
            Self::ZeroRestartCount => "zrc",
            Self::SendConfigureRequest => "scr",
            Self::SendConfigureAck => "sca",
            Self::SendConfigureNak => "scn",
            Self::SendTerminateRequest => "str",
            Self::SendTerminateAck => "sta",
            Self::SendCodeReject => "scj",
            Self::SendEchoReply => "ser",
        }
    }
}

/// One cell of the table of section 4.1: the actions in their order and the next state, or `None`
/// where the table has a dash (an event that cannot happen there, and is ignored if it does).
#[must_use]
pub fn transition(state: State, event: Event) -> Option<(&'static [Action], State)> {
    use Action::{
        InitializeRestartCount as Irc, SendCodeReject as Scj, SendConfigureAck as Sca,
        SendConfigureNak as Scn, SendConfigureRequest as Scr, SendEchoReply as Ser,
        SendTerminateAck as Sta, SendTerminateRequest as Str, ThisLayerDown as Tld,
        ThisLayerFinished as Tlf, ThisLayerStarted as Tls, ThisLayerUp as Tlu,
        ZeroRestartCount as Zrc,
    };
    use State::*;

    let cell: (&'static [Action], State) = match event {
        Event::Up => match state {
            Initial => (&[], Closed),
            Starting => (&[Irc, Scr], ReqSent),
            _ => return None,
        },
        Event::Down => match state {
            Initial | Starting => return None,
            Closed | Closing => (&[], Initial),
            Stopped => (&[Tls], Starting),
            Stopping | ReqSent | AckRcvd | AckSent => (&[], Starting),
            Opened => (&[Tld], Starting),
        },
        Event::Open => match state {
            Initial => (&[Tls], Starting),
            Closed => (&[Irc, Scr], ReqSent),
            // 5r and the other r cells: the restart option is not implemented.
            Closing => (&[], Stopping),
            other => (&[], other),
        },
        Event::Close => match state {
            Initial => (&[], Initial),
            Starting => (&[Tlf], Initial),
            Closed | Stopped => (&[], Closed),
            Closing | Stopping => (&[], Closing),
            ReqSent | AckRcvd | AckSent => (&[Irc, Str], Closing),
            Opened => (&[Tld, Irc, Str], Closing),
        },
        Event::TimeoutRetry => match state {
            Closing => (&[Str], Closing),
            Stopping => (&[Str], Stopping),
            ReqSent | AckRcvd => (&[Scr], ReqSent),
            AckSent => (&[Scr], AckSent),
            Initial | Starting | Closed | Stopped | Opened => return None,
        },
        Event::TimeoutExpired => match state {
            Closing => (&[Tlf], Closed),
            Stopping | ReqSent | AckRcvd | AckSent => (&[Tlf], Stopped),
            Initial | Starting | Closed | Stopped | Opened => return None,
        },
        // What a peer sends cannot arrive while the lower layer is down.
        _ if matches!(state, Initial | Starting) => return None,
        Event::ConfigureRequestGood => match state {
            Closed => (&[Sta], Closed),
            Stopped => (&[Irc, Scr, Sca], AckSent),
            ReqSent | AckSent => (&[Sca], AckSent),
            AckRcvd => (&[Sca, Tlu], Opened),
            Opened => (&[Tld, Scr, Sca], AckSent),
            other => (&[], other),
        },
        Event::ConfigureRequestBad => match state {
            Closed => (&[Sta], Closed),
            Stopped => (&[Irc, Scr, Scn], ReqSent),
            ReqSent | AckSent => (&[Scn], ReqSent),
            AckRcvd => (&[Scn], AckRcvd),
            Opened => (&[Tld, Scr, Scn], ReqSent),
            other => (&[], other),
        },
        Event::ConfigureAck => match state {
            Closed | Stopped => (&[Sta], state),
            ReqSent => (&[Irc], AckRcvd),
            AckRcvd => (&[Scr], ReqSent),
            AckSent => (&[Irc, Tlu], Opened),
            Opened => (&[Tld, Scr], ReqSent),
            other => (&[], other),
        },
        Event::ConfigureNak => match state {
            Closed | Stopped => (&[Sta], state),
            ReqSent => (&[Irc, Scr], ReqSent),
            AckRcvd => (&[Scr], ReqSent),
            AckSent => (&[Irc, Scr], AckSent),
            Opened => (&[Tld, Scr], ReqSent),
            other => (&[], other),
        },
        Event::TerminateRequest => match state {
            ReqSent | AckRcvd | AckSent => (&[Sta], ReqSent),
            Opened => (&[Tld, Zrc, Sta], Stopping),
            other => (&[Sta], other),
        },
        Event::TerminateAck => match state {
            Closing => (&[Tlf], Closed),
            Stopping => (&[Tlf], Stopped),
            ReqSent | AckRcvd => (&[], ReqSent),
            Opened => (&[Tld, Scr], ReqSent),
            other => (&[], other),
        },
        Event::UnknownCode => (&[Scj], state),
        Event::RejectPermitted => match state {
            AckRcvd => (&[], ReqSent),
            other => (&[], other),
        },
        Event::RejectCatastrophic => match state {
            Closed | Closing => (&[Tlf], Closed),
            Opened => (&[Tld, Irc, Str], Stopping),
            _ => (&[Tlf], Stopped),
        },
        Event::Echo => match state {
            Opened => (&[Ser], Opened),
            other => (&[], other),
        },
    };
    Some(cell)
}

//! One call (RFC 2661 sections 6.6 to 6.13, state tables 7.4.1 and 7.4.2), and its messages.

use std::time::Instant;

use crate::id::{SessionId, TunnelId};
use crate::io::{Call, CallRequest, CloseSession, SessionSetup, SessionState, SessionView};
use crate::wire::{
    Avp, CallErrors, Hiding, Message, MessageBuilder, MessageType, NonEmpty, Present, ResultCode,
    ResultScope, Value, error_code, first, framing, printable,
};

/// One call.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// The peer's number; 0 while unknown.
    pub(crate) peer_id: u16,
    pub(crate) state: State,
    pub(crate) call: Call,
    pub(crate) data_sequencing: bool,
    pub(crate) call_errors: Option<CallErrors>,
    pub(crate) created: Instant,
}

/// Where a call stands.
#[derive(Debug)]
pub(crate) enum State {
    /// LAC: until the tunnel is established.
    WaitTunnel { request: CallRequest },
    /// LAC: ICRQ sent.
    WaitReply {
        deadline: Instant,
        request: CallRequest,
    },
    /// LNS: ICRP sent.
    WaitConnect { deadline: Instant },
    /// Both directions may carry data.
    Established,
}

impl Session {
    pub(crate) fn new(id: SessionId, peer_id: u16, state: State, now: Instant) -> Self {
        Self {
            id,
            peer_id,
            state,
            call: Call::default(),
            data_sequencing: false,
            call_errors: None,
            created: now,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::WaitReply { deadline, .. } | State::WaitConnect { deadline } => Some(deadline),
            State::WaitTunnel { .. } | State::Established => None,
        }
    }

    pub(crate) fn setup(&self, tunnel: TunnelId, is_lns: bool, length_bit: bool) -> SessionSetup {
        SessionSetup {
            tunnel,
            session: self.id,
            peer_id: self.peer_id,
            control_sequencing: is_lns,
            data_sequencing: self.data_sequencing,
            include_length: length_bit,
        }
    }

    pub(crate) fn view(&self, tunnel: TunnelId, now: Instant) -> SessionView {
        SessionView {
            tunnel,
            session: self.id,
            peer_id: self.peer_id,
            state: match self.state {
                State::WaitTunnel { .. } => SessionState::WaitTunnel,
                State::WaitReply { .. } => SessionState::WaitReply,
                State::WaitConnect { .. } => SessionState::WaitConnect,
                State::Established => SessionState::Established,
            },
            call: self.call.clone(),
            data_sequencing: self.data_sequencing,
            call_errors: self.call_errors,
            age: now.saturating_duration_since(self.created),
        }
    }

    /// What the ICRQ says about the call. Everything may be missing.
    pub(crate) fn read_icrq(&mut self, message: &Message) {
        let call = &mut self.call;
        call.serial = first!(message, CallSerialNumber).copied().unwrap_or(0);
        call.bearer = first!(message, BearerType).copied().unwrap_or(0);
        call.physical_channel = first!(message, PhysicalChannelId).copied();
        call.calling_number = first!(message, CallingNumber).map(|text| printable(text));
        call.called_number = first!(message, CalledNumber).map(|text| printable(text));
        call.sub_address = first!(message, SubAddress).map(|text| printable(text));
    }

    /// What the ICCN says. Speed and framing are required, and left out by a client in use.
    pub(crate) fn read_iccn(&mut self, message: &Message) {
        let call = &mut self.call;
        call.tx_speed = first!(message, TxConnectSpeed).copied().unwrap_or(0);
        call.rx_speed = first!(message, RxConnectSpeed)
            .copied()
            .unwrap_or(call.tx_speed);
        call.framing = first!(message, FramingType).copied().unwrap_or(0);
        call.private_group = first!(message, PrivateGroupId).map(|text| printable(text));
        if first!(message, SequencingRequired).is_some() {
            self.data_sequencing = true;
        }
    }
}

/// ICRQ (section 6.6).
pub(crate) fn icrq(
    id: SessionId,
    serial: u32,
    request: &CallRequest,
    hiding: Option<&Hiding<'_>>,
) -> Vec<u8> {
    let mut avps = vec![
        Avp::AssignedSessionId(id.value()),
        Avp::CallSerialNumber(serial),
        Avp::BearerType(0),
    ];
    // Cut like our other names: the AVP could hold more than some peers' arrays can.
    let cut = |text: &str| {
        text.as_bytes()
            .iter()
            .copied()
            .take(255)
            .collect::<Vec<_>>()
    };
    if !request.called_number.is_empty() {
        avps.push(Avp::CalledNumber(cut(&request.called_number)));
    }
    if !request.calling_number.is_empty() {
        avps.push(Avp::CallingNumber(cut(&request.calling_number)));
    }
    MessageBuilder::new(MessageType::ICRQ)
        .avps(&avps, hiding)
        .finish()
}

/// ICRP (section 6.7).
pub(crate) fn icrp(id: SessionId, hiding: Option<&Hiding<'_>>) -> Vec<u8> {
    let avps = [Avp::AssignedSessionId(id.value())];
    MessageBuilder::new(MessageType::ICRP)
        .avps(&avps, hiding)
        .finish()
}

/// ICCN (section 6.8).
pub(crate) fn iccn(
    request: &CallRequest,
    sequencing: bool,
    hiding: Option<&Hiding<'_>>,
) -> Vec<u8> {
    let mut avps = vec![
        Avp::TxConnectSpeed(request.tx_speed),
        Avp::FramingType(framing::SYNCHRONOUS),
    ];
    if sequencing {
        avps.push(Avp::SequencingRequired(Present));
    }
    MessageBuilder::new(MessageType::ICCN)
        .avps(&avps, hiding)
        .finish()
}

/// CDN (section 6.12). `id` is the number we assigned, or would have.
pub(crate) fn cdn(id: u16, result: ResultCode, more: Option<Avp>) -> Vec<u8> {
    let mut avps = vec![Avp::ResultCode(result), Avp::AssignedSessionId(id)];
    avps.extend(more);
    MessageBuilder::new(MessageType::CDN)
        .avps(&avps, None)
        .finish()
}

/// The Result Code, and the AVP besides, that a reason of ours is told by.
pub(crate) fn cdn_result(reason: &CloseSession) -> (ResultCode, Option<Avp>) {
    let code = |code| ResultCode::new(ResultScope::Cdn, code);
    match reason {
        CloseSession::Administrative => (code(3), None),
        CloseSession::LostCarrier => (code(1), None),
        CloseSession::NoResources => (code(4), None),
        CloseSession::Failed => (
            ResultCode::general_error(ResultScope::Cdn, error_code::VENDOR, ""),
            None,
        ),
        CloseSession::Ppp(cause) => (code(1), Some(Avp::DisconnectCause(cause.clone()))),
    }
}

/// The text of a name as an AVP value; `None` when it is empty.
pub(crate) fn name(text: &str) -> Option<NonEmpty> {
    NonEmpty::parse(text.as_bytes())
}

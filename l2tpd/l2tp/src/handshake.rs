//! Establishing a control connection (RFC 2661 section 5.1): what SCCRQ and SCCRP say, what is
//! acceptable, and how ours are written.

use rand_core::CryptoRng;

use crate::config::{Config, Secret};
use crate::id::{FlowId, TunnelId};
use crate::io::Refusal;
use crate::session::name;
use crate::step::Objection;
use crate::wire::{
    Avp, Message, MessageBuilder, MessageType, NonEmpty, ProtocolVersion, ResultCode, ResultScope,
    Value, challenge_response, first, framing, printable, verify_response,
};

/// Receive window of a peer that names none (section 4.4.3).
const DEFAULT_WINDOW: u16 = 4;

/// Octets of the challenges we send.
pub(crate) const CHALLENGE_LENGTH: usize = 16;

/// What a peer said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its number of the tunnel; 0 while unknown.
    pub(crate) id: u16,
    /// Its receive window, at least 1.
    pub(crate) window: u16,
    pub(crate) host_name: String,
    pub(crate) vendor_name: String,
    pub(crate) firmware: Option<u16>,
}

impl Peer {
    /// A peer that has not answered yet.
    pub(crate) fn unknown() -> Self {
        Self {
            id: 0,
            window: 1,
            host_name: String::new(),
            vendor_name: String::new(),
            firmware: None,
        }
    }

    /// What an SCCRQ or SCCRP says. Of what section 6.1 requires, Framing Capabilities are not
    /// insisted on: nothing depends on them.
    pub(crate) fn read(message: &Message) -> Result<Self, Objection> {
        const SCOPE: ResultScope = ResultScope::StopCcn;
        if let Some(fault) = message.fault {
            return Err(Objection::fault(SCOPE, fault));
        }
        let version = first!(message, ProtocolVersion)
            .ok_or_else(|| Objection::missing(SCOPE, "Protocol Version"))?;
        if version.version != ProtocolVersion::RFC2661.version {
            // Result 5: the Error Code is the highest version we support.
            let ours = u16::from_be_bytes([
                ProtocolVersion::RFC2661.version,
                ProtocolVersion::RFC2661.revision,
            ]);
            let mut result = ResultCode::new(SCOPE, 5);
            result.error = Some(ours);
            let mut objection = Objection::new(Refusal::ProtocolVersion, result);
            objection.detail = format!("version {}.{}", version.version, version.revision);
            return Err(objection);
        }
        let host_name =
            first!(message, HostName).ok_or_else(|| Objection::missing(SCOPE, "Host Name"))?;
        let id = first!(message, AssignedTunnelId)
            .copied()
            .filter(|&id| id != 0)
            .ok_or_else(|| Objection::missing(SCOPE, "Assigned Tunnel ID"))?;
        let window = first!(message, ReceiveWindowSize)
            .copied()
            .unwrap_or(DEFAULT_WINDOW);
        Ok(Self {
            id,
            window: window.max(1),
            host_name: printable(host_name.octets()),
            vendor_name: first!(message, VendorName)
                .map(|text| printable(text))
                .unwrap_or_default(),
            firmware: first!(message, FirmwareRevision).copied(),
        })
    }
}

/// The answer to the peer's Challenge in `message`, to go into our `reply`.
pub(crate) fn answer_challenge(
    message: &Message,
    reply: MessageType,
    secret: Option<&Secret>,
) -> Result<Option<Avp>, Objection> {
    let Some(challenge) = first!(message, Challenge) else {
        return Ok(None);
    };
    let Some(secret) = secret else {
        let result = ResultCode::new(ResultScope::StopCcn, 4);
        return Err(Objection::new(Refusal::ChallengeWithoutSecret, result));
    };
    let response = challenge_response(reply, secret.expose(), challenge.octets());
    Ok(Some(Avp::ChallengeResponse(response)))
}

/// Whether `message` answers our `challenge`. No challenge needs no answer.
pub(crate) fn check_response(
    message: &Message,
    challenge: Option<&[u8; CHALLENGE_LENGTH]>,
    secret: Option<&Secret>,
) -> Result<bool, Objection> {
    let Some(challenge) = challenge else {
        return Ok(false);
    };
    let answered =
        secret
            .zip(first!(message, ChallengeResponse))
            .is_some_and(|(secret, answer)| {
                verify_response(message.message_type, secret.expose(), challenge, answer)
            });
    if answered {
        return Ok(true);
    }
    let mut objection = Objection::new(
        Refusal::Authentication,
        ResultCode::new(ResultScope::StopCcn, 4),
    );
    objection.detail = match first!(message, ChallengeResponse) {
        Some(_) => "the Challenge Response is wrong".to_owned(),
        None => "the Challenge Response is missing".to_owned(),
    };
    Err(objection)
}

/// A fresh challenge.
pub(crate) fn draw_challenge(rng: &mut dyn CryptoRng) -> [u8; CHALLENGE_LENGTH] {
    let mut challenge = [0; CHALLENGE_LENGTH];
    rng.fill_bytes(&mut challenge);
    challenge
}

/// SCCRQ or SCCRP (sections 6.1 and 6.2): the AVPs both have, then `more`. Nothing in them is
/// hidden: a peer that finds its secret by the names in them (xl2tpd) cannot reveal yet.
pub(crate) fn introduction(
    message_type: MessageType,
    (config, flow): (&Config, &FlowId),
    id: TunnelId,
    challenge: Option<&[u8; CHALLENGE_LENGTH]>,
    more: Option<Avp>,
) -> Vec<u8> {
    let mut avps = vec![
        Avp::ProtocolVersion(ProtocolVersion::RFC2661),
        Avp::FramingCapabilities(framing::SYNCHRONOUS | framing::ASYNCHRONOUS),
        Avp::BearerCapabilities(0),
    ];
    avps.extend(name(config.host_name_on(flow)).map(Avp::HostName));
    if !config.vendor_name.is_empty() {
        avps.push(Avp::VendorName(config.vendor_name.clone().into_bytes()));
    }
    avps.push(Avp::AssignedTunnelId(id.value()));
    avps.push(Avp::ReceiveWindowSize(config.receive_window.max(1)));
    avps.extend(
        challenge
            .and_then(|octets| NonEmpty::parse(octets))
            .map(Avp::Challenge),
    );
    avps.extend(more);
    MessageBuilder::new(message_type).avps(&avps, None).finish()
}

/// The AVPs of a StopCCN for a tunnel of which only the node is left and nothing is known: its peer
/// need not find out by its own questions that nobody answers.
#[must_use]
pub fn farewell(tunnel: TunnelId) -> Vec<u8> {
    stop_ccn(tunnel.value(), ResultCode::new(ResultScope::StopCcn, 1))
}

/// StopCCN (section 6.4). `id` is the number we assigned, or would have.
pub(crate) fn stop_ccn(id: u16, result: ResultCode) -> Vec<u8> {
    let avps = [Avp::AssignedTunnelId(id), Avp::ResultCode(result)];
    MessageBuilder::new(MessageType::STOP_CCN)
        .avps(&avps, None)
        .finish()
}

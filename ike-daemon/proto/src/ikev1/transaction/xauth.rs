//! XAUTH, draft-ietf-ipsec-isakmp-xauth-06, of type generic: after phase 1 the responder asks for
//! name and password and tells whether they are right. Nothing else is done before.
//!
//! ```text
//!   <--  REQUEST(type, user name, password)
//!        REPLY(user name, password)  -->
//!   <--  SET(status)
//!        ACK(status)  -->
//! ```
//!
//! A wrong password is answered a second late and ends the ISAKMP SA, so guessing takes a phase 1
//! for each try.

use std::time::{Duration, Instant};

use ike_crypto::Secret;

use crate::context::{Context, Effect};
use crate::error::{DownReason, Refusal};
use crate::iana::{ConfigAttribute, ConfigType, XauthType};
use crate::ikev1::Session;
use crate::io::Event;
use crate::wire::attribute::Attribute;
use crate::wire::attributes::Attributes;

use super::Purpose;

/// How far a peer is with its name and password, or we are with ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Xauth {
    /// There is none in this ISAKMP SA.
    None,
    /// Not through yet; until when.
    Pending(Instant),
    /// Wrong; when the peer is told.
    Wrong(Instant),
    /// The peer has been told that it is wrong, or we have.
    Refused,
    /// Right: whose name it is.
    Done(String),
}

/// How long a person may take to type a password.
const PATIENCE: Duration = Duration::from_secs(120);

/// How late a wrong password is answered.
const PENALTY: Duration = Duration::from_secs(1);

/// The longest name and password; racoon's clients have 255.
const MAX_LEN: usize = 255;

const STATUS_OK: u16 = 1;
const STATUS_FAIL: u16 = 0;

impl Xauth {
    pub(crate) fn pending(now: Instant) -> Self {
        Self::Pending(now + PATIENCE)
    }

    /// Whether other exchanges may go on.
    pub(crate) fn is_through(&self) -> bool {
        matches!(self, Self::None | Self::Done(_))
    }

    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Done(user) => Some(user),
            _ => None,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Pending(at) | Self::Wrong(at) => Some(*at),
            Self::None | Self::Refused | Self::Done(_) => None,
        }
    }
}

/// Whether an Attributes payload is about XAUTH.
pub(super) fn concerns(attributes: &Attributes) -> bool {
    attributes
        .list
        .iter()
        .any(|own| ConfigAttribute::XAUTH.contains(&own.class))
}

impl Session {
    /// As responder, once phase 1 is complete: asks for name and password.
    pub(crate) fn ask_password(&mut self, cx: &mut Context<'_>) {
        let empty = |class: ConfigAttribute| Attribute {
            class: class.0,
            value: crate::wire::attribute::Value::Long(Vec::new()),
        };
        let list = vec![
            Attribute::short(ConfigAttribute::XAUTH_TYPE.0, XauthType::GENERIC.0),
            empty(ConfigAttribute::XAUTH_USER_NAME),
            empty(ConfigAttribute::XAUTH_USER_PASSWORD),
        ];
        self.begin_transaction(cx, ConfigType::REQUEST, list, Purpose::Password);
    }

    /// As responder: whether name and password are right.
    pub(super) fn judge_password(&mut self, cx: &mut Context<'_>, attributes: &Attributes) {
        let peer = self.path.peer;
        let terms = cx.shared.policy.terms(peer.ip());
        let users = terms.mode_config.map(|config| &config.users);
        let name = attributes.octets(ConfigAttribute::XAUTH_USER_NAME);
        let password = attributes.octets(ConfigAttribute::XAUTH_USER_PASSWORD);
        let name = name.map(without_nul).unwrap_or_default();
        let name = String::from_utf8(name)
            .ok()
            .filter(|name| (1..=MAX_LEN).contains(&name.len()));
        let password = Secret::from(password.map(without_nul).unwrap_or_default());
        let known = name
            .as_ref()
            .zip(users)
            .and_then(|(name, users)| users.get(name));
        // An unknown name takes as long as a known one.
        let nobody = Secret::default();
        let right = known.map_or(&nobody, |user| &user.password) == &password;
        let now = cx.now;
        let Some(established) = self.established_mut() else {
            return;
        };
        if !matches!(established.xauth, Xauth::Pending(_)) {
            return;
        }
        match name.filter(|_| right && known.is_some()) {
            Some(name) => {
                established.xauth = Xauth::Done(name.clone());
                let ike = self.id;
                cx.shared.event(Event::UserUp {
                    ike,
                    peer,
                    user: name,
                });
                cx.shared.changed();
                self.send_verdict(cx, STATUS_OK);
            }
            None => {
                established.xauth = Xauth::Wrong(now + PENALTY);
                self.refuse(cx, Refusal::WrongPassword);
            }
        }
    }

    fn send_verdict(&mut self, cx: &mut Context<'_>, status: u16) {
        let list = vec![Attribute::short(ConfigAttribute::XAUTH_STATUS.0, status)];
        self.begin_transaction(cx, ConfigType::SET, list, Purpose::Verdict);
    }

    /// As responder: the peer knows.
    pub(super) fn verdict_received(&mut self, cx: &mut Context<'_>) {
        let Some(established) = self.established() else {
            return;
        };
        match &established.xauth {
            Xauth::Refused => {
                let reason = DownReason::Refused(Refusal::WrongPassword);
                cx.effects.push(Effect::Dismissed(reason));
            }
            Xauth::Done(_) => cx.effects.push(Effect::Ready),
            _ => {}
        }
    }

    pub(super) fn fire_xauth(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        let Some(established) = self.established_mut() else {
            return;
        };
        match established.xauth {
            Xauth::Wrong(at) if now >= at => {
                established.xauth = Xauth::Refused;
                self.send_verdict(cx, STATUS_FAIL);
            }
            Xauth::Pending(at) if now >= at => {
                let reason = DownReason::Refused(Refusal::XauthPending);
                cx.effects.push(Effect::Dismissed(reason));
            }
            _ => {}
        }
    }

    /// As initiator: what we answer to the question for name and password; none when we have none,
    /// or nobody is to be asked.
    pub(super) fn give_password(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Attributes,
    ) -> Option<Vec<Attribute>> {
        let login = self
            .connection
            .as_deref()
            .and_then(|name| cx.shared.policy.connection(name))
            .and_then(|connection| connection.login.clone())?;
        let waiting = matches!(self.established()?.xauth, Xauth::Pending(_));
        if !waiting || !self.initiator {
            return None;
        }
        let mut answer = Attributes {
            kind: ConfigType::REPLY,
            identifier: asked.identifier,
            list: Vec::new(),
        };
        if asked.has(ConfigAttribute::XAUTH_TYPE) {
            let generic = Attribute::short(ConfigAttribute::XAUTH_TYPE.0, XauthType::GENERIC.0);
            answer.list.push(generic);
        }
        answer.push(ConfigAttribute::XAUTH_USER_NAME, login.user.as_bytes());
        answer.push(
            ConfigAttribute::XAUTH_USER_PASSWORD,
            login.password.expose(),
        );
        Some(answer.list)
    }

    /// As initiator: whether the responder takes us.
    pub(super) fn take_verdict(
        &mut self,
        cx: &mut Context<'_>,
        told: &Attributes,
    ) -> Option<Vec<Attribute>> {
        let status = told.octets(ConfigAttribute::XAUTH_STATUS)?;
        let user = self
            .connection
            .as_deref()
            .and_then(|name| cx.shared.policy.connection(name))
            .and_then(|connection| connection.login.as_ref())
            .map(|login| login.user.clone())?;
        let initiator = self.initiator;
        let established = self.established_mut()?;
        if !initiator || !matches!(established.xauth, Xauth::Pending(_)) {
            return None;
        }
        if status == STATUS_OK.to_be_bytes() {
            established.xauth = Xauth::Done(user);
            cx.effects.push(Effect::Ready);
        } else {
            established.xauth = Xauth::Refused;
            let reason = DownReason::Refused(Refusal::WrongPassword);
            cx.effects.push(Effect::Dismissed(reason));
        }
        Some(vec![Attribute {
            class: ConfigAttribute::XAUTH_STATUS.0,
            value: crate::wire::attribute::Value::Long(Vec::new()),
        }])
    }
}

/// Some clients send the octet that ends a string in C.
fn without_nul(mut octets: Vec<u8>) -> Vec<u8> {
    if octets.last() == Some(&0) {
        octets.pop();
    }
    octets
}

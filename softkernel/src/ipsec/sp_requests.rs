//! SPDADD, SPDUPDATE, SPDDELETE, SPDDELETE2, SPDGET, SPDDUMP, SPDFLUSH as `key_spdadd` and its
//! neighbours in FreeBSD's key.c do them.

use pfkey::{
    Address, Direction, Extension, ExtensionKind, Message, MessageType, Policy, PolicyType,
};

use super::errno::Errno;
use super::server::Audience;
use super::{Clock, Ipsec, PfkeySocketId};

/// `IPSEC_POLICYSCOPE_IFNET` and `_PCB` in the scope mask of SPDDUMP.
const SCOPES_WITHOUT_POLICIES: [u8; 2] = [2, 4];

/// Policy, source and destination of a request, checked.
fn selector(message: &Message) -> Result<(&Policy, Address, Address), Errno> {
    let source = message.source().ok_or(Errno::EINVAL)?;
    let destination = message.destination().ok_or(Errno::EINVAL)?;
    let policy = message.policy().ok_or(Errno::EINVAL)?;
    if ![Direction::INBOUND, Direction::OUTBOUND].contains(&policy.direction) {
        return Err(Errno::EINVAL);
    }
    let kinds = [PolicyType::DISCARD, PolicyType::NONE, PolicyType::IPSEC];
    if !kinds.contains(&policy.kind) {
        return Err(Errno::EINVAL);
    }
    Ok((policy, *source, *destination))
}

impl Ipsec {
    pub(super) fn spd_add(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        let (policy, source, destination) = selector(message)?;
        let existing = self.spd.find(policy.direction, &source, &destination);
        if existing.is_some() && message.kind != MessageType::X_SPDUPDATE {
            return Err(Errno::EEXIST);
        }
        let mut policy = self.spd.complete(policy.clone())?;
        if existing.is_none() && self.spd.len() >= self.config.max_policies {
            return Err(Errno::ENOBUFS);
        }
        if let Some(id) = existing {
            self.spd.remove(id);
        }
        let lifetime = message.lifetime_hard().copied();
        policy.id = self
            .spd
            .insert(clock, policy.clone(), source, destination, lifetime);
        let mut reply = Message {
            extensions: Vec::new(),
            errno: 0,
            ..message.clone()
        }
        .with(Extension::Policy(policy))
        .with_some(lifetime.map(Extension::LifetimeHard));
        reply.extensions.extend([
            Extension::AddressSource(source),
            Extension::AddressDestination(destination),
        ]);
        self.send(Some(socket), Audience::All, &reply);
        Ok(())
    }

    pub(super) fn spd_delete(
        &mut self,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        let (policy, source, destination) = selector(message)?;
        let id = self
            .spd
            .find(policy.direction, &source, &destination)
            .ok_or(Errno::EINVAL)?;
        self.spd.remove(id);
        let reply = Message {
            extensions: Vec::new(),
            errno: 0,
            ..message.clone()
        }
        .with(Extension::Policy(Policy {
            id,
            ..policy.clone()
        }))
        .with(Extension::AddressSource(source))
        .with(Extension::AddressDestination(destination));
        self.send(Some(socket), Audience::All, &reply);
        Ok(())
    }

    pub(super) fn spd_delete_id(
        &mut self,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        let id = message.policy().ok_or(Errno::EINVAL)?.id;
        self.spd.remove(id).ok_or(Errno::EINVAL)?;
        self.answer(socket, Audience::All, message, &[ExtensionKind::Policy]);
        Ok(())
    }

    pub(super) fn spd_get(
        &mut self,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        let id = message.policy().ok_or(Errno::EINVAL)?.id;
        let policy = self.spd.by_id(id).ok_or(Errno::ENOENT)?;
        let reply = policy.to_message(MessageType::X_SPDGET, message.sequence, message.pid);
        self.send(Some(socket), Audience::One, &reply);
        Ok(())
    }

    pub(super) fn spd_dump(
        &mut self,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        let all = self.spd.in_order();
        if all.is_empty() || SCOPES_WITHOUT_POLICIES.contains(&message.sa_type.0) {
            return Err(Errno::ENOENT);
        }
        let last = all.len() - 1;
        let entries: Vec<Message> = all
            .into_iter()
            .enumerate()
            .map(|(i, policy)| {
                let countdown = u32::try_from(last - i).unwrap_or(u32::MAX);
                policy.to_message(MessageType::X_SPDDUMP, countdown, message.pid)
            })
            .collect();
        for entry in &entries {
            self.send(Some(socket), Audience::One, entry);
        }
        Ok(())
    }

    pub(super) fn spd_flush(
        &mut self,
        socket: PfkeySocketId,
        message: &Message,
    ) -> Result<(), Errno> {
        if !message.extensions.is_empty() {
            return Err(Errno::EINVAL);
        }
        self.spd.clear();
        self.answer(socket, Audience::All, message, &[]);
        Ok(())
    }
}

//! What the kernel's messages mean: answers to our requests, and reports.

use ike_proto::carrier::SystemAbilities;
use ike_proto::io::{ChildId, Direction, KernelReply};
use pfkey::client::Event;
use pfkey::{Message, MessageType, Reply, SaType};

use super::{Pending, Translator};
use crate::kernel::abilities::announced;

/// What came out of one message of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// For the protocol core.
    Reply(KernelReply),
    /// A request whose answer the core does not wait for was refused.
    Refused {
        /// Which, in PF_KEY's words.
        request: &'static str,
        /// The kernel's error number.
        errno: u8,
    },
    /// An entry of a setkey(8) script was added, or the error number.
    Static(String, Result<(), u8>),
    /// The SAs of the kernel, as asked for by [`Translator::dump_sas`], or why there are none.
    Sas(Result<Vec<Message>, String>),
    /// The policies of the kernel, as asked for by [`Translator::dump_policies`].
    Policies(Result<Vec<Message>, String>),
    /// What the kernel can do.
    Registered(SystemAbilities),
    /// Somebody else has given an SA this reqid.
    Foreign(u32),
    /// Bytes that are no PF_KEY message.
    Malformed(pfkey::WireError),
}

impl Translator {
    /// The socket is gone: what was asked is not answered any more.
    pub fn disconnected(&mut self, reason: &str) -> Vec<Outcome> {
        self.client.reset();
        let mut lost: Vec<(u32, Pending)> = self.pending.drain().collect();
        lost.sort_unstable_by_key(|(sequence, _)| *sequence);
        lost.into_iter()
            .filter_map(|(_, pending)| match pending {
                Pending::Spi(child) | Pending::Install(child, _) => {
                    Some(Outcome::Reply(failed(child, reason.to_owned())))
                }
                Pending::Look(_) | Pending::Quiet(_) | Pending::Static(_) | Pending::Register => {
                    None
                }
                Pending::Sas => Some(Outcome::Sas(Err(reason.to_owned()))),
                Pending::Policies => Some(Outcome::Policies(Err(reason.to_owned()))),
            })
            .collect()
    }

    /// Takes one message of the kernel.
    pub fn receive(&mut self, bytes: &[u8]) -> Option<Outcome> {
        match self.client.handle(bytes) {
            Err(error) => Some(Outcome::Malformed(error)),
            Ok(None) => None,
            Ok(Some(event)) => self.event(event),
        }
    }

    fn event(&mut self, event: Event) -> Option<Outcome> {
        match event {
            Event::Reply { sequence, result } => {
                let pending = self.pending.remove(&sequence)?;
                self.answer(pending, result)
            }
            Event::Expire(expire) if expire.sa_type == SaType::ESP => {
                if expire.hard {
                    self.installed.remove(&(expire.spi, expire.destination));
                }
                Some(Outcome::Reply(KernelReply::Expire {
                    carrier: self.carrier,
                    spi: expire.spi,
                    destination: expire.destination,
                    hard: expire.hard,
                }))
            }
            Event::Acquire(acquire) => Some(Outcome::Reply(KernelReply::Acquire {
                local: acquire.source.ip(),
                peer: acquire.destination.ip(),
                reqid: acquire.reqid,
            })),
            Event::NewMapping(mapping) => Some(Outcome::Reply(KernelReply::MappingMoved {
                spi: mapping.spi,
                peer: mapping.new,
            })),
            // setkey and other daemons look after their own.
            Event::Foreign(message) => foreign_reqid(&message).map(Outcome::Foreign),
            Event::Expire(_) => None,
        }
    }

    fn answer(&mut self, pending: Pending, result: Result<Reply, u8>) -> Option<Outcome> {
        match (pending, result) {
            (Pending::Spi(child), Ok(Reply::Spi(spi))) => {
                Some(Outcome::Reply(KernelReply::Spi { child, spi }))
            }
            (Pending::Spi(child), Ok(_)) => Some(Outcome::Reply(failed(
                child,
                "GETSPI: answer without SPI".into(),
            ))),
            (Pending::Spi(child), Err(errno)) => Some(Outcome::Reply(failed(
                child,
                format!("GETSPI: {}", words(errno)),
            ))),
            (Pending::Install(child, direction), Ok(_)) => {
                Some(Outcome::Reply(KernelReply::Installed { child, direction }))
            }
            (Pending::Install(child, direction), Err(errno)) => {
                let what = match direction {
                    Direction::Inbound => "UPDATE of the inbound SA",
                    Direction::Outbound => "ADD of the outbound SA",
                };
                Some(Outcome::Reply(failed(
                    child,
                    format!("{what}: {}", words(errno)),
                )))
            }
            (Pending::Look(child), Ok(Reply::Done(sa))) => {
                let current = sa.lifetime_current()?;
                Some(Outcome::Reply(KernelReply::Traffic {
                    child,
                    inbound_octets: current.bytes,
                    outbound_octets: 0,
                }))
            }
            // Gone meanwhile.
            (Pending::Look(_), _) => None,
            (Pending::Static(name), result) => Some(Outcome::Static(name, result.map(|_| ()))),
            (Pending::Sas, result) => Some(Outcome::Sas(dumped(result))),
            (Pending::Policies, result) => Some(Outcome::Policies(dumped(result))),
            (
                Pending::Register,
                Ok(Reply::Registered {
                    authentication,
                    encryption,
                }),
            ) => Some(Outcome::Registered(announced(&authentication, &encryption))),
            (Pending::Quiet(_) | Pending::Register, Ok(_)) => None,
            // Deleted already, by its lifetime or together with its larval twin.
            (Pending::Quiet("DELETE" | "SPDDELETE"), Err(errno)) if is_gone(errno) => None,
            (Pending::Register, Err(errno)) => Some(Outcome::Refused {
                request: "REGISTER",
                errno,
            }),
            (Pending::Quiet(request), Err(errno)) => Some(Outcome::Refused { request, errno }),
        }
    }
}

/// The reply that gives a pair of SAs up.
pub fn failed(child: ChildId, reason: String) -> KernelReply {
    KernelReply::Failed { child, reason }
}

fn dumped(result: Result<Reply, u8>) -> Result<Vec<Message>, String> {
    match result {
        Ok(Reply::Dump(messages)) => Ok(messages),
        Ok(_) => Err("answer without entries".into()),
        Err(errno) => Err(words(errno)),
    }
}

/// The reqid that somebody else gives to an SA.
fn foreign_reqid(message: &Message) -> Option<u32> {
    let adds = matches!(
        message.kind,
        MessageType::ADD | MessageType::UPDATE | MessageType::GETSPI
    );
    let reqid = message.sa2()?.reqid;
    (adds && message.errno == 0 && reqid != 0).then_some(reqid)
}

/// `ESRCH`, `ENOENT`: it is not there.
fn is_gone(errno: u8) -> bool {
    [libc::ESRCH, libc::ENOENT].contains(&i32::from(errno))
}

/// The system's words for an error number.
pub fn words(errno: u8) -> String {
    std::io::Error::from_raw_os_error(i32::from(errno)).to_string()
}

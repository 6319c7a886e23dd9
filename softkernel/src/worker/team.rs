//! The other workers, as the control thread sees them.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use slog::Logger;
use tokio::sync::{mpsc, oneshot};

use super::plane;
use super::run::{self, Seat};
use super::{HandedOver, Notice, Order};
use crate::engine::Counters;
use crate::ipsec::InboundEsp;
use crate::os::outer::{Addresses, Unregistered};

/// Packets that wait for another thread: more than the TUN device's long packets make in one turn, all
/// of which go by the control thread when a client's SAs have just been renewed. Of those of nobody that
/// is known half may be on their way to the control thread.
pub(super) const MAX_WAITING: usize = 4096;

/// What a worker is told.
pub(super) enum Command {
    Order(Order),
    /// One more socket to read.
    Socket(Unregistered),
    /// Say what happened so far.
    Report(oneshot::Sender<Report>),
}

/// ESP of an SA that a worker has, from another thread.
pub(super) struct Strayed {
    pub(super) from: InboundEsp,
    pub(super) packet: Vec<u8>,
}

/// What comes from a worker.
pub(crate) enum Upward {
    /// A packet that it cannot carry.
    Packet(HandedOver, Vec<u8>),
    /// A datagram of IKE at its socket, which has this address.
    Ike(SocketAddr, Addresses, Vec<u8>),
    /// Something that key management has to know.
    Notice(Notice),
}

/// What happened at a worker.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) plane: plane::Counters,
    pub(crate) devices: Counters,
}

/// One of them.
#[derive(Debug)]
struct Member {
    commands: mpsc::UnboundedSender<Command>,
    strayed: mpsc::Sender<Strayed>,
}

/// Workers 1 and up.
#[derive(Debug, Default)]
pub(crate) struct Team {
    members: Vec<Member>,
}

/// A worker's thread, and what comes from it.
pub(crate) struct Joined {
    /// Its number.
    pub(crate) number: usize,
    pub(crate) upward: mpsc::Receiver<Upward>,
    pub(crate) thread: JoinHandle<std::io::Result<()>>,
}

impl Team {
    /// Starts one more thread, which reads these sockets and its queue of the device.
    ///
    /// # Errors
    /// No thread, or no queue.
    pub(crate) fn add(
        &mut self,
        device: &str,
        mtu: usize,
        raw: Vec<Unregistered>,
        log: &Logger,
    ) -> std::io::Result<Joined> {
        let (commands, orders) = mpsc::unbounded_channel();
        let (strays, strayed) = mpsc::channel(MAX_WAITING);
        let (up, upward) = mpsc::channel(MAX_WAITING);
        let number = self.members.len() + 1;
        let seat = Seat {
            device: device.to_owned(),
            mtu,
            raw,
            commands: orders,
            strayed,
            up,
            log: log.new(slog::o!("worker" => number)),
        };
        let thread = run::start(number, seat)?;
        self.members.push(Member {
            commands,
            strayed: strays,
        });
        Ok(Joined {
            number,
            upward,
            thread,
        })
    }

    /// All threads there are, this one included.
    pub(crate) fn workers(&self) -> u32 {
        u32::try_from(self.members.len() + 1).unwrap_or(u32::MAX)
    }

    fn member(&self, number: usize) -> Option<&Member> {
        self.members.get(number.checked_sub(1)?)
    }

    pub(crate) fn order(&self, number: usize, order: Order) {
        self.command(number, Command::Order(order));
    }

    /// Gives every worker one of these sockets.
    pub(crate) fn read(&self, sockets: Vec<Unregistered>) {
        for (number, socket) in (1..).zip(sockets) {
            self.command(number, Command::Socket(socket));
        }
    }

    /// A packet of an SA that a worker has; false when it has too many of them.
    pub(crate) fn stray(&self, number: usize, from: InboundEsp, packet: &[u8]) -> bool {
        let Some(member) = self.member(number) else {
            return false;
        };
        // Not copied when there is no room for it.
        member.strayed.try_reserve().is_ok_and(|room| {
            let packet = packet.to_vec();
            room.send(Strayed { from, packet });
            true
        })
    }

    /// What every worker will answer.
    pub(crate) fn ask(&self) -> Vec<oneshot::Receiver<Report>> {
        let ask = |number| {
            let (answer, report) = oneshot::channel();
            self.command(number, Command::Report(answer));
            report
        };
        (1..=self.members.len()).map(ask).collect()
    }

    fn command(&self, number: usize, command: Command) {
        if let Some(member) = self.member(number) {
            // A thread that has ended ends the process.
            let _ = member.commands.send(command);
        }
    }
}

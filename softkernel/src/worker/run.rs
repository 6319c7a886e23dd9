//! A worker's thread: its sockets, its queue of the TUN device, what comes from the control thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use slog::{Logger, warn};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use super::HandedOver;
use super::plane::{Outcome, Plane};
use super::team::{Command, MAX_WAITING, Report, Strayed, Upward};
use crate::batch::Batch;
use crate::buffer::Buffer;
use crate::engine::Counters;
use crate::ipsec::{InboundEsp, OutboundEsp};
use crate::kernel::Action;
use crate::offload::Coalescer;
use crate::os::arrivals::Arrivals;
use crate::os::outer::{Addresses, OuterSocket, Unregistered};
use crate::os::tun::Tun;
use crate::traffic::{self, Arrival};

/// What a worker begins with.
pub(super) struct Seat {
    pub(super) device: String,
    pub(super) mtu: usize,
    pub(super) raw: Vec<Unregistered>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) strayed: mpsc::Receiver<Strayed>,
    pub(super) up: mpsc::Sender<Upward>,
    pub(super) log: Logger,
}

/// Starts the thread; returns when it works. It ends with the sender of its commands.
pub(super) fn start(number: usize, seat: Seat) -> io::Result<JoinHandle<io::Result<()>>> {
    let (working, begun) = std::sync::mpsc::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let tasks = LocalSet::new();
        runtime.block_on(tasks.run_until(serve(seat, working)))
    };
    let thread = std::thread::Builder::new()
        .name(format!("worker {number}"))
        .spawn(body)?;
    match begun.recv() {
        Ok(()) => Ok(thread),
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            _ => Err(io::Error::other("the thread has ended")),
        },
    }
}

struct Worker {
    me: Weak<RefCell<Self>>,
    plane: Plane,
    tun: Rc<Tun>,
    sockets: Vec<Rc<OuterSocket>>,
    commands: mpsc::UnboundedReceiver<Command>,
    up: mpsc::Sender<Upward>,
    counters: Counters,
    /// What the TUN device hands out before it is cut.
    long: Box<[u8]>,
    outward: Batch,
    actions: Vec<Action>,
    arrivals: Option<Arrivals>,
    inward: Batch,
    /// Where the packets of `inward` came from.
    from: Vec<InboundEsp>,
    outcomes: Vec<Outcome>,
    coalescer: Coalescer,
    log: Logger,
}

async fn serve(seat: Seat, working: std::sync::mpsc::Sender<()>) -> io::Result<()> {
    let tun = Rc::new(Tun::queue(&seat.device)?);
    let mut strayed = seat.strayed;
    let worker = Rc::new_cyclic(|me| {
        RefCell::new(Worker {
            me: me.clone(),
            plane: Plane::default(),
            coalescer: Coalescer::new(tun.takes()),
            tun: Rc::clone(&tun),
            sockets: Vec::new(),
            commands: seat.commands,
            up: seat.up,
            counters: Counters::default(),
            long: vec![0; Buffer::PAYLOAD].into_boxed_slice(),
            outward: traffic::batch(seat.mtu),
            actions: Vec::new(),
            arrivals: None,
            inward: traffic::batch(seat.mtu),
            from: Vec::new(),
            outcomes: Vec::new(),
            log: seat.log,
        })
    });
    for socket in seat.raw {
        worker.borrow_mut().read(socket)?;
    }
    let mut reading = spawn_local(read_tun(tun, Rc::clone(&worker)));
    // Nobody waits for it any more when the control thread has given up.
    let _ = working.send(());
    drop(working);
    loop {
        tokio::select! {
            command = poll_fn(|context| worker.borrow_mut().commands.poll_recv(context)) => {
                let Some(command) = command else { return Ok(()) };
                worker.borrow_mut().obey(command);
            }
            packet = strayed.recv() => {
                let Some(packet) = packet else { return Ok(()) };
                worker.borrow_mut().strayed(packet, &mut strayed);
            }
            ended = &mut reading => return Err(ended.unwrap_or_else(io::Error::other)),
        }
    }
}

/// Reads the queue until it is gone.
async fn read_tun(tun: Rc<Tun>, worker: Rc<RefCell<Worker>>) -> io::Error {
    loop {
        let mut ready = match tun.readable().await {
            Ok(ready) => ready,
            Err(error) => return error,
        };
        let result = worker.borrow_mut().tun_readable();
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) => return error,
        }
        tokio::task::yield_now().await;
    }
}

async fn read_outer(socket: Rc<OuterSocket>, worker: Rc<RefCell<Worker>>) {
    while let Ok(mut ready) = socket.readable().await {
        if !worker.borrow_mut().outer_readable(&socket) {
            ready.clear_ready();
        }
        tokio::task::yield_now().await;
    }
}

impl Worker {
    fn read(&mut self, socket: Unregistered) -> io::Result<()> {
        let socket = Rc::new(socket.register()?);
        self.sockets.push(Rc::clone(&socket));
        if let Some(me) = self.me.upgrade() {
            spawn_local(read_outer(socket, me));
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Order(order) => self.plane.obey(order),
            Command::Socket(socket) => {
                if let Err(error) = self.read(socket) {
                    warn!(self.log, "a socket is not read"; "reason" => %error);
                }
            }
            Command::Report(answer) => {
                let report = Report {
                    plane: self.plane.counters().clone(),
                    devices: self.counters,
                };
                // Who asked may have gone.
                let _ = answer.send(report);
            }
        }
    }

    /// What the control thread has said goes before packets that have come since.
    fn obey_all(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
    }

    fn tun_readable(&mut self) -> io::Result<()> {
        self.obey_all();
        let tun = Rc::clone(&self.tun);
        let mut batch = std::mem::take(&mut self.outward);
        let mut long = std::mem::take(&mut self.long);
        let (result, malformed) = traffic::read(&tun, &mut long, &mut batch, |batch| {
            self.send_outward(batch)
        });
        self.counters.bad_offloads += malformed;
        (self.outward, self.long) = (batch, long);
        self.tell();
        result
    }

    /// Encrypts the batch and sends it.
    fn send_outward(&mut self, batch: &mut Batch) {
        let Self {
            plane,
            actions,
            up,
            counters,
            sockets,
            log,
            ..
        } = self;
        let socket_for = |esp: &OutboundEsp| {
            let fits = |socket: &&Rc<OuterSocket>| {
                socket.is_raw() != esp.encapsulated && socket.serves(esp.source)
            };
            sockets.iter().find(fits).map(Rc::as_ref)
        };
        plane.tun_batch(
            batch.packets_mut(),
            actions,
            |esp| socket_for(esp).is_some(),
            |over, packet| hand_over(up, counters, over, packet),
        );
        traffic::for_each_row(actions, batch.packets(), |action, packets| {
            if let Action::Esp(esp) = action {
                traffic::send(socket_for(esp), esp, packets, counters, log);
            }
        });
        actions.clear();
        batch.clear();
    }

    fn outer_readable(&mut self, socket: &OuterSocket) -> bool {
        self.obey_all();
        let mut arrivals = self.arrivals.take().unwrap_or_default();
        let more = match socket.receive_batch(&mut arrivals) {
            Ok(more) => {
                for (from, packet) in arrivals.iter() {
                    self.outer_packet(socket, from, packet);
                }
                self.write_inward();
                more
            }
            // What ICMP reported about earlier packets is no error of the socket.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.arrivals = Some(arrivals);
        self.tell();
        more
    }

    fn outer_packet(&mut self, socket: &OuterSocket, from: Addresses, packet: &[u8]) {
        match traffic::sort(socket, &from, packet, &mut self.counters) {
            Arrival::Nothing => {}
            Arrival::Ike => {
                let room = self.up.capacity() > MAX_WAITING / 2;
                let datagram = Upward::Ike(socket.local(), from, packet.to_vec());
                if !room || self.up.try_send(datagram).is_err() {
                    self.counters.not_handed_over += 1;
                }
            }
            Arrival::Esp => {
                let from = InboundEsp {
                    source: from.source,
                    destination: from.destination,
                    encapsulated: !socket.is_raw(),
                };
                self.esp(from, packet);
            }
        }
    }

    /// Packets from other threads, those that are there.
    fn strayed(&mut self, first: Strayed, others: &mut mpsc::Receiver<Strayed>) {
        self.obey_all();
        self.esp(first.from, &first.packet);
        while let Ok(Strayed { from, packet }) = others.try_recv() {
            self.esp(from, &packet);
        }
        self.write_inward();
        self.tell();
    }

    fn esp(&mut self, from: InboundEsp, packet: &[u8]) {
        if self.inward.room().is_none() {
            self.write_inward();
        }
        if self.inward.room().is_some_and(|room| room.fill(packet)) {
            self.inward.add();
            self.from.push(from);
        } else {
            self.long_packet(from, packet);
        }
    }

    /// A packet too long for the batch: as long as the outside can make one of fragments.
    fn long_packet(&mut self, from: InboundEsp, packet: &[u8]) {
        self.write_inward();
        let mut buffer = Buffer::new(packet.len());
        if !buffer.fill(packet) {
            return;
        }
        let alone = std::slice::from_mut(&mut buffer);
        self.plane
            .esp_batch(Instant::now(), &[from], alone, &mut self.outcomes);
        match self.outcomes.pop() {
            Some(Outcome::Tun) => traffic::write_alone(&self.tun, &buffer, &mut self.counters),
            Some(Outcome::Over(over)) => {
                hand_over(&self.up, &mut self.counters, over, &buffer);
            }
            Some(Outcome::Done) | None => {}
        }
    }

    /// Decrypts the batch and writes it to the TUN device.
    fn write_inward(&mut self) {
        let Self {
            plane,
            inward,
            from,
            outcomes,
            coalescer,
            up,
            counters,
            ..
        } = self;
        plane.esp_batch(Instant::now(), from, inward.packets_mut(), outcomes);
        for (outcome, packet) in outcomes.drain(..).zip(inward.packets()) {
            match outcome {
                Outcome::Tun => {
                    coalescer.add(inward.packets());
                    continue;
                }
                Outcome::Over(over) => hand_over(up, counters, over, packet),
                Outcome::Done => {}
            }
            coalescer.skip();
        }
        traffic::write(&self.tun, coalescer, inward.packets_mut(), counters);
        from.clear();
        inward.clear();
    }

    /// Tells the control thread what its key management has to know; what has no room waits.
    fn tell(&mut self) {
        while self.up.capacity() > 0
            && let Some(notice) = self.plane.poll_notice()
        {
            // The room is ours: only this thread sends here.
            let _ = self.up.try_send(Upward::Notice(notice));
        }
    }
}

/// Hands a packet to the control thread, if that has not too many already; of what nobody has vouched for
/// there may be fewer.
fn hand_over(up: &mpsc::Sender<Upward>, counters: &mut Counters, over: HandedOver, packet: &[u8]) {
    let least = match over {
        HandedOver::Esp(_) => MAX_WAITING / 2,
        _ => 0,
    };
    if up.capacity() > least && up.try_send(Upward::Packet(over, packet.to_vec())).is_ok() {
        counters.handed_over += 1;
    } else {
        counters.not_handed_over += 1;
    }
}

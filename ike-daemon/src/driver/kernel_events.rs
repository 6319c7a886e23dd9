//! Requests go to the kernel the core names, and what the kernels say comes back to the core.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use ike_proto::carrier::{Carrier, SystemAbilities};
use ike_proto::io::{KernelReply, KernelRequest, Reqid};
use pfkey::Message;
use slog::{debug, error, info, trace, warn};
use tanuki_daemon::control::Reply;

use super::daemon::Daemon;
use super::kernels::Check;
use super::waiting::SasReply;
use super::{admin, orders};
use crate::kernel::translate::{failed, words};
use crate::kernel::{Audit, Known, LinkEvent, Orphan, Outcome, Ownership, Translator, audit};

impl Daemon {
    pub(super) fn kernel_event(&mut self, carrier: Carrier, event: LinkEvent) {
        match event {
            LinkEvent::Up => self.kernel_up(carrier),
            LinkEvent::Message(bytes) => {
                let conversation = self.kernels.all.get_mut(&carrier);
                let outcome = conversation.and_then(|it| it.translator.receive(&bytes));
                if let Some(outcome) = outcome {
                    self.outcome(carrier, outcome);
                }
            }
            LinkEvent::Overrun => {
                warn!(self.log, "messages of the kernel were lost; comparing SAs";
                    "kernel" => %carrier);
                self.audit_kernel(carrier, false);
            }
            LinkEvent::Down(reason) => self.kernel_down(carrier, &reason),
        }
    }

    fn kernel_up(&mut self, carrier: Carrier) {
        let Some(conversation) = self.kernels.all.get_mut(&carrier) else {
            return;
        };
        info!(self.log, "kernel connected"; "kernel" => %carrier, "pfkey" => &conversation.name);
        conversation.connected = true;
        conversation.tried = true;
        if carrier == Carrier::Soft {
            self.parts.network.softkernel_is_there();
        }
        let register = conversation.translator.register();
        self.send(carrier, register);
        self.kernels_changed();
        if self
            .kernels
            .first()
            .is_some_and(|(first, _)| first == carrier)
        {
            self.add_static_entries();
        }
        self.audit_kernel(carrier, true);
        if let Some(conversation) = self.kernels.all.get_mut(&carrier) {
            conversation.sweep = true;
        }
        self.ask_for_policies(carrier);
    }

    fn kernel_down(&mut self, carrier: Carrier, reason: &str) {
        let beside = self.kernels.beside().is_some() && carrier == Carrier::Soft;
        let Some(conversation) = self.kernels.all.get_mut(&carrier) else {
            return;
        };
        let name = &conversation.name;
        let was_connected = std::mem::replace(&mut conversation.connected, false);
        conversation.tried = true;
        match carrier {
            // Beside the system's kernel it is no duty to run it.
            Carrier::Soft if beside && !was_connected => {
                debug!(self.log, "softkernel does not run"; "pfkey" => name, "reason" => reason);
            }
            Carrier::Soft => {
                warn!(self.log, "kernel not connected; trying again"; "kernel" => %carrier,
                    "pfkey" => name, "reason" => reason, "remedy" => "start softkernel");
            }
            Carrier::System => {
                warn!(self.log, "kernel not connected; trying again"; "kernel" => %carrier,
                    "pfkey" => name, "reason" => reason);
            }
        }
        conversation.audit = None;
        conversation.sweep = false;
        let text = format!("the kernel went away: {reason}");
        let outcomes = conversation.translator.disconnected(&text);
        for outcome in outcomes {
            self.outcome(carrier, outcome);
        }
        self.kernels_changed();
    }

    /// Tells the core, and the views, what there is now.
    pub(super) fn kernels_changed(&mut self) {
        self.endpoint.set_carriers(self.kernels.carriers());
        self.stats.kernel_connected = self.kernels.first().is_some_and(|(_, it)| it.connected);
        self.stats.softkernel_beside = self.kernels.beside().map(|it| it.connected);
    }

    /// Compares what the core believes in with what the kernel has. `orphans`: what it does not
    /// know is left over from a process before, rather than under negotiation.
    fn audit_kernel(&mut self, carrier: Carrier, orphans: bool) {
        let pairs = self.endpoint.child_sas(Instant::now());
        let known = pairs.iter().filter_map(Known::from_view);
        let known = known.filter(|pair| pair.carrier == carrier).collect();
        if let Some(conversation) = self.kernels.all.get_mut(&carrier) {
            conversation.audit = Some(Check { known, orphans });
        }
        self.ask_for_sas(carrier);
    }

    /// Asks for a dump, unless one is under way: that one does as well.
    pub(super) fn ask_for_sas(&mut self, carrier: Carrier) {
        let conversation = self.kernels.all.get_mut(&carrier);
        if let Some(request) = conversation.and_then(|it| it.translator.dump_sas()) {
            self.send(carrier, request);
        }
    }

    pub(super) fn ask_for_policies(&mut self, carrier: Carrier) {
        let conversation = self.kernels.all.get_mut(&carrier);
        if let Some(request) = conversation.and_then(|it| it.translator.dump_policies()) {
            self.send(carrier, request);
        }
    }

    /// Answers with the SAs of all kernels.
    pub(super) fn gather_sas(&mut self, reply: SasReply) {
        let kernels: BTreeSet<Carrier> = self.kernels.connected().collect();
        self.waiting.sas.add(reply, kernels.clone());
        for carrier in kernels {
            self.ask_for_sas(carrier);
        }
    }

    /// Answers with the policies of all kernels.
    pub(super) fn gather_policies(&mut self, reply: Reply) {
        let kernels: BTreeSet<Carrier> = self.kernels.connected().collect();
        self.waiting.policies.add(reply, kernels.clone());
        for carrier in kernels {
            self.ask_for_policies(carrier);
        }
    }

    /// Sends something to the preferred kernel.
    pub(super) fn ask_first(&mut self, request: impl FnOnce(&mut Translator) -> pfkey::Request) {
        let Some((&carrier, first)) = self.kernels.all.iter_mut().next() else {
            return;
        };
        let request = request(&mut first.translator);
        self.send(carrier, request);
    }

    fn send(&mut self, carrier: Carrier, request: pfkey::Request) -> bool {
        let conversation = self.kernels.all.get(&carrier);
        let sent = conversation.is_some_and(|it| it.link.send(request));
        if !sent {
            self.stats.kernel_refusals += 1;
            warn!(self.log, "the kernel takes no more requests at the moment";
                "kernel" => %carrier);
        }
        sent
    }

    fn outcome(&mut self, carrier: Carrier, outcome: Outcome) {
        match outcome {
            Outcome::Reply(reply) => self.kernel_reply(reply),
            Outcome::Refused { request, errno } => {
                self.stats.kernel_refusals += 1;
                warn!(self.log, "refused by the kernel"; "kernel" => %carrier,
                    "request" => request, "reason" => words(errno));
            }
            Outcome::Registered(abilities) if carrier == Carrier::System => {
                self.system_registered(abilities);
            }
            Outcome::Registered(_) => self.soon_auto(),
            Outcome::Static(name, result) => self.static_entry_added(name, result),
            Outcome::Foreign(reqid) => self.concede(carrier, reqid),
            Outcome::Sas(sas) => self.sas_arrived(carrier, sas),
            Outcome::Policies(policies) => self.policies_arrived(carrier, policies),
            Outcome::Malformed(error) => {
                error!(self.log, "the kernel's message is not understood"; "kernel" => %carrier,
                    "reason" => %error);
            }
        }
    }

    fn system_registered(&mut self, abilities: SystemAbilities) {
        let policy = &self.config.policy.phase2;
        let lacking: Vec<String> = policy
            .allowed_suites()
            .filter(|suite| !abilities.has(suite, policy.sha256_icv.is_short()))
            .map(ToString::to_string)
            .collect();
        if !lacking.is_empty() {
            info!(self.log, "softkernel is needed for some ESP suites";
                "suites" => lacking.join(" "));
        }
        if abilities.oldest_first {
            info!(self.log, "the kernel prefers old SAs; replaced ones are removed early";
                "sysctl" => "net.key.preferred_oldsa=1");
        }
        self.kernels.system = Some(abilities);
        self.kernels_changed();
        self.soon_auto();
    }

    /// Somebody else uses a reqid in the system's kernel: it is not ours from now on.
    fn concede(&mut self, carrier: Carrier, reqid: u32) {
        if carrier != Carrier::System {
            return;
        }
        if let Some(ownership) = &mut self.kernels.ownership
            && ownership.concede(reqid)
        {
            debug!(self.log, "reqid used by others"; "reqid" => reqid);
            self.ownership_changed();
        }
    }

    fn ownership_changed(&mut self) {
        if let Some(ownership) = &self.kernels.ownership {
            self.endpoint.avoid_reqids(ownership.foreign().clone());
        }
        self.save_now();
    }

    pub(super) fn kernel_reply(&mut self, reply: KernelReply) {
        if let KernelReply::Failed { reason, .. } = &reply {
            self.stats.kernel_refusals += 1;
            debug!(self.log, "refused by the kernel"; "reason" => reason);
        }
        self.endpoint
            .handle_kernel(Instant::now(), reply, &mut self.rng);
    }

    fn sas_arrived(&mut self, carrier: Carrier, sas: Result<Vec<Message>, String>) {
        if let Ok(sas) = &sas {
            let check = self
                .kernels
                .all
                .get_mut(&carrier)
                .and_then(|it| it.audit.take());
            if let Some(check) = check {
                self.check_sas(carrier, &check, sas);
            }
            self.traffic(carrier, sas);
        }
        for (reply, dumps) in self.waiting.sas.arrived(carrier, &sas) {
            match (reply, dumps) {
                (SasReply::Control(reply), dumps) => {
                    let pairs = self.endpoint.child_sas(Instant::now());
                    orders::answer_sas(reply, &dumps, &pairs);
                }
                (SasReply::Admin(reply), Ok(dumps)) => {
                    let sas: Vec<Message> = dumps.into_iter().flat_map(|(_, sas)| sas).collect();
                    reply.body(admin::sa_dump(&sas));
                }
                (SasReply::Admin(reply), Err(_)) => reply.refuse(libc::EIO),
            }
        }
    }

    /// Tells the core what has gone through its SAs.
    fn traffic(&mut self, carrier: Carrier, sas: &[Message]) {
        let now = Instant::now();
        let octets = audit::octets(sas);
        let at = |spi, ip: IpAddr| octets.get(&(spi, ip)).copied();
        let pairs = self.endpoint.child_sas(now);
        for pair in pairs.iter().filter(|pair| pair.kernel == carrier) {
            if let Some(inbound_octets) = at(pair.spi_in, pair.local.ip()) {
                let reply = KernelReply::Traffic {
                    child: pair.id,
                    inbound_octets,
                    outbound_octets: at(pair.spi_out, pair.peer.ip()).unwrap_or(0),
                };
                self.endpoint.handle_kernel(now, reply, &mut self.rng);
            }
        }
    }

    fn check_sas(&mut self, carrier: Carrier, check: &Check, sas: &[Message]) {
        self.first_look(carrier, sas);
        let found = {
            let ownership = self.kernels.ownership.as_ref();
            // In softkernel nobody else has SAs; in the system's kernel somebody might.
            let is_ours = |reqid| match carrier {
                Carrier::Soft => Ownership::RANGE.contains(&reqid),
                Carrier::System => ownership.is_some_and(|it| it.is_ours(reqid)),
            };
            Audit::new(&check.known, sas, is_ours)
        };
        if let Some(conversation) = self.kernels.all.get_mut(&carrier) {
            conversation.translator.adopt(sas);
        }
        if !found.lost.is_empty() {
            warn!(self.log, "the kernel has lost SAs; their clients are told";
                "kernel" => %carrier, "pairs" => found.lost.len());
        }
        for reply in found.lost {
            self.kernel_reply(reply);
        }
        for orphan in found.orphans.into_iter().filter(|_| check.orphans) {
            let Orphan {
                reqid,
                spi,
                source,
                destination,
            } = orphan;
            if self.is_static(spi, destination) {
                continue;
            }
            info!(self.log, "removing an SA of nobody"; "kernel" => %carrier,
                "spi" => format!("{spi:08x}"), "source" => %source,
                "destination" => %destination);
            let conversation = self.kernels.all.get_mut(&carrier);
            let request = conversation.map(|it| it.translator.remove(spi, source, destination));
            if let Some(request) = request {
                self.send(carrier, request);
            }
            let now = Instant::now();
            self.endpoint
                .disown(now, Reqid(reqid), destination, &[spi], &mut self.rng);
        }
    }

    /// Where no process of ours was before, everything that is there is somebody else's.
    fn first_look(&mut self, carrier: Carrier, dump: &[Message]) {
        if carrier != Carrier::System || self.kernels.ownership.is_some() {
            return;
        }
        let mut ownership = Ownership::default();
        ownership.concede_all(dump);
        self.kernels.ownership = Some(ownership);
        // Before anything of ours is there: who comes after a crash must know.
        self.ownership_changed();
    }

    fn policies_arrived(&mut self, carrier: Carrier, policies: Result<Vec<Message>, String>) {
        for (reply, policies) in self.waiting.policies.arrived(carrier, &policies) {
            orders::answer_policies(reply, &policies);
        }
        let sweep = self
            .kernels
            .all
            .get_mut(&carrier)
            .is_some_and(|it| std::mem::take(&mut it.sweep));
        let Ok(policies) = policies else {
            return;
        };
        if !sweep {
            return;
        }
        if let (Carrier::System, Some(ownership), false) =
            (carrier, &mut self.kernels.ownership, self.inherited)
        {
            ownership.concede_all(&policies);
            self.ownership_changed();
        }
        self.inherited = true;
        let mut known = self.endpoint.reqids();
        known.extend(self.static_reqids());
        let ownership = self.kernels.ownership.as_ref();
        let orphans: Vec<u32> = policies
            .iter()
            .filter_map(|policy| Some((audit::reqid(policy)?, policy.policy()?.id)))
            .filter(|(reqid, _)| match carrier {
                Carrier::Soft => Ownership::RANGE.contains(reqid),
                Carrier::System => ownership.is_some_and(|it| it.is_ours(*reqid)),
            })
            .filter(|(reqid, _)| !known.contains(reqid))
            .map(|(_, id)| id)
            .collect();
        for id in orphans {
            info!(self.log, "removing a policy of nobody"; "kernel" => %carrier, "id" => id);
            let conversation = self.kernels.all.get_mut(&carrier);
            let request = conversation.map(|it| it.translator.remove_policy(id));
            if let Some(request) = request {
                self.send(carrier, request);
            }
        }
    }

    pub(super) fn kernel_request(&mut self, carrier: Carrier, request: &KernelRequest) {
        trace!(self.log, "kernel request"; "kernel" => %carrier, "request" => ?request);
        let answered = match request {
            KernelRequest::GetSpi(get) => Some(get.child),
            KernelRequest::Install(sa) => Some(sa.child),
            KernelRequest::BindPeer(port) => {
                self.parts.network.bind_peer(*port);
                return;
            }
            KernelRequest::ReleasePeer(port) => {
                self.parts.network.release_peer(port);
                return;
            }
            _ => None,
        };
        let fail = |daemon: &mut Self, reason: &str| {
            if let Some(child) = answered {
                daemon.kernel_reply(failed(child, reason.to_owned()));
            }
        };
        let conversation = self.kernels.all.get_mut(&carrier);
        let Some(conversation) = conversation.filter(|it| it.connected) else {
            fail(self, "PF_KEY is not connected");
            return;
        };
        for message in conversation.translator.submit(request) {
            if !self.send(carrier, message) {
                fail(self, "too many requests to the kernel");
            }
        }
    }
}

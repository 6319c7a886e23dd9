//! `l2tpd` on two kernels at once, one of which plays the operating system's: tunnels side by side,
//! a second kernel that comes and goes, and the policies that keep clear text out of the first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod l2tp_support;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use l2tp_proto::{FlowId, KernelId};
use l2tp_support::daemon::{Daemon, case, sockets};
use l2tp_support::{CLIENT, Network, SERVER, ping, server};
use l2tpd::control::protocol::{Answer, Request, SessionStatus, TunnelStatus};
use l2tpd::kernel::{Chosen, PfkeySocket, Protection, ProtectionError};
use pfkey::{Address, Direction, Level, Mode, Policy, PolicyRequest, PolicyType, SpRequest};
use slog::{Discard, Logger, o};
use tanuki_daemon::exit;

const SERVER_INSIDE: [u8; 4] = [10, 77, 0, 1];

/// A server on two kernels, and a client of each: both clients have the same address and port, as
/// two behind one NAT have.
struct Lab {
    system: [tempfile::TempDir; 2],
    soft: [tempfile::TempDir; 2],
}

impl Lab {
    fn new() -> Self {
        let pair = || [(); 2].map(|()| tempfile::tempdir().unwrap());
        let lab = Self {
            system: pair(),
            soft: pair(),
        };
        let write = |folder: &Path, name: &str, text: &str| {
            std::fs::write(folder.join(name), text).unwrap();
        };
        let home = lab.system[SERVER].path();
        write(
            home,
            "l2tpd.yaml",
            "local_address: 10.77.0.1\npool: [10.77.0.10-10.77.0.19]\nusers: users.yaml\n",
        );
        write(
            home,
            "users.yaml",
            "users:\n- {name: alice, password: wonderland}\n- {name: bob, password: builder}\n",
        );
        for (folders, user, password) in [
            (&lab.system, "alice", "wonderland"),
            (&lab.soft, "bob", "builder"),
        ] {
            let text = format!(
                "listen: []\nconnections:\n  home: {{server: \"{}\", user: {user}, \
                 password: {password}}}\n",
                server()
            );
            write(folders[CLIENT].path(), "l2tpd.yaml", &text);
        }
        lab
    }

    fn kernel(folders: &[tempfile::TempDir; 2]) -> Network {
        Network::start([folders[SERVER].path(), folders[CLIENT].path()])
    }

    fn pfkey(&self) -> PfkeySocket {
        PfkeySocket::Soft(self.system[SERVER].path().join("softkernel/pfkey.sock"))
    }

    fn server(&self) -> Daemon {
        let kernels = vec![
            (KernelId::System, sockets(self.system[SERVER].path())),
            (KernelId::Soft, sockets(self.soft[SERVER].path())),
        ];
        let chosen = Chosen {
            kernels,
            pfkey: Some(self.pfkey()),
        };
        Daemon::start(self.system[SERVER].path(), chosen)
    }
}

async fn connect(client: &Daemon) {
    let name = "home".to_owned();
    client.ask(Request::Connect { name }).await;
    client.connection("up").await;
}

async fn tunnels(server: &Daemon) -> Vec<TunnelStatus> {
    match server.ask(Request::ShowTunnels).await {
        Answer::Tunnels(tunnels) => tunnels,
        other => panic!("{other:?}"),
    }
}

/// Waits for these users to be up, and no others.
async fn up(server: &Daemon, users: &[&str]) -> Vec<SessionStatus> {
    loop {
        let mut sessions = server.sessions().await;
        sessions.sort_by(|a, b| a.user.cmp(&b.user));
        let there = sessions.iter().map(|session| session.user.as_str());
        if there.eq(users.iter().copied()) && sessions.iter().all(|s| s.state == "up") {
            return sessions;
        }
        tokio::task::yield_now().await;
    }
}

/// A ping of the client arrives at its server, through its own kernel.
fn assert_carries(network: &Network, session: &SessionStatus, number: u8) {
    let Some(IpAddr::V4(client)) = session.address else {
        panic!("{session:?}");
    };
    let there = ping(client.octets(), SERVER_INSIDE, number);
    assert_eq!(network.through(CLIENT, &there), [there]);
    let back = ping(SERVER_INSIDE, client.octets(), number);
    assert_eq!(network.through(SERVER, &back), [back]);
}

#[test]
fn each_client_is_served_by_the_kernel_it_came_in_by() {
    case(async {
        let lab = Lab::new();
        let system = Lab::kernel(&lab.system);
        let soft = Lab::kernel(&lab.soft);
        let mut server = lab.server();
        let clients = [&lab.system, &lab.soft].map(|f| Daemon::soft(f[CLIENT].path()));
        for client in &clients {
            connect(client).await;
        }
        let before = up(&server, &["alice", "bob"]).await;
        let kernels = |sessions: &[SessionStatus]| -> Vec<KernelId> {
            sessions.iter().map(|session| session.kernel).collect()
        };
        assert_eq!(kernels(&before), [KernelId::System, KernelId::Soft]);
        let ends: Vec<SocketAddr> = tunnels(&server).await.iter().map(|t| t.peer).collect();
        assert_eq!(ends[0], ends[1]);
        assert_ne!(before[0].address, before[1].address);
        for (network, session) in [(&system, &before[0]), (&soft, &before[1])] {
            assert_carries(network, session, 1);
            let ours = |name: &String| name.starts_with("tanuki-i");
            let interfaces = network.nodes(SERVER).into_iter().filter(ours).count();
            assert_eq!(interfaces, 1);
        }

        // The next process takes both up where they are.
        let state = lab.system[SERVER].path().join("l2tpd/state/tunnels.json");
        while !std::fs::read_to_string(&state).is_ok_and(|text| text.contains("bob")) {
            tokio::task::yield_now().await;
        }
        server.kill().await;
        let server = lab.server();
        let after = up(&server, &["alice", "bob"]).await;
        assert_eq!(kernels(&after), kernels(&before));
        for (network, session) in [(&system, &after[0]), (&soft, &after[1])] {
            assert_carries(network, session, 2);
        }
        // And a session that ends ends where it was.
        let session = Request::DisconnectUser { user: "bob".into() };
        server.ask(session).await;
        up(&server, &["alice"]).await;
        clients[1].connection("down").await;
        while soft.has_sessions(SERVER) {
            tokio::task::yield_now().await;
        }
        assert!(system.has_sessions(SERVER));
    });
}

#[test]
fn softkernel_beside_the_system_comes_and_goes() {
    case(async {
        let lab = Lab::new();
        let system = Lab::kernel(&lab.system);
        let server = lab.server();
        let alice = Daemon::soft(lab.system[CLIENT].path());
        connect(&alice).await;
        up(&server, &["alice"]).await;
        for round in 0..2 {
            let soft = Lab::kernel(&lab.soft);
            let mut bob = Daemon::soft(lab.soft[CLIENT].path());
            connect(&bob).await;
            let sessions = up(&server, &["alice", "bob"]).await;
            assert_carries(&soft, &sessions[1], round);
            bob.kill().await;
            soft.end();
            let left = up(&server, &["alice"]).await;
            assert_carries(&system, &left[0], round);
            std::fs::remove_dir_all(lab.soft[CLIENT].path().join("l2tpd")).unwrap();
        }
    });
}

const IN: &str = "0.0.0.0/0[any] 0.0.0.0/0[1701] udp in ipsec esp/transport//require";
const OUT: &str = "0.0.0.0/0[1701] 0.0.0.0/0[any] udp out ipsec esp/transport//require";

fn any() -> [SocketAddr; 1] {
    [SocketAddr::from(([0, 0, 0, 0], 1701))]
}

fn log() -> Logger {
    Logger::root(Discard, o!())
}

fn sp(direction: Direction, ports: [u16; 2], kind: PolicyType, level: Level) -> SpRequest {
    let any = IpAddr::from([0, 0, 0, 0]);
    let [source, destination] = ports.map(|port| Address::selector(any, 0, port, 17));
    let request = PolicyRequest {
        protocol: PolicyRequest::ESP,
        mode: Mode::TRANSPORT,
        level,
        reqid: 0,
        tunnel: None,
    };
    SpRequest {
        source,
        destination,
        policy: Policy {
            requests: if kind == PolicyType::IPSEC {
                vec![request]
            } else {
                Vec::new()
            },
            ..Policy::plain(kind, direction)
        },
        lifetime: None,
    }
}

#[test]
fn policies_are_there_before_the_port_and_go_with_the_daemon() {
    case(async {
        let lab = Lab::new();
        let system = Lab::kernel(&lab.system);
        // An operator's policy that does the same is left alone.
        let theirs = sp(
            Direction::OUTBOUND,
            [1701, 0],
            PolicyType::IPSEC,
            Level::REQUIRE,
        );
        system.spdadd(SERVER, &theirs);
        let guard = Protection::install(lab.pfkey(), &any(), log())
            .await
            .unwrap();
        assert_eq!(system.policies(SERVER), [IN, OUT]);
        // A crash leaves them, and the next process knows its own.
        drop(guard);
        let guard = Protection::install(lab.pfkey(), &any(), log())
            .await
            .unwrap();
        assert_eq!(system.policies(SERVER), [IN, OUT]);
        // Another address, another policy.
        guard.require(&[server()]).await.unwrap();
        assert_eq!(
            system.policies(SERVER),
            [
                "0.0.0.0/0[any] 192.0.2.1[1701] udp in ipsec esp/transport//require",
                OUT,
                "192.0.2.1[1701] 0.0.0.0/0[any] udp out ipsec esp/transport//require",
            ]
        );
        // Somebody empties the SPD.
        system.spdflush(SERVER);
        while system.policies(SERVER).len() != 2 {
            tokio::task::yield_now().await;
        }
        guard.remove().await;
        assert!(system.policies(SERVER).is_empty());
    });
}

#[test]
fn a_policy_that_lets_clear_text_in_is_refused() {
    case(async {
        for (kind, level) in [
            (PolicyType::NONE, Level::DEFAULT),
            (PolicyType::IPSEC, Level::USE),
        ] {
            let lab = Lab::new();
            let system = Lab::kernel(&lab.system);
            system.spdadd(SERVER, &sp(Direction::INBOUND, [0, 1701], kind, level));
            let refused = Protection::install(lab.pfkey(), &any(), log()).await;
            assert!(matches!(refused, Err(ProtectionError::Open(..))));
            let failure = lab.server().ended().await.unwrap_err();
            assert_eq!(failure.code, exit::CONFIG);
            assert!(failure.message.contains("spddelete"), "{failure}");
        }
        // And without PF_KEY there is no server.
        let lab = Lab::new();
        let failure = lab.server().ended().await.unwrap_err();
        assert_eq!(failure.code, exit::UNAVAILABLE);
    });
}

#[test]
fn policies_and_sas_tell_whose_a_flow_is() {
    case(async {
        let lab = Lab::new();
        let system = Lab::kernel(&lab.system);
        let guard = Protection::install(lab.pfkey(), &any(), log())
            .await
            .unwrap();
        let reqids = guard.reqids();
        let flow = |peer: &str| FlowId {
            local: server(),
            peer: peer.parse().unwrap(),
            reqid: 0,
            kernel: KernelId::System,
        };
        // The client has one pair of SAs; they lead to no other host.
        assert_eq!(reqids.of(flow("198.51.100.9:1701")).await, 7);
        assert_eq!(reqids.of(flow("198.51.100.10:1701")).await, 0);
        // Two clients behind its NAT: their policies differ in the port.
        for (port, reqid) in [(0, 8), (40_123, 9)] {
            let peer = "198.51.100.9".parse().unwrap();
            system.spdadd(
                SERVER,
                &SpRequest {
                    source: Address::selector(server().ip(), 32, 1701, 17),
                    destination: Address::selector(peer, 32, port, 17),
                    policy: Policy::ipsec(
                        Direction::OUTBOUND,
                        PolicyRequest::esp_transport_unique(reqid),
                    ),
                    lifetime: None,
                },
            );
        }
        assert_eq!(reqids.of(flow("198.51.100.9:40123")).await, 9);
        assert_eq!(reqids.of(flow("198.51.100.9:1701")).await, 8);
    });
}

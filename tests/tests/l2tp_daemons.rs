//! Two `l2tpd` processes' worth of daemon, server and client, on two user-space kernels: from the
//! control socket of the client to packets that come out of the server's interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod l2tp_support;

use l2tp_support::daemon::{Daemon, case};
use l2tp_support::{CLIENT, Network, SERVER, ping, server};
use l2tpd::control::protocol::Request;

const SERVER_INSIDE: [u8; 4] = [10, 77, 0, 1];
const CLIENT_INSIDE: [u8; 4] = [10, 77, 0, 10];

struct Lab {
    folders: [tempfile::TempDir; 2],
    network: Network,
}

impl Lab {
    fn new(password: &str) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let write = |machine: usize, name: &str, text: &str| {
            std::fs::write(folders[machine].path().join(name), text).unwrap();
        };
        write(
            SERVER,
            "l2tpd.yaml",
            "local_address: 10.77.0.1\npool: [10.77.0.10-10.77.0.19]\nusers: users.yaml\n",
        );
        write(
            SERVER,
            "users.yaml",
            "users:\n- {name: alice, password: wonderland}\n",
        );
        let server = server();
        let text = format!(
            "listen: []\nconnections:\n  home: {{server: \"{server}\", user: alice, \
             password: {password}}}\n"
        );
        write(CLIENT, "l2tpd.yaml", &text);
        let network = Network::start([folders[SERVER].path(), folders[CLIENT].path()]);
        Self { folders, network }
    }

    fn start(&self, machine: usize) -> Daemon {
        Daemon::soft(self.folders[machine].path())
    }

    /// Waits until no node of a session is left.
    async fn no_sessions(&self, machine: usize) {
        while self.network.has_sessions(machine) {
            tokio::task::yield_now().await;
        }
    }

    /// A ping there and one back arrive as they were sent.
    fn assert_carries(&self, number: u8) {
        let there = ping(CLIENT_INSIDE, SERVER_INSIDE, number);
        assert_eq!(self.network.through(CLIENT, &there), [there]);
        let back = ping(SERVER_INSIDE, CLIENT_INSIDE, number);
        assert_eq!(self.network.through(SERVER, &back), [back]);
    }
}

#[test]
fn a_client_comes_online_and_goes() {
    case(async {
        let lab = Lab::new("wonderland");
        let (server, client) = (lab.start(SERVER), lab.start(CLIENT));
        client
            .ask(Request::Connect {
                name: "home".into(),
            })
            .await;
        client.connection("up").await;
        let session = server.up().await;
        assert_eq!(session.user, "alice");
        assert_eq!(session.address, Some(CLIENT_INSIDE.into()));
        assert_eq!(session.authentication, "MS-CHAPv2");
        lab.assert_carries(1);
        // The counters are read when they are asked for.
        let before = server.up().await.traffic.received_frames;
        lab.assert_carries(2);
        assert!(server.up().await.traffic.received_frames > before);
        // Somebody else's address is not let through.
        let forged = ping([10, 77, 0, 99], SERVER_INSIDE, 3);
        assert!(lab.network.through(CLIENT, &forged).is_empty());

        client
            .ask(Request::Disconnect {
                name: "home".into(),
            })
            .await;
        client.connection("down").await;
        lab.no_sessions(SERVER).await;
        assert!(server.sessions().await.is_empty());
        // At once again, while the old tunnels still linger.
        client
            .ask(Request::Connect {
                name: "home".into(),
            })
            .await;
        client.connection("up").await;
        server.up().await;
        lab.assert_carries(4);
    });
}

#[test]
fn a_wrong_password_leaves_no_session() {
    case(async {
        let lab = Lab::new("looking-glass");
        let (server, client) = (lab.start(SERVER), lab.start(CLIENT));
        client
            .ask(Request::Connect {
                name: "home".into(),
            })
            .await;
        let connection = client.connection("down").await;
        assert!(connection.reason.contains("refused"), "{connection:?}");
        while !server.sessions().await.is_empty() {
            tokio::task::yield_now().await;
        }
        for machine in [SERVER, CLIENT] {
            lab.no_sessions(machine).await;
        }
    });
}

#[test]
fn traffic_runs_on_while_either_daemon_restarts() {
    case(async {
        let lab = Lab::new("wonderland");
        let mut daemons = [lab.start(SERVER), lab.start(CLIENT)];
        daemons[CLIENT]
            .ask(Request::Connect {
                name: "home".into(),
            })
            .await;
        daemons[CLIENT].connection("up").await;
        let before = [daemons[SERVER].up().await, daemons[CLIENT].up().await];
        for (machine, number) in [(SERVER, 10), (CLIENT, 20)] {
            let state = lab.folders[machine].path().join("l2tpd/state/tunnels.json");
            while !std::fs::read_to_string(&state).is_ok_and(|text| text.contains("alice")) {
                tokio::task::yield_now().await;
            }
            daemons[machine].kill().await;
            lab.assert_carries(number);
            daemons[machine] = lab.start(machine);
            let after = daemons[machine].up().await;
            let before = &before[machine];
            assert_eq!((after.id, after.address), (before.id, before.address));
            assert_eq!(
                (&after.user, &after.interface),
                (&before.user, &before.interface)
            );
            lab.assert_carries(number + 1);
        }
        // The control protocols still reach the other side.
        let [server, client] = &daemons;
        let [before, _] = before;
        let session = Request::DisconnectSession {
            tunnel: before.tunnel,
            session: before.id,
        };
        server.ask(session).await;
        client.connection("down").await;
        while !server.sessions().await.is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_client_hears_of_a_tunnel_that_was_never_written_down() {
    case(async {
        let lab = Lab::new("wonderland");
        let (mut server, client) = (lab.start(SERVER), lab.start(CLIENT));
        client
            .ask(Request::Connect {
                name: "home".into(),
            })
            .await;
        client.connection("up").await;
        server.up().await;
        server.kill().await;
        let state = lab.folders[SERVER].path().join("l2tpd/state/tunnels.json");
        std::fs::remove_file(state).unwrap();
        let server = lab.start(SERVER);
        // By its own questions the client would find out after more than a minute.
        client.connection("down").await;
        lab.no_sessions(SERVER).await;
        assert!(server.sessions().await.is_empty());
    });
}

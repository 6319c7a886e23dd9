//! `l2tpd` in this process, and its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use l2tp_proto::KernelId;
use l2tpd::config::{ConfigFile, Loaded};
use l2tpd::control::protocol::{Answer, ConnectionStatus, Request, SessionStatus};
use l2tpd::driver::{self, Setup};
use l2tpd::kernel::{Chosen, KernelKind};
use l2tpd::users::Users;
use slog::{Discard, Logger, o};
use tanuki_daemon::background::Starter;
use tanuki_daemon::control::ControlClient;
use tanuki_daemon::exit::Failure;
use tanuki_daemon::runtime_dir;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// One daemon and where it lives.
pub(crate) struct Daemon {
    base: PathBuf,
    task: JoinHandle<Result<(), Failure>>,
}

impl Daemon {
    /// On softkernel alone.
    pub(crate) fn soft(base: &Path) -> Self {
        let kernels = vec![(KernelId::Soft, sockets(base))];
        let pfkey = None;
        Self::start(base, Chosen { kernels, pfkey })
    }

    pub(crate) fn start(base: &Path, kernels: Chosen) -> Self {
        let config_file = ConfigFile {
            path: base.join("l2tpd.yaml"),
            label: None,
            skip_unsupported: false,
        };
        let Loaded { config, notices } = config_file.read().unwrap();
        let users = Users::read(&config.users).unwrap();
        let folder = runtime_dir::prepare(base, "l2tpd").unwrap();
        let setup = Setup {
            config_file,
            config,
            notices,
            folder,
            kernels,
        };
        let log = Logger::root(Discard, o!());
        let task = spawn_local(driver::run(setup, users, log, Starter::default()));
        Self {
            base: base.to_owned(),
            task,
        }
    }

    pub(crate) async fn ask(&self, request: Request) -> Answer {
        let path = runtime_dir::control_socket(&self.base, "l2tpd");
        let mut client = loop {
            match ControlClient::connect(&path).await {
                Ok(client) => break client,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        client.call(&request, |_| {}).await.unwrap()
    }

    pub(crate) async fn sessions(&self) -> Vec<SessionStatus> {
        match self.ask(Request::ShowSessions).await {
            Answer::Sessions(sessions) => sessions,
            other => panic!("{other:?}"),
        }
    }

    /// Asks until the connection is in a state that ends the matter.
    pub(crate) async fn connection(&self, wanted: &str) -> ConnectionStatus {
        loop {
            match self.ask(Request::ShowConnections).await {
                Answer::Connections(mut connections) => {
                    let connection = connections.remove(0);
                    if connection.state == wanted {
                        return connection;
                    }
                }
                other => panic!("{other:?}"),
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn up(&self) -> SessionStatus {
        loop {
            let mut sessions = self.sessions().await;
            if sessions.iter().any(|session| session.state == "up") {
                return sessions.remove(0);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Ends the process without a word.
    pub(crate) async fn kill(&mut self) {
        self.task.abort();
        assert!((&mut self.task).await.is_err());
    }

    /// Ends the process as TERM or USR2 does.
    pub(crate) async fn ended(self) -> Result<(), Failure> {
        self.task.await.unwrap()
    }
}

/// The sockets of the user-space kernel that runs below a folder.
pub(crate) fn sockets(base: &Path) -> KernelKind {
    let folder = base.join("softkernel");
    KernelKind::Soft {
        netgraph: folder.join("netgraph.sock"),
        udp: folder.join("udp.sock"),
    }
}

/// Runs a case with everything on one thread, for no longer than a minute.
pub(crate) fn case(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limited = async {
        tokio::time::timeout(Duration::from_secs(60), future)
            .await
            .expect("in time");
    };
    LocalSet::new().block_on(&runtime, limited);
}

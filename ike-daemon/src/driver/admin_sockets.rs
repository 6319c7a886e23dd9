//! Where racoonctl finds us: always in the runtime folder, and where the configuration says.

use std::path::Path;

use slog::{Logger, debug, error, info};
use tanuki_daemon::exit::{self, Failure};

use crate::config::{AdminSocket, Config};
use crate::racoonctl::own_socket;
use crate::racoonctl::server::{Call, Server};

/// The sockets, and the one that a reload may change.
#[derive(Debug)]
pub(super) struct AdminSockets {
    server: Server,
    configured: Option<AdminSocket>,
}

impl AdminSockets {
    /// Opens them.
    ///
    /// # Errors
    /// One that has to be there cannot be opened.
    pub(super) fn open(log: &Logger, config: &Config, runtime_dir: &Path) -> Result<Self, Failure> {
        let mut server = Server::new();
        let own = AdminSocket {
            path: own_socket(runtime_dir),
            owner: None,
            group: None,
            mode: 0o600,
            is_explicit: true,
        };
        for socket in [Some(&own), config.admin_socket.as_ref()]
            .into_iter()
            .flatten()
        {
            let path = socket.path.display();
            match server.listen(socket) {
                Ok(()) => debug!(log, "listening for racoonctl"; "socket" => %path),
                Err(error) if socket.is_explicit => {
                    return Err(Failure::new(
                        exit::CANT_CREATE,
                        format!("admin socket {path}: {error}"),
                    ));
                }
                // Nobody asked for it by name.
                Err(error) => debug!(log, "no socket at racoon's own place"; "socket" => %path,
                    "reason" => %error),
            }
        }
        Ok(Self {
            server,
            configured: config.admin_socket.clone(),
        })
    }

    /// The next request. Cancel safe.
    pub(super) async fn next(&mut self) -> Call {
        self.server.next().await
    }

    /// Moves to where a configuration read again says.
    pub(super) fn follow(&mut self, log: &Logger, config: &Config) {
        if self.configured == config.admin_socket {
            return;
        }
        if let Some(socket) = self.configured.take() {
            self.server.leave(&socket.path);
        }
        self.configured.clone_from(&config.admin_socket);
        let Some(socket) = &self.configured else {
            return;
        };
        let path = socket.path.display();
        match self.server.listen(socket) {
            Ok(()) => info!(log, "listening for racoonctl"; "socket" => %path),
            Err(error) => error!(log, "admin socket cannot be opened; racoonctl gets no answer";
                "socket" => %path, "reason" => %error,
                "remedy" => "make its folder, or name another `admin_socket` (adminsock)"),
        }
    }
}

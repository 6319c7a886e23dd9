//! What the three daemons share: logging, pid file, signals, control socket, hooks, configuration diagnostics, checkpoints.

//! What tanuki's daemons share. One file, one idea:
//!
//! | file | idea |
//! |---|---|
//! | [`background`] | fork, and whoever started the daemon learns how the start went |
//! | [`checkpoint`] | state that survives a restart: atomic files, readable by their owner only |
//! | [`config`] | YAML into validated structs; every problem as file:line:column, message, remedy |
//! | [`control`] | the control socket: one JSON object a line, requests in, answers or streams out |
//! | [`exit`] | exit codes of sysexits(3) and the one-line way to die |
//! | [`hook`] | operator's programs: argv, no shell, bounded in number and time |
//! | [`interface`] | addresses, MTU and routes of a FreeBSD network interface |
//! | [`kernel_module`] | kldload(2) |
//! | [`log`] | slog to standard error, a file, or syslog |
//! | [`pidfile`] | one instance at a time |
//! | [`prefix`] | IPv6 prefixes, one of 64 bits for a session |
//! | [`range`] | consecutive IPv4 addresses |
//! | [`retry`] | pauses between attempts |
//! | [`runtime_dir`] | the folder for sockets, pid file and state |
//! | [`secret`] | octets that are wiped and never printed |
//! | [`signals`] | TERM, INT, HUP, USR1, USR2 as an enum |
//! | [`start`] | common options, and the way from `main` to the event loop |
//! | [`table`] | columns for people |
//! | [`users`] | the users file |
//! | [`watch`] | files that count from when they are written |
//! | [`yaml`] | a configuration written as YAML |

pub mod background;
pub mod checkpoint;
pub mod config;
pub mod control;
pub mod exit;
pub mod hook;
pub mod interface;
pub mod kernel_module;
pub mod log;
pub mod pidfile;
pub mod prefix;
pub mod range;
pub mod retry;
pub mod runtime_dir;
pub mod secret;
pub mod signals;
pub mod start;
pub mod table;
pub mod users;
pub mod watch;
pub mod yaml;

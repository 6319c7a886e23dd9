//! The server against itself as a client, through kernels that refuse, stay silent or vanish.

mod console;
mod ipv6;
mod lifecycle;
mod profiles;
mod restarts;
mod trouble;
mod world;

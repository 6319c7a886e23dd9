//! UDP sockets inside the soft kernel: the Unix-socket protocol, client and server framing.

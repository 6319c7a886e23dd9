//! PF_KEYv2 messages, sockets and the setkey(8) view of SAs and policies.

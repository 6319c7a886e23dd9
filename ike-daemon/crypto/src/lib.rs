//! The cryptography of IKEv1: PRF, key derivation, ciphers, Diffie-Hellman groups.

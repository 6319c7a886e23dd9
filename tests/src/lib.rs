//! What crosses crates: simulated networks, labs with real clients, vectors.

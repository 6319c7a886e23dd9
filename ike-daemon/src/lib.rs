//! The IKE daemon and ikectl.

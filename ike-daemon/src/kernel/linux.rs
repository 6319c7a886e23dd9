//! Linux: PF_KEY without netgraph.

/// What to do when there is no PF_KEY.
pub(super) const NO_PF_KEY: &str = "load the module (modprobe af_key), or set `kernel: soft`";

/// Whether of several SAs for the same traffic the oldest is used: Linux takes the newest.
pub fn oldest_first() -> bool {
    false
}

/// Whether this is a jail without PF_KEY.
pub(super) fn is_jail_without_network() -> bool {
    false
}

/// PF_KEY for us and netgraph for l2tpd.
pub(super) fn system_has_both() -> bool {
    false
}

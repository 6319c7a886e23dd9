//! The L2TP and PPP daemon and l2tpctl.

//! An installation of racoon, setkey(8) and mpd as tanuki's configuration.
//!
//! * [`racoon`]: racoon.conf, psk.txt and setkey scripts into `ike-daemon.yaml`
//! * [`mpd`]: mpd.conf and mpd.secret into `l2tpd.yaml` and `users.yaml`
//! * [`report`]: what was not carried over

pub mod mpd;
pub mod racoon;
pub mod report;

use report::Left;

/// What an import makes.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Files to write.
    pub documents: Vec<Document>,
    /// What was not carried over, in the order of the files.
    pub left: Vec<Left>,
}

/// A file to write. All of them are for their owner alone: keys and passwords may stand in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its contents.
    pub text: String,
}

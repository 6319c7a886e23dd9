//! Where the console is, and for whom.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::secret::Secret;

/// `set console`, `set web` and `set user` of mpd5.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Console {
    /// Where the console listens; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether the console asks for name and password.
    pub login: bool,
    /// Where the web page listens; none: nowhere.
    pub web: Option<SocketAddr>,
    /// Whether the web page asks for name and password.
    pub web_login: bool,
    /// Who may use them.
    pub users: Vec<ConsoleUser>,
    /// Whether listings of sessions end with their seconds (`set global enable session-time`).
    pub session_time: bool,
}

/// Somebody who may use the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleUser {
    /// Login.
    pub name: String,
    /// Password.
    pub password: Secret,
    /// What they may do.
    pub role: Role,
}

/// What a console user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    #[default]
    User,
    /// Open and close too.
    Operator,
    /// Everything.
    Admin,
}

//! mpd5's configuration language (mpd.conf and mpd.secret of mpd 5.9/5.10) as typed values.
//!
//! | file | what |
//! |---|---|
//! | [`lexer`] | lines, labels, words, quotes |
//! | [`commands`] | the command tree: menus, settings, usage |
//! | [`options`] | the switches under enable, disable, accept, deny, yes and no |
//! | [`directives`] | what becomes of each setting: honoured, no-op, refused |
//! | [`model`] | bundles, links, pools and the rest, with mpd's defaults |
//! | [`interpret`](mod@interpret) | runs the labels as mpd's console would |
//! | [`secret`] | mpd.secret |
//! | [`diag`] | positions, problems, notices |
//!
//! Nothing here reads a file: the text comes in as bytes, `load FILE LABEL` asks a [`Loader`].
//! Whatever the bytes, memory and time are bounded and every problem carries its position.

pub mod commands;
pub mod diag;
pub mod directives;
pub mod interpret;
pub mod lexer;
pub mod model;
pub mod options;
pub mod secret;
mod set;
mod values;

pub use diag::{Diagnostics, Notice, Problem, Span};
pub use interpret::{Interpretation, Loader, NoFiles, Request, interpret};
pub use model::Model;
pub use secret::{SecretsFile, Source};

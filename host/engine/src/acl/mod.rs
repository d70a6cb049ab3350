//! Users and what they may do: the rules of ACL SETUSER, the check of a command against them, and
//! the log of what was refused.
//!
//! A [`User`] is a plain value made by rules. The [`Directory`] has all of them by name; a session
//! holds the [`Account`] it logged in as, which tells with one byte that everything is allowed, or
//! that another version has taken its place. So the check of an unlimited user costs a comparison,
//! and nobody who runs a command waits for somebody who changes users.
//!
//! Nothing here knows RESP, files or connections: whoever owns the directory guards it, reads and
//! writes its file, and closes the connections of users that are gone.

mod account;
mod commands;
mod denial;
mod directory;
mod file;
mod log;
mod need;
mod password;
mod rule;
mod selector;
#[cfg(test)]
mod tests;
mod user;

pub use account::Account;
pub use denial::{Denial, Reason};
pub use directory::{DEFAULT_USER, Directory, Policy};
pub use file::parse as parse_file;
pub use log::{Entry, Log, Refusal};
pub use need::{Need, Needs};
pub use password::hexadecimal;
pub use rule::RuleError;
pub use selector::Selector;
pub use user::User;

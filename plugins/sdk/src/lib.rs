//! Everything a Reef plugin in Rust needs: declare commands, read and change the keyspace in
//! atomic batches, answer, and test all of it natively.
//!
//! A plugin is a `cdylib` whose `lib.rs` names its commands and calls [`export_plugin!`]. A
//! handler is a plain function over [`Call`]: it takes typed arguments from a cursor, talks to the
//! server through the [`Host`] trait and returns an [`Answer`]. Compiled for wasm the server is
//! behind that trait; compiled natively `fake::Server` is, so a plugin's logic runs under plain
//! `cargo test`.
//!
//! ```
//! use reef_sdk::{Answer, Batch, Call, Command, Result};
//!
//! const COMMANDS: &[Command] = &[Command::new("GREET.COUNT", count)
//!     .usage("name")
//!     .summary("Greets somebody and says how often that happened.")
//!     .complexity("O(1)")
//!     .since("0.1.0")
//!     .arity(2)
//!     .write()];
//!
//! fn count(call: &mut Call<'_>) -> Result<Answer> {
//!     let name = call.arguments.bytes()?;
//!     call.arguments.end()?;
//!     let mut batch = Batch::new();
//!     batch.command("INCR").arg(("greeted:", name));
//!     let applied = call.host.apply(&batch)?.applied()?;
//!     Ok(Answer::integer(applied.cursor().integer()?))
//! }
//!
//! reef_sdk::export_plugin! {
//!     name: "greet",
//!     version: "0.1.0",
//!     summary: "Greets people.",
//!     commands: COMMANDS,
//!     wants: &["INCR", "~greeted:*"],
//! }
//!
//! # fn main() {
//! # #[cfg(not(target_arch = "wasm32"))] {
//! let mut server = reef_sdk::fake::Server::new();
//! assert_eq!(server.run(&PLUGIN, &["GREET.COUNT", "ada"]), "(integer) 1");
//! # } }
//! ```
//!
//! Where to read on: [`transact`] for handlers that read, decide and write while others do the same;
//! [`Park`] for those that wait; [`Trigger`] for changes that others make; `fake` for unit tests. A panic
//! is a trap: the caller hears `TRAP`, and `PLUGIN LOG` has its message.
//!
//! Invariants: no WASI and no import besides `reef:plugin/*`; every value that crosses the border
//! is laid out in columns, so a batch costs a handful of copies however many commands it has.
//! Deliberately absent: any way to block, to reach a clock other than the call's instant, or to
//! keep a lock.

mod answer;
mod argument;
mod arguments;
mod batch;
/// What wit-bindgen makes of `wit/`: the border itself, unsafe inside.
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "command-plugin",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "reef_sdk::bindings",
        runtime_path: "reef_sdk::border",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
mod command;
/// The same of what a plugin exports that has triggers.
#[doc(hidden)]
pub mod trigger_bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "triggered",
        pub_export_macro: true,
        export_macro_name: "export_triggers",
        default_bindings_module: "reef_sdk::trigger_bindings",
        runtime_path: "reef_sdk::border",
    });
}
mod cursor;
mod error;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod from_argument;
mod from_reply;
mod host;
mod plugin;
pub mod sink;
/// The same of a sink.
#[doc(hidden)]
pub mod sink_bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "sink-plugin",
        pub_export_macro: true,
        export_macro_name: "export_sink_component",
        default_bindings_module: "reef_sdk::sink_bindings",
        runtime_path: "reef_sdk::border",
        additional_derives: [PartialEq],
    });
}
mod to_reply;
mod trigger;

pub use answer::{Answer, Park, Reply};
pub use argument::{Argument, Joined};
pub use arguments::Arguments;
pub use batch::{Batch, CommandWriter, Query};
pub use command::{Call, Cause, Command, Handler};
pub use cursor::{Cursor, Value};
pub use error::{Error, Result};
pub use from_argument::FromArgument;
pub use from_reply::FromReply;
pub use host::{Attempt, Host, RETRY_ROUNDS_MAX, transact};
pub use plugin::{Component, Plugin};
pub use to_reply::ToReply;
pub use trigger::{Event, Reaction, Subscription, Trigger};

pub use bindings::reef::plugin::context::{Budget, Client, Level};
pub use bindings::reef::plugin::engine::{Error as EngineError, Outcome, View};
pub use bindings::reef::plugin::types::{Node, Replies};

#[doc(hidden)]
pub use wit_bindgen::rt as border;

// The generated code names its runtime by the path a plugin sees.
extern crate self as reef_sdk;

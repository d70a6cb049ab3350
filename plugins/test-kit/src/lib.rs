//! Runs a compiled plugin, the very component that a server would load, in process against Reef's
//! real engine. No server, no socket, no waiting for time to pass:
//!
//! - **time is virtual**: [`Kit::advance`] moves it, and what is due expires;
//! - **calls may wait**: one that parks is called again when one of its keys is written or its time is over, and
//!   [`Kit::receive`] has what its client hears then;
//! - **triggers are told** of every change, of what expires, and of clients that go ([`Kit::disconnect`]); when a
//!   command has returned, they have done what they wanted to;
//! - **races are lost on purpose**: [`Kit::before_host_call`] lets another client write between a
//!   handler's read and its batch, so that its guards are stale;
//! - **plugins die on purpose**: [`Kit::kill_at_every_host_call`] runs a command once for each of its
//!   host calls and kills the instance there, and asserts that no batch was left half done;
//! - **replies are text**, as `redis-cli` shows them, of plugin commands and of all others.
//!
//! ```
//! use reef_test_kit::{Kit, Race};
//!
//! # let component = reef_bundled::TX_REPO;
//! // Usually `Kit::load("plugin.wasm")`.
//! let mut kit = Kit::of(component)?;
//! assert_eq!(kit.run("TX.CREATE relayer-1 7 0x1234 1000 ID a"), r#""a""#);
//! assert_eq!(kit.run("GET relayer:relayer-1:nonce:7"), r#""a""#);
//!
//! // Somebody else touches the record after the handler has read it: it reads again and decides anew.
//! kit.before_host_call(2, Race::of(["SETRANGE tx:a 0 {"]));
//! assert!(kit.run("TX.UPDATE a sent").contains("sent"));
//! assert_eq!(kit.lost_races(), 1);
//!
//! // Whenever it is killed, every batch has taken effect as a whole or not at all.
//! let outcome = kit.kill_at_every_host_call("TX.CREATE relayer-1 8 0x1234 1000 ID b", |kit, _| {
//!     let (record, index) = (kit.run("EXISTS tx:b"), kit.run("EXISTS lookup:b"));
//!     assert_eq!(record, index);
//! });
//! assert_eq!(outcome.reply, r#""b""#);
//! # Ok::<(), reef_test_kit::LoadError>(())
//! ```
//!
//! A trigger that is told of a plain write, and of what the clock brings:
//!
//! ```
//! use std::time::Duration;
//!
//! use reef_test_kit::Kit;
//!
//! # let component = reef_bundled::hostile::LISTENER;
//! // A plugin that writes down in `mem:log` what happens to keys like `mem:*`.
//! let mut kit = Kit::of(component)?;
//! kit.run("SET mem:a 1 PX 5000");
//! kit.advance(Duration::from_secs(5));
//! assert_eq!(
//!     kit.run("LRANGE mem:log 0 -1"),
//!     "1) \"set mem:a\"\n2) \"expire mem:a\"\n3) \"expired mem:a\""
//! );
//! # Ok::<(), reef_test_kit::LoadError>(())
//! ```
//!
//! A call that parks, as it goes on:
//!
//! ```
//! use std::time::Duration;
//!
//! use reef_test_kit::Kit;
//!
//! # let component = reef_bundled::RENDEZVOUS;
//! let mut kit = Kit::of(component)?;
//! kit.run("RDV.OPEN run-1 TTL 600");
//! let (taker, impatient) = (kit.connect(), kit.connect());
//! assert_eq!(kit.run_as(taker, "RDV.TAKE run-1 worker WAIT 60"), "(no reply)");
//! assert_eq!(kit.run_as(impatient, "RDV.TAKE run-1 other WAIT 2"), "(no reply)");
//! kit.advance(Duration::from_secs(1));
//! assert!(kit.is_waiting(taker) && kit.is_waiting(impatient));
//!
//! // Its time is over: the plugin is called again, and says what that means.
//! kit.advance(Duration::from_secs(2));
//! let told = kit.receive(impatient);
//! assert!(told.as_ref().is_some_and(|reply| reply.contains("NOLISTENER")), "{told:?}");
//!
//! // A key that it waits for is written, by another call of the plugin as it happens.
//! kit.run("RDV.REGISTER run-1 worker /ip4/10.0.0.2");
//! assert!(kit.receive(taker).is_some_and(|reply| reply.contains("/ip4/10.0.0.2")));
//! # Ok::<(), reef_test_kit::LoadError>(())
//! ```
//!
//! In a project of `reef plugin new`, name it under `[dev-dependencies]`, by the path to Reef's repository or its
//! address: `reef-test-kit = { path = "../reef/plugins/test-kit" }`. A test in `tests/` then begins with
//! `Kit::load("plugin.wasm")`, and `reef plugin test` builds that component first. The kit brings the engine and the
//! compiler of components along, so its first build takes minutes.
//!
//! A **host call** is a call of the interface `engine`: a `read` or an `apply`, which is where data
//! is seen and changed. Asking for the time, random numbers or the configuration, and logging, change
//! nothing, so there is nothing to be seen of a kill there.
//!
//! Limits are the real ones, and CPU is counted in real time: an endless loop ends as on a server.
//! Random numbers of plugins are those of the operating system.
//!
//! What triggers do comes after the command that they are told of and is no host call of it: neither races nor
//! kills meet it. Plugins are told side by side, as on a server: each of clients that have gone, then of what
//! happened in order, then of what its durable triggers are told.
//!
//! What it does not do: it has no network, no persistence and no replicas, and delivers no events to
//! sinks. Plugins are administered with [`Kit::run`], by `PLUGIN ...` as on a server.

mod data;
mod faults;
mod kit;
mod story;
mod world;

pub use data::Data;
pub use faults::{Kill, Moment, Race};
pub use kit::{ClientId, Kit, Outcome};
pub use reef_runtime::{GrantRequest, Limits, LoadError, LoadRequest, Mode, Plugins, Source};
pub use reef_transcript::Mismatch;

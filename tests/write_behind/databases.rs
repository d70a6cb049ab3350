//! Databases of the pipeline's own tests, here for the whole of it.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

use std::time::Duration;

#[path = "../../host/sinks/tests/support/database.rs"]
#[expect(dead_code, reason = "the pipeline's own tests use the rest")]
pub(super) mod database;
#[path = "../../host/sinks/tests/support/peer.rs"]
pub(crate) mod peer;

/// How long anything may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

//! Finds the redis-servers that judge, as `tests/transcript/tests/peers.rs` does.

use std::ffi::OsString;

use reef_transcript::RedisServer;

/// The program, when there is one of the right release line.
#[expect(clippy::print_stderr, reason = "a test that has nothing to judge by must say so")]
pub(crate) fn judge(program: Option<OsString>, line: &str) -> Option<OsString> {
    let version = program.as_deref().and_then(RedisServer::version);
    if version.as_deref().is_some_and(|version| version.starts_with(line)) {
        return program;
    }
    let required = std::env::var_os("REEF_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required || program.is_none(), "there is no redis-server {line}x but {version:?}");
    eprintln!("skipped: there is no redis-server {line}x to judge by");
    None
}

//! Transcripts: what a client types and what it must see, run against any server.
//!
//! One file per command family lives in `tests/commands/<family>.txt`. The expectations in it are
//! recorded from a real redis-server 7.0, so the oracle is never our own output; what Redis changed
//! in 7.2, whose commands Reef follows, is recorded from a 7.2. The same text then runs against the
//! engine in process, against Reef over RESP2 and RESP3, and against both servers again
//! (`tests/peers.rs` certifies that).
//!
//! # The format
//!
//! ```text
//! ## A line that starts with two hashes is a comment.
//!
//! # LPUSH puts each element at the head       (one hash: a case begins)
//! > LPUSH k a b                               (client 1 sends)
//! (integer) 2                                 (and must see this)
//! > LRANGE k 0 -1
//! 1) "b"
//! 2) "a"
//! @2> BLPOP other 0                           (client 2 sends)
//! (no reply)                                  (nothing comes back yet)
//! > RPUSH other x
//! (integer) 1
//! @2! 1) "other"                              (client 2 receives without having sent)
//!     2) "x"
//! +250ms                                      (time passes; also +10s)
//! > ZSCORE z m
//! "1.5"
//! 3= (double) 1.5                             (the same reply under RESP3)
//! > OBJECT ENCODING k
//! "quicklist"
//! # since 7.2: small lists are listpacks      (Redis changed, and Reef follows)
//! = reef: "listpack"                          (Reef answers this instead, for the reason above)
//! 3= reef: "listpack"                         (only when RESP3 has yet another shape)
//! > SMEMBERS s
//! ~ 1) "a"                                    (order is free; shown sorted)
//!   2) "b"
//! > TIME
//! 1) "?"                                      (`?` stands for one or more characters,
//! 2) "?"                                       in `(integer) ?` for digits)
//! > COMMAND DOCS get
//! 1) "get"
//! ...                                         (any number of lines)
//! ```
//!
//! - Replies look as `redis-cli --no-raw` prints them, apart from what it hides: a null array
//!   is `(nil array)` (RESP2 only), a verbatim string `(verbatim txt) "..."`, push elements are
//!   numbered `1>`. `(closed)` means that the server hung up.
//! - Arguments are quoted as in redis-cli: `"\x00\n\""` or `'it\'s'`.
//! - Further lines of a labelled reply (`3= `, `= reef: `, `~ `, `! `) are indented by the label's
//!   length.
//! - `# differs: why` instead of `# since 7.2: what` where Reef goes its own way.
//! - `~2 ` is for flat lists of pairs: pairs are kept together. A reply of a SCAN command keeps
//!   its cursor first, only its items are sorted.
//! - Every case starts from FLUSHALL and fresh connections; under RESP3 each connection begins with
//!   `HELLO 3`. A case leaves the configuration as it found it.
//! - `# needs: server` below the title: only for peers that are a whole server with connections to
//!   list and kill; `# needs: config`: only for peers with CONFIG GET and SET; `# needs: 7.4`: only
//!   for peers with the commands that are new in Redis 7.4, which a server of that line judges;
//!   `# needs: json`: only for peers with RedisJSON's, which a server with that module judges;
//!   `# needs: search`: only for peers with RediSearch's, of which no server is there to judge;
//!   `# needs: plugins`: only for Reef with the plugins that it brings along.
//!
//! # What this crate does not do
//!
//! It knows no command, and no other crate of Reef: it would be no judge otherwise.

mod argv;
mod covered;
#[cfg(test)]
mod fake;
mod format;
mod oracle;
mod parse;
mod pattern;
mod peer;
mod record;
mod reply;
mod run;
mod tcp;

pub use argv::{SplitError, split_args};
pub use covered::{commands_covered, load_all, load_family};
pub use format::{format_reply, sort_reply};
pub use oracle::RedisServer;
pub use parse::{Action, Case, Expected, Order, ParseError, Reason, Step, Transcript};
pub use pattern::matches;
pub use peer::{ClientId, Kind, Patience, Peer, Protocol, Received};
pub use record::record;
pub use reply::{DecodeError, Reply, decode};
pub use run::{Mismatch, Seen, check, run_case};
pub use tcp::{NEED_7_4, NEED_JSON, NEED_SEARCH, TcpPeer};

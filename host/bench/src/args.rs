//! The command line of `reef bench`.
//!
//! It only says what can be asked for; the checks that need more than one value (a mix, a URL, the
//! size of the prepared commands) belong to the files that use them.

use clap::Args;

/// Loads a server with commands and measures throughput, latency and the server's CPU per operation.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Server to measure: redis://[user:pass@]host:port[/db] or unix:///path/to/socket
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    pub url: String,

    /// Peer to measure in turn with --url; the ratio (url / peer) is printed with its spread
    #[arg(long, value_name = "URL")]
    pub against: Option<String>,

    /// Connections, shared out over the threads
    #[arg(short = 'c', long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,

    /// Commands sent at once by each connection before it waits for their replies
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pipeline: u32,

    /// Bytes of each value
    #[arg(short = 'd', long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=512 * 1024 * 1024))]
    pub value_bytes: u32,

    /// Different keys (key:000000000000 and up), drawn at random
    #[arg(short = 'k', long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub keys: u64,

    /// Operations in each round
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "seconds",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Length of each round
    #[arg(short = 's', long, value_name = "S", default_value_t = 3.0, value_parser = positive)]
    pub seconds: f64,

    /// Rounds of each mix; with --against the servers alternate (A B A B ...)
    #[arg(short = 'r', long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,

    /// Unmeasured load in front of each server's first round of a mix (0: none)
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = not_negative)]
    pub warmup: f64,

    /// Loads, each measured on its own: a name, or several joined with weights (get:80,set:20).
    /// Names: ping set get incr lpush lpop lrange_100 sadd hset hgetall zadd zrange_100 mset xadd
    /// xreadgroup publish [default: set get]
    #[arg(short = 'm', long, value_name = "MIX", num_args = 1..)]
    pub mix: Vec<String>,

    /// Any command as a load of its own (repeatable), such as 'TX.CREATE r __nonce__ 0xabc 1000'.
    /// __key__ random key, __rand_int__ random number below --keys (12 digits), __rand_1000__ the
    /// same below 1000, __index__ 0, 1, 2 ... (12 digits), __seq__ like __index__ but from
    /// 100000000000, __nonce__ a number never used before (16 digits), __data__ the value. ' ; '
    /// between commands makes one operation of them
    #[arg(long, value_name = "TEMPLATE")]
    pub command: Vec<String>,

    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,

    /// Writes all --keys keys (and as many elements of the list that lpop takes from) beforehand
    #[arg(long)]
    pub load: bool,

    /// Instead of measuring load: writes --keys keys, then prints used_memory and RSS per key
    #[arg(long)]
    pub memory: bool,

    /// Instead of measuring load: lets N clients wait in BLPOP, then prints what a wait costs and how
    /// soon pushes, publishing and timeouts are heard
    #[arg(long, value_name = "N", conflicts_with = "memory",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub waiters: Option<u32>,

    /// With --waiters: the clients of --url wait in RDV.TAKE and RDV.READ of the rendezvous plugin,
    /// those of its peer in BLPOP and SUBSCRIBE
    #[arg(long, requires = "waiters")]
    pub rendezvous: bool,

    /// Empties each server with FLUSHALL before anything else: only for servers that hold nothing
    /// of value
    #[arg(long)]
    pub flush: bool,

    /// Speaks RESP3 (HELLO 3)
    #[arg(long)]
    pub resp3: bool,

    /// Start of the random sequence; both servers get the same one
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Gives up when no reply at all comes for this long
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = positive)]
    pub stall: f64,

    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

/// A number of seconds above zero.
fn positive(text: &str) -> Result<f64, String> {
    match not_negative(text)? {
        0.0 => Err("must be above zero".to_owned()),
        seconds => Ok(seconds),
    }
}

/// A number of seconds, at most a day, so that no deadline can overflow.
fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(seconds),
        _ => Err(format!("must be a number of seconds from 0 to {SECONDS_MAX}")),
    }
}

const SECONDS_MAX: f64 = 86_400.0;

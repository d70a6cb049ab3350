//! Puts in place what a load reads, before anything is measured.
//!
//! It writes `key:...` only on request, and otherwise only keys that begin with `bench:`.

use std::time::Duration;

use crate::args::BenchArgs;
use crate::client::Client;
use crate::error::BenchError;
use crate::fleet::{Budget, Fleet, Plan};
use crate::measurement::Tally;
use crate::mix::{GROUP, LIST, Mix, QUEUE, SORTED, Setup};
use crate::template::{Source, THOUSAND, Template};

/// Prepares `mix` on one server.
pub(crate) fn prepare(
    mix: &Mix,
    args: &BenchArgs,
    data: &[u8],
    client: &mut Client,
    fleet: &mut Fleet,
) -> Result<(), BenchError> {
    for setup in &mix.setups {
        match setup {
            // Written once for all mixes.
            Setup::Keys => {}
            Setup::Queue if args.load => {
                client.call(&["DEL", QUEUE])?;
                fill(&format!("RPUSH {QUEUE} __data__"), args, data, fleet)?;
            }
            Setup::Queue => {}
            Setup::List => {
                client.call(&["DEL", LIST])?;
                let mut command = vec![b"RPUSH".to_vec(), LIST.into()];
                command.resize(command.len() + ELEMENTS, data.to_vec());
                client.call(&command)?;
            }
            Setup::Sorted => {
                client.call(&["DEL", SORTED])?;
                let members = (0..ELEMENTS).map(|at| [at.to_string(), format!("element:{at:012}")]);
                let head = ["ZADD".to_owned(), SORTED.to_owned()];
                client.call(&head.into_iter().chain(members.flatten()).collect::<Vec<_>>())?;
            }
            Setup::Group => {
                let [stream, consumers] = GROUP;
                client.call(&["DEL", stream])?;
                client.call(&["XGROUP", "CREATE", stream, consumers, "$", "MKSTREAM"])?;
            }
            Setup::Hashes => {
                for hash in 0..THOUSAND {
                    let mut command =
                        vec![b"HSET".to_vec(), format!("bench:hash:{hash:012}").into()];
                    for field in 0..HASH_FIELDS {
                        command.extend([format!("field:{field}").into_bytes(), data.to_vec()]);
                    }
                    client.call(&command)?;
                }
            }
        }
    }
    Ok(())
}

/// Runs `command` once for each of `--keys` keys, fast. An error reply ends it.
pub(crate) fn fill(
    command: &str,
    args: &BenchArgs,
    data: &[u8],
    fleet: &mut Fleet,
) -> Result<Tally, BenchError> {
    let template = Template::parse(command, data)?;
    let batch = (BATCH_BYTES / template.bytes.len()).clamp(1, BATCH_MAX);
    let mix = Mix { label: String::new(), parts: vec![(template, 1)], setups: Vec::new() };
    let tally = fleet.run(Plan {
        mix: &mix,
        pipeline: u32::try_from(batch).unwrap_or(1),
        keys: args.keys,
        seed: args.seed,
        budget: Budget::Operations(args.keys),
        stall: Duration::from_secs_f64(args.stall),
    })?;
    match &tally.first_error {
        Some(text) => {
            Err(BenchError::Reply(fleet.label().to_owned(), command.to_owned(), text.clone()))
        }
        None => Ok(tally),
    }
}

/// Whether a command for `fill` names a different key each time.
pub(crate) fn is_indexed(template: &Template) -> bool {
    let counts = |source| matches!(source, Source::Index | Source::Sequence | Source::Nonce);
    template.holes.iter().any(|hole| counts(hole.source))
}

/// What fills plain keys.
pub(crate) const KEY_COMMAND: &str = "SET key:__index__ __data__";

/// Elements of the list and the sorted set that are read as a whole.
const ELEMENTS: usize = 100;
const HASH_FIELDS: usize = 10;
/// Commands sent at once while filling.
const BATCH_MAX: usize = 64;
const BATCH_BYTES: usize = 256 << 10;

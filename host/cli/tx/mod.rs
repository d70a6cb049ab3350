//! `reef tx ...`: the transaction repository from the command line, over RESP.
//!
//! A thin client: every decision is the plugin's. What can be checked here is left to the server
//! too, so that there is one place with rules and one set of sentences.

pub(super) mod audit;
mod benchmark;
pub(super) mod draft;
pub(super) mod race;
mod record;
mod ways;

use std::io::Write;

use clap::{Args, Subcommand};
use redis::Cmd;
use serde_json::{Value, json};

use super::Failure;
use super::client::{Client, ClientError, Server};
use super::table::{Align, Table, counted, grouped, write_fields};

/// What a server without the plugin lacks.
const PLUGIN: &str = "TX.* commands: the plugin tx-repo is not loaded there";

/// Arguments of `reef tx`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef tx create relayer-1 42 0x1234 1000000000000000000 --gas-limit 21000\n  reef tx list-by-status relayer-1 pending\n  reef tx update 01KA9... submitted --hash 0xbeef --if pending\n  reef tx race-test --concurrent-updates 20"
)]
pub(super) struct TxArgs {
    /// The server: redis://[user:password@]host[:port][/database] or unix:///path.
    #[arg(long, global = true, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    url: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: TxCommand,
}

#[derive(Debug, Subcommand)]
enum TxCommand {
    /// Create a pending transaction and print its id.
    Create(CreateArgs),
    /// Show a transaction.
    Get {
        /// Its id.
        id: String,
    },
    /// Show the transaction that uses a nonce.
    GetByNonce {
        /// The relayer.
        relayer: String,
        /// The nonce.
        nonce: u64,
    },
    /// List the transactions of a relayer in a status, page by page.
    ListByStatus {
        /// The relayer.
        relayer: String,
        /// pending, sent, submitted, mined, confirmed, failed, canceled or expired.
        status: String,
        /// How many on a page.
        #[arg(long)]
        limit: Option<u64>,
        /// Where the page begins: the cursor that came with the page before.
        #[arg(long)]
        cursor: Option<String>,
        /// By creation (the confirmed by confirmation), newest first; needs the index by time.
        #[arg(long, conflicts_with = "oldest")]
        newest: bool,
        /// The same, oldest first.
        #[arg(long)]
        oldest: bool,
    },
    /// Move a transaction to a status.
    Update(UpdateArgs),
    /// Delete transactions from all indexes.
    Delete {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Count transactions by status.
    Stats {
        /// Of this relayer only.
        relayer: Option<String>,
    },
    /// Check every index in both directions; fails if there is a fault.
    Verify {
        /// Of this relayer only.
        relayer: Option<String>,
    },
    /// Take back what indexes say without a record, and build the index by time anew.
    Repair {
        /// Of this relayer only.
        relayer: Option<String>,
    },
    /// Measure atomic batches against MULTI/EXEC and against individual commands.
    Benchmark(benchmark::BenchmarkArgs),
    /// Update one transaction from many connections at once and see whether its indexes survive.
    RaceTest(race::RaceArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The relayer.
    relayer: String,
    /// The nonce, which only one of its transactions may have; `next` takes the next one.
    // Or `next`, which the server understands.
    nonce: String,
    /// The receiver's address.
    to: String,
    /// The amount, a decimal integer.
    // A minus is no flag: the server says what is wrong with it.
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// The price of gas, a decimal integer.
    #[arg(long)]
    gas_price: Option<String>,
    /// The limit of gas.
    #[arg(long)]
    gas_limit: Option<u64>,
    /// The call data, in hexadecimal digits.
    #[arg(long)]
    data: Option<String>,
    /// Forget the transaction after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// The id, instead of a new one; the same request with the same id may be repeated.
    #[arg(long)]
    id: Option<String>,
    /// A name of the request: sent again with it, it gives the same id and creates nothing.
    #[arg(long)]
    token: Option<String>,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    /// The id of the transaction.
    id: String,
    /// pending, sent, submitted, mined, confirmed, failed, canceled or expired.
    status: String,
    /// The hash by which the chain knows it.
    #[arg(long)]
    hash: Option<String>,
    /// The price of gas, a decimal integer.
    #[arg(long)]
    gas_price: Option<String>,
    /// The limit of gas.
    #[arg(long)]
    gas_limit: Option<u64>,
    /// Forget the transaction after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// Only if it is in this status now.
    #[arg(long = "if", value_name = "STATUS")]
    only_if: Option<String>,
}

pub(super) fn run(args: TxArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let TxArgs { url, json, command } = args;
    let server = Server::at(&url)?;
    let mut client = server.connect()?;
    if let TxCommand::Benchmark(args) = &command {
        // The one that does without the plugin.
        return benchmark::run(args, &mut client, json, out);
    }
    client.demand("TX.CREATE", PLUGIN)?;
    let say = Say { json, out };
    match command {
        TxCommand::Create(args) => create(&mut client, &args, say),
        TxCommand::Get { id } => {
            let found = client.call(&["TX.GET", &id])?;
            show_found(&client, found, || format!("there is no transaction '{id}'"), say)
        }
        TxCommand::GetByNonce { relayer, nonce } => {
            let found = client.call(&["TX.BYNONCE", &relayer, &nonce.to_string()])?;
            let nobody = || format!("no transaction of relayer '{relayer}' uses nonce {nonce}");
            show_found(&client, found, nobody, say)
        }
        TxCommand::ListByStatus { relayer, status, limit, cursor, newest, oldest } => {
            let order = newest.then_some("NEWEST").or(oldest.then_some("OLDEST"));
            list(&mut client, [&relayer, &status], order, limit, cursor.as_deref(), say)
        }
        TxCommand::Update(args) => update(&mut client, &args, say),
        TxCommand::Delete { ids } => delete(&mut client, &ids, say),
        TxCommand::Stats { relayer } => stats(&mut client, relayer.as_deref(), say),
        TxCommand::Verify { relayer } => verify(&mut client, relayer.as_deref(), say),
        TxCommand::Repair { relayer } => repair(&mut client, relayer, say),
        TxCommand::Benchmark(_) => Ok(()),
        TxCommand::RaceTest(args) => race::run(&args, &server, json, say.out),
    }
}

/// Where a result goes, and in which form.
struct Say<'a> {
    json: bool,
    out: &'a mut dyn Write,
}

impl Say<'_> {
    fn json(&mut self, value: &Value) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{value:#}")?)
    }
}

fn option(command: &mut Cmd, keyword: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        command.arg(keyword).arg(value.to_string());
    }
}

fn create(client: &mut Client, args: &CreateArgs, mut say: Say<'_>) -> Result<(), Failure> {
    let CreateArgs { relayer, nonce, to, value, .. } = args;
    let mut command = redis::cmd("TX.CREATE");
    command.arg(relayer).arg(nonce).arg(to).arg(value);
    option(&mut command, "ID", args.id.as_deref());
    option(&mut command, "GASPRICE", args.gas_price.as_deref());
    option(&mut command, "GASLIMIT", args.gas_limit);
    option(&mut command, "DATA", args.data.as_deref());
    option(&mut command, "TTL", args.ttl);
    option(&mut command, "TOKEN", args.token.as_deref());
    let id: String = client.run(&command)?;
    if say.json {
        return say.json(&json!({ "id": id }));
    }
    // Nothing but the id, so that a shell can keep it: id=$(reef tx create ...).
    Ok(writeln!(say.out, "{}", super::table::shown(&id))?)
}

fn show_found(
    client: &Client,
    found: Option<Vec<u8>>,
    nobody: impl FnOnce() -> String,
    mut say: Say<'_>,
) -> Result<(), Failure> {
    let found = found.ok_or_else(|| Failure::new(nobody()))?;
    let record = record::parse(client, &found)?;
    if say.json {
        return say.json(&record);
    }
    Ok(write_fields(say.out, &record::fields(&record))?)
}

fn update(client: &mut Client, args: &UpdateArgs, say: Say<'_>) -> Result<(), Failure> {
    let mut command = redis::cmd("TX.UPDATE");
    command.arg(&args.id).arg(&args.status);
    option(&mut command, "HASH", args.hash.as_deref());
    option(&mut command, "GASPRICE", args.gas_price.as_deref());
    option(&mut command, "GASLIMIT", args.gas_limit);
    option(&mut command, "TTL", args.ttl);
    option(&mut command, "IF", args.only_if.as_deref());
    let after = client.run(&command)?;
    show_found(client, after, || format!("there is no transaction '{}'", args.id), say)
}

fn list(
    client: &mut Client,
    words: [&str; 2],
    order: Option<&str>,
    limit: Option<u64>,
    cursor: Option<&str>,
    mut say: Say<'_>,
) -> Result<(), Failure> {
    let mut command = redis::cmd("TX.LIST");
    command.arg(&words).arg(order);
    option(&mut command, "CURSOR", cursor);
    option(&mut command, "LIMIT", limit);
    let (next, page, total): (String, Vec<Vec<u8>>, u64) = client.run(&command)?;
    let records = page.iter().map(|json| record::parse(client, json));
    let records = records.collect::<Result<Vec<Value>, ClientError>>()?;
    if say.json {
        let page = json!({ "total": total, "cursor": next, "transactions": records });
        return say.json(&page);
    }
    record::table(&records).write(say.out)?;
    let [relayer, status] = words;
    write!(say.out, "\n{} of relayer '{relayer}' {status}", counted(total, "transaction"))?;
    match next.as_str() {
        "0" => Ok(writeln!(say.out)?),
        next => Ok(writeln!(say.out, "; more with --cursor {next}")?),
    }
}

fn delete(client: &mut Client, ids: &[String], mut say: Say<'_>) -> Result<(), Failure> {
    let mut command = redis::cmd("TX.DELETE");
    command.arg(ids);
    let (deleted, failures): (u64, Vec<(String, String)>) = client.run(&command)?;
    if say.json {
        let failed = failures.iter().map(|(id, reason)| json!({ "id": id, "reason": reason }));
        say.json(&json!({ "deleted": deleted, "failures": failed.collect::<Vec<_>>() }))?;
    } else {
        writeln!(say.out, "{} deleted", counted(deleted, "transaction"))?;
    }
    match failures.as_slice() {
        [] => Ok(()),
        [(_, reason), rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            Err(Failure::new(format!("not deleted: {reason}{more}")))
        }
    }
}

fn stats(client: &mut Client, relayer: Option<&str>, mut say: Say<'_>) -> Result<(), Failure> {
    let mut command = redis::cmd("TX.STATS");
    command.arg(relayer);
    let counts: Vec<(String, u64)> = client.run(&command)?;
    if say.json {
        let counts = counts.into_iter().map(|(name, count)| (name, Value::from(count)));
        return say.json(&Value::Object(counts.collect()));
    }
    let mut table = Table::new(&[("what", Align::Left), ("count", Align::Right)]);
    for (name, count) in counts {
        table.row([name, grouped(count)]);
    }
    Ok(table.write(say.out)?)
}

fn verify(client: &mut Client, relayer: Option<&str>, mut say: Say<'_>) -> Result<(), Failure> {
    let faults = faults(client, relayer)?;
    if say.json {
        say.json(&json!({ "faults": faults }))?;
    } else {
        for fault in &faults {
            writeln!(say.out, "{}", super::table::shown(fault))?;
        }
    }
    match faults.len() as u64 {
        0 if say.json => Ok(()),
        0 => Ok(writeln!(say.out, "every index agrees with every transaction")?),
        number => Err(Failure::new(format!("{} found", counted(number, "fault")))),
    }
}

fn repair(client: &mut Client, relayer: Option<String>, mut say: Say<'_>) -> Result<(), Failure> {
    let relayers = match relayer {
        Some(relayer) => vec![relayer],
        None => client.call(&["SMEMBERS", draft::RELAYERS])?,
    };
    let mut taken_back = 0;
    for relayer in &relayers {
        let mut cursor = "0".to_owned();
        loop {
            let (next, entries): (String, u64) =
                client.call(&["TX.REPAIR", relayer, "CURSOR", &cursor])?;
            taken_back += entries;
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    if say.json {
        return say.json(&json!({ "taken_back": taken_back }));
    }
    let entries = match taken_back {
        1 => "1 entry".to_owned(),
        number => format!("{} entries", grouped(number)),
    };
    Ok(writeln!(say.out, "{entries} taken back")?)
}

/// All that `TX.VERIFY` finds, page by page, so that no database is too large.
pub(super) fn faults(
    client: &mut Client,
    relayer: Option<&str>,
) -> Result<Vec<String>, ClientError> {
    let mut cursor = "0".to_owned();
    let mut faults = std::collections::BTreeSet::new();
    loop {
        let mut command = redis::cmd("TX.VERIFY");
        command.arg(relayer).arg("CURSOR").arg(&cursor);
        let (next, found): (String, Vec<String>) = client.run(&command)?;
        faults.extend(found);
        if next == "0" {
            return Ok(faults.into_iter().collect());
        }
        cursor = next;
    }
}

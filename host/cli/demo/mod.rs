//! `reef demo`: each promise with its proof, against a Reef that is started for it.
//!
//! A demonstration is a list of steps, a step a list of checks; the command succeeds only if every
//! check held. What a step compares with (a transaction that is not atomic, an index that is
//! damaged on purpose) must fail: otherwise the checks would prove nothing.

mod cable;
mod fault_tolerance;
mod house;
mod ledger;
mod process;
mod rendezvous;
mod replication;
mod stage;
mod tenants;
mod transactions;
mod write_behind;

use std::io::Write;

use clap::{Args, ValueEnum};

use super::Failure;
use super::client::Server;
use house::House;
use stage::Stage;

/// Arguments of `reef demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// What to show.
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Write-behind into this PostgreSQL, in the place of SQLite.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// What a demonstration runs to have a client that can be killed: one command, at this URL.
    #[arg(long, hide = true, num_args = 2.., value_names = ["URL", "WORD"])]
    call: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Transactions whose indexes always agree.
    Transactions,
    /// Documents in Reef, rows in a database, exactly once.
    WriteBehind,
    /// Programs that find each other, whichever is first.
    Rendezvous,
    /// Strangers on one server, one of them hostile.
    Tenants,
    /// Copies that follow through kills, cuts and a failover.
    Replication,
    /// Dying clients, cut networks, kills, crowds, full disks.
    FaultTolerance,
    /// All there are.
    All,
}

pub(super) fn run(args: DemoArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some((url, words)) = args.call.split_first() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        return Ok(Server::at(url)?.connect()?.call::<()>(&words)?);
    }
    let mut stage = Stage::new(args.json, out);
    match args.what {
        What::Transactions => show_transactions(&mut stage)?,
        What::Replication => replication::show(&mut stage)?,
        What::FaultTolerance => fault_tolerance::show(&mut stage)?,
        What::Rendezvous => rendezvous::show(&mut stage)?,
        What::Tenants => tenants::show(&mut stage)?,
        What::WriteBehind => write_behind::show(&mut stage, args.postgres.as_deref())?,
        What::All => {
            show_transactions(&mut stage)?;
            rendezvous::show(&mut stage)?;
            write_behind::show(&mut stage, args.postgres.as_deref())?;
            tenants::show(&mut stage)?;
            replication::show(&mut stage)?;
            fault_tolerance::show(&mut stage)?;
        }
    }
    stage.end()
}

fn show_transactions(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let house = House::start()?;
    transactions::show(stage, &house)?;
    house.stop();
    Ok(())
}

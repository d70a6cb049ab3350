//! `reef demo`: each promise with its proof, against a Reef that is started for it.
//!
//! A demonstration is a list of steps, a step a list of checks; the command succeeds only if every
//! check held. What a step compares with (a transaction that is not atomic, an index that is
//! damaged on purpose) must fail: otherwise the checks would prove nothing.

mod house;
mod stage;
mod transactions;

use std::io::Write;

use clap::{Args, ValueEnum};

use super::Failure;
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Transactions whose indexes always agree.
    Transactions,
    WriteBehind,
    Rendezvous,
    Tenants,
    Replication,
    FaultTolerance,
    /// All there are.
    All,
}

impl What {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

pub(super) fn run(args: DemoArgs, out: &mut dyn Write) -> Result<(), Failure> {
    match args.what {
        What::Transactions | What::All => {}
        what => {
            let name = what.name();
            return Err(Failure::new(format!("the demonstration '{name}' is not there yet")));
        }
    }
    let mut stage = Stage::new(args.json, out);
    let house = House::start()?;
    transactions::show(&mut stage, &house)?;
    house.stop();
    stage.end()
}

//! `reef tx race-test`: one transaction, many connections, each of which moves it to another status
//! at the same moment.
//!
//! Three ways are raced: the plugin, WATCH with a retry, and reading followed by MULTI/EXEC. The
//! last one is widely taken for atomic. It is raced to show that it is not, and so that the check
//! is known to be able to fail.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use indicatif::ProgressBar;
use parking_lot::RwLock;
use redis::Value;
use serde_json::json;

use super::draft::{
    RELAYERS, STATUSES, count_key, lookup_key, moved, nonce_key, status_key, tx_key,
};
use super::{audit, faults};
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::progress;
use crate::cli::style::Style;
use crate::cli::table::{Align, Table, counted, grouped};

/// Arguments of `reef tx race-test`.
#[derive(Debug, Args)]
pub(super) struct RaceArgs {
    /// How many connections update the transaction at once.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=1000))]
    concurrent_updates: u16,
    /// How often, each time with a new transaction.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

pub(super) fn run(
    args: &RaceArgs,
    server: &Server,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let bar = progress::bar(u64::from(args.rounds) * Racer::ALL.len() as u64);
    let mut track = Track::new(server, args.concurrent_updates)?;
    let mut outcomes = Vec::new();
    for racer in Racer::ALL {
        outcomes.push(track.race(racer, args.rounds, &bar)?);
    }
    bar.finish_and_clear();
    if json {
        let ways = outcomes.iter().map(Outcome::json).collect::<Vec<_>>();
        let updates = args.concurrent_updates;
        let report = json!({ "concurrent_updates": updates, "rounds": args.rounds, "ways": ways });
        writeln!(out, "{report:#}")?;
    } else {
        show(args, &outcomes, out)?;
    }
    match outcomes.iter().find(|outcome| !outcome.as_expected()) {
        None => Ok(()),
        Some(outcome) => Err(Failure::new(outcome.sentence())),
    }
}

fn show(args: &RaceArgs, outcomes: &[Outcome], out: &mut dyn Write) -> Result<(), Failure> {
    let updates = counted(args.concurrent_updates.into(), "concurrent update");
    let rounds = counted(args.rounds.into(), "round");
    writeln!(out, "{updates} of one transaction, {rounds} in each way\n")?;
    let mut table = Table::new(&[
        ("way", Align::Left),
        ("rounds broken", Align::Right),
        ("the first", Align::Right),
        ("applied", Align::Right),
        ("refused", Align::Right),
        ("tried again", Align::Right),
    ]);
    for outcome in outcomes {
        table.row([
            outcome.racer.name().to_owned(),
            format!("{} of {}", outcome.broken, outcome.rounds),
            outcome.first_broken.map_or("-".to_owned(), |round| round.to_string()),
            grouped(outcome.applied),
            grouped(outcome.refused.values().sum()),
            grouped(outcome.retries),
        ]);
    }
    table.write(out)?;
    writeln!(out)?;
    let style = Style::of_stdout();
    for outcome in outcomes {
        writeln!(out, "{} {}", style.mark(outcome.as_expected()), outcome.sentence())?;
    }
    Ok(())
}

/// How the racing clients update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Racer {
    /// `TX.UPDATE`.
    Plugin,
    /// `WATCH`, `GET`, `MULTI`/`EXEC`, and again if it was in vain.
    Watch,
    /// `GET`, then `MULTI`/`EXEC`.
    ReadThenMulti,
}

impl Racer {
    const ALL: [Self; 3] = [Self::Plugin, Self::Watch, Self::ReadThenMulti];

    fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Watch => "WATCH, MULTI/EXEC, retry",
            Self::ReadThenMulti => "read, then MULTI/EXEC",
        }
    }

    fn update(self, client: &mut Client, relayer: &str, id: &str, to: &str) -> UpdateResult {
        let mut retries = 0;
        if self == Self::Plugin {
            return match client.call::<Value>(&["TX.UPDATE", id, to]) {
                Ok(_) => Ok((Update::Applied, retries)),
                Err(error) => match error.code() {
                    Some(code @ ("ILLEGALSTATUS" | "CONTENDED")) => {
                        Ok((Update::Refused(code.to_owned()), retries))
                    }
                    _ => Err(error),
                },
            };
        }
        loop {
            if self == Self::Watch {
                client.call::<()>(&["WATCH", &tx_key(id)])?;
            }
            let json: Vec<u8> = client.call(&["GET", &tx_key(id)])?;
            let (after, before) =
                moved(&json, to, None).ok_or_else(|| client.unexpected("a record that is none"))?;
            let mut pipe = redis::pipe();
            pipe.atomic();
            pipe.cmd("SET").arg(tx_key(id)).arg(after);
            if before != to {
                pipe.cmd("SADD").arg(status_key(relayer, to)).arg(id);
                pipe.cmd("SREM").arg(status_key(relayer, &before)).arg(id);
            }
            match client.pipeline::<Value>(&pipe)? {
                Value::Nil => retries += 1,
                _ => return Ok((Update::Applied, retries)),
            }
        }
    }
}

enum Update {
    Applied,
    /// With this code.
    Refused(String),
}

/// What became of one update, and how often it was tried again.
type UpdateResult = Result<(Update, u64), ClientError>;

/// What became of all rounds of one way.
#[derive(Debug)]
pub(in crate::cli) struct Outcome {
    racer: Racer,
    pub(in crate::cli) rounds: u64,
    /// In how many the indexes were wrong afterwards.
    pub(in crate::cli) broken: u64,
    pub(in crate::cli) first_broken: Option<u64>,
    pub(in crate::cli) applied: u64,
    /// How many were refused, by code.
    pub(in crate::cli) refused: BTreeMap<String, u64>,
    retries: u64,
    /// What was wrong first.
    pub(in crate::cli) example: Option<String>,
    /// Whether `TX.VERIFY` says the same as the check by plain commands.
    pub(in crate::cli) verify_agrees: bool,
}

impl Outcome {
    fn new(racer: Racer) -> Self {
        Self {
            racer,
            rounds: 0,
            broken: 0,
            first_broken: None,
            applied: 0,
            refused: BTreeMap::new(),
            retries: 0,
            example: None,
            verify_agrees: true,
        }
    }

    /// Whether it came as it must: the atomic ways never broken, the other one at least once.
    pub(in crate::cli) fn as_expected(&self) -> bool {
        let breaks = self.racer == Racer::ReadThenMulti;
        (self.broken > 0) == breaks && self.verify_agrees
    }

    /// The outcome in a sentence.
    pub(in crate::cli) fn sentence(&self) -> String {
        let Self { racer, rounds, broken, .. } = self;
        let name = racer.name();
        let example = self.example.as_deref().unwrap_or_default();
        if !self.verify_agrees {
            return format!("{name}: TX.VERIFY and the check by plain commands do not agree");
        }
        match (racer, broken) {
            (Racer::ReadThenMulti, 0) => {
                format!("{name}: not broken in {rounds} rounds, so nothing is proven; try more")
            }
            (Racer::ReadThenMulti, _) => {
                format!("{name}: not atomic, the check can fail ({example})")
            }
            (_, 0) => format!("{name}: in exactly one status set, every index and counter right"),
            _ => format!("{name}: broken in {broken} of {rounds} rounds ({example})"),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "way": self.racer.name(), "rounds": self.rounds, "broken": self.broken,
            "first_broken": self.first_broken, "applied": self.applied, "refused": self.refused,
            "retries": self.retries, "example": self.example, "as_expected": self.as_expected(),
        })
    }
}

/// Connections that are ready to race.
pub(in crate::cli) struct Track {
    judge: Client,
    clients: Vec<Client>,
    /// Part of every name, so that two tests on one server do not meet.
    tag: String,
}

impl Track {
    /// Opens this many connections, and one for the checks.
    pub(in crate::cli) fn new(server: &Server, updates: u16) -> Result<Self, Failure> {
        let judge = server.connect()?;
        let clients = (0..updates).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { judge, clients, tag: format!("{:08x}", getrandom::u32()?) })
    }

    /// Races so many rounds.
    pub(in crate::cli) fn race(
        &mut self,
        racer: Racer,
        rounds: u16,
        bar: &ProgressBar,
    ) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::new(racer);
        for round in 1..=u64::from(rounds) {
            let relayer = format!("race-{}-{}-{round}", self.tag, racer as u8);
            let nonce = round;
            let id: String =
                self.judge.call(&["TX.CREATE", &relayer, &nonce.to_string(), "0x0", "0"])?;
            let raced = self.round(racer, &relayer, &id, &mut outcome);
            let judged =
                raced.and_then(|finals| self.judge(&relayer, &id, nonce, &finals, &mut outcome));
            let cleaned = self.clean(&relayer, &id, nonce);
            judged?;
            cleaned?;
            bar.inc(1);
        }
        Ok(outcome)
    }

    /// One round; returns the final statuses whose updates were said to have been applied.
    fn round(
        &mut self,
        racer: Racer,
        relayer: &str,
        id: &str,
        outcome: &mut Outcome,
    ) -> Result<Vec<&'static str>, Failure> {
        // Everybody waits at the gate until all are there.
        let gate = RwLock::new(());
        let results = std::thread::scope(|scope| {
            let closed = gate.write();
            let mut racing = Vec::new();
            for (client, to) in self.clients.iter_mut().zip(STATUSES[1..].iter().copied().cycle()) {
                let gate = &gate;
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                let update = move || {
                    drop(gate.read());
                    (to, racer.update(client, relayer, id, to))
                };
                racing.push(thread.spawn_scoped(scope, update)?);
            }
            drop(closed);
            let joined = racing.into_iter().map(|thread| thread.join());
            Ok::<_, std::io::Error>(joined.collect::<Vec<_>>())
        })?;
        let mut finals = Vec::new();
        for result in results {
            let (to, result) = result.map_err(|_| Failure::new("a racing thread panicked"))?;
            let (update, retries) = result?;
            outcome.retries += retries;
            match update {
                Update::Applied => {
                    outcome.applied += 1;
                    finals.extend(FINAL.contains(&to).then_some(to));
                }
                Update::Refused(code) => *outcome.refused.entry(code).or_default() += 1,
            }
        }
        Ok(finals)
    }

    fn judge(
        &mut self,
        relayer: &str,
        id: &str,
        nonce: u64,
        finals: &[&str],
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        outcome.rounds += 1;
        let mut wrong = audit::only_one(&mut self.judge, relayer, id, nonce)?;
        if outcome.racer == Racer::Plugin {
            // Who was told that the transaction is finished must find it so.
            let json: String = self.judge.call(&["GET", &tx_key(id)])?;
            let status = audit::status_of(&json).unwrap_or_default();
            if let Some(told) = finals.iter().find(|told| **told != status) {
                wrong.push(format!("'{id}' is {status}, and an update to {told} was confirmed"));
            }
        }
        let first = !wrong.is_empty() && outcome.broken == 0;
        if first || outcome.rounds == 1 {
            // The walk of TX.VERIFY is long on a large database: it need not see every round.
            let found = faults(&mut self.judge, Some(relayer))?;
            outcome.verify_agrees &= found.is_empty() == wrong.is_empty();
        }
        if first {
            outcome.first_broken = Some(outcome.rounds);
            outcome.example = wrong.into_iter().next();
            outcome.broken += 1;
        } else if !wrong.is_empty() {
            outcome.broken += 1;
        }
        Ok(())
    }

    /// Takes away all that a round has left, broken or not.
    fn clean(&mut self, relayer: &str, id: &str, nonce: u64) -> Result<(), ClientError> {
        let mut command = redis::cmd("DEL");
        command.arg(tx_key(id)).arg(lookup_key(id)).arg(nonce_key(relayer, nonce));
        command.arg(count_key(relayer)).arg(&STATUSES.map(|status| status_key(relayer, status)));
        self.judge.run::<()>(&command)?;
        self.judge.call(&["SREM", RELAYERS, relayer])
    }
}

const FINAL: [&str; 4] = ["confirmed", "failed", "canceled", "expired"];
/// A racing thread calls nothing deep, and there may be a thousand.
const STACK_BYTES: usize = 256 * 1024;

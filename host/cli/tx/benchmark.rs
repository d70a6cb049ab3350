//! `reef tx benchmark`: the same work in three ways against the same server, in one run.
//!
//! The ways take turns in small slices, so that what disturbs the machine disturbs all of them; one
//! connection each time, so a figure is the latency of one client. After every phase it is checked
//! that each way did its work: a figure for work not done is worthless. What was written is deleted
//! at the end.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::draft::{Draft, RELAYERS, STATUSES, count_key, status_key};
use super::ways::Way;
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError};
use crate::cli::progress;
use crate::cli::table::{Align, Table, counted, grouped};

/// How many transactions a bulk operation takes.
const BULK: usize = 100;
/// Into how many slices the single operations of a way are cut.
const SLICES: usize = 20;
/// The first transactions of each way, whose time does not count.
const WARM_UP: u64 = 50;
const FUNCTIONS: &str = include_str!("function.lua");
const LIBRARY: &str = "reef_tx_benchmark";

/// Arguments of `reef tx benchmark`.
#[derive(Debug, Args)]
pub(super) struct BenchmarkArgs {
    /// How many transactions each way creates and updates one by one; a tenth as many hundreds
    /// are created and deleted in bulk.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    count: u64,
}

pub(super) fn run(
    args: &BenchmarkArgs,
    client: &mut Client,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let server_side = server_side(client)?;
    let ways = [server_side, Way::MultiExec, Way::Individual];
    let tag = format!("{:08x}", getrandom::u32()?);
    let mut lanes = ways.map(|way| Lane::new(way, &tag));
    let measured = measure(client, &mut lanes, args.count);
    let cleaned = clean(client, &lanes);
    let operations = measured?;
    cleaned?;
    if json {
        let operations = operations.iter().map(Operation::json).collect::<Vec<_>>();
        let report = json!({ "count": args.count, "bulk": BULK, "operations": operations });
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    write_table(&operations, args.count, out)
}

/// The plugin where there is one, else the function library that does the same.
fn server_side(client: &mut Client) -> Result<Way, Failure> {
    if client.knows("TX.BULKCREATE")? {
        return Ok(Way::Plugin);
    }
    let loaded: Result<String, ClientError> =
        client.call(&["FUNCTION", "LOAD", "REPLACE", FUNCTIONS]);
    match loaded {
        Ok(_) => Ok(Way::Function),
        Err(error) => Err(Failure::new(format!(
            "the server has neither the plugin tx-repo nor functions to stand in for it: {error}"
        ))),
    }
}

/// One way, what it writes under, and what it has written.
struct Lane {
    way: Way,
    relayer: String,
    next_nonce: u64,
    singles: Vec<Draft>,
    bulks: Vec<Vec<String>>,
}

impl Lane {
    fn new(way: Way, tag: &str) -> Self {
        let name = way.name().to_lowercase().replace('/', "-");
        let relayer = format!("benchmark-{tag}-{name}");
        Self { way, relayer, next_nonce: 0, singles: Vec::new(), bulks: Vec::new() }
    }

    fn draft(&mut self) -> Draft {
        self.next_nonce += 1;
        Draft::new(&self.relayer, self.next_nonce)
    }

    fn drafts(&mut self, number: usize) -> Vec<Draft> {
        (0..number).map(|_| self.draft()).collect()
    }

    /// All that will be measured, unmeasured.
    fn warm_up(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let mut ids = Vec::new();
        for _ in 0..WARM_UP {
            let draft = self.draft();
            self.way.create(client, &draft)?;
            self.way.update(client, &draft, "submitted", HASH)?;
            ids.push(draft.id);
        }
        let drafts = self.drafts(BULK);
        ids.extend(self.way.create_many(client, &drafts)?);
        self.way.delete_many(client, &ids)
    }

    /// An error unless as many transactions are in the status and counted as should be.
    fn expect(&self, client: &mut Client, status: &str, number: u64) -> Result<(), Failure> {
        let members: u64 = client.call(&["SCARD", &status_key(&self.relayer, status)])?;
        let counted: Option<u64> = client.call(&["GET", &count_key(&self.relayer)])?;
        let expected = (self.singles.len() + self.bulks.iter().map(Vec::len).sum::<usize>()) as u64;
        if (members, counted.unwrap_or(0)) == (number, expected) {
            return Ok(());
        }
        let (way, counted) = (self.way.name(), counted.unwrap_or(0));
        Err(Failure::new(format!(
            "the way '{way}' did not do its work: {members} of {number} are {status}, {counted} of \
             {expected} counted"
        )))
    }
}

const HASH: &str = "0x9fc76417374aa880d4449a1f7f31ec597f00b1f6f3dd2d66f4c9c6c445836d8b";

/// What one operation took, in each way.
struct Operation {
    name: &'static str,
    /// How many transactions one call takes.
    size: usize,
    /// The latencies of all calls, in each way.
    series: Vec<(Way, Vec<Duration>)>,
}

impl Operation {
    fn new(name: &'static str, size: usize, lanes: &[Lane]) -> Self {
        let series = lanes.iter().map(|lane| (lane.way, Vec::new())).collect();
        Self { name, size, series }
    }

    fn time<T>(
        &mut self,
        lane: usize,
        work: impl FnOnce() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let start = Instant::now();
        let result = work()?;
        let elapsed = start.elapsed();
        if let Some((_, latencies)) = self.series.get_mut(lane) {
            latencies.push(elapsed);
        }
        Ok(result)
    }

    /// Figures of each way: transactions per second, p50 and p99 in microseconds, and how many
    /// times shorter its p50 is than that of individual commands.
    fn figures(&self) -> Vec<(Way, Figures)> {
        let individual = self.series.iter().find(|(way, _)| *way == Way::Individual);
        let base_us = individual.map_or(0.0, |(_, latencies)| Figures::of(latencies, 1).p50_us);
        let figures = |(way, latencies): &(Way, Vec<Duration>)| {
            let mut figures = Figures::of(latencies, self.size);
            figures.ratio = base_us / figures.p50_us;
            (*way, figures)
        };
        self.series.iter().map(figures).collect()
    }

    fn json(&self) -> Value {
        let ways = self.figures().into_iter().map(|(way, figures)| {
            let Figures { per_s, p50_us, p99_us, ratio } = figures;
            json!({
                "way": way.name(), "transactions_per_s": per_s, "p50_us": p50_us,
                "p99_us": p99_us, "times_individual": ratio,
            })
        });
        json!({ "operation": self.name, "ways": ways.collect::<Vec<_>>() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
    ratio: f64,
}

impl Figures {
    fn of(latencies: &[Duration], size: usize) -> Self {
        let mut sorted = latencies.to_vec();
        sorted.sort_unstable();
        let quantile_us = |share: f64| {
            let rank = (sorted.len() as f64 * share).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let seconds = sorted.iter().sum::<Duration>().as_secs_f64();
        let per_s = (sorted.len() * size) as f64 / seconds;
        Self { per_s, p50_us: quantile_us(0.5), p99_us: quantile_us(0.99), ratio: 1.0 }
    }
}

fn measure(client: &mut Client, lanes: &mut [Lane], count: u64) -> Result<Vec<Operation>, Failure> {
    let bulks = usize::try_from(count / 10).unwrap_or(0).clamp(5, 100);
    let bar = progress::bar((2 * SLICES + 2 * bulks) as u64);
    for lane in lanes.iter_mut() {
        lane.warm_up(client)?;
    }

    let mut create = Operation::new("create", 1, lanes);
    let mut update = Operation::new("status update", 1, lanes);
    for slice in slices(count) {
        for (at, lane) in lanes.iter_mut().enumerate() {
            for _ in slice.clone() {
                let draft = lane.draft();
                create.time(at, || lane.way.create(client, &draft))?;
                lane.singles.push(draft);
            }
        }
        bar.inc(1);
    }
    lanes.iter().try_for_each(|lane| lane.expect(client, "pending", count))?;
    for slice in slices(count) {
        for (at, lane) in lanes.iter().enumerate() {
            let drafts = slice.clone().filter_map(|nonce| lane.singles.get(nonce as usize));
            for draft in drafts {
                update.time(at, || lane.way.update(client, draft, "submitted", HASH))?;
            }
        }
        bar.inc(1);
    }
    lanes.iter().try_for_each(|lane| lane.expect(client, "submitted", count))?;

    let mut create_many = Operation::new("bulk create 100", BULK, lanes);
    let mut delete_many = Operation::new("bulk delete 100", BULK, lanes);
    for _ in 0..bulks {
        for (at, lane) in lanes.iter_mut().enumerate() {
            let drafts = lane.drafts(BULK);
            let ids = create_many.time(at, || lane.way.create_many(client, &drafts))?;
            lane.bulks.push(ids);
        }
        bar.inc(1);
    }
    let created = (bulks * BULK) as u64;
    lanes.iter().try_for_each(|lane| lane.expect(client, "pending", created))?;
    for _ in 0..bulks {
        for (at, lane) in lanes.iter_mut().enumerate() {
            let ids = lane.bulks.pop().unwrap_or_default();
            delete_many.time(at, || lane.way.delete_many(client, &ids))?;
        }
        bar.inc(1);
    }
    lanes.iter().try_for_each(|lane| lane.expect(client, "pending", 0))?;
    bar.finish_and_clear();
    Ok(vec![create, update, create_many, delete_many])
}

/// The numbers from 0 to `count` in at most [`SLICES`] ranges.
fn slices(count: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let length = count.div_ceil(SLICES as u64).max(1);
    (0..count).step_by(length as usize).map(move |start| start..count.min(start + length))
}

/// Deletes everything, also after a failure in the middle, and the function library.
fn clean(client: &mut Client, lanes: &[Lane]) -> Result<(), ClientError> {
    for lane in lanes {
        for status in STATUSES {
            let ids: Vec<String> =
                client.call(&["SMEMBERS", &status_key(&lane.relayer, status)])?;
            for page in ids.chunks(BULK) {
                lane.way.delete_many(client, page)?;
            }
        }
        client.call::<()>(&["DEL", &count_key(&lane.relayer)])?;
        client.call::<()>(&["SREM", RELAYERS, &lane.relayer])?;
        if lane.way == Way::Function {
            client.call::<()>(&["FUNCTION", "DELETE", LIBRARY])?;
        }
    }
    Ok(())
}

fn write_table(operations: &[Operation], count: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("operation", Align::Left),
        ("way", Align::Left),
        ("tx/s", Align::Right),
        ("p50 us", Align::Right),
        ("p99 us", Align::Right),
        ("times individual", Align::Right),
    ]);
    for operation in operations {
        for (way, figures) in operation.figures() {
            let Figures { per_s, p50_us, p99_us, ratio } = figures;
            table.row([
                operation.name.to_owned(),
                way.name().to_owned(),
                grouped(per_s as u64),
                format!("{p50_us:.1}"),
                format!("{p99_us:.1}"),
                format!("{ratio:.1}x"),
            ]);
        }
    }
    let count = counted(count, "transaction");
    writeln!(
        out,
        "{count} one by one in each way, one connection; the ratio is that of the p50\n"
    )?;
    Ok(table.write(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_every_number_once() {
        for count in [1, 7, 19, 20, 21, 500, 501] {
            let all: Vec<u64> = slices(count).flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert!(slices(count).count() <= SLICES);
        }
    }

    #[test]
    fn figures_are_quantiles_and_rates() {
        let latencies: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let figures = Figures::of(&latencies, 10);
        assert_eq!((figures.p50_us, figures.p99_us), (50_000.0, 99_000.0));
        assert!((figures.per_s - 1000.0 / 5.05).abs() < 1e-6);
    }
}

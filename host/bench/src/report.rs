//! The figures for people (aligned lines, as soon as a mix is done) or machines (one JSON document).
//!
//! A figure that could not be taken is `-` for people and `null` for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::alternate::headline;
use crate::args::BenchArgs;
use crate::measurement::{Measurement, Spread};

/// The report of one call of `reef bench`.
pub(crate) struct Report<'args> {
    args: &'args BenchArgs,
    names: &'args [String],
    label_width: usize,
    name_width: usize,
    results: Vec<Value>,
}

impl<'args> Report<'args> {
    /// A report on the servers `names`.
    pub(crate) fn new(args: &'args BenchArgs, names: &'args [String], label_width: usize) -> Self {
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        Self {
            args,
            names,
            label_width: label_width.max("mix".len()),
            name_width: name_width.max("server".len()),
            results: Vec::new(),
        }
    }

    /// Says what is measured and heads the columns.
    pub(crate) fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.args.json {
            return Ok(());
        }
        let (label, name) = (self.label_width, self.name_width);
        writeln!(out, "{}\n", headline(self.args))?;
        writeln!(
            out,
            "{:label$}  {:name$}  {:>11}  {:>10}  {:>10}  {:>8}  {:>8}  {:>8}  {:>7}",
            "mix",
            "server",
            "ops/s",
            "CPU us/op",
            "client us",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "errors"
        )?;
        out.flush()
    }

    /// Adds one mix: a line for each server, and the ratio when there are two.
    pub(crate) fn mix(
        &mut self,
        mix: &str,
        servers: &[Measurement],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.args.json {
            self.results.push(self.value(mix, servers));
            return Ok(());
        }
        for (name, server) in self.names.iter().zip(servers) {
            self.line(mix, name, server, out)?;
        }
        if let [own, peer] = servers {
            let (throughput, cpu) = own.ratio(peer);
            writeln!(
                out,
                "{:label$}  ratio first/second: throughput {}, server CPU per operation {}",
                mix,
                spread_text(throughput),
                spread_text(cpu),
                label = self.label_width
            )?;
        }
        for (name, server) in self.names.iter().zip(servers) {
            self.remarks(name, server, out)?;
        }
        out.flush()
    }

    /// Closes the report.
    pub(crate) fn end(self, out: &mut dyn Write) -> io::Result<()> {
        if self.args.json {
            let args = self.args;
            let document = json!({
                "servers": self.names,
                "connections": args.connections,
                "pipeline": args.pipeline,
                "value_bytes": args.value_bytes,
                "keys": args.keys,
                "threads": args.threads,
                "rounds": args.rounds,
                "requests_per_round": args.requests,
                "seconds_per_round": if args.requests.is_none() { Some(args.seconds) } else { None },
                "results": self.results,
            });
            writeln!(out, "{document:#}")?;
        }
        out.flush()
    }

    fn line(
        &self,
        mix: &str,
        name: &str,
        server: &Measurement,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let total = &server.total;
        writeln!(
            out,
            "{:label$}  {:width$}  {:>11}  {:>10}  {:>10}  {:>8.3}  {:>8.3}  {:>8.3}  {:>7}",
            mix,
            name,
            server.throughput().map_or("-".to_owned(), |spread| grouped(spread.median)),
            median_text(server.server_cpu()),
            median_text(server.client_cpu()),
            total.latency_ms(0.5),
            total.latency_ms(0.99),
            total.latency_ms(0.999),
            total.errors,
            label = self.label_width,
            width = self.name_width
        )
    }

    fn remarks(&self, name: &str, server: &Measurement, out: &mut dyn Write) -> io::Result<()> {
        let total = &server.total;
        if let Some(text) = &total.first_error {
            writeln!(out, "  {name}: first error: {}", text.escape_debug())?;
        }
        let share = total.nils * 100 / total.operations.max(1);
        if share > 0 {
            writeln!(
                out,
                "  {name}: {share} % of the replies were nil (--load writes the keys first)"
            )?;
        }
        Ok(())
    }

    fn value(&self, mix: &str, servers: &[Measurement]) -> Value {
        let lines = self.names.iter().zip(servers).map(|(name, server)| {
            let total = &server.total;
            let rounds = server.rounds.iter().map(|round| {
                json!({
                    "ops_per_s": round.ops_per_s,
                    "server_cpu_us_per_op": round.server_us_per_op,
                    "client_cpu_us_per_op": round.client_us_per_op,
                })
            });
            json!({
                "server": name,
                "operations": total.operations,
                "seconds": total.elapsed.as_secs_f64(),
                "ops_per_s": server.throughput().map(|spread| spread.median),
                "server_cpu_us_per_op": server.server_cpu().map(|spread| spread.median),
                "client_cpu_us_per_op": server.client_cpu().map(|spread| spread.median),
                "p50_ms": total.latency_ms(0.5),
                "p99_ms": total.latency_ms(0.99),
                "p999_ms": total.latency_ms(0.999),
                "max_ms": total.latency.max() as f64 / 1e6,
                "errors": total.errors,
                "first_error": total.first_error,
                "nil_replies": total.nils,
                "rounds": rounds.collect::<Vec<_>>(),
            })
        });
        let ratio = match servers {
            [own, peer] => {
                let (throughput, cpu) = own.ratio(peer);
                json!({
                    "throughput": throughput.map(spread_value),
                    "server_cpu_per_op": cpu.map(spread_value),
                })
            }
            _ => Value::Null,
        };
        json!({ "mix": mix, "servers": lines.collect::<Vec<_>>(), "ratio": ratio })
    }
}

fn spread_value(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

/// `1.03 (0.98..1.07)`.
fn spread_text(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| {
        format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max)
    })
}

fn median_text(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{:.2}", spread.median))
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0.0, 999.4, 1_000.0, 123_456.7, 1_234_567.0, -1_234.0, -123.0];
        let texts = numbers.map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "123,457", "1,234,567", "-1,234", "-123"]);
    }

    #[test]
    fn spreads_show_median_and_ends() {
        let spread = Spread { median: 1.026, min: 0.98, max: 1.074 };
        assert_eq!(spread_text(Some(spread)), "1.03 (0.98..1.07)");
        assert_eq!(spread_text(None), "-");
    }
}

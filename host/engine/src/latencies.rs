//! Latencies of events: what LATENCY LATEST, HISTORY, GRAPH and DOCTOR show.
//!
//! A plain value that the host keeps, because only it has a clock. Per event the worst latency of
//! each of the last [`SAMPLES_MAX`] seconds in which one was noted, and the worst of all.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Seconds that are remembered per event.
pub const SAMPLES_MAX: usize = 160;

/// The worst latency of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since 1970.
    pub at_s: u64,
    /// How long the event took.
    pub took_ms: u64,
}

/// What is known of one event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// The worst ever.
    pub worst_ms: u64,
}

impl Series {
    /// The samples, the oldest first.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> + ExactSizeIterator {
        self.samples.iter()
    }

    fn add(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.took_ms);
        if let Some(last) = self.samples.back_mut()
            && last.at_s == sample.at_s
        {
            last.took_ms = last.took_ms.max(sample.took_ms);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// All events.
#[derive(Debug, Default)]
pub struct Latencies(BTreeMap<&'static str, Series>);

impl Latencies {
    /// Notes how long an event took.
    pub fn add(&mut self, event: &'static str, at_s: u64, took_ms: u64) {
        self.0.entry(event).or_default().add(Sample { at_s, took_ms });
    }

    /// What is known of an event.
    pub fn get(&self, event: &[u8]) -> Option<&Series> {
        self.0.iter().find(|(name, _)| name.as_bytes() == event).map(|(_, series)| series)
    }

    /// All events by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    /// Forgets an event. Whether it was known.
    pub fn remove(&mut self, event: &[u8]) -> bool {
        let before = self.0.len();
        self.0.retain(|name, _| name.as_bytes() != event);
        self.0.len() < before
    }

    /// Forgets all; gives how many they were.
    pub fn clear(&mut self) -> usize {
        core::mem::take(&mut self.0).len()
    }
}

/// Columns of a graph.
const GRAPH_COLUMNS: usize = 80;
/// Rows of a graph.
const GRAPH_ROWS: usize = 4;
/// Heights that one character can show.
const LEVELS: [u8; 3] = *b"_o#";

/// A series as a graph of characters: a column per sample, its age below.
pub fn graph(event: &str, series: &Series, now_s: u64) -> String {
    let took = |sample: &Sample| sample.took_ms;
    let high = series.samples().map(took).max().unwrap_or(0);
    let low = series.samples().map(took).min().unwrap_or(0);
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.worst_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    let samples: Vec<&Sample> = series.samples().collect();
    for columns in samples.chunks(GRAPH_COLUMNS) {
        for row in 0..GRAPH_ROWS {
            let bar = |sample: &&Sample| bar_at(row, sample.took_ms - low, high - low);
            text.extend(columns.iter().map(bar));
            text.push('\n');
        }
        let ages: Vec<String> = columns.iter().map(|sample| age(sample.at_s, now_s)).collect();
        text.push_str(&" ".repeat(columns.len()));
        text.push('\n');
        let height = ages.iter().map(String::len).max().unwrap_or(0);
        for row in 0..height {
            let letter = |age: &String| age.as_bytes().get(row).copied().map_or(' ', char::from);
            text.extend(ages.iter().map(letter));
            text.push('\n');
        }
    }
    text
}

/// What a column shows in a row, counted from the top.
fn bar_at(row: usize, above_low_ms: u64, span_ms: u64) -> char {
    let steps = GRAPH_ROWS * LEVELS.len();
    let height = (u128::from(above_low_ms) * steps as u128 / u128::from(span_ms.max(1))) as usize;
    let height = height.min(steps - 1);
    match height.checked_sub((GRAPH_ROWS - row - 1) * LEVELS.len()) {
        None => ' ',
        Some(level) => LEVELS.get(level).map_or('|', |level| char::from(*level)),
    }
}

/// How long ago, in one unit: `42s`, `7m`, `3h`, `2d`.
fn age(at_s: u64, now_s: u64) -> String {
    match now_s.saturating_sub(at_s) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// What an operator should know of the events, in words.
pub fn diagnosis(latencies: &Latencies, threshold_ms: u64) -> String {
    if threshold_ms == 0 {
        return "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n".into();
    }
    if latencies.0.is_empty() {
        return format!("Nothing has taken {threshold_ms} ms or longer so far.\n");
    }
    let mut text = String::from("Events that took longer than the threshold:\n\n");
    for (number, (event, series)) in (1..).zip(latencies.iter()) {
        let count = series.samples.len() as u64;
        let sum: u64 = series.samples().map(|sample| sample.took_ms).sum();
        let mean = sum / count.max(1);
        let deviation: u64 =
            series.samples().map(|sample| sample.took_ms.abs_diff(mean)).sum::<u64>()
                / count.max(1);
        let first = series.samples.front().map_or(0, |sample| sample.at_s);
        let last = series.samples.back().map_or(0, |sample| sample.at_s);
        let period = (last - first) as f64 / count.max(1) as f64;
        text.push_str(&format!(
            "{number}. {event}: {count} seconds with a spike (mean {mean} ms, mean deviation {deviation} ms, one every {period:.2} s), worst of all {} ms.\n",
            series.worst_ms
        ));
        text.push_str(&format!("   {}\n", advice(event)));
    }
    text
}

fn advice(event: &str) -> &'static str {
    match event {
        "command" => "Commands that take long are in SLOWLOG GET; they wait for each other.",
        "fast-command" => {
            "Cheap commands took long: another command held their shard, or the machine is busy."
        }
        "eviction-cycle" | "eviction-del" => {
            "Evicting took long: raise maxmemory, or turn lazyfree-lazy-eviction on."
        }
        "expire-cycle" => {
            "Many keys expired at once: spread expiries, or turn lazyfree-lazy-expire on."
        }
        _ => "LATENCY HISTORY shows when it happened.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_latency_and_an_event_its_last_seconds() {
        let mut latencies = Latencies::default();
        for second in 0..200 {
            latencies.add("command", second, 7);
            latencies.add("command", second, 10 + second);
            latencies.add("command", second, 9);
        }
        let series = latencies.get(b"command").unwrap();
        assert_eq!((series.samples().len(), series.worst_ms), (SAMPLES_MAX, 209));
        assert_eq!(series.samples().next(), Some(&Sample { at_s: 40, took_ms: 50 }));
        assert!(latencies.get(b"other").is_none());
        assert!(latencies.remove(b"command") && !latencies.remove(b"command"));
        latencies.add("fast-command", 1, 1);
        assert_eq!(latencies.clear(), 1);
    }

    #[test]
    fn a_graph_has_a_column_per_sample_and_its_age_below() {
        let mut series = Series::default();
        for (at_s, took_ms) in [(1000, 101), (1057, 200), (4000, 300), (4598, 501)] {
            series.add(Sample { at_s, took_ms });
        }
        let text = graph("command", &series, 4603);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("command - high 501 ms, low 101 ms (all time high 501 ms)"));
        assert_eq!(lines.next().map(str::len), Some(80));
        let rest: Vec<&str> = lines.collect();
        assert_eq!(rest, ["   #", "   |", "  #|", "_#||", "    ", "1515", "h90s", " mm "]);
    }

    #[test]
    fn a_diagnosis_names_each_event() {
        let mut latencies = Latencies::default();
        assert!(diagnosis(&latencies, 0).contains("latency-monitor-threshold"));
        assert!(diagnosis(&latencies, 5).contains("5 ms"));
        latencies.add("command", 10, 20);
        latencies.add("command", 20, 40);
        let text = diagnosis(&latencies, 5);
        assert!(text.contains("1. command: 2 seconds with a spike (mean 30 ms"), "{text}");
        assert!(text.contains("SLOWLOG GET"), "{text}");
    }
}

//! What a document costs its server: bare, with a search index, with event and counters, with both.
//! `cargo bench -p reef --bench documents [-- DOCUMENTS ROUNDS]`
//!
//! One client inserts new documents of 340 bytes; the servers' CPU time per document is compared, which
//! a busy machine disturbs less than it does throughput. Each figure has a fresh server, the rounds
//! alternate. Exits with 1 if a promise is not kept: of the ratio for one document at a time, as
//! applications write them, where most of the time is the kernel's. In pipelines of 64 that is gone, and the
//! ratio is that of the work itself.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;

use std::process::ExitCode;
use std::time::Instant;

use redis::ConnectionLike;
use servers::{Server, median};

/// Documents that are sent at once.
const PIPELINES: [usize; 2] = [1, 64];

/// `DOC.INSERT` with its event and an index, against a bare `JSON.SET`.
const INSERT_RATIO_MAX: f64 = 2.0;
/// What an index of three fields adds to a document.
const INDEX_US_MAX: f64 = 3.0;

/// How documents are written.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// By `DOC.INSERT`, not `JSON.SET`.
    is_insert: bool,
    is_indexed: bool,
}

const WAYS: [Way; 4] = [
    Way { name: "JSON.SET", is_insert: false, is_indexed: false },
    Way { name: "JSON.SET, 3-field index", is_insert: false, is_indexed: true },
    Way { name: "DOC.INSERT (event, counters)", is_insert: true, is_indexed: false },
    Way { name: "DOC.INSERT, 3-field index", is_insert: true, is_indexed: true },
];

const INDEX: &str = "FT.CREATE by-user ON JSON PREFIX 1 sessions: SCHEMA $.user_id AS user_id TEXT \
                     $.device_type AS device_type TAG $.score AS score NUMERIC";

/// What was taken of a round.
#[derive(Clone, Copy)]
struct Cost {
    cpu_us: f64,
    per_s: f64,
}

impl Way {
    fn measure(self, documents: usize, pipeline: usize) -> Cost {
        let server = Server::reef(&["--io-threads", "1"]);
        let mut connection = server.connect();
        if self.is_indexed {
            let mut words = INDEX.split(' ');
            let mut create = redis::cmd(words.next().expect("a command"));
            create.arg(words.collect::<Vec<_>>());
            create.query::<()>(&mut connection).expect("an index");
        }
        let batches: Vec<Vec<u8>> = (0..documents.div_ceil(pipeline))
            .map(|batch| {
                let numbers = batch * pipeline..(batch + 1) * pipeline;
                numbers.flat_map(|number| self.command(number)).collect()
            })
            .collect();
        let (cpu, begun) = (server.cpu(), Instant::now());
        for batch in &batches {
            let replies = connection.req_packed_commands(batch, 0, pipeline).expect("replies");
            let refused =
                replies.iter().find(|reply| matches!(reply, redis::Value::ServerError(_)));
            assert!(refused.is_none(), "{refused:?}");
        }
        let (took, cpu) = (begun.elapsed(), server.cpu().saturating_sub(cpu));
        let written = (batches.len() * pipeline) as f64;
        Cost { cpu_us: cpu.as_secs_f64() * 1e6 / written, per_s: written / took.as_secs_f64() }
    }

    fn command(self, number: usize) -> Vec<u8> {
        let id = format!("{number:016}");
        let filler = "x".repeat(200);
        let document = format!(
            "{{\"user_id\":\"user_{number}\",\"session_id\":\"session_{number}\",\"device_type\":\
             \"android\",\"device_model\":\"Pixel 8\",\"score\":{number},\"payload\":\"{filler}\"}}"
        );
        let mut command = redis::cmd(if self.is_insert { "DOC.INSERT" } else { "JSON.SET" });
        if self.is_insert {
            command.arg("sessions").arg(document).arg("ID").arg(id);
        } else {
            command.arg(format!("sessions:{id}")).arg("$").arg(document);
        }
        command.get_packed_command()
    }
}

/// Measures all ways and prints them: how many times a bare JSON.SET everything together costs, and
/// how many microseconds the index adds.
fn compare(documents: usize, rounds: usize, pipeline: usize) -> (f64, f64) {
    let costs: Vec<[Cost; WAYS.len()]> =
        (0..rounds).map(|_| WAYS.map(|way| way.measure(documents, pipeline))).collect();
    println!("{documents} documents, pipeline {pipeline}, medians of {rounds} rounds");
    let of = |figure: &dyn Fn(&[Cost; WAYS.len()]) -> f64| {
        median(&mut costs.iter().map(figure).collect::<Vec<_>>())
    };
    for (at, way) in WAYS.iter().enumerate() {
        let (cpu_us, per_s) = (of(&|costs| costs[at].cpu_us), of(&|costs| costs[at].per_s));
        let ratio = of(&|costs| costs[at].cpu_us / costs[0].cpu_us);
        println!("{:<30} {cpu_us:>6.2} us of CPU  {ratio:>5.2} times  {per_s:>8.0}/s", way.name);
    }
    (of(&|costs| costs[3].cpu_us / costs[0].cpu_us), of(&|costs| costs[1].cpu_us - costs[0].cpu_us))
}

fn main() -> ExitCode {
    // Cargo adds words of its own.
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let documents = numbers.first().copied().unwrap_or(100_000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let [(one_by_one, _), (_, index_us)] =
        PIPELINES.map(|pipeline| compare(documents, rounds, pipeline));
    println!("the index adds {index_us:.2} us to a document");
    if one_by_one > INSERT_RATIO_MAX || index_us > INDEX_US_MAX {
        println!("the promise is {INSERT_RATIO_MAX} times and {INDEX_US_MAX} us");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

//! A crowd of clients at once: the server's memory grows with them and comes back when they leave.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::cli::Failure;
use crate::cli::client::ClientError;
use crate::cli::demo::process::{Process, within};
use crate::cli::demo::stage::Stage;
use crate::cli::progress;
use crate::cli::table::grouped;

/// So many, or as many as this process may have descriptors for.
const CLIENTS: usize = 2_000;
/// Descriptors that the demonstration needs for itself.
const SPARE: usize = 64;
/// Commands that each client sends at once, and the bytes of the value that each reads.
const COMMANDS: usize = 20;
const VALUE_BYTES: usize = 4_000;
const PATIENCE: Duration = Duration::from_secs(20);
/// What may be left of memory when all have gone.
const LEFT_BYTES: u64 = 4 << 20;

/// What a server's memory is at one time.
#[derive(Clone, Copy, Debug)]
struct Memory {
    used: u64,
    resident: u64,
}

impl Memory {
    fn of(process: &Process) -> Result<Self, ClientError> {
        let used = process.number("used_memory")?;
        Ok(Self { used, resident: process.number("used_memory_rss")? })
    }

    fn shown(self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!("{:.1} MiB used, {:.1} MiB resident", mib(self.used), mib(self.resident))
    }
}

/// Shows it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("A crowd of clients: memory comes back when they leave")?;
    let process = Process::reef(&["--save", ""])?;
    let value = "v".repeat(VALUE_BYTES);
    process.call::<()>(&["SET", "value", &value])?;
    let before = Memory::of(&process)?;
    let crowd = gather(process.port())?;
    let number = crowd.len();
    let connected = within(PATIENCE, || {
        process.number("connected_clients").is_ok_and(|there| there as usize >= number)
    });
    let with = Memory::of(&process)?;
    let per_client = with.resident.saturating_sub(before.resident) / number.max(1) as u64;
    stage.say(&format!("before:       {}", before.shown()))?;
    stage.say(&format!("{} there: {}", grouped(number as u64), with.shown()))?;
    let sentence = format!(
        "{} clients are connected, {} bytes of memory each",
        grouped(number as u64),
        grouped(per_client)
    );
    stage.check(connected && number > 100, &sentence)?;
    let began = Instant::now();
    let (answered, peak) = talk(&process, crowd)?;
    stage.say(&format!("at work:      {}", peak.shown()))?;
    let commands = grouped((number * COMMANDS) as u64);
    let sentence = format!(
        "all sent {COMMANDS} commands at once, {commands} in all: every one was answered, in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    stage.check(answered == number, &sentence)?;
    let came_back = within(PATIENCE, || {
        Memory::of(&process).is_ok_and(|now| {
            let grown = with.resident.max(peak.resident) - before.resident.min(with.resident);
            now.used <= before.used + LEFT_BYTES
                && now.resident <= before.resident + (grown / 4).max(LEFT_BYTES)
        })
    });
    let after = Memory::of(&process)?;
    let left = process.number("connected_clients")?;
    stage.say(&format!("after:        {}", after.shown()))?;
    stage.check(left <= 2 && came_back, "they have left, and their memory is free again")
}

/// Connects as many as the system allows, at most a crowd.
fn gather(port: u16) -> Result<Vec<TcpStream>, Failure> {
    let mut crowd = Vec::with_capacity(CLIENTS);
    let bar = progress::bar(CLIENTS as u64);
    while crowd.len() < CLIENTS {
        let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) else {
            crowd.truncate(crowd.len().saturating_sub(SPARE));
            break;
        };
        socket.set_read_timeout(Some(PATIENCE))?;
        crowd.push(socket);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(crowd)
}

/// All send before anybody reads. How many were answered in full, and the memory before they were.
fn talk(process: &Process, crowd: Vec<TcpStream>) -> Result<(usize, Memory), Failure> {
    let batch = "GET value\r\n".repeat(COMMANDS);
    for mut socket in &crowd {
        socket.write_all(batch.as_bytes())?;
    }
    let peak = Memory::of(process)?;
    let mut answered = 0;
    for socket in crowd {
        let mut lines = BufReader::new(socket).lines();
        // The length, then the value.
        let values = (0..COMMANDS).take_while(|_| {
            let length = lines.next().and_then(Result::ok);
            let value = lines.next().and_then(Result::ok);
            length.is_some() && value.is_some_and(|value| value.len() == VALUE_BYTES)
        });
        answered += usize::from(values.count() == COMMANDS);
    }
    Ok((answered, peak))
}

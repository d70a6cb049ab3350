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
/// The value that each client writes; all of it but the end is with the server for a while.
const VALUE_BYTES: usize = 48 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);
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
    // What all clients will write is there already, so that nothing but clients makes a difference.
    process.call::<()>(&["SET", "value", &"v".repeat(VALUE_BYTES)])?;
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
    let (answered, peak) = talk(&process, crowd, before)?;
    stage.say(&format!("at work:      {}", peak.shown()))?;
    let grown = peak.used.saturating_sub(before.used);
    let sentence = format!(
        "each wrote {} KiB at the same time as all others, and was answered, in {:.1} s",
        VALUE_BYTES / 1024,
        began.elapsed().as_secs_f64()
    );
    stage.check(answered == number && grown >= held_at_least(number), &sentence)?;
    let resident_grown = peak.resident.saturating_sub(before.resident);
    let came_back = within(PATIENCE, || {
        Memory::of(&process).is_ok_and(|now| {
            now.used <= before.used + grown / 20
                && now.resident <= before.resident + resident_grown / 2
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

/// What a server holds at least while so many clients are in the middle of a value.
fn held_at_least(clients: usize) -> u64 {
    (clients * VALUE_BYTES / 2) as u64
}

/// All send all but the end, then all send the end. How many were answered, and the memory between.
fn talk(
    process: &Process,
    crowd: Vec<TcpStream>,
    before: Memory,
) -> Result<(usize, Memory), Failure> {
    let value = "v".repeat(VALUE_BYTES - 1);
    let begun = format!("*3\r\n$3\r\nSET\r\n$5\r\nvalue\r\n${VALUE_BYTES}\r\n{value}");
    for mut socket in &crowd {
        socket.write_all(begun.as_bytes())?;
    }
    let held = before.used + held_at_least(crowd.len());
    within(PATIENCE, || process.number("used_memory").is_ok_and(|used| used >= held));
    let peak = Memory::of(process)?;
    for mut socket in &crowd {
        socket.write_all(b"v\r\n")?;
    }
    let is_answered = |socket: &TcpStream| {
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).is_ok() && line == "+OK\r\n"
    };
    Ok((crowd.iter().filter(|socket| is_answered(socket)).count(), peak))
}

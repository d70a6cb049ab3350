//! A disk that is full: writes are refused by name, reads go on, and service resumes.
//!
//! A limit on the size of files stands for the full disk: it needs no rights, and nobody else's disk.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::cli::Failure;
use crate::cli::demo::process::{Process, within};
use crate::cli::demo::stage::Stage;
use crate::cli::table::grouped;

/// Room for the log, in blocks of 512 bytes.
const BLOCKS: u64 = 256;
const VALUE_BYTES: usize = 1_000;
/// More than there is room for.
const WRITES: u64 = 600;
/// The log is tried again every second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("The disk is full")?;
    let flags = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let mut process = Process::with_little_room(BLOCKS, &flags)?;
    stage.say(&format!("no file of this server can grow beyond {} KiB", BLOCKS / 2))?;
    let value = "v".repeat(VALUE_BYTES);
    let (mut acknowledged, mut refused) = (Vec::new(), 0_u64);
    for number in 0..WRITES {
        let key = format!("key:{number}");
        // One that could not be kept is not answered: its connection is closed.
        match process.call::<()>(&["SET", &key, &value]) {
            Ok(()) => acknowledged.push(key),
            Err(error) if error.code() == Some("MISCONF") => refused += 1,
            Err(_) => {}
        }
    }
    stage.say(&format!(
        "of {WRITES} writes {} were acknowledged until it was full",
        grouped(acknowledged.len() as u64)
    ))?;
    let mut client = process.connect()?;
    let refusal = stage.ask_in_vain(&mut client, &["SET", "one", "more"])?;
    let named = refusal.is_some_and(|error| error.code() == Some("MISCONF"));
    stage.check(named && refused > 0, "then writes are refused by name, not lost in silence")?;
    let length: usize = stage.ask(&mut client, &["STRLEN", "key:0"])?;
    stage.check(length == VALUE_BYTES, "reads go on")?;

    make_room(&process)?;
    stage.say("there is room again")?;
    let resumed = within(PATIENCE, || client.call::<()>(&["SET", "one", "more"]).is_ok());
    stage.check(resumed, "writes are taken again by themselves, without a restart")?;
    process.kill()?;
    process.start_again()?;
    let mut client = process.connect()?;
    let more: Option<String> = client.call(&["GET", "one"])?;
    let mut exists = redis::cmd("EXISTS");
    exists.arg(&acknowledged);
    let there: usize = client.run(&exists)?;
    let sentence = format!("after kill -9 and a start, {there} of the acknowledged are there");
    stage.check(there == acknowledged.len() && more.as_deref() == Some("more"), &sentence)
}

/// Lifts the limit of a running server.
fn make_room(process: &Process) -> Result<(), Failure> {
    let id = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    prlimit(id, Resource::Fsize, Rlimit { current: None, maximum: None })?;
    Ok(())
}

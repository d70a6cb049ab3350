//! `kill -9` of the server under load, again and again: what was acknowledged is there.

use std::time::Duration;

use crate::cli::Failure;
use crate::cli::demo::ledger::Ledger;
use crate::cli::demo::process::Process;
use crate::cli::demo::stage::Stage;
use crate::cli::progress;
use crate::cli::table::{counted, grouped};

const KILLS: u64 = 6;
const WRITERS: usize = 6;
/// How long clients write before each kill.
const WRITING: Duration = Duration::from_millis(250);

/// Shows it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("The server is killed -9 while clients write (appendfsync always)")?;
    let flags = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let mut process = Process::reef(&flags)?;
    let ledger = Ledger::new(WRITERS);
    let (mut lost, mut by_half, mut invented, mut there) = (0, 0, 0, 0);
    let bar = progress::bar(KILLS);
    for round in 0..KILLS {
        kill_while_writing(&mut process, &ledger, round % 3 == 2)?;
        let findings = ledger.check(&mut process.connect()?)?;
        lost += findings.lost;
        by_half += findings.by_half;
        invented += findings.invented;
        there = findings.there;
        bar.inc(1);
    }
    bar.finish_and_clear();
    stage.say(&format!(
        "{} and {}: MULTI of two keys, and batches of six keys by the plugin",
        counted(WRITERS as u64, "writer"),
        counted(KILLS, "kill"),
    ))?;
    let sentence = format!(
        "after every start all that was acknowledged was there: {lost} of {} are lost",
        grouped(there)
    );
    stage.check(there > 0 && lost == 0, &sentence)?;
    let sentence = "and nothing by half: both keys of each MULTI, every index of each transaction";
    stage.check(by_half == 0, sentence)?;
    stage.check(invented == 0, "and nothing twice")?;
    without_log(stage)
}

/// What is not logged is lost, and found to be.
fn without_log(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let mut process = Process::reef(&["--save", ""])?;
    let ledger = Ledger::new(WRITERS);
    kill_while_writing(&mut process, &ledger, false)?;
    let acknowledged = ledger.acknowledged();
    let findings = ledger.check(&mut process.connect()?)?;
    let sentence = format!(
        "the check can fail: with appendonly no {} of {} are lost",
        grouped(findings.lost),
        grouped(acknowledged)
    );
    stage.check(acknowledged > 0 && findings.lost == acknowledged, &sentence)
}

/// Kills a server under load, if need be in the middle of a rewrite of its log, and starts it again.
fn kill_while_writing(
    process: &mut Process,
    ledger: &Ledger,
    rewrites: bool,
) -> Result<(), Failure> {
    std::thread::scope(|scope| -> Result<(), Failure> {
        let begun = ledger.write(scope, process.server(), 0);
        std::thread::sleep(WRITING);
        if rewrites {
            // Refused while another is under way.
            let _ = process.call::<redis::Value>(&["BGREWRITEAOF"]);
        }
        // The writers end with the server, whatever else goes wrong.
        process.kill()?;
        Ok(begun?)
    })?;
    process.start_again()
}

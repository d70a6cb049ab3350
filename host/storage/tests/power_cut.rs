//! The log on a disk that loses power: at every operation, with different parts of what was not
//! synced surviving.
//!
//! The data is a count: unit `n` of the log says `n`, and a snapshot says how many units it covers. So
//! whatever is loaded must be an unbroken run of units from the first on, none by half, and at least
//! as long as what was settled.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use reef_resp::Argv;
use reef_storage::simulated::SimulatedDisk;
use reef_storage::{
    AppendFiles, Fsync, LoadError, Loader, Log, SharedDisk, SnapshotFile, load_log,
};

const DIR: &str = "/data";

fn open(disk: &SimulatedDisk) -> std::io::Result<AppendFiles> {
    AppendFiles::open(shared(disk), Path::new(DIR), "appendonlydir", "a.aof")
}

fn shared(disk: &SimulatedDisk) -> SharedDisk {
    Arc::new(disk.clone())
}

/// What a log says, loaded.
#[derive(Debug, Default)]
struct Count {
    units: u64,
    in_transaction: Option<u64>,
}

impl Loader for Count {
    fn snapshot(&mut self, reader: &mut dyn BufRead) -> Result<(), String> {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        let text = String::from_utf8(line).map_err(|error| error.to_string())?;
        let number = text.strip_prefix("REDIS").and_then(|text| text.strip_suffix('\n'));
        self.units = number.and_then(|number| number.parse().ok()).ok_or("torn")?;
        Ok(())
    }

    fn command(&mut self, argv: Argv<'_>) -> Result<(), String> {
        let word = |index| std::str::from_utf8(argv.get(index)).unwrap().to_owned();
        match word(0).as_str() {
            "SELECT" => {}
            "MULTI" => self.in_transaction = Some(0),
            "EXEC" => {
                assert_eq!(self.in_transaction.take(), Some(2), "a unit of two commands");
                self.units += 1;
            }
            "UNIT" => {
                let number: u64 = word(1).parse().unwrap();
                assert_eq!(number, self.units, "units follow each other");
                match &mut self.in_transaction {
                    Some(count) => *count += 1,
                    None => self.units += 1,
                }
            }
            other => return Err(format!("what is {other}?")),
        }
        Ok(())
    }

    fn forget_transaction(&mut self) {
        self.in_transaction = None;
    }

    fn progress(&mut self, bytes: u64, total: u64) {
        assert!(bytes <= total);
    }
}

fn load(disk: &SimulatedDisk) -> (AppendFiles, Count) {
    let files = open(disk).unwrap();
    let mut count = Count::default();
    load_log(&shared(disk), &files, true, &mut count).unwrap_or_else(|error| panic!("{error}"));
    (files, count)
}

fn append(log: &Log, number: u64) {
    let text = number.to_string();
    let command = format!("*2\r\n$4\r\nUNIT\r\n${}\r\n{text}\r\n", text.len());
    let twice = [(0, command.as_bytes()), (number as u32 % 3, command.as_bytes())];
    log.append(twice[..1 + number as usize % 2].iter().copied());
}

fn rewrite(
    log: &Log,
    disk: &SimulatedDisk,
    files: Option<AppendFiles>,
    units: u64,
) -> std::io::Result<()> {
    let (rewrite, ()) = log.begin_rewrite(files, |switch| switch())?;
    let mut file = SnapshotFile::create(shared(disk), rewrite.path.clone())?;
    file.write(format!("REDIS{units}\n").as_bytes())?;
    file.finish()?;
    log.finish_rewrite(&rewrite, true)
}

/// A run of a server: loads, goes on, rewrites now and then, until the power goes. Gives how many
/// units were settled; under `always` that is how many must be there afterwards.
fn run(disk: &SimulatedDisk, fsync: Fsync, units: u64) -> u64 {
    let Ok(files) = open(disk) else { return 0 };
    let mut count = Count::default();
    if let Err(error) = load_log(&shared(disk), &files, true, &mut count) {
        // Cutting off what is torn needs power too.
        assert!(matches!(error, LoadError::Files(_)), "{error}");
        return 0;
    }
    let (log, mut next) = (Log::default(), count.units);
    let mut settled = next;
    log.set_fsync(fsync);
    let begun = if files.is_new() {
        rewrite(&log, disk, Some(files), next)
    } else {
        log.resume(files).map(|has_increment| assert!(has_increment))
    };
    if begun.is_err() {
        return settled;
    }
    for step in 0..units {
        append(&log, next);
        next += 1;
        if step % 3 != 1 {
            // Otherwise the next settles both: group commit.
            if log.settle().is_err() {
                return settled;
            }
            settled = next;
        }
        if step % 7 == 6 {
            log.tend();
            if rewrite(&log, disk, None, next).is_err() {
                return settled;
            }
            settled = next;
        }
    }
    settled
}

#[test]
fn what_was_settled_survives_a_power_cut_at_every_operation() {
    const UNITS: u64 = 25;
    let calm = SimulatedDisk::new();
    assert_eq!(run(&calm, Fsync::Always, UNITS), UNITS - 1 + UNITS % 3 % 2);
    let operations = calm.operations();
    assert!(operations > 100, "{operations} operations");
    for cut in 0..=operations {
        let disk = SimulatedDisk::new();
        disk.cut_power_after(cut);
        let settled = run(&disk, Fsync::Always, UNITS);
        for seed in 0..24 {
            let mut rebooted = disk.after_power_cut(seed * 7 + cut);
            let (_, count) = load(&rebooted);
            assert!(count.units >= settled, "cut {cut} seed {seed}: {count:?} of {settled}");
            // And once more, somewhere in the life after.
            rebooted.cut_power_after(seed * 5 % 60);
            let settled = run(&rebooted, Fsync::Always, UNITS).max(settled);
            rebooted = rebooted.after_power_cut(seed);
            let (_, count) = load(&rebooted);
            assert!(count.units >= settled, "second cut {cut} seed {seed}: {count:?} of {settled}");
        }
    }
}

#[test]
fn without_syncs_a_power_cut_leaves_an_unbroken_run_all_the_same() {
    for cut in 0..160 {
        let disk = SimulatedDisk::new();
        disk.cut_power_after(cut);
        run(&disk, Fsync::EverySecond, 25);
        for seed in 0..24 {
            load(&disk.after_power_cut(seed));
        }
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_room_and_loses_nothing() {
    let disk = SimulatedDisk::new();
    let log = Log::default();
    log.set_fsync(Fsync::Always);
    rewrite(&log, &disk, Some(open(&disk).unwrap()), 0).unwrap();
    (0..10).for_each(|number| append(&log, number));
    log.settle().unwrap();
    disk.set_capacity(Some(disk.used() + 17));
    append(&log, 10);
    assert!(log.settle().is_err() && log.is_failing() && !log.is_settled());
    assert!(log.status().error.unwrap().contains("space"), "the reason is told");
    assert!(!log.tend(), "a rewrite would not help");
    assert_eq!(load(&disk.after_power_cut(1)).1.units, 10, "nothing by half");
    append(&log, 11);
    disk.set_capacity(None);
    assert!(!log.tend() && !log.is_failing() && log.is_settled());
    assert_eq!(load(&disk.after_power_cut(1)).1.units, 12);
}

#[test]
fn a_new_base_makes_room_on_a_full_disk() {
    let disk = SimulatedDisk::new();
    let log = Log::default();
    log.set_fsync(Fsync::Always);
    rewrite(&log, &disk, Some(open(&disk).unwrap()), 0).unwrap();
    (0..200).for_each(|number| append(&log, number));
    log.settle().unwrap();
    // Room for a manifest and a base, but not for what comes now.
    disk.set_capacity(Some(disk.used() + 300));
    (200..300).for_each(|number| append(&log, number));
    assert!(log.settle().is_err());
    rewrite(&log, &disk, None, 300).unwrap();
    assert!(!log.is_failing() && log.is_settled());
    append(&log, 300);
    log.settle().unwrap();
    for seed in 0..20 {
        assert_eq!(load(&disk.after_power_cut(seed)).1.units, 301);
    }
}

#[test]
fn after_a_failed_sync_only_a_new_base_is_trusted() {
    let disk = SimulatedDisk::new();
    let log = Log::default();
    log.set_fsync(Fsync::Always);
    rewrite(&log, &disk, Some(open(&disk).unwrap()), 0).unwrap();
    append(&log, 0);
    log.settle().unwrap();
    disk.fail_syncs(true);
    append(&log, 1);
    assert!(log.settle().is_err());
    disk.fail_syncs(false);
    append(&log, 2);
    assert!(log.settle().is_err() && log.is_failing(), "syncing again proves nothing");
    assert!(log.tend(), "a rewrite is asked for");
    rewrite(&log, &disk, None, 3).unwrap();
    assert!(!log.is_failing() && log.is_settled());
    append(&log, 3);
    log.settle().unwrap();
    for seed in 0..50 {
        assert_eq!(load(&disk.after_power_cut(seed)).1.units, 4);
    }
}

#[test]
fn a_file_that_is_torn_in_the_middle_of_a_log_is_not_cut() {
    let disk = SimulatedDisk::new();
    let log = Log::default();
    rewrite(&log, &disk, Some(open(&disk).unwrap()), 0).unwrap();
    append(&log, 0);
    log.finish().unwrap();
    let files = open(&disk).unwrap();
    let part = files.parts().unwrap().pop().unwrap();
    let whole = disk.content(&part.path).unwrap();
    disk.put(&part.path, whole[..whole.len() - 3].to_vec());
    let error = load_log(&shared(&disk), &files, false, &mut Count::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("'aof-load-truncated yes' cuts them off"), "{text}");
    // An increment with commands behind it.
    let name = part.path.with_file_name("a.aof.2.incr.aof");
    disk.put(&name, whole);
    let manifest = part.path.with_file_name("a.aof.manifest");
    let mut text = String::from_utf8(disk.content(&manifest).unwrap()).unwrap();
    text.push_str("file a.aof.2.incr.aof seq 2 type i\n");
    disk.put(&manifest, text.into_bytes());
    let files = open(&disk).unwrap();
    let error = load_log(&shared(&disk), &files, true, &mut Count::default()).unwrap_err();
    assert!(error.to_string().contains("files with later commands follow"), "{error}");
}

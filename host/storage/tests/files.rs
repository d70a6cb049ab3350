//! Which files a log has, and what stands in them: bases of both kinds, files that were replaced,
//! times.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reef_storage::simulated::SimulatedDisk;
use reef_storage::{AppendFiles, Disk, Log, SharedDisk, SnapshotFile};

const FOLDER: &str = "/data/log";

fn open(disk: &SimulatedDisk) -> AppendFiles {
    AppendFiles::open(shared(disk), Path::new("/data"), "log", "a.aof").unwrap()
}

fn shared(disk: &SimulatedDisk) -> SharedDisk {
    Arc::new(disk.clone())
}

fn text(disk: &SimulatedDisk, name: &str) -> String {
    let mut text = String::new();
    disk.read(&Path::new(FOLDER).join(name)).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The names in the manifest with what each is, and whether exactly these files are there.
fn check(disk: &SimulatedDisk, wanted: &[&str]) {
    let manifest = text(disk, "a.aof.manifest");
    let told: Vec<_> = manifest
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            format!("{} {}", words[1], words[5])
        })
        .collect();
    assert_eq!(told, wanted);
    let mut there = disk.names(Path::new(FOLDER)).unwrap();
    there.retain(|name| name != "a.aof.manifest");
    there.sort();
    let mut named: Vec<_> = wanted.iter().map(|name| name.split(' ').next().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(there, named);
}

fn rewrite(log: &Log, disk: &SimulatedDisk, files: Option<AppendFiles>, is_snapshot: bool) {
    let (rewrite, ()) = log.begin_rewrite(files, |switch| switch()).unwrap();
    SnapshotFile::create(shared(disk), rewrite.path.clone()).unwrap().finish().unwrap();
    log.finish_rewrite(&rewrite, is_snapshot).unwrap();
}

fn append(log: &Log) {
    let command: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    log.append([(0, command)]);
    log.settle().unwrap();
}

#[test]
fn what_was_replaced_stays_until_it_may_go() {
    let (disk, log) = (SimulatedDisk::default(), Log::default());
    rewrite(&log, &disk, Some(open(&disk)), true);
    check(&disk, &["a.aof.1.base.rdb b", "a.aof.1.incr.aof i"]);
    log.set_keeps_history(true);
    rewrite(&log, &disk, None, false);
    rewrite(&log, &disk, None, true);
    let replaced = [
        "a.aof.3.base.rdb b",
        "a.aof.2.incr.aof h",
        "a.aof.2.base.aof h",
        "a.aof.1.incr.aof h",
        "a.aof.1.base.rdb h",
        "a.aof.3.incr.aof i",
    ];
    check(&disk, &replaced);
    // A numbering that goes on as if they were not there would take a name that is taken.
    log.forget_history().unwrap();
    check(&disk, &replaced);
    log.set_keeps_history(false);
    log.forget_history().unwrap();
    check(&disk, &["a.aof.3.base.rdb b", "a.aof.3.incr.aof i"]);
    rewrite(&log, &disk, None, true);
    check(&disk, &["a.aof.4.base.rdb b", "a.aof.4.incr.aof i"]);
}

static SECOND: AtomicU64 = AtomicU64::new(1_700_000_000);

#[test]
fn a_second_is_told_once_and_before_what_was_run_in_it() {
    let (disk, log) = (SimulatedDisk::default(), Log::default());
    rewrite(&log, &disk, Some(open(&disk)), true);
    append(&log);
    log.set_clock(Some(|| SECOND.load(Ordering::Relaxed)));
    append(&log);
    append(&log);
    SECOND.fetch_add(5, Ordering::Relaxed);
    append(&log);
    // A clock that is put back says nothing new.
    SECOND.fetch_sub(3, Ordering::Relaxed);
    append(&log);
    log.set_clock(None);
    SECOND.fetch_add(100, Ordering::Relaxed);
    append(&log);
    let ping = "*1\r\n$4\r\nPING\r\n";
    let wanted = format!(
        "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n{ping}#TS:1700000000\r\n{ping}{ping}#TS:1700000005\r\n\
         {ping}{ping}{ping}"
    );
    assert_eq!(text(&disk, "a.aof.1.incr.aof"), wanted);
}

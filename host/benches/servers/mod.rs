//! Servers that a benchmark starts on free ports, each with a folder of its own; they die with their
//! values.
//!
//! Not every benchmark uses everything here.
#![allow(dead_code, reason = "each benchmark is a program of its own and takes what it needs")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START_MAX: Duration = Duration::from_secs(60);
/// In which the kernel counts CPU time.
const TICK: Duration = Duration::from_millis(10);

/// One that runs.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Reef as it was built, without snapshots.
    pub(crate) fn reef(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reef"));
        command.args(["serve", "--loglevel", "warning"]);
        Self::start(command, args)
    }

    /// The redis-server on PATH, without snapshots.
    pub(crate) fn redis(args: &[&str]) -> Self {
        Self::start(Command::new("redis-server"), args)
    }

    fn start(mut command: Command, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"]);
        let process = command.arg(folder.path()).args(args).stdout(Stdio::null()).spawn();
        let server = Self { process: process.expect("it starts"), port, _folder: folder };
        let deadline = Instant::now() + START_MAX;
        let answers =
            || redis::cmd("PING").query::<String>(&mut server.client()?.get_connection()?);
        while answers().is_err() {
            assert!(Instant::now() < deadline, "the server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn client(&self) -> redis::RedisResult<redis::Client> {
        redis::Client::open(("127.0.0.1".to_owned(), self.port))
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> redis::Connection {
        self.client().and_then(|client| client.get_connection()).expect("a connection")
    }

    /// The CPU time that it has used, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(stat).expect("it runs on Linux");
        // The name of the program, in brackets, may contain blanks.
        let (_, figures) = stat.rsplit_once(") ").expect("proc(5)");
        let ticks = figures.split(' ').skip(11).take(2);
        TICK * ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

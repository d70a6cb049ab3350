//! A server as a process of its own, which can be killed as a machine kills it and started again in its
//! folder and at its port: the built Reef, or a stock redis-server beside it.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{Connection, FromRedisValue, RedisResult};
use tempfile::TempDir;

/// An unoptimised build takes its time to compile the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a port that somebody else took meanwhile is replaced by another.
const ATTEMPTS: usize = 5;
/// Longer than any reply takes on a busy machine: whoever waits longer hangs.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a log is shown.
const LINES_SHOWN: usize = 20;

/// A server.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    /// What comes before the flags.
    verbs: &'static [&'static str],
    flags: Vec<String>,
    child: Mutex<Option<Child>>,
    port: u16,
    folder: TempDir,
}

impl Process {
    /// A Reef with these flags besides where it is.
    #[must_use]
    pub fn reef(flags: &[&str]) -> Self {
        Self::start(binary().to_owned(), &["serve"], flags)
    }

    /// A stock redis-server; says so if there is none on this machine, or fails if the environment
    /// demands it (`REEF_REQUIRE_PEERS=1`).
    ///
    /// # Panics
    /// If it is not here and required.
    #[expect(clippy::print_stdout, reason = "a test that checks less has to say so")]
    #[must_use]
    pub fn stock(flags: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_here = |folder: PathBuf| folder.join("redis-server").is_file();
        if !std::env::split_paths(&path).any(is_here) {
            let required = std::env::var("REEF_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "redis-server is required and not on PATH");
            println!("without a stock replica: no redis-server on PATH");
            return None;
        }
        Some(Self::start(PathBuf::from("redis-server"), &[], flags))
    }

    fn start(program: PathBuf, verbs: &'static [&'static str], flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let folder = TempDir::with_prefix("reef-history-").expect("a folder");
        let mut process = Self { program, verbs, flags, child: Mutex::new(None), port: 0, folder };
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            process.port = free.local_addr().expect("an address").port();
            drop(free);
            if process.run() {
                return process;
            }
        }
        panic!("{} does not start:\n{}", process.program.display(), process.latest_log());
    }

    /// Starts it, and waits until it has loaded its data; whether it did.
    fn run(&mut self) -> bool {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path());
        let log: File = log.expect("a log");
        let mut command = Command::new(&self.program);
        command.args(self.verbs).args(["--port", &self.port.to_string()]);
        command.args(["--bind", "127.0.0.1", "--dir"]).arg(self.folder.path());
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.flags);
        command.env("XDG_CACHE_HOME", std::env::temp_dir().join("reef-histories-cache"));
        command.env_remove("RUST_LOG").env_remove("REDIS_PORT").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let child = command.spawn().expect("the binary runs");
        let id = self.child.get_mut().insert(child).id().to_string();
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && self.is_running() {
            // Whoever listens there must be this process, not one that took the port.
            if self.try_info("process_id").is_ok_and(|found| found == id)
                && self.try_info("loading").is_ok_and(|loading| loading == "0")
            {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        false
    }

    /// Whether the process is there.
    ///
    /// # Panics
    /// If the operating system does not say.
    pub fn is_running(&self) -> bool {
        self.child.lock().as_mut().is_some_and(|child| child.try_wait().expect("a child").is_none())
    }

    /// Kills it at once (`kill -9`), and waits until it is gone.
    ///
    /// # Panics
    /// If that fails.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            child.kill().expect("it can be killed");
            child.wait().expect("a child");
        }
    }

    /// Starts it once more, with its data and at its port, and with these flags instead.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub fn start_again(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.kill();
        assert!(self.run(), "it does not start again:\n{}", self.latest_log());
    }

    /// Where it listens on the loopback interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What it logged last.
    #[must_use]
    pub fn latest_log(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(LINES_SHOWN).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// A connection to it.
    ///
    /// # Errors
    /// It is not there.
    pub fn connect(&self) -> RedisResult<Connection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let connection = client.get_connection_with_timeout(Duration::from_secs(5))?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(connection)
    }

    /// Runs one command over a connection of its own.
    ///
    /// # Errors
    /// It is not there, or refuses.
    pub fn try_call<T: FromRedisValue>(&self, line: &str) -> RedisResult<T> {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.connect()?)
    }

    /// The same where it must succeed.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn call<T: FromRedisValue>(&self, line: &str) -> T {
        self.try_call(line).unwrap_or_else(|error| panic!("{line}: {error}\n{}", self.latest_log()))
    }

    /// A field of INFO, or nothing.
    ///
    /// # Errors
    /// It is not there.
    pub fn try_info(&self, field: &str) -> RedisResult<String> {
        let text: String = self.try_call("INFO everything")?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.unwrap_or_default().to_owned())
    }

    /// A digest of all its data, the same for the same data in Reef and Redis.
    #[must_use]
    pub fn digest(&self) -> String {
        self.call("DEBUG DIGEST")
    }

    /// Makes it a replica of whoever is reached at this port.
    pub fn follow(&self, port: u16) {
        wait_until("it takes another primary", || {
            self.try_call::<String>(&format!("REPLICAOF 127.0.0.1 {port}")).is_ok()
        });
    }

    /// Makes it a primary, as soon as it can be.
    pub fn promote(&self) {
        wait_until("it can be promoted", || self.try_call::<String>("REPLICAOF NO ONE").is_ok());
    }

    /// Waits until it has the data of its primary's stream.
    ///
    /// # Panics
    /// With its log, if it never has.
    pub fn until_up(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.try_info("master_link_status").is_ok_and(|status| status != "up") {
            assert!(Instant::now() < deadline, "the link is not up:\n{}", self.latest_log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for what must come.
///
/// # Panics
/// If it does not come.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still not: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The binary as the environment names it, or as Cargo left it; built if there is none.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("REEF_BINARY") {
            return std::path::absolute(named).expect("a path");
        }
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let binary = profile.join("reef");
        if !binary.is_file() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--locked"]);
            build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
            if profile.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().expect("cargo runs").success(), "the server builds");
        }
        binary
    })
}

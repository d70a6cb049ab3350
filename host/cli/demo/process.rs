//! A server of a demonstration as a process of its own, which can be killed as a machine kills it:
//! a Reef, or a stock redis-server beside it.
//!
//! It listens on a free port of the loopback interface and keeps its data in a folder of its own,
//! which outlives the process but not the value. Dropping the value kills the process.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Value;
use tempfile::TempDir;

use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::progress;

/// Between finding a free port and listening on it somebody else may take it.
const ATTEMPTS: usize = 5;
/// The first start on a machine compiles the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often something that is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// What lasts longer shows that it does.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// What the processes' output goes to.
const LOG: &str = "log";

/// A server as a process.
pub(super) struct Process {
    program: Program,
    child: Option<Child>,
    flags: Vec<String>,
    port: u16,
    server: Server,
    folder: TempDir,
}

/// What runs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Reef,
    /// Whose files cannot become larger than so many blocks of 512 bytes: a full disk.
    ReefWithLittleRoom(u64),
    Stock,
}

impl Process {
    /// A Reef with these flags besides where it is.
    pub(super) fn reef(flags: &[&str]) -> Result<Self, Failure> {
        Self::start(Program::Reef, flags)
    }

    /// A Reef none of whose files can become larger than so many blocks of 512 bytes.
    pub(super) fn with_little_room(blocks: u64, flags: &[&str]) -> Result<Self, Failure> {
        Self::start(Program::ReefWithLittleRoom(blocks), flags)
    }

    /// A stock redis-server, if there is one on this machine.
    pub(super) fn stock(flags: &[&str]) -> Result<Option<Self>, Failure> {
        let mut version = Command::new("redis-server");
        let found = version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        Self::start(Program::Stock, flags).map(Some)
    }

    fn start(program: Program, flags: &[&str]) -> Result<Self, Failure> {
        let folder = TempDir::with_prefix("reef-demo-")?;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (port, server) = free_place()?;
        let mut process = Self { program, child: None, flags, port, server, folder };
        let mut attempt = 1;
        loop {
            match process.run() {
                Ok(()) => return Ok(process),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
            (process.port, process.server) = free_place()?;
        }
    }

    /// Starts it once more, with its data and at its port, after it was killed.
    pub(super) fn start_again(&mut self) -> Result<(), Failure> {
        self.kill()?;
        self.run()
    }

    /// What it is told when it is started from now on.
    pub(super) fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Kills it at once (`kill -9`), and waits until it is gone.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The number of its process.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where it listens on the loopback interface.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
    /// How to reach it.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A connection to it.
    pub(super) fn connect(&self) -> Result<Client, ClientError> {
        self.server.connect()
    }

    /// Runs one command over a connection of its own.
    pub(super) fn call<T: redis::FromRedisValue>(&self, words: &[&str]) -> Result<T, ClientError> {
        self.connect()?.call(words)
    }

    /// A field of INFO, or nothing.
    pub(super) fn info(&self, field: &str) -> Result<String, ClientError> {
        let text: String = self.call(&["INFO", "everything"])?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.unwrap_or_default().to_owned())
    }

    /// A field of INFO that is a number.
    pub(super) fn number(&self, field: &str) -> Result<u64, ClientError> {
        Ok(self.info(field)?.parse().unwrap_or(0))
    }

    /// A digest of all its data, the same for the same data in Reef and Redis.
    pub(super) fn digest(&self) -> Result<String, ClientError> {
        self.call(&["DEBUG", "DIGEST"])
    }

    fn run(&mut self) -> Result<(), Failure> {
        let log = File::create(self.log())?;
        let mut command = self.command()?;
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"]);
        command.arg(self.folder.path()).args(["--enable-debug-command", "local"]);
        // Nobody wants to watch a primary wait for more replicas.
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.args(&self.flags).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // The environment has no say in a demonstration.
        for name in ["RUST_LOG", "REDIS_PORT", "REDIS_MAX_CLIENTS"] {
            command.env_remove(name);
        }
        self.child = Some(command.spawn()?);
        let began = Instant::now();
        while began.elapsed() < START_TIMEOUT {
            let Some(child) = &mut self.child else { break };
            if child.try_wait()?.is_some() {
                break;
            }
            if self.is_ready() {
                return Ok(());
            }
            std::thread::sleep(GLANCE);
        }
        self.kill()?;
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        Err(Failure::new(format!("a server of the demonstration does not start: {last}")))
    }

    fn command(&self) -> Result<Command, Failure> {
        let reef = std::env::current_exe()?;
        Ok(match self.program {
            Program::Stock => Command::new("redis-server"),
            Program::Reef => {
                let mut command = Command::new(reef);
                command.arg("serve");
                command
            }
            Program::ReefWithLittleRoom(blocks) => {
                let mut command = Command::new("sh");
                // Without the trap the system would end whoever meets the limit.
                let script =
                    format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" serve \"$@\"");
                command.arg("-c").arg(script).arg(reef);
                command
            }
        })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// Whether it has loaded its data; and whoever listens there must be this process, not one that
    /// took the port.
    fn is_ready(&self) -> bool {
        let Ok(mut client) = self.connect() else { return false };
        let Ok(info) = client.call::<String>(&["INFO", "server"]) else { return false };
        let id = self.id().map(|id| format!("process_id:{id}")).unwrap_or_default();
        let is_ours = info.lines().any(|line| line == id);
        is_ours && client.call::<Value>(&["PING"]).is_ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A port that was free a moment ago.
fn free_place() -> Result<(u16, Server), Failure> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok((port, Server::at(&format!("redis://127.0.0.1:{port}"))?))
}

/// Waits until something is so; gives whether it was within the time.
pub(super) fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    let mut bar = None;
    let held = loop {
        if is_so() {
            break true;
        }
        let waited = began.elapsed();
        if waited > limit {
            break false;
        }
        if waited >= BAR_AFTER {
            let bar = bar.get_or_insert_with(|| progress::bar(limit.as_secs()));
            bar.set_position(waited.as_secs());
        }
        std::thread::sleep(GLANCE);
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    held
}

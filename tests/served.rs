//! The built binary: run to its end, or serving on a free port.
//!
//! A server has a folder of its own unless it is told one, and dies with its value. Compiled plugins are cached in Cargo's folder for
//! tests, so that only the first server compiles them.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// An unoptimised build takes its time to compile the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a port that somebody else took meanwhile is replaced by another.
const PORT_ATTEMPTS: usize = 5;

/// The binary, ready to be given arguments.
pub(crate) fn reef() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reef"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("RUST_LOG").env_remove("REDIS_PORT").env_remove("REDIS_MAX_CLIENTS");
    command.stdin(Stdio::null());
    command
}

/// What a stranger's project is built with: nothing of what cargo tells this test, and one folder for
/// what all of them have in common.
pub(crate) fn stranger(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" {
            command.env_remove(&*name);
        }
    }
    command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/examples"))
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    reef().args(args).output().expect("the binary runs")
}

/// What a program wrote, and it succeeded.
pub(crate) fn succeeded(output: Output) -> String {
    let out = String::from_utf8(output.stdout).expect("text");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    out
}

/// The one sentence that a program failed with.
pub(crate) fn sentence(output: &Output) -> String {
    let err = String::from_utf8(output.stderr.clone()).expect("text");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    let sentence = err.strip_suffix('\n').and_then(|line| line.strip_prefix("reef: "));
    let sentence = sentence.unwrap_or_else(|| panic!("not one sentence: {err:?}"));
    assert!(!sentence.contains('\n') && !sentence.is_empty(), "{err:?}");
    sentence.to_owned()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// `reef serve` on a free port.
pub(crate) struct Served {
    process: Child,
    port: u16,
    _folder: Option<tempfile::TempDir>,
}

impl Served {
    /// Starts one and waits until it answers.
    pub(crate) fn start(args: &[&str]) -> Self {
        (0..PORT_ATTEMPTS)
            .find_map(|_| Self::try_start(None, None, args))
            .expect("reef serve starts")
    }

    /// Starts one whose data is in this folder.
    pub(crate) fn start_in(folder: &Path, args: &[&str]) -> Self {
        let start = |_| Self::try_start(None, Some(folder), args);
        (0..PORT_ATTEMPTS).find_map(start).expect("reef serve starts")
    }

    /// Starts one with a configuration file.
    pub(crate) fn start_from(file: &Path, args: &[&str]) -> Self {
        let start = |_| Self::try_start(Some(file), None, args);
        (0..PORT_ATTEMPTS).find_map(start).expect("reef serve starts")
    }

    fn try_start(file: Option<&Path>, folder: Option<&Path>, args: &[&str]) -> Option<Self> {
        let own = folder.is_none().then(|| tempfile::tempdir().expect("a folder"));
        let folder = folder.or(own.as_ref().map(|own| own.path())).expect("one of both");
        let port = free_port();
        let process = reef()
            .arg("serve")
            .args(file)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder)
            // A replica comes alone here: nobody else is worth waiting for.
            .args(["--repl-diskless-sync-delay", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut served = Self { process, port, _folder: own };
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && served.process.try_wait().expect("a child").is_none() {
            // Whoever listens there must be this process, not one that took the port.
            if TcpStream::connect(("127.0.0.1", port)).is_ok()
                && served.info("process_id") == served.process.id().to_string()
                && served.info("loading") == "0"
            {
                return Some(served);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_connection_with_timeout(Duration::from_secs(5)).expect("a connection")
    }

    /// A field of INFO.
    pub(crate) fn info(&self, field: &str) -> String {
        let text: String = redis::cmd("INFO").query(&mut self.connect()).expect("INFO");
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    /// Runs the binary with these arguments and this server's URL.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        reef().args(args).args(["--url", &self.url()]).output().expect("the binary runs")
    }

    /// Kills it at once, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a child");
    }

    /// Asks it to stop as an init system would, and waits; how it ended and what it had logged.
    pub(crate) fn terminate(mut self, timeout: Duration) -> (ExitStatus, String) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let deadline = Instant::now() + timeout;
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        if let Some(out) = &mut self.process.stdout {
            out.read_to_string(&mut log).expect("text");
        }
        (status, log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether this program is here; where it is not, says that a test is skipped, or fails if the
/// environment demands it.
#[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
pub(crate) fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here =
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file());
    if !here {
        let required = std::env::var("REEF_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "{program} is required and not on PATH");
        println!("skipped: no {program} on PATH");
    }
    here
}

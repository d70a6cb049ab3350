//! A server of a test's own, and what is on this machine to talk to it.
//!
//! The server is the built binary, so nothing of it is linked here: a client sees what users see.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An unoptimised build takes its time to compile the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a port that somebody else took meanwhile is replaced by another.
const PORT_ATTEMPTS: usize = 5;

/// `reef serve` on a free port, until it is dropped.
#[derive(Debug)]
pub struct Served {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        (0..PORT_ATTEMPTS).find_map(|_| Self::try_start()).expect("reef serve starts")
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new(binary())
            .args(["serve", "--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder.path())
            .env("XDG_CACHE_HOME", std::env::temp_dir().join("reef-clients-cache"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut served = Self { process, port, _folder: folder };
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && served.process.try_wait().expect("a child").is_none() {
            if answers(port).unwrap_or(false) {
                return Some(served);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a server has loaded what it has: until then it refuses commands.
fn answers(port: u16) -> io::Result<bool> {
    const PONG: [u8; 5] = *b"+PONG";
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(START_TIMEOUT))?;
    socket.write_all(b"PING\r\n")?;
    let mut heard = [0; PONG.len()];
    socket.read_exact(&mut heard)?;
    Ok(heard == PONG)
}

/// The binary as `cargo test` or `cargo build` left it; built if there is none. Always building it
/// here would compile the engine of the plugins anew: what is selected together shares features.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
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

/// Whether this program is here; where it is not, says that a test is skipped, or fails if the
/// environment demands it.
///
/// # Panics
/// If it is not here and `REEF_REQUIRE_PEERS` is 1.
#[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
#[must_use]
pub fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !here {
        let required = std::env::var("REEF_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "{program} is required and not on PATH");
        println!("skipped: no {program} on PATH");
    }
    here
}

/// What a program wrote, and it succeeded.
///
/// # Panics
/// With all that it wrote, if it failed.
#[must_use]
pub fn succeeded(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    out.into_owned()
}

//! Starts a real redis-server to record from and to certify against.
//!
//! It listens on a free loopback port, keeps nothing on disk unless told to, and dies with the value.
//! Unless it is told a folder, what it is told to save goes into one that dies with it.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::reply::{Reply, decode};

/// How often a port that somebody else took meanwhile is replaced by another.
const PORT_ATTEMPTS_MAX: usize = 5;
/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A redis-server of our own.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    address: SocketAddr,
    /// What dies with it.
    folder: Option<Folder>,
}

/// A folder that is removed with the value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("reef-oracle-{process}-{number}"));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If it fails there is one more temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl RedisServer {
    /// The version of a redis-server program, such as `7.0.15`; `None` when there is none.
    #[must_use]
    pub fn version(program: &OsStr) -> Option<String> {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
        Some(version.to_owned())
    }

    /// Starts a redis-server program: a path, or a name to be found on PATH.
    ///
    /// # Errors
    /// There is none, or it does not listen.
    pub fn start(program: &OsStr) -> io::Result<Self> {
        let folder = Folder::new()?;
        let mut server = Self::start_in(program, &folder.0, "dump.rdb")?;
        server.folder = Some(folder);
        Ok(server)
    }

    /// The same with a folder of its own: it loads the file of this name from there, if there is
    /// one, and saves to it when told to.
    ///
    /// # Errors
    /// There is none, it does not listen, or it does not take the file.
    pub fn start_in(program: &OsStr, folder: &Path, file: &str) -> io::Result<Self> {
        Self::start_with(program, folder, &["--appendonly", "no", "--dbfilename", file])
    }

    /// The same with an append-only file, synced always, in this folder.
    ///
    /// # Errors
    /// There is none, or it does not listen.
    pub fn start_with_log(program: &OsStr, folder: &Path) -> io::Result<Self> {
        Self::start_with(program, folder, &["--appendonly", "yes", "--appendfsync", "always"])
    }

    fn start_with(program: &OsStr, folder: &Path, files: &[&str]) -> io::Result<Self> {
        let mut last = io::Error::other("no port was tried");
        for _ in 0..PORT_ATTEMPTS_MAX {
            match Self::start_on(program, folder, files, free_port()?) {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start_on(program: &OsStr, folder: &Path, files: &[&str], port: u16) -> io::Result<Self> {
        let port_text = port.to_string();
        let child = Command::new(program)
            .args(["--port", &port_text, "--bind", "127.0.0.1", "--save", ""])
            .args(files)
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child, address, folder: None };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("redis-server ended at once: {status}")));
            }
            if let Ok(stream) = TcpStream::connect(address) {
                server.prove_identity(stream)?;
                return Ok(server);
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "redis-server does not listen",
                ));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl RedisServer {
    /// Whoever listens must be the process that was started: between two servers that start at once
    /// a free port can change hands.
    fn prove_identity(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        stream.write_all(b"INFO server\r\n")?;
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match decode(&bytes) {
                Ok(None) => {}
                Ok(Some((Reply::Bulk(info), _))) => {
                    let line = format!("process_id:{}\r\n", self.child.id());
                    let info = String::from_utf8_lossy(&info).into_owned();
                    return match info.contains(&line) {
                        true => Ok(()),
                        false => Err(io::Error::other("somebody else took the port")),
                    };
                }
                other => return Err(io::Error::other(format!("INFO got {other:?}"))),
            }
            let length = stream.read(&mut chunk)?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            bytes.extend(&chunk[..length]);
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

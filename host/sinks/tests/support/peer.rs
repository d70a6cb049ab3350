//! Servers of other people, each in a folder of its own on a port of its own, gone with whoever
//! started it.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where a program is: on PATH, or in a folder where Debian puts it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The program, or nothing with a word about it; a failure where peers are required.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn required(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        let demanded = std::env::var_os("REEF_REQUIRE_PEERS").is_some_and(|value| value == "1");
        assert!(!demanded, "REEF_REQUIRE_PEERS=1, but there is no {program}");
        println!("SKIPPED: there is no {program}");
    }
    found
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether these tests are run by root, as whom databases refuse to run.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.starts_with(b"0\n")
}

/// A command of the user that databases run as.
pub(crate) fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    // It becomes the program, so that a signal to one is a signal to the other.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

/// A folder which that user may write to.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("reef-sinks-").tempdir().unwrap();
    if is_root() {
        let owned = Command::new("chown").arg("nobody").arg(folder.path()).status().unwrap();
        assert!(owned.success());
    }
    folder
}

/// A running server. A shell watches over it and ends it when this process is gone, however that
/// went.
pub(crate) struct Running {
    shell: Child,
    life: Option<ChildStdin>,
}

impl Running {
    pub(crate) fn start(mut server: Command, log: &Path) -> Self {
        let mut line = vec![server.get_program().to_owned()];
        line.extend(server.get_args().map(ToOwned::to_owned));
        let program = line.remove(0);
        server = Command::new("sh");
        let watch = r#""$0" "$@" & child=$!; echo $child; read _; kill -QUIT $child; sleep 0.3; kill -9 $child; wait"#;
        server.arg("-c").arg(watch).arg(program).args(line);
        let log = std::fs::File::create(log).unwrap();
        let mut shell = server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("a shell");
        let mut first = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let life = shell.stdin.take();
        Self { shell, life }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.life.take());
        let _ = self.shell.wait();
    }
}

/// Waits until a port is listened at.
pub(crate) fn listening(port: u16, log: &Path) {
    until_connected(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), log);
}

/// Waits until a server whose output goes to `log` lets itself be connected to.
pub(crate) fn until_connected(is_connected: impl Fn() -> bool, log: &Path) {
    let begun = Instant::now();
    while !is_connected() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(60), "not listening: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

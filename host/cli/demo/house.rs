//! The Reef of a demonstration: in this process, on a free port of the loopback interface, with a
//! folder of its own that is gone afterwards.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::cli::Failure;
use crate::cli::client::Server;
use crate::config::Config;
use crate::reef::Reef;

/// Between finding a free port and listening on it somebody else may take it.
const ATTEMPTS: usize = 5;

/// A running Reef.
pub(super) struct House {
    reef: Option<Reef>,
    server: Server,
    // Removed when everything else is gone.
    _folder: TempDir,
}

impl House {
    /// Starts one.
    pub(super) fn start() -> Result<Self, Failure> {
        let folder = TempDir::with_prefix("reef-demo-")?;
        let mut attempt = 1;
        loop {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match Reef::start(config(port, folder.path())?) {
                Ok(reef) => {
                    let server = Server::at(&format!("redis://127.0.0.1:{}", reef.port()))?;
                    return Ok(Self { reef: Some(reef), server, _folder: folder });
                }
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(_) => attempt += 1,
            }
        }
    }

    /// How to reach it.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Stops it and waits until it has stopped.
    pub(super) fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        if let Some(reef) = self.reef.take() {
            reef.stopper().stop();
            reef.join();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Everything at its default but where it is; the environment has no say in a demonstration.
fn config(port: u16, folder: &Path) -> Result<Config, Failure> {
    let port = port.to_string();
    let folder = folder.display().to_string();
    let flags = ["--bind", "127.0.0.1", "--port", &port, "--dir", &folder, "--save", ""];
    let (config, _) = Config::load(None, &flags.map(str::to_owned), &|_| None)?;
    Ok(config)
}

//! Listens, and serves each connection, on one thread.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

use crate::request;

/// Lets somebody in who comes from this address: the other end of a connection to the server that
/// speaks RESP. The error is the line that a client hears who is refused.
pub type Entrance = Arc<dyn Fn(SocketAddr) -> Result<UnixStream, String> + Send + Sync>;

/// How long a connection may be idle, and its headers may take.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of headers.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// How long nobody is accepted when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// What the operator says of the door.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on, as in the directive `bind`.
    pub bind: Vec<String>,
    /// The port; 0 stands for any.
    pub port: u16,
    /// Origins whose pages may use it; `*` stands for all.
    pub origins: Vec<String>,
    /// HTTP connections at a time.
    pub connections_max: usize,
}

/// An open door. Dropping it closes it, and ends the requests that it serves.
#[derive(Debug)]
pub struct Door {
    port: u16,
    /// Gone when the thread is to end.
    open: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What every connection needs.
pub(crate) struct House {
    pub(crate) entrance: Entrance,
    pub(crate) settings: Settings,
    places: Arc<Semaphore>,
}

impl Door {
    /// Opens it.
    pub fn open(settings: Settings, entrance: Entrance) -> io::Result<Self> {
        let listeners = listen(&settings)?;
        let port = match listeners.first() {
            Some(listener) => listener.local_addr()?.port(),
            None => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let places = Arc::new(Semaphore::new(settings.connections_max));
        let house = Arc::new(House { entrance, settings, places });
        let (open, closed) = oneshot::channel();
        let thread = thread::Builder::new().name("reef-http".into()).spawn(move || {
            runtime.block_on(async {
                for listener in listeners {
                    match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => drop(tokio::spawn(accept(house.clone(), listener))),
                        Err(error) => tracing::error!("the HTTP port is not served: {error}"),
                    }
                }
                // That its sender is gone is the sign.
                let _ = closed.await;
            });
            // Whoever is served just now is not any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { port, open: Some(open), thread: Some(thread) })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.open = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP thread died");
        }
    }
}

/// Listens on all addresses. `-` before one: it may be missing on this machine. `*` and `::*`: all.
fn listen(settings: &Settings) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut port = settings.port;
    for address in &settings.bind {
        let (optional, host) = match address.strip_prefix('-') {
            Some(host) => (true, host),
            None => (false, address.as_str()),
        };
        // One socket of both families would be in the way of the other address.
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => continue,
            host => host,
        };
        let bound = (host, port)
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .and_then(TcpListener::bind);
        let listener = match bound {
            Ok(listener) => listener,
            Err(_) if optional => continue,
            Err(error) => return Err(error),
        };
        listener.set_nonblocking(true)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn accept(house: Arc<House>, listener: tokio::net::TcpListener) {
    loop {
        // Whoever comes beyond the limit waits in the kernel's queue.
        let Ok(place) = house.places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A socket that takes no options is about to fail anyway.
                let _ = stream.set_nodelay(true);
                let house = house.clone();
                tokio::spawn(async move {
                    serve(house, stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("an HTTP connection cannot be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(house: Arc<House>, stream: tokio::net::TcpStream, peer: SocketAddr) {
    let service = service_fn(move |request| {
        let house = house.clone();
        async move { Ok::<_, Infallible>(request::answer(&house, peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        // Whatever strangers send.
        tracing::debug!("an HTTP connection from {peer} ended: {error}");
    }
}

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
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::sync::{Semaphore, oneshot};

use crate::patient::Patient;
use crate::request;

/// Lets somebody in who comes from this address: the other end of a connection to the server that
/// speaks RESP. The error is the line that a client hears who is refused.
pub type Entrance = Arc<dyn Fn(SocketAddr) -> Result<UnixStream, String> + Send + Sync>;

/// How long a connection may be idle, and its headers may take.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Connections that wait in the kernel, as in the directive `tcp-backlog`.
    pub backlog: i32,
    /// After how much silence a peer is asked whether it is still there, as in `tcp-keepalive`; 0: never.
    pub keepalive_s: u64,
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

/// Listens on all addresses, as the server's own ports do. `-` before one: it may be missing on this
/// machine. `*` and `::*`: all of a family.
fn listen(settings: &Settings) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut port = settings.port;
    for address in &settings.bind {
        let host = match address.strip_prefix('-').unwrap_or(address) {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        };
        let listener = match listen_at(host, port, settings.backlog) {
            Ok(listener) => listener,
            Err(error) if address.starts_with('-') && is_missing(&error) => continue,
            Err(error) => return Err(error),
        };
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen_at(host: &str, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let address = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // One of both families would be in the way of the other address.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Whether this machine has no such address.
fn is_missing(error: &io::Error) -> bool {
    const NO_ADDRESS_FAMILY: i32 = 97;
    error.raw_os_error() == Some(NO_ADDRESS_FAMILY)
        || matches!(
            error.kind(),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported | io::ErrorKind::NotFound
        )
}

/// Small answers go out at once, and dead peers are noticed.
fn prepare(stream: &tokio::net::TcpStream, keepalive_s: u64) {
    // A socket that takes no options is about to fail anyway.
    let _ = stream.set_nodelay(true);
    if keepalive_s > 0 {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(keepalive_s))
            .with_interval(Duration::from_secs((keepalive_s / 3).max(1)))
            .with_retries(3);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

async fn accept(house: Arc<House>, listener: tokio::net::TcpListener) {
    loop {
        // Whoever comes beyond the limit waits in the kernel's queue.
        let Ok(place) = house.places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                prepare(&stream, house.settings.keepalive_s);
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
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service)
        .await;
    if let Err(error) = served {
        // Whatever strangers send.
        tracing::debug!("an HTTP connection from {peer} ended: {error}");
    }
}

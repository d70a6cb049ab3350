//! Where clients come in: TCP addresses and a unix socket.
//!
//! One worker accepts and hands connections out in turn, so that workers are loaded evenly and a
//! second server on the same port is told so by the operating system. CONFIG SET moves the TCP
//! listeners from whichever worker it runs on, so they stand behind a lock; a move that fails
//! leaves everything as it was.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};

use crate::mailbox::Newcomer;
use crate::server::{Options, ServerError, Shared};
use crate::socket::Socket;
use crate::worker::is_transient;

/// The token of all listeners: whichever is ready, all are asked. The mailbox has the one above.
pub(crate) const LISTENERS: Token = Token(usize::MAX - 1);

enum Listener {
    Tcp(mio::net::TcpListener),
    Tls(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Listener {
    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) | Self::Tls(tcp) => {
                registry.register(tcp, LISTENERS, Interest::READABLE)
            }
            Self::Unix(unix) => registry.register(unix, LISTENERS, Interest::READABLE),
        }
    }
}

/// All listeners.
pub(crate) struct Listeners {
    tcp: Vec<Listener>,
    tls: Vec<Listener>,
    unix: Option<Listener>,
    /// Removed at the end.
    socket_path: Option<PathBuf>,
    /// Of the worker that accepts.
    registry: Registry,
}

impl Listeners {
    /// Opens everything that the options name; `registry` tells the worker that accepts.
    pub(crate) fn open(options: &Options, registry: &Registry) -> Result<Self, ServerError> {
        let registry = registry.try_clone()?;
        let mut opened =
            Self { tcp: Vec::new(), tls: Vec::new(), unix: None, socket_path: None, registry };
        opened.listen_at(options)?;
        if let Some(path) = &options.unix_socket {
            let mut unix = open_unix(path, options)?;
            opened.socket_path = Some(path.clone());
            unix.register(&opened.registry)?;
            opened.unix = Some(unix);
        }
        Ok(opened)
    }

    /// Listens at the port and the addresses of `new` instead of those of `old`, or still there.
    pub(crate) fn relocate(&mut self, old: &Options, new: &Options) -> Result<(), ServerError> {
        if new.bind == old.bind {
            self.tcp = self.open_all(new, tcp_port(new), Listener::Tcp)?;
            return Ok(());
        }
        // An address may be in both, and no two listeners can have one port of it.
        self.tcp.clear();
        self.tls.clear();
        let moved = self.listen_at(new);
        if moved.is_err()
            && let Err(error) = self.listen_at(old)
        {
            tracing::error!("nobody can connect any more: {error}");
        }
        moved
    }

    fn listen_at(&mut self, options: &Options) -> Result<(), ServerError> {
        let tcp = self.open_all(options, tcp_port(options), Listener::Tcp)?;
        let tls_port = Some(options.tls.port).filter(|port| *port != 0);
        self.tls = self.open_all(options, tls_port, Listener::Tls)?;
        self.tcp = tcp;
        Ok(())
    }

    /// Opens a port, if there is one, at every address that there is.
    fn open_all(
        &self,
        options: &Options,
        port: Option<u16>,
        kind: fn(mio::net::TcpListener) -> Listener,
    ) -> Result<Vec<Listener>, ServerError> {
        let Some(port) = port else { return Ok(Vec::new()) };
        let mut opened = Vec::new();
        for address in &options.bind {
            opened.extend(open_tcp(address, port, options.backlog)?.map(kind));
        }
        for listener in &mut opened {
            listener.register(&self.registry)?;
        }
        if opened.is_empty() { Err(ServerError::NoAddress) } else { Ok(opened) }
    }

    /// The TCP port of the first listener: the real one when port 0 was asked for.
    pub(crate) fn port(&self) -> u16 {
        let port = |listener: &Listener| match listener {
            Listener::Tcp(tcp) => tcp.local_addr().ok().map(|address| address.port()),
            Listener::Tls(_) | Listener::Unix(_) => None,
        };
        self.tcp.iter().find_map(port).unwrap_or(0)
    }

    /// Nobody connects any more.
    pub(crate) fn close(&mut self) {
        self.tcp.clear();
        self.tls.clear();
        self.unix = None;
        if let Some(path) = self.socket_path.take() {
            // Whoever comes next removes it too.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The next new connection, if any. Those beyond `maxclients` are told so and closed.
    pub(crate) fn accept(&self, shared: &Shared) -> Option<Newcomer> {
        for listener in self.tcp.iter().chain(&self.tls).chain(&self.unix) {
            loop {
                match accept_one(listener, shared) {
                    Ok(Some(newcomer)) => return Some(newcomer),
                    Ok(None) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if is_transient(&error) => {}
                    Err(error) => {
                        // Out of descriptors: the others go on, this one waits for the next turn.
                        tracing::warn!("a connection cannot be accepted: {error}");
                        break;
                    }
                }
            }
        }
        None
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.close();
    }
}

/// The port without TLS, if one is wanted; 0 stands for any.
fn tcp_port(options: &Options) -> Option<u16> {
    let wanted = options.port != 0;
    wanted.then_some(if options.port_any { 0 } else { options.port })
}

/// Whether the machine lacks an address or, as the number says, all of IPv6.
fn is_missing(error: &io::Error) -> bool {
    const NO_ADDRESS_FAMILY: i32 = 97;
    error.raw_os_error() == Some(NO_ADDRESS_FAMILY)
        || matches!(
            error.kind(),
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported | ErrorKind::NotFound
        )
}

fn open_unix(path: &PathBuf, options: &Options) -> Result<Listener, ServerError> {
    let failed = |source| ServerError::Listen { address: path.display().to_string(), source };
    // A socket that a killed server left behind is in the way; one that answers is not ours.
    if UnixStream::connect(path).is_err() {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let listener = mio::net::UnixListener::bind(path).map_err(failed)?;
    if options.unix_socket_permissions != 0 {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(options.unix_socket_permissions);
        std::fs::set_permissions(path, permissions).map_err(failed)?;
    }
    Ok(Listener::Unix(listener))
}

/// Opens a port at an address. `-` before it: it may be missing on this machine. `*` and `::*`: all.
fn open_tcp(
    address: &str,
    port: u16,
    backlog: i32,
) -> Result<Option<mio::net::TcpListener>, ServerError> {
    let optional = address.starts_with('-');
    let host = match address.strip_prefix('-').unwrap_or(address) {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    };
    match listen(host, port, backlog) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if optional && is_missing(&error) => {
            tracing::info!("not listening on {host}: {error}");
            Ok(None)
        }
        Err(source) => Err(ServerError::Listen { address: format!("{host}:{port}"), source }),
    }
}

fn listen(host: &str, port: u16, backlog: i32) -> io::Result<mio::net::TcpListener> {
    let address = (host, port).to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Lets somebody in who came to another door from this address: the other end of its connection. The
/// error is what it hears instead.
pub(crate) fn admit(shared: &Shared, peer: SocketAddr) -> Result<(Newcomer, UnixStream), String> {
    let options = shared.options();
    if options.protected_mode && !is_loopback(peer) && !shared.store.has_password() {
        return Err(line(PROTECTED));
    }
    if !shared.post.clients.admit(options.clients_max) {
        return Err(line(FULL));
    }
    let pair = UnixStream::pair().and_then(|(inner, outer)| {
        inner.set_nonblocking(true)?;
        Ok((inner, outer))
    });
    match pair {
        Ok((inner, outer)) => {
            let socket = Socket::Unix(mio::net::UnixStream::from_std(inner));
            let id = shared.post.clients.new_id();
            Ok((Newcomer { socket, tls: false, id, peer: Some(peer), local: None }, outer))
        }
        Err(error) => {
            shared.post.clients.dismiss();
            Err(format!("ERR no connection: {error}"))
        }
    }
}

/// An error reply without what frames it.
fn line(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).trim_start_matches('-').trim_end().to_owned()
}

fn accept_one(listener: &Listener, shared: &Shared) -> io::Result<Option<Newcomer>> {
    let (socket, peer, local) = match listener {
        Listener::Tcp(tcp) | Listener::Tls(tcp) => {
            let (stream, peer) = tcp.accept()?;
            prepare(&stream, shared);
            let local = stream.local_addr().ok();
            (Socket::Tcp(stream), Some(peer), local)
        }
        Listener::Unix(unix) => (Socket::Unix(unix.accept()?.0), None, None),
    };
    let options = shared.options();
    if !shared.post.clients.admit(options.clients_max) {
        refuse(&socket, FULL);
        return Ok(None);
    }
    let is_stranger = peer.is_some_and(|peer| !is_loopback(peer));
    if options.protected_mode && is_stranger && !shared.store.has_password() {
        shared.post.clients.dismiss();
        refuse(&socket, PROTECTED);
        return Ok(None);
    }
    let tls = matches!(listener, Listener::Tls(_));
    Ok(Some(Newcomer { socket, tls, id: shared.post.clients.new_id(), peer, local }))
}

const FULL: &[u8] = b"-ERR max number of clients reached\r\n";
const PROTECTED: &[u8] = b"-DENIED Reef is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. Set a password ('requirepass' in the configuration file), or disable protected mode ('protected-mode no') if the network is trusted.\r\n";

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// Small replies go out at once, and dead peers are noticed.
fn prepare(stream: &mio::net::TcpStream, shared: &Shared) {
    // A socket that takes no options is about to fail anyway.
    let _ = stream.set_nodelay(true);
    let seconds = shared.options().keepalive_s;
    if seconds > 0 {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(seconds))
            .with_interval(Duration::from_secs((seconds / 3).max(1)))
            .with_retries(3);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

/// Says why, as far as the socket's empty buffer takes it, and closes.
fn refuse(mut socket: &Socket, text: &[u8]) {
    let _ = socket.write(text);
}

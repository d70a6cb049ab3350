//! The network of a demonstration: a TCP proxy that can be cut, go silent, and be mended.
//!
//! Cut, it closes all connections and takes no new ones. Silent, it keeps them open and holds back
//! what comes, as a network that loses every packet: neither end can know. Mended, it carries on
//! with what it held back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::cli::Failure;
use crate::cli::client::Server;

/// A cable from a port of its own to another port, both of the loopback interface.
pub(super) struct Cable {
    port: u16,
    server: Server,
    inner: Arc<Inner>,
}

struct Inner {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    condition: Condition,
    /// Both ends of every connection that was taken since the last cut.
    ends: Vec<TcpStream>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Whole,
    Silent,
    Cut,
    /// Nobody needs it any more.
    Gone,
}

impl Cable {
    /// A whole cable to this port.
    pub(super) fn to(target: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let state = State { condition: Condition::Whole, ends: Vec::new() };
        let inner = Inner { target, state: Mutex::new(state), changed: Condvar::new() };
        let inner = Arc::new(inner);
        let taker = inner.clone();
        std::thread::Builder::new()
            .name("demo-cable".to_owned())
            .spawn(move || taker.take_connections(&listener))?;
        let server = Server::at(&format!("redis://127.0.0.1:{port}"))?;
        Ok(Self { port, server, inner })
    }

    /// Its near end.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The server at its far end, reached through it.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Closes all connections; new ones are closed at once.
    pub(super) fn cut(&self) {
        self.inner.change(Condition::Cut);
    }

    /// Carries nothing any more, and says so to nobody.
    pub(super) fn silence(&self) {
        self.inner.change(Condition::Silent);
    }

    /// Carries everything again.
    pub(super) fn mend(&self) {
        self.inner.change(Condition::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.inner.change(Condition::Gone);
        // The thread that takes connections wakes by one.
        let _ = TcpStream::connect_timeout(
            &([127, 0, 0, 1], self.port).into(),
            Duration::from_millis(100),
        );
    }
}

impl Inner {
    fn change(&self, condition: Condition) {
        let mut state = self.state.lock();
        state.condition = condition;
        if matches!(condition, Condition::Cut | Condition::Gone) {
            for end in state.ends.drain(..) {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }

    fn take_connections(self: Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            if self.state.lock().condition == Condition::Gone {
                return;
            }
            // One that cannot be carried is closed, as by a network that is down.
            let _ = near.and_then(|near| self.clone().carry(near));
        }
    }

    fn carry(self: Arc<Self>, near: TcpStream) -> std::io::Result<()> {
        let far = TcpStream::connect(("127.0.0.1", self.target))?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ways = [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)];
        {
            let mut state = self.state.lock();
            if matches!(state.condition, Condition::Cut | Condition::Gone) {
                return Ok(());
            }
            state.ends.extend([near, far]);
        }
        for (from, to) in ways {
            let inner = self.clone();
            std::thread::Builder::new()
                .name("demo-cable".to_owned())
                .spawn(move || inner.carry_bytes(from, to))?;
        }
        Ok(())
    }

    /// Carries bytes one way, and at last that no more come.
    fn carry_bytes(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            let mut state = self.state.lock();
            while state.condition == Condition::Silent {
                self.changed.wait(&mut state);
            }
            drop(state);
            if length == 0 || to.write_all(&buffer[..length]).is_err() {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_carries_holds_back_and_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cable = Cable::to(listener.local_addr().unwrap().port()).unwrap();
        let mut near = TcpStream::connect(("127.0.0.1", cable.port())).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut bytes = [0; 3];
        near.write_all(b"one").unwrap();
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"one");

        cable.silence();
        near.write_all(b"two").unwrap();
        far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(far.read(&mut bytes).is_err(), "nothing comes, not even an end");
        cable.mend();
        far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"two", "what was held back comes");

        cable.cut();
        assert_eq!(far.read(&mut bytes).unwrap(), 0);
        assert_eq!(near.read(&mut bytes).unwrap(), 0);
        let mut again = TcpStream::connect(("127.0.0.1", cable.port())).unwrap();
        assert_eq!(again.read(&mut bytes).unwrap_or(0), 0, "no new one is carried");
    }
}

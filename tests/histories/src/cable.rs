//! A network that can be cut, go silent, and be mended: a TCP proxy between two servers.
//!
//! Cut, it closes all connections and takes no new ones. Silent, it keeps them open and holds back what
//! comes, as a network that loses every packet. Mended, it carries on with what it held back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A cable from a port of its own to another port, both of the loopback interface.
#[derive(Debug)]
pub struct Cable {
    port: u16,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
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
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = State { condition: Condition::Whole, ends: Vec::new() };
        let inner = Inner { target, state: Mutex::new(state), changed: Condvar::new() };
        let inner = Arc::new(inner);
        let taker = inner.clone();
        thread::spawn(move || taker.take_connections(&listener));
        Self { port, inner }
    }

    /// Its near end.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections; new ones are closed at once.
    pub fn cut(&self) {
        self.inner.change(Condition::Cut);
    }

    /// Carries nothing any more, and says so to nobody.
    pub fn silence(&self) {
        self.inner.change(Condition::Silent);
    }

    /// Carries everything again.
    pub fn mend(&self) {
        self.inner.change(Condition::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.inner.change(Condition::Gone);
        // The thread that takes connections wakes by one.
        let place = ([127, 0, 0, 1], self.port).into();
        let _ = TcpStream::connect_timeout(&place, Duration::from_millis(100));
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
            thread::spawn(move || inner.carry_bytes(from, to));
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

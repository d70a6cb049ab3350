//! A cable to a server that can be cut: it forwards one connection after another, and cuts each
//! after a number of pieces, before or behind the one that is under way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How connections are cut.
pub(crate) struct Cable {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Cut no more.
    whole: AtomicBool,
    cuts: AtomicU64,
    random: AtomicU64,
}

impl Shared {
    fn next(&self, below: u64) -> u64 {
        let mut random = self.random.load(Ordering::Relaxed);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.store(random, Ordering::Relaxed);
        random % below
    }
}

impl Cable {
    /// To a port of this machine.
    pub(crate) fn to(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            whole: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            random: AtomicU64::new(seed | 1),
        });
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                // Far enough to get through the greeting, and to any place in the commits after it.
                let pieces = 5 + shared.next(40);
                let there = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let back = (server, client);
                let cut_there = shared.next(2) == 0;
                for (from_to, cuts) in [(there, cut_there), (back, !cut_there)] {
                    let shared = Arc::clone(&shared);
                    let pieces = if cuts { pieces } else { u64::MAX };
                    std::thread::spawn(move || forward(from_to, pieces, &shared));
                }
            }
        });
        Self { port, shared: kept }
    }

    /// Cuts nothing from now on.
    pub(crate) fn mend(&self) {
        self.shared.whole.store(true, Ordering::Relaxed);
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

fn forward((mut from, mut to): (TcpStream, TcpStream), pieces: u64, shared: &Shared) {
    let mut bytes = [0; 65_536];
    let mut seen = 0;
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        seen += 1;
        let cut = seen >= pieces && !shared.whole.load(Ordering::Relaxed);
        // The last piece arrives, or not.
        if (!cut || shared.next(2) == 0) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
        if cut {
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

//! How clients wait and how they are woken: by a plain list and a channel, or by the rendezvous plugin.
//!
//! It lays out commands and knows nothing of connections. Whatever is put in place carries the
//! `bench:` prefix and is taken away again.

use crate::client::Client;
use crate::error::BenchError;

/// The list, the channel, the run of the rendezvous.
const NAME: &str = "bench:waiting";

/// What waiting is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// BLPOP and RPUSH, SUBSCRIBE and PUBLISH.
    Plain,
    /// RDV.TAKE and RDV.REGISTER, RDV.READ and RDV.PUBLISH.
    Rendezvous,
}

impl Way {
    /// How its waits are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "BLPOP",
            Self::Rendezvous => "RDV.TAKE",
        }
    }

    /// Begins with nothing there.
    pub(crate) fn begin(self, client: &mut Client) -> Result<(), BenchError> {
        self.end(client)?;
        match self {
            Self::Plain => Ok(()),
            Self::Rendezvous => {
                let limits = ["TTL", "86400", "REGISTRATIONS", "1000000", "WAITERS", "1000000"];
                client.call(&[&["RDV.OPEN", NAME][..], &limits].concat()).map(drop)
            }
        }
    }

    /// Leaves nothing there.
    pub(crate) fn end(self, client: &mut Client) -> Result<(), BenchError> {
        match self {
            Self::Plain => client.call(&["DEL", NAME]).map(drop),
            Self::Rendezvous => client.call(&["RDV.DROP", NAME]).map(drop),
        }
    }

    /// Waits for an element so many seconds; 0: for as long as it takes.
    pub(crate) fn wait(self, seconds: u64) -> Vec<u8> {
        let seconds = seconds.to_string();
        match self {
            Self::Plain => command(&["BLPOP", NAME, &seconds]),
            Self::Rendezvous => command(&["RDV.TAKE", NAME, "q", "WAIT", &seconds]),
        }
    }

    /// Hands in so many elements at once: in one command, or one after the other where there is none.
    pub(crate) fn push(self, elements: usize) -> Vec<u8> {
        match self {
            Self::Plain => command(&[&["RPUSH", NAME][..], &vec!["x"; elements]].concat()),
            Self::Rendezvous => command(&["RDV.REGISTER", NAME, "q", "x"]).repeat(elements),
        }
    }

    /// Waits for what is published, and whether that is answered at once.
    pub(crate) fn listen(self) -> (Vec<u8>, bool) {
        match self {
            Self::Plain => (command(&["SUBSCRIBE", NAME]), true),
            Self::Rendezvous => {
                (command(&["RDV.READ", NAME, "t", "AFTER", "0", "WAIT", "0"]), false)
            }
        }
    }

    /// Publishes to all who listen.
    pub(crate) fn publish(self) -> Vec<u8> {
        match self {
            Self::Plain => command(&["PUBLISH", NAME, "x"]),
            Self::Rendezvous => command(&["RDV.PUBLISH", NAME, "t", "x"]),
        }
    }

    /// Listens no more, where a client has to say so.
    pub(crate) fn leave(self) -> Option<Vec<u8>> {
        (self == Self::Plain).then(|| command(&["UNSUBSCRIBE", NAME]))
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

//! Random commands of all families, as the table's usage lines have them, in pipelines and transactions.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reef_engine::command::{Command, Flags};
use reef_fuzz::choice::{Choice, Rng, Source};
use reef_fuzz::walk;
use reef_fuzz::words::Words;
use reef_transcript::{Reply, decode};

/// Bytes that make the choices of one command.
const CHOICES: usize = 256;
/// Commands that are sent at once.
const PIPELINE: usize = 60;
/// Payloads of DUMP that are kept to be restored.
const PAYLOADS_MAX: usize = 50;
/// Longer than any reply takes on a busy machine.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// What concerns whole databases: seldom, since it mends every difference.
const LARGE: &[&str] = &["SWAPDB 0 1", "SWAPDB 1 2", "FLUSHDB", "FLUSHDB ASYNC"];
/// How seldom: of so many commands one.
const LARGE_ONE_IN: usize = 10_000;
/// Plugins' batches, and what fills keys by the way.
const EXTRA: &[&str] = &[
    "XGROUP CREATE stream0 g 0 MKSTREAM",
    "XGROUP CREATE stream1 g $ MKSTREAM",
    "XREADGROUP GROUP g alice COUNT 2 STREAMS stream0 stream1 > >",
    "XREADGROUP GROUP g bob NOACK STREAMS stream0 >",
    "TX.CREATE r1 NEXT 0xaa 1",
    "TX.CREATE r1 NEXT 0xab 1 TTL 1",
    "TX.CREATE r2 5 0xaa 1 ID tx-1",
    "TX.BULKCREATE r2 1 0xaa 5 2 0xbb 6",
    "TX.UPDATE tx-1 sent HASH 0x1",
    "TX.DELETE tx-1",
    "TX.LOCK r1 lock me 20",
    "TX.SWEEP",
    "DUMP list1",
    "DUMP hash1",
    "DUMP zset0",
    "DUMP stream1",
];

/// A command, its name first.
pub type Line = Vec<Vec<u8>>;

/// Who is to understand the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Reef: everything that it knows.
    Reef,
    /// A stock 7.0 too: nothing that is newer, and no payloads, of which each server takes its own
    /// share of nonsense.
    Stock,
}

/// A source of random commands.
pub struct Commands {
    rng: Rng,
    audience: Audience,
    table: Vec<&'static Command>,
    /// What waits if it is not in a transaction.
    waiting: Vec<&'static Command>,
    payloads: Vec<Vec<u8>>,
}

impl Commands {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64, audience: Audience) -> Self {
        let known = || {
            let natives = Command::natives_and_subcommands().map(|(_, command)| command);
            natives.filter(move |command| audience == Audience::Reef || is_known_to_7_0(command))
        };
        let table = known().filter(|command| command.is_batchable()).collect();
        let waiting = known().filter(|command| command.flags.has(Flags::BLOCKING));
        let waiting = waiting.filter(|command| command.flags.has(Flags::WRITE)).collect();
        Self { rng: Rng::new(seed), audience, table, waiting, payloads: Vec::new() }
    }

    fn walk(&mut self, command: &'static Command) -> Line {
        let choices: Vec<u8> = (0..CHOICES).map(|_| self.rng.bits() as u8).collect();
        let mut words = Words::new(Source::new(&choices));
        if self.audience == Audience::Reef {
            words.payloads = std::mem::take(&mut self.payloads);
        }
        let line = walk::line(command, &mut words);
        if self.audience == Audience::Reef {
            self.payloads = words.payloads;
        }
        line
    }

    fn line(&mut self) -> Line {
        if self.rng.one_in(LARGE_ONE_IN) {
            return split(self.rng.pick(LARGE));
        }
        if self.rng.one_in(60) {
            return split(self.rng.pick(EXTRA));
        }
        let command = self.table[self.rng.below(self.table.len())];
        self.walk(command)
    }

    /// Commands to send at once.
    pub fn lines(&mut self) -> Vec<Line> {
        let mut lines =
            vec![split(self.rng.pick(&["SELECT 0", "SELECT 0", "SELECT 1", "SELECT 2"]))];
        while lines.len() < PIPELINE {
            if !self.rng.one_in(12) {
                lines.push(self.line());
                continue;
            }
            lines.push(split("MULTI"));
            for _ in 0..self.rng.below(6) {
                let line = match self.rng.one_in(5) {
                    true => self.walk(self.waiting[self.rng.clone().below(self.waiting.len())]),
                    false => self.line(),
                };
                lines.push(line);
            }
            lines.push(split(self.rng.pick(&["EXEC", "EXEC", "EXEC", "DISCARD"])));
        }
        lines
    }

    /// Keeps what DUMP said.
    fn keep(&mut self, line: &Line, reply: Reply) {
        if line[0] == b"DUMP"
            && let Reply::Bulk(payload) = reply
        {
            if self.payloads.len() == PAYLOADS_MAX {
                let place = self.rng.below(PAYLOADS_MAX);
                self.payloads.swap_remove(place);
            }
            self.payloads.push(payload);
        }
    }
}

/// Whether a command was there in Redis 7.0, which has none of those that came with modules: their names
/// have a dot, and their versions are the modules'.
fn is_known_to_7_0(command: &Command) -> bool {
    let mut numbers = command.since.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    !command.name.contains('.') && (numbers.next(), numbers.next()) <= (Some(7), Some(0))
}

fn split(line: &str) -> Line {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// A connection that does not look at what is said, as long as it is RESP.
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Sender {
    /// A connection to this port.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends the next pipeline and takes its replies; gives how many commands it was.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn play(&mut self, commands: &mut Commands) -> io::Result<usize> {
        let lines = commands.lines();
        let mut bytes = Vec::new();
        for line in &lines {
            bytes.extend(format!("*{}\r\n", line.len()).into_bytes());
            for word in line {
                bytes.extend(format!("${}\r\n", word.len()).into_bytes());
                bytes.extend(word);
                bytes.extend(b"\r\n");
            }
        }
        self.stream.write_all(&bytes)?;
        for line in &lines {
            let reply = self.reply()?;
            commands.keep(line, reply);
        }
        Ok(lines.len())
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut chunk = [0; 64 * 1024];
        loop {
            match decode(&self.unread) {
                Ok(Some((reply, used))) => {
                    self.unread.drain(..used);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.unread.extend(&chunk[..length]),
            }
        }
    }
}

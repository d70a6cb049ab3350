//! Effects as the bytes of a log or a replication stream.
//!
//! Whoever reads them back has one database selected, so a command for another is told first; what
//! must take effect as a whole stands between MULTI and EXEC.

/// Bytes that larger buffers give back.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// Writes effects down.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    /// The database that the reader has selected.
    database: Option<u32>,
}

impl Encoder {
    /// Appends what must take effect as a whole: commands, each with its database. Gives how many
    /// bytes that are.
    #[inline]
    pub fn append<B: AsRef<[u8]>>(&mut self, unit: impl IntoIterator<Item = (u32, B)>) -> usize {
        let mut unit = unit.into_iter();
        let Some(first) = unit.next() else { return 0 };
        let Some(second) = unit.next() else { return self.append_one(first.0, first.1.as_ref()) };
        let before = self.bytes.len();
        self.select(first.0);
        self.bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        for (database, command) in [first, second].into_iter().chain(unit) {
            self.append_one(database, command.as_ref());
        }
        self.bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        self.bytes.len() - before
    }

    /// Appends a command for a database. Gives how many bytes that are.
    #[inline]
    pub fn append_one(&mut self, database: u32, command: &[u8]) -> usize {
        let before = self.bytes.len();
        self.select(database);
        self.bytes.extend_from_slice(command);
        self.bytes.len() - before
    }

    /// Appends a line that is no command, which whoever reads passes over. Gives how many bytes that
    /// are.
    pub fn annotate(&mut self, text: &str) -> usize {
        let before = self.bytes.len();
        self.bytes.push(b'#');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.len() - before
    }

    #[inline]
    fn select(&mut self, database: u32) {
        if self.database != Some(database) {
            self.tell_database(database);
        }
    }

    #[cold]
    fn tell_database(&mut self, database: u32) {
        self.database = Some(database);
        let number = database.to_string();
        let command = format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{number}\r\n", number.len());
        self.bytes.extend_from_slice(command.as_bytes());
    }

    /// The database that the reader has selected, if that is known.
    pub fn database(&self) -> Option<u32> {
        self.database
    }

    /// The next command says which database it is for.
    pub fn forget_database(&mut self) {
        self.database = None;
    }

    /// Exchanges what was written with another, empty buffer.
    pub fn swap(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.bytes, buffer);
    }

    /// Takes what was written.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Takes a buffer back for its memory.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.bytes.is_empty() && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.bytes = buffer;
        }
    }
}

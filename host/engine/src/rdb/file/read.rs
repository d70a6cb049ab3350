//! Reads a file as its bytes come, however they are cut.
//!
//! The bytes of one record are kept until all of them are there; a record that is not is tried again
//! when what it lacked has come, and if it is large, only after half as much again: nothing is read
//! more than a few times. Besides that window and the value itself, memory is bounded.

use alloc::string::String;
use alloc::vec::Vec;

use super::{
    AUX, END, EXPIRY, EXPIRY_MS, FREQUENCY, FUNCTION, Failure, IDLE, MODULE_AUX, REDIS_VERSIONS,
    Reason, SELECT, SIZES, SLOT_IMPORT, SLOT_INFO, VALKEY_VERSIONS, VERSION_CHECKED,
};
use crate::clock::Millis;
use crate::keyspace::{Access, Slot, Value};
use crate::rdb::crc64::Crc64;
use crate::rdb::read::{Malformed, Reader};
use crate::rdb::{hash_times, is_known, marks, module, read_value};
use crate::settings::Rules;
use crate::tenancy::TENANT_DATABASES_FIRST;

/// What is done with what is read.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    /// The present.
    pub now: Millis,
    /// Whether keys that have expired are passed over. A replica keeps them until it is told.
    pub drops_expired: bool,
    /// Whether versions that are not known are read, too: as far as they have types that are.
    pub any_version: bool,
}

/// What a file says, in its order.
#[derive(Debug)]
pub enum Event {
    /// A field that tells of the file's origin.
    Aux(Vec<u8>, Vec<u8>),
    /// The code of a library of functions.
    Function(Vec<u8>),
    /// Data of a module with this name was passed over.
    ModulePassedOver(String),
    /// A database will have about so many keys, of which so many expire. Not to be believed blindly.
    Sizes {
        /// Its number.
        database: u32,
        /// How many keys.
        keys: u64,
        /// How many of them expire.
        expiring: u64,
    },
    /// A key with its value.
    Key {
        /// Its database.
        database: u32,
        /// Key, value, expiry and access clock.
        slot: Slot,
    },
    /// The end; the checksum is right. What follows is no part of the file.
    End,
}

/// Reads one file.
#[derive(Debug)]
pub struct FileReader {
    loading: Loading,
    /// Bytes of the file from `offset` on; those before `at` have been dealt with.
    window: Vec<u8>,
    at: usize,
    /// Bytes of the window that are in the checksum.
    summed: usize,
    offset: u64,
    /// With fewer unread bytes than these, trying again is useless.
    needed: usize,
    is_whole: bool,
    crc: Crc64,
    header: Option<Header>,
    database: u32,
    expired_keys: u64,
    empty_keys: u64,
    has_ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    version: u16,
    is_valkey: bool,
}

/// What stands in front of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    expires_at: Option<Millis>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

/// What a record turned out to be.
enum Record {
    /// What the file begins with.
    Header(Header),
    /// Something to tell.
    Event(Event),
    /// The database of the next keys.
    Select(u32),
    /// A key that has expired.
    Expired,
    /// A key that holds nothing.
    Empty,
    /// Something to keep to oneself.
    Silent,
    /// The end, and the checksum if there is one.
    End(Option<u64>),
}

/// A signature with its version.
const SIGNATURE_BYTES: u64 = 9;

impl FileReader {
    /// Before the first byte.
    #[must_use]
    pub fn new(loading: Loading) -> Self {
        Self {
            loading,
            window: Vec::new(),
            at: 0,
            summed: 0,
            offset: 0,
            needed: 0,
            is_whole: false,
            crc: Crc64::new(),
            header: None,
            database: 0,
            expired_keys: 0,
            empty_keys: 0,
            has_ended: false,
        }
    }

    /// Takes in what comes next.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.sum();
        self.offset += self.at as u64;
        self.window.drain(..self.at);
        (self.at, self.summed) = (0, 0);
        self.window.extend_from_slice(bytes);
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        self.is_whole = true;
    }

    /// Bytes that have been dealt with.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// What came and has not been dealt with; after the end, what follows the file.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.window[self.at..]
    }

    /// Bytes that the window takes.
    #[must_use]
    pub fn window_bytes(&self) -> usize {
        self.window.capacity()
    }

    /// Keys that were passed over because they have expired.
    #[must_use]
    pub fn expired_keys(&self) -> u64 {
        self.expired_keys
    }

    /// Keys that were passed over because they hold an empty collection.
    #[must_use]
    pub fn empty_keys(&self) -> u64 {
        self.empty_keys
    }

    /// The version, once it is known.
    #[must_use]
    pub fn version(&self) -> Option<u16> {
        self.header.map(|header| header.version)
    }

    /// The next thing that the file says. `None`: more bytes are needed, or it has ended.
    pub fn next(&mut self, rules: &Rules) -> Result<Option<Event>, Failure> {
        while !self.has_ended && (self.is_whole || self.window.len() - self.at >= self.needed) {
            let unread = &self.window[self.at..];
            let Self { loading, database, .. } = *self;
            let reader = Reader::new(unread, rules.settings.string_bytes_max);
            let mut records = Records { reader, rules, loading, database };
            let record = match self.header {
                None => records.header(),
                Some(header) => records.next(header),
            };
            let (left, missing) = (records.reader.rest().len(), records.reader.missing());
            let record = match (record, missing) {
                (Ok(record), _) => record,
                (Err(reason), None) => return Err(self.failure(reason)),
                (Err(_), Some(_)) if self.is_whole => return Err(self.failure(Reason::Truncated)),
                (Err(_), Some(missing)) => {
                    self.needed = wanted(unread.len(), missing);
                    return Ok(None);
                }
            };
            self.at = self.window.len() - left;
            self.needed = 0;
            match record {
                Record::Header(header) => self.header = Some(header),
                Record::Select(number) => self.database = number,
                Record::Expired => self.expired_keys += 1,
                Record::Empty => self.empty_keys += 1,
                Record::Silent => {}
                Record::Event(event) => return Ok(Some(event)),
                Record::End(sum) => return self.end(sum).map(Some),
            }
        }
        Ok(None)
    }

    fn failure(&self, reason: Reason) -> Failure {
        Failure { offset: self.offset(), reason }
    }

    /// Takes what has been dealt with into the checksum.
    fn sum(&mut self) {
        if !self.has_ended {
            self.crc.update(&self.window[self.summed..self.at]);
            self.summed = self.at;
        }
    }

    fn end(&mut self, told: Option<u64>) -> Result<Event, Failure> {
        let checksum_bytes = if told.is_some() { 8 } else { 0 };
        self.at -= checksum_bytes;
        self.sum();
        self.at += checksum_bytes;
        self.has_ended = true;
        // Zero is what is written without a checksum.
        match told {
            Some(told) if told != 0 && told != self.crc.clone().sum() => {
                Err(self.failure(Reason::Checksum))
            }
            _ => Ok(Event::End),
        }
    }
}

/// Where a record begins, and what its meaning depends on.
struct Records<'w> {
    reader: Reader<'w>,
    rules: &'w Rules,
    loading: Loading,
    database: u32,
}

impl Records<'_> {
    fn header(&mut self) -> Result<Record, Reason> {
        let signature = self.reader.bytes(SIGNATURE_BYTES).map_err(|_| Reason::Signature)?;
        let (digits, is_valkey) = match signature {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (digits, false),
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (digits, true),
            _ => return Err(Reason::Signature),
        };
        let mut version = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(Reason::Signature);
            }
            // Four digits at most.
            version = version * 10 + u16::from(digit - b'0');
        }
        let known = if is_valkey { VALKEY_VERSIONS } else { REDIS_VERSIONS };
        match known.contains(&version) || self.loading.any_version {
            true => Ok(Record::Header(Header { version, is_valkey })),
            false => Err(Reason::Version(version)),
        }
    }

    /// Reads a key with what stands in front of it, or any other record.
    fn next(&mut self, header: Header) -> Result<Record, Reason> {
        let mut attributes = Attributes::default();
        for _ in 0..ATTRIBUTES_MAX {
            let kind = self.reader.byte().map_err(|_| Reason::Truncated)?;
            let is_attribute = attributes.read(kind, &mut self.reader);
            if !is_attribute.map_err(|_| Reason::Malformed(kind))? {
                let record = match kind {
                    marks::MODULE => return Err(Reason::Module("of a Redis 4.0 to be".into())),
                    marks::MODULE_2 if let Some(name) = self.foreign_module()? => {
                        return Err(Reason::Module(name));
                    }
                    _ if is_known(kind) => match self.key(kind, attributes, header) {
                        Err(Malformed) if self.reader.found_empty() => Ok(Record::Empty),
                        key => key,
                    },
                    _ => self.other(kind, header)?,
                };
                return record.map_err(|_| Reason::Malformed(kind));
            }
        }
        Err(Reason::Malformed(EXPIRY_MS))
    }

    /// The type of the module's value that comes next, unless its kind is known here.
    fn foreign_module(&mut self) -> Result<Option<String>, Reason> {
        let mut ahead = self.reader.clone();
        let Ok(id) = ahead.string().and_then(|_| ahead.length()) else {
            // What was missing must be known.
            self.reader = ahead;
            return Err(Reason::Malformed(marks::MODULE_2));
        };
        let name = module::name(id);
        Ok((!module::is_known(&name)).then_some(name))
    }

    fn key(
        &mut self,
        kind: u8,
        attributes: Attributes,
        header: Header,
    ) -> Result<Record, Malformed> {
        let Self { reader, rules, loading: Loading { now, drops_expired, .. }, database } = self;
        let Attributes { expires_at, idle_seconds, frequency } = attributes;
        let access = Access::restored(*now, rules.settings.lfu, idle_seconds, frequency);
        let key = reader.string()?;
        let slot = if kind == marks::STRING {
            // By far the most frequent: nothing is copied twice.
            Slot::text(&key, &reader.string()?, expires_at, access)
        } else if header.is_valkey && kind == marks::HASH_TIMES_EARLY {
            let hash = hash_times::read_valkey(reader, rules)?;
            Slot::new(&key, Value::Hash(hash), expires_at, access)
        } else {
            Slot::new(&key, read_value(kind, reader, rules)?, expires_at, access)
        };
        if *drops_expired && !slot.is_live(*now) {
            return Ok(Record::Expired);
        }
        Ok(Record::Event(Event::Key { database: *database, slot }))
    }

    /// Reads a record that is no key. What is wrong with its content is not told apart.
    fn other(&mut self, kind: u8, header: Header) -> Result<Result<Record, Malformed>, Reason> {
        let record = match kind {
            END if header.version < VERSION_CHECKED => Ok(Record::End(None)),
            END => self.reader.array().map(|sum| Record::End(Some(u64::from_le_bytes(sum)))),
            SELECT => match self.reader.length() {
                Ok(number) => return self.select(number).map(Ok),
                Err(malformed) => Err(malformed),
            },
            AUX | FUNCTION | SIZES | MODULE_AUX => self.aside(kind).map(Record::Event),
            SLOT_INFO => self.lengths(3),
            SLOT_IMPORT if header.is_valkey => {
                let ranges = self.reader.string().and_then(|_| self.reader.length());
                ranges.and_then(|count| self.lengths(count.saturating_mul(2)))
            }
            _ => return Err(Reason::UnknownType(kind)),
        };
        Ok(record)
    }

    fn select(&self, number: u64) -> Result<Record, Reason> {
        let known = u32::try_from(number).ok();
        let is_there = |number: &u32| {
            *number < self.rules.settings.databases || *number >= TENANT_DATABASES_FIRST
        };
        let known = known.filter(is_there);
        known.map(Record::Select).ok_or(Reason::Database(number))
    }

    fn lengths(&mut self, count: u64) -> Result<Record, Malformed> {
        (0..count).try_for_each(|_| self.reader.length().map(drop))?;
        Ok(Record::Silent)
    }

    fn aside(&mut self, kind: u8) -> Result<Event, Malformed> {
        let Self { reader, database, .. } = self;
        Ok(match kind {
            AUX => Event::Aux(reader.string()?.into_owned(), reader.string()?.into_owned()),
            FUNCTION => Event::Function(reader.string()?.into_owned()),
            SIZES => {
                let (keys, expiring) = (reader.length()?, reader.length()?);
                Event::Sizes { database: *database, keys, expiring }
            }
            _ => {
                let name = module::name(reader.length()?);
                module::pass_over(reader)?;
                Event::ModulePassedOver(name)
            }
        })
    }
}

/// More than this never stands in front of a key.
const ATTRIBUTES_MAX: usize = 8;

/// How many unread bytes there must be before a record is tried again that lacked `missing` of them.
fn wanted(unread: usize, missing: usize) -> usize {
    /// Reading so many bytes again costs nothing to speak of.
    const SMALL_BYTES: usize = 4096;
    let least = unread.saturating_add(missing);
    if unread <= SMALL_BYTES { least } else { least.max(unread.saturating_add(unread / 2)) }
}

impl Attributes {
    /// Reads what belongs to the next key; `false` if this kind of record does not.
    fn read(&mut self, kind: u8, reader: &mut Reader<'_>) -> Result<bool, Malformed> {
        match kind {
            EXPIRY_MS => {
                // Before the beginning of time is as good as at its beginning.
                let at = i64::from_le_bytes(reader.array()?);
                self.expires_at = Some(Millis::new(u64::try_from(at).unwrap_or(0)));
            }
            EXPIRY => {
                let seconds = i32::from_le_bytes(reader.array()?);
                let seconds = u64::try_from(seconds).unwrap_or(0);
                self.expires_at = Some(Millis::new(seconds * 1000));
            }
            IDLE => self.idle_seconds = Some(reader.length()?),
            FREQUENCY => self.frequency = Some(reader.byte()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

//! What CLIENT LIST and CLIENT INFO tell of a client.
//!
//! The host fills the struct; only this file knows the line. Fields, their names and their order
//! are those of Redis 7.2. Nothing here knows where the values come from.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::pubsub::SubscriptionCounts;
use crate::session::Session;
use crate::tracking::{Scope, TrackingState};

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientKind {
    /// Commands and replies.
    #[default]
    Normal,
    /// It has subscriptions.
    Pubsub,
    /// A replica of this server.
    Replica,
    /// The server that this one replicates.
    Primary,
}

impl ClientKind {
    /// The kind that a client names. Redis knows two words for replicas.
    pub fn parse(word: &[u8]) -> Option<Self> {
        const WORDS: [(&str, ClientKind); 5] = [
            ("normal", ClientKind::Normal),
            ("pubsub", ClientKind::Pubsub),
            ("replica", ClientKind::Replica),
            ("slave", ClientKind::Replica),
            ("master", ClientKind::Primary),
        ];
        let found = WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, kind)| *kind)
    }
}

/// One client, as the others may see it.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// As in CLIENT ID.
    pub id: u64,
    /// `ip:port` of the remote end; `path:0` on a Unix socket.
    pub address: String,
    /// `ip:port` of the local end.
    pub local_address: String,
    /// The socket's number.
    pub descriptor: i32,
    /// `CLIENT SETNAME`.
    pub name: Box<[u8]>,
    /// Seconds since the connection was made.
    pub age_s: u64,
    /// Seconds since the client last sent something.
    pub idle_s: u64,
    /// What the connection is for.
    pub kind: ClientKind,
    /// Whether MONITOR runs there.
    pub monitoring: bool,
    /// Whether it tracks keys, and how.
    pub tracking: Option<TrackingState>,
    /// Whether it waits in a blocking command.
    pub waiting: bool,
    /// Whether a watched key has changed, so that EXEC will do nothing.
    pub watch_failed: bool,
    /// Whether it closes when its replies are sent.
    pub closing: bool,
    /// Whether it came through the Unix socket.
    pub unix_socket: bool,
    /// `CLIENT NO-EVICT`.
    pub no_evict: bool,
    /// `CLIENT NO-TOUCH`.
    pub no_touch: bool,
    /// The selected database.
    pub database: u32,
    /// Channels subscribed to.
    pub channels: usize,
    /// Patterns subscribed to.
    pub patterns: usize,
    /// Shard channels subscribed to.
    pub shard_channels: usize,
    /// Commands queued by MULTI; `None` outside.
    pub queued: Option<usize>,
    /// Bytes received that are not executed yet.
    pub input_bytes: usize,
    /// Bytes of the input buffer that are free.
    pub input_free_bytes: usize,
    /// Bytes of the arguments of the next command, as far as they are there.
    pub argument_bytes: usize,
    /// Bytes of the commands queued by MULTI.
    pub queue_bytes: usize,
    /// Bytes of the output buffer.
    pub output_capacity_bytes: usize,
    /// The most that was ever in it lately.
    pub output_peak_bytes: usize,
    /// Bytes of replies that are not sent yet.
    pub output_bytes: usize,
    /// Bytes that the whole connection occupies.
    pub memory_bytes: usize,
    /// Whether the socket is also watched for room to write.
    pub writing: bool,
    /// The last command's full name in lower case (`client|list`); empty before the first.
    pub command: String,
    /// The user's name.
    pub user: String,
    /// 2 or 3.
    pub protocol: u8,
    /// `CLIENT SETINFO LIB-NAME`.
    pub library_name: Box<[u8]>,
    /// `CLIENT SETINFO LIB-VER`.
    pub library_version: Box<[u8]>,
}

impl ClientInfo {
    /// Overwrites what the client's own session knows better than anybody who looks from outside.
    pub fn refresh(&mut self, session: &Session, command: &str, protocol: u8) {
        self.name = session.name().into();
        self.database = session.database;
        self.set_subscribed(session.subscribed);
        self.no_evict = session.no_evict;
        self.no_touch = session.no_touch;
        self.monitoring = session.monitoring;
        self.closing = session.closing;
        self.queued = session.transaction().map(|transaction| transaction.queue.len());
        self.user = session.user.as_ref().into();
        self.command = command.into();
        self.protocol = protocol;
        if let Some(labels) = session.labels() {
            self.library_name.clone_from(&labels.library_name);
            self.library_version.clone_from(&labels.library_version);
        }
    }

    /// Sets what it is subscribed to.
    pub fn set_subscribed(&mut self, counts: SubscriptionCounts) {
        self.channels = counts.channels;
        self.patterns = counts.patterns;
        self.shard_channels = counts.shard_channels;
        if counts.any() {
            self.kind = ClientKind::Pubsub;
        }
    }

    /// To whom invalidations go: -1 if there are none, 0 if to itself.
    fn redirection(&self) -> i64 {
        let target =
            |state: &TrackingState| state.options.redirect.map_or(0, |to| to.client as i64);
        self.tracking.as_ref().map_or(-1, target)
    }

    /// The remote address without its port.
    fn ip(&self) -> &[u8] {
        let ip = self.address.rsplit_once(':').map_or("", |(ip, _)| ip);
        let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        if self.unix_socket { &[] } else { bare.as_bytes() }
    }

    /// Letters of all flags that there are, as CLIENT LIST filters by them. Not all are ever shown here.
    pub const FLAGS: &[u8] = b"OSMPxbtRBdcuAUreTIiEN";

    fn flags(&self) -> String {
        let tracking = self.tracking.as_ref();
        let broadcasts = |state: &TrackingState| state.options.scope == Scope::Broadcast;
        let letters = [
            (self.kind == ClientKind::Replica, 'S'),
            (self.monitoring, 'O'),
            (self.kind == ClientKind::Primary, 'M'),
            (self.kind == ClientKind::Pubsub, 'P'),
            (self.queued.is_some(), 'x'),
            (self.waiting, 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some_and(|state| state.is_broken), 'R'),
            (tracking.is_some_and(broadcasts), 'B'),
            (self.watch_failed, 'd'),
            (self.closing, 'c'),
            (self.unix_socket, 'U'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ];
        let flags: String =
            letters.iter().filter(|(holds, _)| *holds).map(|(_, letter)| *letter).collect();
        if flags.is_empty() { "N".into() } else { flags }
    }
}

impl fmt::Display for ClientInfo {
    /// The line of CLIENT LIST, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        let queued = self.queued.map_or(-1, |count| count as i64);
        write!(f, "id={} addr={} laddr={}", self.id, self.address, self.local_address)?;
        write!(f, " fd={} name={}", self.descriptor, text(&self.name))?;
        write!(f, " age={} idle={} flags={}", self.age_s, self.idle_s, self.flags())?;
        write!(f, " db={} sub={} psub={}", self.database, self.channels, self.patterns)?;
        write!(f, " ssub={} multi={queued}", self.shard_channels)?;
        write!(f, " qbuf={} qbuf-free={}", self.input_bytes, self.input_free_bytes)?;
        write!(f, " argv-mem={} multi-mem={}", self.argument_bytes, self.queue_bytes)?;
        write!(f, " rbs={} rbp={}", self.output_capacity_bytes, self.output_peak_bytes)?;
        // All replies wait in one buffer, so the list of further ones is always empty.
        write!(f, " obl={} oll=0 omem=0", self.output_bytes)?;
        write!(f, " tot-mem={} events={}", self.memory_bytes, events(self.writing))?;
        let command = if self.command.is_empty() { "NULL" } else { &self.command };
        write!(f, " cmd={command} user={} redir={}", self.user, self.redirection())?;
        write!(f, " resp={} lib-name={}", self.protocol, text(&self.library_name))?;
        write!(f, " lib-ver={}", text(&self.library_version))
    }
}

fn events(writing: bool) -> &'static str {
    if writing { "rw" } else { "r" }
}

/// Something that a client may be, or may not be, to be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quality {
    /// It has one of these ids: somebody may name very many.
    Ids(BTreeSet<u64>),
    /// It has this remote address.
    Address(Box<[u8]>),
    /// It is connected to this local address.
    LocalAddress(Box<[u8]>),
    /// The remote address is this one with any port.
    Ip(Box<[u8]>),
    /// It is this user.
    User(Box<[u8]>),
    /// It is of this kind.
    Kind(ClientKind),
    /// It has this name.
    Name(Box<[u8]>),
    /// It has all of these flags.
    Flags(Box<[u8]>),
    /// This is its library.
    LibraryName(Box<[u8]>),
    /// This is the version of its library.
    LibraryVersion(Box<[u8]>),
    /// It has this database selected.
    Database(u32),
}

impl Quality {
    /// Whether a client has it.
    fn is_of(&self, client: &ClientInfo) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&client.id),
            Self::Address(address) => **address == *client.address.as_bytes(),
            Self::LocalAddress(address) => **address == *client.local_address.as_bytes(),
            Self::Ip(ip) => **ip == *client.ip(),
            Self::User(user) => **user == *client.user.as_bytes(),
            Self::Kind(kind) => *kind == client.kind,
            Self::Name(name) => *name == client.name,
            Self::Flags(letters) => {
                let flags = client.flags();
                letters.iter().all(|letter| flags.as_bytes().contains(letter))
            }
            Self::LibraryName(name) => *name == client.library_name,
            Self::LibraryVersion(version) => *version == client.library_version,
            Self::Database(number) => *number == client.database,
        }
    }
}

/// Which clients CLIENT KILL and CLIENT LIST mean. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// What a client must be (`true`), and what it must not be.
    qualities: Vec<(Quality, bool)>,
    /// Not the client with this id, the caller.
    pub skip_me: Option<u64>,
    /// Only connections at least this old.
    pub min_age_s: Option<u64>,
    /// Only clients that have sent nothing for so long.
    pub min_idle_s: Option<u64>,
}

impl ClientFilter {
    /// The filter that only one client passes.
    pub fn only(id: u64) -> Self {
        let mut filter = Self::default();
        filter.require(Quality::Ids([id].into()), true);
        filter
    }

    /// Lets only clients pass that have a quality, or only those that have it not. Of several of one
    /// sort the last one counts, but ids add up.
    pub fn require(&mut self, quality: Quality, has: bool) {
        let is_same =
            |other: &Quality| core::mem::discriminant(other) == core::mem::discriminant(&quality);
        let same =
            self.qualities.iter_mut().find(|(other, wanted)| *wanted == has && is_same(other));
        match (same, quality) {
            (Some((Quality::Ids(ids), _)), Quality::Ids(more)) => ids.extend(more),
            (Some((same, _)), quality) => *same = quality,
            (None, quality) => self.qualities.push((quality, has)),
        }
    }

    /// Whether a client is meant.
    pub fn matches(&self, client: &ClientInfo) -> bool {
        self.qualities.iter().all(|(quality, has)| quality.is_of(client) == *has)
            && self.skip_me != Some(client.id)
            && self.min_age_s.is_none_or(|age_s| client.age_s >= age_s)
            && self.min_idle_s.is_none_or(|idle_s| client.idle_s >= idle_s)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn client() -> ClientInfo {
        ClientInfo {
            id: 7,
            address: "127.0.0.1:33866".into(),
            local_address: "127.0.0.1:6379".into(),
            descriptor: 8,
            input_bytes: 26,
            protocol: 2,
            command: "client|list".into(),
            user: "default".into(),
            ..ClientInfo::default()
        }
    }

    #[test]
    fn the_line_has_the_fields_of_redis_in_its_order() {
        let line = client().to_string();
        // As redis-server 7.2 answers CLIENT LIST, sizes aside.
        let redis = "id=5 addr=127.0.0.1:33866 laddr=127.0.0.1:7612 fd=8 name= age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=16360 argv-mem=10 multi-mem=0 rbs=16392 rbp=16392 obl=0 oll=0 omem=0 tot-mem=33586 events=r cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver=";
        let names = |line: &str| -> Vec<String> {
            line.split(' ').map(|field| field.split('=').next().unwrap().into()).collect()
        };
        assert_eq!(names(&line), names(redis));
        assert!(line.starts_with("id=7 addr=127.0.0.1:33866 laddr=127.0.0.1:6379 fd=8 name= "));
        assert!(line.contains(" flags=N ") && line.contains(" multi=-1 "), "{line}");
    }

    #[test]
    fn flags_are_letters_and_a_client_without_any_is_normal() {
        let mut client = client();
        client.queued = Some(2);
        client.no_evict = true;
        let line = client.to_string();
        assert!(line.contains(" flags=xe ") && line.contains(" multi=2 "), "{line}");
        client.command.clear();
        assert!(client.to_string().contains(" cmd=NULL "));
    }

    #[test]
    fn a_filter_holds_all_of_its_conditions() {
        let client = client();
        assert!(ClientFilter::default().matches(&client));
        assert!(ClientFilter::only(7).matches(&client));
        assert!(!ClientFilter::only(8).matches(&client));
        let skipping = ClientFilter { skip_me: Some(7), ..ClientFilter::only(7) };
        assert!(!skipping.matches(&client));
        let is = |quality: Quality, has: bool| {
            let mut filter = ClientFilter::default();
            filter.require(quality, has);
            filter.matches(&client)
        };
        assert!(!is(Quality::Kind(ClientKind::Pubsub), true));
        assert!(is(Quality::Kind(ClientKind::Pubsub), false));
        let old = ClientFilter { min_age_s: Some(1), ..ClientFilter::default() };
        assert!(!old.matches(&client));
        let bytes = |text: &str| text.as_bytes().into();
        assert!(is(Quality::Address(bytes("127.0.0.1:33866")), true));
        assert!(is(Quality::Ip(bytes("127.0.0.1")), true));
        assert!(!is(Quality::Ip(bytes("127.0.0")), true));
        assert!(is(Quality::Flags(bytes("N")), true) && is(Quality::Flags(bytes("Nx")), false));
        assert!(is(Quality::Database(0), true) && is(Quality::Database(1), false));
        let mut several = ClientFilter::only(5);
        several.require(Quality::Ids([7].into()), true);
        assert!(several.matches(&client));
        several.require(Quality::User(bytes("me")), true);
        several.require(Quality::User(bytes("default")), true);
        assert!(several.matches(&client));
        several.require(Quality::Ids([7].into()), false);
        assert!(!several.matches(&client));
        assert_eq!(ClientKind::parse(b"SLAVE"), Some(ClientKind::Replica));
        assert_eq!(ClientKind::parse(b"nope"), None);
    }
}

//! Keyspace notifications: which events there are, which are wanted, and how they are told.
//!
//! Every change of data names its event (see [`Keyspace`](crate::keyspace::Keyspace)). The journal
//! keeps those that somebody may want; after each command they are told, in order, as messages on
//! the channels `__keyspace@<db>__:<key>` and `__keyevent@<db>__:<event>`, and to clients that
//! cache the keys. What is rolled back was never told.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::keyspace::Event;
use crate::step::Cx;

/// A key is read and not there.
pub(crate) const KEY_MISS: Event = "keymiss";
/// A key comes into being.
pub(crate) const NEW: Event = "new";
/// A key goes because it is due.
pub(crate) const EXPIRED: Event = "expired";

/// Classes of events, as in `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u16);

/// The classes that `A` stands for, in the order in which they are shown.
const ALL: [u8; 10] = *b"g$lshzxetd";
/// Classes outside of `A`, in the order in which they are shown.
const APART: [u8; 4] = *b"nKEm";

impl Classes {
    /// No class.
    pub const NONE: Self = Self(0);

    const fn bit(class: u8) -> u16 {
        let mut at = 0;
        while at < ALL.len() {
            if ALL[at] == class {
                return 1 << at;
            }
            at += 1;
        }
        at = 0;
        while at < APART.len() {
            if APART[at] == class {
                return 1 << (ALL.len() + at);
            }
            at += 1;
        }
        0
    }

    const fn all() -> u16 {
        (1 << ALL.len()) - 1
    }

    /// Reads the letters of `notify-keyspace-events`; `None` if one of them is no class.
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let mut classes = 0;
        for letter in letters {
            classes |= match letter {
                b'A' => Self::all(),
                letter if Self::bit(*letter) == 0 => return None,
                letter => Self::bit(*letter),
            };
        }
        Some(Self(classes))
    }

    /// Whether this class, one of the letters, is chosen.
    #[inline]
    pub const fn contains(self, class: u8) -> bool {
        self.0 & Self::bit(class) != 0
    }

    /// Whether no class is chosen.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any event is told: on one of the two channels there must be some.
    #[inline]
    pub const fn tell_anything(self) -> bool {
        const CHANNELS: u16 = Classes::bit(b'K') | Classes::bit(b'E');
        self.0 & CHANNELS != 0 && self.0 & !CHANNELS != 0
    }

    fn chosen(self, letters: &[u8]) -> String {
        letters.iter().filter(|one| self.contains(**one)).map(|one| char::from(*one)).collect()
    }

    /// All the letters, for a file.
    pub fn letters(self) -> String {
        let all = self.0 & Self::all() == Self::all();
        let classes = if all { "A".into() } else { self.chosen(&ALL) };
        classes + &self.chosen(&APART)
    }
}

impl fmt::Display for Classes {
    /// As CONFIG GET shows it: beside `A`, Redis does not show `n`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.letters();
        match letters.strip_prefix("An") {
            Some(rest) => write!(out, "A{rest}"),
            None => out.write_str(&letters),
        }
    }
}

/// The events of each class. What is in no row is of the class `g`: `del`, `rename_from` and so on.
const EVENTS: &[(u8, &[Event])] = &[
    (b'$', &["set", "setrange", "append", "incrby", "incrbyfloat", "setbit", "pfadd"]),
    (b'l', &["lpush", "rpush", "lpop", "rpop", "linsert", "lset", "lrem", "ltrim", "sortstore"]),
    (b's', &["sadd", "srem", "spop", "sinterstore", "sunionstore", "sdiffstore"]),
    (b'h', &["hset", "hincrby", "hincrbyfloat", "hdel", "hexpire", "hexpired", "hpersist"]),
    (
        b'z',
        &[
            "zadd",
            "zincr",
            "zrem",
            "zremrangebyscore",
            "zremrangebyrank",
            "zremrangebylex",
            "zpopmin",
            "zpopmax",
            "zunionstore",
            "zinterstore",
            "zdiffstore",
            "zrangestore",
            "geosearchstore",
            "georadiusstore",
        ],
    ),
    (
        b't',
        &[
            "xadd",
            "xdel",
            "xtrim",
            "xsetid",
            "xgroup-create",
            "xgroup-createconsumer",
            "xgroup-setid",
            "xgroup-destroy",
            "xgroup-delconsumer",
        ],
    ),
    (
        b'd',
        &[
            "json.set",
            "json.mset",
            "json.merge",
            "json.del",
            "json.numincrby",
            "json.nummultby",
            "json.numpowby",
            "json.strappend",
            "json.arrappend",
            "json.arrinsert",
            "json.arrpop",
            "json.arrtrim",
            "json.toggle",
            "json.clear",
            "sugadd",
            "sugdel",
        ],
    ),
    (b'x', &[EXPIRED]),
    (b'e', &["evicted"]),
    (b'm', &[KEY_MISS]),
    (b'n', &[NEW]),
];

/// The class of an event.
pub fn class_of(event: Event) -> u8 {
    let row = EVENTS.iter().find(|(_, events)| events.contains(&event));
    row.map_or(b'g', |(class, _)| *class)
}

/// Whether an event says that a key is not what it was.
pub(crate) fn is_change(event: &str) -> bool {
    event != KEY_MISS && event != NEW
}

/// Events that somebody may want to hear of, so that a change of which nobody hears costs next to
/// nothing: one bit for each hash of a name, so all that are wanted, and a few that share their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Followed(u64);

impl Followed {
    /// All events.
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// One event.
    #[inline]
    pub(crate) const fn only(event: &str) -> Self {
        let bytes = event.as_bytes();
        let (length, first, last) = match bytes {
            [] => (0, 0, 0),
            [first, ..] => (bytes.len(), *first as usize, bytes[bytes.len() - 1] as usize),
        };
        // Any odd factors; with these, few of Redis's events share a bit.
        Self(1 << ((length * 5 + first * 3 + last) % u64::BITS as usize))
    }

    /// These and others.
    pub(crate) const fn union(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether somebody may want to hear of an event.
    #[inline]
    pub(crate) const fn may_have(self, event: Event) -> bool {
        self.0 & Self::only(event).0 != 0
    }

    /// Whether somebody may want to hear of anything.
    #[inline]
    pub(crate) const fn is_any(self) -> bool {
        self.0 != 0
    }
}

/// Something that happened to a key, or to everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// To a key of a database.
    Event(Event, u32, Box<[u8]>),
    /// Databases were emptied.
    Flush,
}

impl Cx<'_> {
    /// Tells what has happened since it was told last.
    #[inline]
    pub(crate) fn tell_happenings(&mut self) {
        self.append_events();
        if self.keys.has_happenings() {
            let happenings = self.keys.take_happenings();
            self.tell_all(happenings);
        }
    }

    /// Appends what has happened to the streams of durable triggers: before the step's effects are
    /// handed over, so that both are one.
    #[inline]
    pub(crate) fn append_events(&mut self) {
        if self.keys.has_unappended() && !self.session.obeys_primary {
            self.keys.append_events();
        }
    }

    fn tell_all(&mut self, happenings: Vec<Happening>) {
        let classes = self.keys.rules.settings.notify;
        let (writer, is_tracked) = (self.session.id, self.keys.rules.audience().is_tracking());
        for happening in happenings {
            match happening {
                Happening::Event(event, database, key) => {
                    self.notify(classes, event, database, &key);
                    if !self.keys.rules.triggers().is_empty() && !self.session.obeys_primary {
                        self.keys.trigger(event, database, &key);
                    }
                    if is_tracked && is_change(event) {
                        self.host.tracking(&mut |all, send| all.changed(&key, writer, send));
                        self.keys.note_broadcast(key, writer);
                    }
                }
                Happening::Flush if is_tracked => {
                    self.host.tracking(&mut |all, send| all.flushed(send));
                }
                Happening::Flush => {}
            }
        }
    }

    fn notify(&mut self, classes: Classes, event: Event, database: u32, key: &[u8]) {
        if !classes.contains(class_of(event)) {
            return;
        }
        if classes.contains(b'K') {
            let channel = alloc::format!("__keyspace@{database}__:");
            let channel = [channel.as_bytes(), key].concat();
            self.publish(&channel, event.as_bytes());
        }
        if classes.contains(b'E') {
            let channel = alloc::format!("__keyevent@{database}__:{event}");
            self.publish(channel.as_bytes(), key);
        }
    }

    /// Publishes a message; gives how often it is received.
    pub(crate) fn publish(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let mut received = 0;
        if self.keys.rules.audience().is_subscribed() {
            self.host.subscriptions(&mut |all, send| {
                received = all.publish(channel, payload, send);
            });
        }
        received
    }

    /// Tells those who hear of whole prefixes; comes last in a step.
    #[inline]
    pub(crate) fn tell_broadcasts(&mut self) {
        let changed = self.keys.take_broadcasts();
        if !changed.is_empty() {
            self.host.tracking(&mut |all, send| all.broadcast(&changed, send));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn classes_are_shown_as_redis_shows_them() {
        // As redis-server answers CONFIG GET after CONFIG SET.
        for (set, get) in [
            ("", ""),
            ("KEA", "AKE"),
            ("EKn$", "$nKE"),
            ("g$lshzxetd", "A"),
            ("KAmn", "AKm"),
            ("xE", "xE"),
        ] {
            assert_eq!(Classes::parse(set.as_bytes()).unwrap().to_string(), get);
        }
        assert_eq!(Classes::parse(b"KEAn").unwrap().letters(), "AnKE");
        assert_eq!(Classes::parse(b"KEa"), None);
    }

    #[test]
    fn nothing_is_told_without_a_channel_or_without_a_class() {
        for (letters, tells) in [("K", false), ("A", false), ("KE", false), ("Kx", true)] {
            assert_eq!(Classes::parse(letters.as_bytes()).unwrap().tell_anything(), tells);
        }
    }

    #[test]
    fn what_is_followed_has_what_was_named_and_little_else() {
        let all = || EVENTS.iter().flat_map(|(_, events)| *events);
        for event in all() {
            assert!(Followed::ALL.may_have(event) && !Followed::default().may_have(event));
            let followed = Followed::only("del").union(Followed::only(event));
            assert!(followed.may_have(event) && followed.may_have("del") && followed.is_any());
            let others = all().filter(|other| followed.may_have(other)).count() - 1;
            assert!(others < all().count() / 8, "{event} looks like {others} others");
        }
    }

    #[test]
    fn every_event_is_in_one_class_only() {
        let mut events: Vec<_> = EVENTS.iter().flat_map(|(_, events)| events.iter()).collect();
        let count = events.len();
        events.sort_unstable();
        events.dedup();
        assert_eq!(events.len(), count);
        assert_eq!((class_of("del"), class_of("zadd"), class_of("expired")), (b'g', b'z', b'x'));
    }
}

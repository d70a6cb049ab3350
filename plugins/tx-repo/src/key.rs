//! The names of all keys, in one place. A key is written into the batch part by part.
//!
//! There are two layouts, chosen by the configuration `layout`. The plain one is for a single
//! machine. In the tagged one the relayer stands in braces, as the hash tag of all its keys, and an
//! id is `<relayer>.<name>`, so everything that one batch touches lives in one slot of a cluster;
//! only the list of relayers lives elsewhere and follows ([`crate::relayers`]).

use std::sync::OnceLock;

use reef_sdk::{Argument, Error, Host, Result};

use crate::refusal;
use crate::status::Status;

/// Which keys there are, and how they are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Whether the relayer is a hash tag.
    pub(crate) tagged: bool,
    /// Whether the indexes by time are kept.
    pub(crate) by_time: bool,
}

impl Keys {
    /// As configured. An instance in wasm never outlives its configuration, so it asks once.
    pub(crate) fn of(host: &mut dyn Host) -> Result<Self> {
        static CONFIGURED: OnceLock<Keys> = OnceLock::new();
        if cfg!(target_arch = "wasm32")
            && let Some(keys) = CONFIGURED.get()
        {
            return Ok(*keys);
        }
        let tagged = match host.config("layout").as_deref() {
            None | Some("plain") => false,
            Some("tagged") => true,
            Some(_) => return Err(refusal::BAD_LAYOUT),
        };
        let by_time = match host.config("by-time").as_deref() {
            None | Some("no") => false,
            Some("yes") => true,
            Some(_) => return Err(refusal::BAD_BY_TIME),
        };
        let keys = Self { tagged, by_time };
        if cfg!(target_arch = "wasm32") {
            let _ = CONFIGURED.set(keys);
        }
        Ok(keys)
    }

    /// Refuses a relayer whose name cannot be a hash tag.
    pub(crate) fn check_relayer(self, relayer: &str) -> Result<()> {
        let fits = !self.tagged || !relayer.contains(['{', '}']);
        if fits { Ok(()) } else { Err(refusal::BAD_TAG) }
    }

    /// Refuses an id that does not name its relayer where it must.
    pub(crate) fn check_id(self, id: &str) -> Result<()> {
        if !self.tagged {
            return Ok(());
        }
        match id.rsplit_once('.') {
            Some((relayer, name)) if !relayer.is_empty() && !name.is_empty() => {
                self.check_relayer(relayer)
            }
            _ => Err(refusal::BAD_ID),
        }
    }

    /// As [`Keys::check_id`], of this relayer's.
    pub(crate) fn check_id_of(self, relayer: &str, id: &str) -> Result<()> {
        self.check_id(id)?;
        let its_own =
            !self.tagged || id.rsplit_once('.').is_some_and(|(owner, _)| owner == relayer);
        if its_own { Ok(()) } else { Err(refusal::BAD_ID) }
    }

    /// Refuses ids of different slots.
    pub(crate) fn check_one_slot(self, ids: &[&str]) -> Result<()> {
        let owner = |id: &&str| id.rsplit_once('.').map_or("", |(owner, _)| owner).to_owned();
        let spread = self.tagged && ids.windows(2).any(|two| owner(&two[0]) != owner(&two[1]));
        if spread { Err(Error::from(reef_sdk::EngineError::CrossSlot)) } else { Ok(()) }
    }

    /// How many of `page` things may be read at once: on a cluster, one slot at a time.
    pub(crate) fn at_once(self, page: usize) -> usize {
        if self.tagged { 1 } else { page }
    }

    /// The record of a transaction.
    pub(crate) fn tx(self, id: &str) -> Key<'_> {
        self.key(Name::Tx(id))
    }

    /// The relayer of a transaction.
    pub(crate) fn lookup(self, id: &str) -> Key<'_> {
        self.key(Name::Lookup(id))
    }

    /// The ids of a relayer's transactions in a status.
    pub(crate) fn status(self, relayer: &str, status: Status) -> Key<'_> {
        self.key(Name::Of(relayer, ":status:", status.name()))
    }

    /// The same by time: of creation, or of confirmation for the confirmed.
    pub(crate) fn by_time(self, relayer: &str, status: Status) -> Key<'_> {
        self.key(Name::Of(relayer, ":by-time:", status.name()))
    }

    /// The id of the transaction that uses a nonce.
    pub(crate) fn nonce(self, relayer: &str, nonce: u64) -> Key<'_> {
        self.key(Name::Nonce(relayer, nonce))
    }

    /// All relayers.
    pub(crate) fn relayers(self) -> Key<'static> {
        Key { tagged: self.tagged, name: Name::Relayers }
    }

    /// How many transactions a relayer has.
    pub(crate) fn count(self, relayer: &str) -> Key<'_> {
        self.key(Name::Of(relayer, ":count", ""))
    }

    /// The ids of a relayer's transactions with a TTL, by deadline.
    pub(crate) fn expiring(self, relayer: &str) -> Key<'_> {
        self.key(Name::Of(relayer, ":expiring", ""))
    }

    /// A relayer's nonce counter.
    pub(crate) fn next_nonce(self, relayer: &str) -> Key<'_> {
        self.key(Name::Of(relayer, ":next-nonce", ""))
    }

    /// What a request with a token was answered.
    pub(crate) fn request<'a>(self, relayer: &'a str, token: &'a str) -> Key<'a> {
        self.key(Name::Apart("request:", relayer, token))
    }

    /// Who holds a lock.
    pub(crate) fn lock<'a>(self, relayer: &'a str, lock: &'a str) -> Key<'a> {
        self.key(Name::Apart("lock:", relayer, lock))
    }

    fn key(self, name: Name<'_>) -> Key<'_> {
        Key { tagged: self.tagged, name }
    }

    /// Reads back the id in the key of a record.
    pub(crate) fn tx_of(self, key: &str) -> Option<String> {
        self.id_of(key.strip_prefix("tx:")?)
    }

    /// Reads back the id in the key of a lookup.
    pub(crate) fn lookup_of(self, key: &str) -> Option<String> {
        self.id_of(key.strip_prefix("lookup:")?)
    }

    fn id_of(self, rest: &str) -> Option<String> {
        if !self.tagged {
            return Some(rest.to_owned());
        }
        let (relayer, name) = rest.strip_prefix('{')?.split_once("}.")?;
        Some(format!("{relayer}.{name}"))
    }

    /// Reads back the relayer in the key of a count.
    pub(crate) fn count_of(self, key: &str) -> Option<String> {
        self.relayer_of(key.strip_prefix("relayer:")?.strip_suffix(":count")?)
    }

    /// Reads back relayer and nonce in the key of a nonce.
    pub(crate) fn nonce_of(self, key: &str) -> Option<(String, u64)> {
        let (relayer, nonce) = key.strip_prefix("relayer:")?.rsplit_once(":nonce:")?;
        let parsed: u64 = nonce.parse().ok()?;
        // One spelling: `+1` and `01` are nobody's nonce.
        (parsed.to_string() == nonce).then_some((self.relayer_of(relayer)?, parsed))
    }

    fn relayer_of(self, text: &str) -> Option<String> {
        match self.tagged {
            true => text.strip_prefix('{')?.strip_suffix('}').map(str::to_owned),
            false => Some(text.to_owned()),
        }
    }

    /// What the keys of a relayer begin with, as part of a pattern.
    pub(crate) fn pattern(self, relayer: &str) -> String {
        match self.tagged {
            true => format!("relayer:{{{relayer}}}"),
            false => format!("relayer:{relayer}"),
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    tagged: bool,
    name: Name<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name<'a> {
    Tx(&'a str),
    Lookup(&'a str),
    Nonce(&'a str, u64),
    Relayers,
    /// A relayer, and what follows it in two parts.
    Of(&'a str, &'static str, &'static str),
    /// Not below `relayer:`, since what a client calls it stands at its end.
    Apart(&'static str, &'a str, &'a str),
}

impl Argument for Key<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut parts = |parts: &[&str]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
        };
        let Self { tagged, name } = *self;
        match name {
            Name::Relayers => parts(&["relayers"]),
            _ if tagged => self.write_tagged(out),
            Name::Tx(id) => parts(&["tx:", id]),
            Name::Lookup(id) => parts(&["lookup:", id]),
            Name::Of(relayer, what, which) => parts(&["relayer:", relayer, what, which]),
            Name::Nonce(relayer, nonce) => {
                parts(&["relayer:", relayer, ":nonce:"]);
                nonce.write(out);
            }
            Name::Apart(kind, relayer, name) => parts(&[kind, relayer, ":", name]),
        }
    }
}

impl Key<'_> {
    fn write_tagged(self, out: &mut Vec<u8>) {
        let mut parts = |parts: &[&str]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
        };
        let split = |id| str::rsplit_once(id, '.').unwrap_or(("", id));
        match self.name {
            Name::Relayers => parts(&["relayers"]),
            Name::Tx(id) => parts(&["tx:{", split(id).0, "}.", split(id).1]),
            Name::Lookup(id) => parts(&["lookup:{", split(id).0, "}.", split(id).1]),
            Name::Of(relayer, what, which) => parts(&["relayer:{", relayer, "}", what, which]),
            Name::Nonce(relayer, nonce) => {
                parts(&["relayer:{", relayer, "}:nonce:"]);
                nonce.write(out);
            }
            Name::Apart(kind, relayer, name) => parts(&[kind, "{", relayer, "}:", name]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Keys = Keys { tagged: false, by_time: false };
    const TAGGED: Keys = Keys { tagged: true, by_time: false };

    fn written(key: Key<'_>) -> String {
        let mut out = Vec::new();
        key.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_named_as_promised() {
        for (key, name) in [
            (PLAIN.tx("7"), "tx:7"),
            (PLAIN.lookup("7"), "lookup:7"),
            (PLAIN.status("r", Status::Pending), "relayer:r:status:pending"),
            (PLAIN.nonce("r", u64::MAX), "relayer:r:nonce:18446744073709551615"),
            (PLAIN.relayers(), "relayers"),
            (PLAIN.count("r"), "relayer:r:count"),
            (PLAIN.expiring("r"), "relayer:r:expiring"),
            (PLAIN.by_time("r", Status::Mined), "relayer:r:by-time:mined"),
            (PLAIN.request("r", "t"), "request:r:t"),
            (PLAIN.lock("r", "l"), "lock:r:l"),
        ] {
            assert_eq!(written(key), name);
        }
    }

    #[test]
    fn tagged_keys_carry_the_relayer_in_braces() {
        for (key, name) in [
            (TAGGED.tx("a.b.7"), "tx:{a.b}.7"),
            (TAGGED.lookup("r.7"), "lookup:{r}.7"),
            (TAGGED.status("r", Status::Pending), "relayer:{r}:status:pending"),
            (TAGGED.nonce("r", 9), "relayer:{r}:nonce:9"),
            (TAGGED.relayers(), "relayers"),
            (TAGGED.count("r"), "relayer:{r}:count"),
            (TAGGED.next_nonce("r"), "relayer:{r}:next-nonce"),
            (TAGGED.request("r", "t"), "request:{r}:t"),
            (TAGGED.lock("r", "l"), "lock:{r}:l"),
        ] {
            assert_eq!(written(key), name);
        }
        assert!(TAGGED.check_id("r.7").is_ok() && PLAIN.check_id("7").is_ok());
        for bad in ["7", ".7", "r.", "{r}.7"] {
            assert!(TAGGED.check_id(bad).is_err(), "{bad}");
        }
        assert!(TAGGED.check_id_of("s", "r.7").is_err());
        assert!(TAGGED.check_relayer("a}b").is_err() && PLAIN.check_relayer("a}b").is_ok());
    }

    #[test]
    fn keys_are_read_back_whatever_the_relayer_is_called() {
        for keys in [PLAIN, TAGGED] {
            for relayer in ["r", "a:b", "x:nonce:5", "y:count", ":nonce:", "z:status:pending"] {
                let nonce = written(keys.nonce(relayer, 9));
                assert_eq!(keys.nonce_of(&nonce), Some((relayer.to_owned(), 9)));
                let count = written(keys.count(relayer));
                assert_eq!(keys.count_of(&count).as_deref(), Some(relayer));
                let id = format!("{relayer}.7");
                assert_eq!(keys.tx_of(&written(keys.tx(&id))).as_ref(), Some(&id));
                assert_eq!(keys.lookup_of(&written(keys.lookup(&id))).as_ref(), Some(&id));
            }
        }
        for other in ["relayer:r:nonce:+1", "relayer:r:nonce:01", "relayer:r:nonce:", "x"] {
            assert_eq!(PLAIN.nonce_of(other), None, "{other}");
        }
    }
}

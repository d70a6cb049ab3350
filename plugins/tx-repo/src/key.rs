//! The names of all keys, in one place. A key is written into the batch part by part.

use reef_sdk::Argument;

use crate::status::Status;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// The record of a transaction.
    Tx(&'a str),
    /// The relayer of a transaction.
    Lookup(&'a str),
    /// The ids of a relayer's transactions in a status.
    Status(&'a str, Status),
    /// The id of the transaction that uses a nonce.
    Nonce(&'a str, u64),
    /// All relayers.
    Relayers,
    /// How many transactions a relayer has.
    Count(&'a str),
    /// The ids of a relayer's transactions with a TTL, by deadline.
    Expiring(&'a str),
    /// A relayer's nonce counter.
    NextNonce(&'a str),
}

impl Argument for Key<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut parts = |parts: &[&str]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
        };
        match *self {
            Self::Tx(id) => parts(&["tx:", id]),
            Self::Lookup(id) => parts(&["lookup:", id]),
            Self::Status(relayer, status) => {
                parts(&["relayer:", relayer, ":status:", status.name()]);
            }
            Self::Nonce(relayer, nonce) => {
                parts(&["relayer:", relayer, ":nonce:"]);
                nonce.write(out);
            }
            Self::Relayers => parts(&["relayers"]),
            Self::Count(relayer) => parts(&["relayer:", relayer, ":count"]),
            Self::Expiring(relayer) => parts(&["relayer:", relayer, ":expiring"]),
            Self::NextNonce(relayer) => parts(&["relayer:", relayer, ":next-nonce"]),
        }
    }
}

impl<'a> Key<'a> {
    /// Reads back the key of a record, of a lookup or of a nonce.
    pub(crate) fn parse(key: &'a str) -> Option<Self> {
        if let Some(id) = key.strip_prefix("tx:") {
            return Some(Self::Tx(id));
        }
        if let Some(id) = key.strip_prefix("lookup:") {
            return Some(Self::Lookup(id));
        }
        let rest = key.strip_prefix("relayer:")?;
        if let Some(relayer) = rest.strip_suffix(":count") {
            return Some(Self::Count(relayer));
        }
        let (relayer, nonce) = rest.rsplit_once(":nonce:")?;
        let parsed: u64 = nonce.parse().ok()?;
        // One spelling: `+1` and `01` are nobody's nonce.
        (parsed.to_string() == nonce).then_some(Self::Nonce(relayer, parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(key: Key<'_>) -> String {
        let mut out = Vec::new();
        key.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_named_as_promised() {
        assert_eq!(written(Key::Tx("7")), "tx:7");
        assert_eq!(written(Key::Lookup("7")), "lookup:7");
        assert_eq!(written(Key::Status("r", Status::Pending)), "relayer:r:status:pending");
        assert_eq!(written(Key::Nonce("r", u64::MAX)), "relayer:r:nonce:18446744073709551615");
        assert_eq!(written(Key::Relayers), "relayers");
        assert_eq!(written(Key::Count("r")), "relayer:r:count");
        assert_eq!(written(Key::Expiring("r")), "relayer:r:expiring");
    }

    #[test]
    fn keys_are_read_back_whatever_the_relayer_is_called() {
        for relayer in ["r", "a:b", "x:nonce:5", "y:count", ":nonce:", "z:status:pending"] {
            for key in [Key::Nonce(relayer, 9), Key::Count(relayer)] {
                assert_eq!(Key::parse(&written(key)), Some(key));
            }
        }
        assert_eq!(Key::parse("tx:7"), Some(Key::Tx("7")));
        assert_eq!(Key::parse("lookup:tx:7"), Some(Key::Lookup("tx:7")));
        for other in ["relayer:r:nonce:+1", "relayer:r:nonce:01", "relayer:r:nonce:", "x"] {
            assert_eq!(Key::parse(other), None, "{other}");
        }
    }
}

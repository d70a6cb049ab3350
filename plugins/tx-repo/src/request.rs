//! Tokens of requests: the same request with the same token gives the same answer and creates
//! nothing twice, also when the reply to the first was lost.
//!
//! `request:<relayer>:<token>` holds a fingerprint of the request and the ids it created, a line
//! each, and is written in the batch that creates them. It expires after the configured
//! `token-ttl` (in seconds, a day unless configured).

use reef_sdk::{Arguments, Batch, Cursor, Host, Result};

use crate::input;
use crate::key::Keys;
use crate::refusal;

const TTL_SECONDS: u64 = 24 * 60 * 60;

/// The token of one request.
#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    text: &'a str,
    fingerprint: u64,
    ttl_ms: u64,
}

impl<'a> Token<'a> {
    /// A token for the request with these arguments, all of them.
    pub(crate) fn new(
        host: &mut dyn Host,
        text: &'a str,
        arguments: Arguments<'_>,
    ) -> Result<Self> {
        let ttl_ms = input::configured_seconds(host, "token-ttl")?.unwrap_or(TTL_SECONDS) * 1000;
        Ok(Self { text, fingerprint: fingerprint(arguments), ttl_ms })
    }

    /// The batch runs only for the first, and remembers what it creates.
    pub(crate) fn remember<'i>(
        &self,
        batch: &mut Batch,
        keys: Keys,
        relayer: &str,
        ids: impl Iterator<Item = &'i str>,
    ) {
        let key = keys.request(relayer, self.text);
        let answer = ids.fold(self.fingerprint.to_string(), |text, id| text + "\n" + id);
        batch.absent(key);
        batch.command("SET").arg(key).arg(answer).arg("PX").arg(self.ttl_ms);
    }

    /// What the request was answered before, from the reply to `GET` of its key.
    pub(crate) fn answered(&self, cursor: &mut Cursor<'_>) -> Result<Option<Vec<String>>> {
        let Some(text) = cursor.bulk()? else { return Ok(None) };
        let text = String::from_utf8_lossy(text);
        let mut lines = text.split('\n');
        if lines.next() != Some(self.fingerprint.to_string().as_str()) {
            return Err(refusal::token_used(self.text));
        }
        Ok(Some(lines.map(str::to_owned).collect()))
    }

    /// The key under which it is remembered.
    pub(crate) fn key(&self, keys: Keys, relayer: &'a str) -> crate::key::Key<'a> {
        keys.request(relayer, self.text)
    }
}

/// Tells requests apart that by mistake have the same token: FNV-1a over lengths and bytes.
fn fingerprint(arguments: Arguments<'_>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    arguments.fold(BASIS, |hash, argument| {
        let length = (argument.len() as u64).to_le_bytes();
        length.into_iter().chain(argument.iter().copied()).fold(hash, step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_differ_in_anything_have_different_fingerprints() {
        let of =
            |lengths: &[u32], data: &str| fingerprint(Arguments::new(lengths, data.as_bytes()));
        assert_eq!(of(&[1, 1, 1], "xab"), of(&[1, 1, 1], "yab"), "the name is no argument");
        assert_ne!(of(&[1, 1, 2], "xabc"), of(&[1, 2, 1], "xabc"));
        assert_ne!(of(&[1, 1], "xa"), of(&[1, 1], "xb"));
    }
}

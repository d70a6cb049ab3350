//! What clients are sent without having asked: messages of channels, invalidations of cached keys.
//!
//! One value serves all who receive it, whichever protocol they speak: made once, it is shared
//! between threads and appended to each receiver's output.

use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{Protocol, Writer};

/// Where clients that have not changed to RESP3 hear of keys that they should forget.
const INVALIDATION_CHANNEL: &[u8] = b"__redis__:invalidate";

/// Something that clients are sent without having asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Push {
    /// As RESP3 says it.
    text: Vec<u8>,
    elsewhere: Elsewhere,
}

/// What clients hear that do not speak RESP3.
#[derive(Debug, PartialEq, Eq)]
enum Elsewhere {
    /// The same as an array.
    Same,
    /// This, if they are subscribed to anything.
    Subscribed(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// Some clients of one home, in ascending order.
pub type Receivers = Arc<[u64]>;

impl Push {
    /// A message of a channel: its kind, the pattern that it matches, channel and payload.
    pub fn message(kind: &[u8], pattern: Option<&[u8]>, channel: &[u8], payload: &[u8]) -> Self {
        let bytes = kind.len() + pattern.map_or(0, <[u8]>::len) + channel.len() + payload.len();
        let mut writer = Writer::with_capacity(Protocol::Resp3, bytes + 64);
        writer.push(if pattern.is_some() { 4 } else { 3 });
        let parts = [Some(kind), pattern, Some(channel), Some(payload)];
        parts.into_iter().flatten().for_each(|part| writer.bulk(part));
        Self { text: writer.take_data(), elsewhere: Elsewhere::Same }
    }

    /// Keys to forget, all of them if none is named. `redirected` if somebody else cached them.
    pub fn invalidation(keys: Option<&[&[u8]]>, redirected: bool) -> Self {
        let mut writer = Writer::new(Protocol::Resp3);
        writer.push(2);
        writer.bulk(b"invalidate");
        say_keys(&mut writer, keys);
        let elsewhere = if redirected {
            let mut writer = Writer::new(Protocol::Resp2);
            writer.push(3);
            writer.bulk(b"message");
            writer.bulk(INVALIDATION_CHANNEL);
            say_keys(&mut writer, keys);
            Elsewhere::Subscribed(writer.take_data())
        } else {
            Elsewhere::Nothing
        };
        Self { text: writer.take_data(), elsewhere }
    }

    /// The client that should hear of invalidations is gone.
    pub fn redirection_broken(client: u64) -> Self {
        let mut writer = Writer::new(Protocol::Resp3);
        writer.push(2);
        writer.bulk(b"tracking-redir-broken");
        writer.integer(client as i64);
        Self { text: writer.take_data(), elsewhere: Elsewhere::Nothing }
    }

    /// Appends it to the output of a client. Whether there was something for it.
    #[inline]
    pub fn append_to(&self, output: &mut Vec<u8>, protocol: Protocol, is_subscribed: bool) -> bool {
        let text = match (&self.elsewhere, protocol) {
            (_, Protocol::Resp3) => &self.text,
            (Elsewhere::Same, _) => {
                output.push(b'*');
                output.extend_from_slice(self.text.get(1..).unwrap_or_default());
                return true;
            }
            (Elsewhere::Subscribed(text), _) if is_subscribed => text,
            _ => return false,
        };
        output.extend_from_slice(text);
        true
    }
}

fn say_keys(writer: &mut Writer, keys: Option<&[&[u8]]>) {
    let Some(keys) = keys else { return writer.nil() };
    writer.array(keys.len());
    keys.iter().for_each(|key| writer.bulk(key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(push: &Push, protocol: Protocol, is_subscribed: bool) -> Vec<u8> {
        let mut output = Vec::new();
        let is_told = push.append_to(&mut output, protocol, is_subscribed);
        assert_eq!(is_told, !output.is_empty());
        output
    }

    #[test]
    fn a_message_is_a_push_or_an_array() {
        let push = Push::message(b"pmessage", Some(b"n*"), b"news", b"x");
        let body = "4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\nx\r\n";
        assert_eq!(heard(&push, Protocol::Resp3, true), [b">", body.as_bytes()].concat());
        assert_eq!(heard(&push, Protocol::Resp2, true), [b"*", body.as_bytes()].concat());
    }

    #[test]
    fn an_invalidation_reaches_resp2_only_by_redirection() {
        let push = Push::invalidation(Some(&[b"k"]), false);
        let expected = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(heard(&push, Protocol::Resp3, false), expected);
        assert_eq!(heard(&push, Protocol::Resp2, true), b"");
        let push = Push::invalidation(None, true);
        assert_eq!(heard(&push, Protocol::Resp3, false), b">2\r\n$10\r\ninvalidate\r\n_\r\n");
        assert_eq!(heard(&push, Protocol::Resp2, false), b"");
        let expected = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n";
        assert_eq!(heard(&push, Protocol::Resp2, true), expected);
    }
}

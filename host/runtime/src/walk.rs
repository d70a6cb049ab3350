//! Checks a handler's reply and says it to the client.
//!
//! A reply is a pre-order walk that came from a guest, so nothing about it is taken for granted:
//! children must be there, text must be there and be used up, there is exactly one tree, and it is
//! no deeper than [`REPLY_DEPTH_MAX`]. What was written of a bad one is taken back.

use reef_resp::Writer;

use crate::border::{Node, Replies};
use crate::limits::REPLY_DEPTH_MAX;

/// Why a reply is invalid.
pub(crate) type Reason = &'static str;

const CHILDREN_MISSING: Reason = "an aggregate announces more children than follow";
const LEFT_OVER: Reason = "there are bytes that belong to no node";

/// Says `replies` to `writer`. `Ok(true)` when the reply is an error. After `Err` nothing was
/// written.
pub(crate) fn say(replies: &Replies, writer: &mut Writer) -> Result<bool, Reason> {
    let mark = writer.mark();
    let result = walk(replies, writer);
    if result.is_err() {
        writer.rewind(mark);
    }
    result
}

fn walk(replies: &Replies, writer: &mut Writer) -> Result<bool, Reason> {
    let mut texts = Texts { rest: &replies.data };
    if let [node] = replies.nodes.as_slice() {
        // By far the most frequent reply: one leaf.
        return match say_node(*node, &mut texts, writer)? {
            0 if texts.rest.is_empty() => Ok(matches!(node, Node::Error(_))),
            0 => Err(LEFT_OVER),
            _ => Err(CHILDREN_MISSING),
        };
    }
    // How many nodes are still missing on each level.
    let mut levels = [0_u64; REPLY_DEPTH_MAX];
    let mut depth = 0;
    let mut nodes = replies.nodes.iter();
    while let Some(node) = nodes.next() {
        let children = say_node(*node, &mut texts, writer)?;
        if children > nodes.len() as u64 {
            return Err(CHILDREN_MISSING);
        }
        if children > 0 {
            if depth == levels.len() {
                return Err("it is nested too deeply");
            }
            levels[depth] = children;
            depth += 1;
            continue;
        }
        while depth > 0 {
            levels[depth - 1] -= 1;
            if levels[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 && nodes.len() > 0 {
            return Err("there is more than one tree");
        }
    }
    if replies.nodes.is_empty() {
        return Err("it is empty");
    }
    if depth > 0 {
        return Err(CHILDREN_MISSING);
    }
    if !texts.rest.is_empty() {
        return Err(LEFT_OVER);
    }
    Ok(matches!(replies.nodes.first(), Some(Node::Error(_))))
}

/// Says one node; how many children must follow.
fn say_node(node: Node, texts: &mut Texts<'_>, writer: &mut Writer) -> Result<u64, Reason> {
    match node {
        Node::Nil => writer.nil(),
        Node::Ok => writer.ok(),
        Node::Integer(value) => writer.integer(value),
        Node::Double(value) => writer.double(value, double_text(value).as_bytes()),
        Node::Boolean(value) => writer.boolean(value),
        Node::Status(len) => writer.status(texts.line(len)?),
        Node::Bulk(len) => writer.bulk(texts.take(len)?),
        Node::Error(len) => writer.error(texts.line(len)?),
        Node::Array(len) => {
            writer.array(len as usize);
            return Ok(len.into());
        }
        Node::Set(len) => {
            writer.set(len as usize);
            return Ok(len.into());
        }
        Node::Pairs(pairs) => {
            writer.map(pairs as usize);
            return Ok(2 * u64::from(pairs));
        }
    }
    Ok(0)
}

/// The text column, consumed from the front.
struct Texts<'a> {
    rest: &'a [u8],
}

impl<'a> Texts<'a> {
    fn take(&mut self, len: u32) -> Result<&'a [u8], Reason> {
        let (text, rest) =
            self.rest.split_at_checked(len as usize).ok_or("a text is longer than the data")?;
        self.rest = rest;
        Ok(text)
    }

    fn line(&mut self, len: u32) -> Result<&'a str, Reason> {
        let text = self.take(len)?;
        if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err("a line end in a status or an error");
        }
        std::str::from_utf8(text).map_err(|_| "a status or an error that is not UTF-8")
    }
}

/// A double as Redis prints it: the shortest text that reads back as the same number, plain
/// between 1e-7 and 1e21.
fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let magnitude = value.abs();
    if value == 0.0 || (1e-7..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    if magnitude >= 1.0 { text.replace('e', "e+") } else { text }
}

#[cfg(test)]
mod tests {
    use reef_resp::Protocol;

    use super::*;

    fn said(nodes: &[Node], data: &[u8]) -> Result<String, Reason> {
        let replies = Replies { nodes: nodes.to_vec(), data: data.to_vec() };
        let mut writer = Writer::new(Protocol::Resp3);
        writer.ok();
        let result = say(&replies, &mut writer);
        let text = String::from_utf8_lossy(writer.data()).into_owned();
        if result.is_err() {
            assert_eq!(text, "+OK\r\n", "what was written of a bad reply is taken back");
        }
        result.map(|_| text.replacen("+OK\r\n", "", 1))
    }

    #[test]
    fn a_tree_is_said_in_order() {
        let nodes = [
            Node::Array(3),
            Node::Pairs(1),
            Node::Bulk(1),
            Node::Set(0),
            Node::Status(2),
            Node::Array(1),
            Node::Double(1.5),
        ];
        assert_eq!(
            said(&nodes, b"kup").unwrap(),
            "*3\r\n%1\r\n$1\r\nk\r\n~0\r\n+up\r\n*1\r\n,1.5\r\n"
        );
    }

    #[test]
    fn forged_replies_are_refused() {
        for (nodes, data) in [
            ([].as_slice(), b"".as_slice()),
            (&[Node::Nil, Node::Nil], b""),
            (&[Node::Bulk(2)], b"a"),
            (&[Node::Bulk(u32::MAX)], b"a"),
            (&[Node::Bulk(1)], b"ab"),
            (&[Node::Array(1)], b""),
            (&[Node::Array(2), Node::Nil], b""),
            (&[Node::Array(u32::MAX), Node::Nil], b""),
            (&[Node::Pairs(1), Node::Nil], b""),
            (&[Node::Pairs(u32::MAX), Node::Nil, Node::Nil], b""),
            (&[Node::Array(1), Node::Array(1)], b""),
            (&[Node::Array(1), Node::Nil, Node::Nil], b""),
            (&[Node::Status(3)], b"a\nb"),
            (&[Node::Error(2)], b"\r\n"),
            (&[Node::Status(1)], b"\xff"),
        ] {
            assert!(said(nodes, data).is_err(), "{nodes:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let mut nodes = vec![Node::Array(1); depth];
            nodes.push(Node::Nil);
            said(&nodes, b"").is_ok()
        };
        assert!(nested(REPLY_DEPTH_MAX));
        assert!(!nested(REPLY_DEPTH_MAX + 1));
    }

    #[test]
    fn doubles_are_said_as_redis_does() {
        for (value, text) in [
            (3.0, "3"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (2.5e-10, "2.5e-10"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }
}

//! Says a reply: as RESP2 or RESP3 text, or as columns for a plugin.
//!
//! A handler calls the same methods whoever listens; what differs (maps in RESP2 are flat arrays,
//! doubles are strings) is decided here and nowhere else. Replies are written straight into the
//! buffer that goes to the client. The caller keeps the announced counts: an aggregate of `n` is
//! followed by `n` replies (a map by `2 n`).

use alloc::vec::Vec;

/// The form in which replies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The protocol of Redis up to 5, and the default of a new connection.
    #[default]
    Resp2,
    /// Maps, sets, doubles, booleans, pushes: after `HELLO 3`.
    Resp3,
    /// For plugins: a list of nodes and a list of bytes.
    Columns,
}

/// One step of a reply's pre-order walk, in [`Protocol::Columns`]. A number on a text leaf is the
/// length of its bytes, on an aggregate how many children follow (`Pairs`: how many pairs).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// No value.
    Nil,
    /// `+OK`.
    Ok,
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Boolean(bool),
    /// A simple string other than OK.
    Status(u32),
    /// A bulk string.
    Bulk(u32),
    /// An error, code first.
    Error(u32),
    /// An array.
    Array(u32),
    /// A set.
    Set(u32),
    /// A map.
    Pairs(u32),
}

/// A place in the output to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    nodes: usize,
}

/// Writes replies into a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    protocol: Protocol,
    data: Vec<u8>,
    nodes: Vec<Node>,
}

impl Writer {
    /// A writer with an empty buffer.
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    /// A writer whose buffer has room for so many bytes.
    pub fn with_capacity(protocol: Protocol, bytes: usize) -> Self {
        Self { protocol, data: Vec::with_capacity(bytes), nodes: Vec::new() }
    }

    /// The form of the replies from now on.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the form of the replies from now on (`HELLO`).
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Whether clients of this writer know RESP3 types.
    pub fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// What was written so far.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The walk written so far ([`Protocol::Columns`] only).
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Forgets what was written, keeping the allocation.
    pub fn clear(&mut self) {
        self.data.clear();
        self.nodes.clear();
    }

    /// Takes the written bytes away, leaving an empty buffer in their place.
    pub fn take_data(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.data)
    }

    /// Takes the written columns away.
    pub fn take_columns(&mut self) -> (Vec<Node>, Vec<u8>) {
        (core::mem::take(&mut self.nodes), core::mem::take(&mut self.data))
    }

    /// Appends bytes that are already RESP of this connection's version.
    pub fn raw(&mut self, bytes: &[u8]) {
        debug_assert!(self.protocol != Protocol::Columns);
        self.data.extend_from_slice(bytes);
    }

    /// Where the next reply will start.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.data.len(), nodes: self.nodes.len() }
    }

    /// Takes back everything written since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.data.truncate(mark.bytes);
        self.nodes.truncate(mark.nodes);
    }

    /// Whether anything was written since `mark`.
    pub fn wrote_since(&self, mark: Mark) -> bool {
        self.data.len() != mark.bytes || self.nodes.len() != mark.nodes
    }

    /// The bytes written since `mark`.
    pub fn data_since(&self, mark: Mark) -> &[u8] {
        &self.data[mark.bytes..]
    }

    /// Whether the reply written since `mark` is an error.
    pub fn is_error_since(&self, mark: Mark) -> bool {
        match self.protocol {
            Protocol::Columns => matches!(self.nodes.get(mark.nodes), Some(Node::Error(_))),
            _ => self.data.get(mark.bytes) == Some(&b'-'),
        }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        match self.protocol {
            Protocol::Columns => self.nodes.push(Node::Ok),
            _ => self.data.extend_from_slice(b"+OK\r\n"),
        }
    }

    /// A simple string. It must not hold a line end.
    pub fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes(), Node::Status);
    }

    /// An error: `CODE message`. Line ends in it become spaces.
    pub fn error(&mut self, text: &str) {
        let start = self.data.len();
        self.line(b'-', text.as_bytes(), Node::Error);
        let end = self.data.len() - if self.protocol == Protocol::Columns { 0 } else { 2 };
        for byte in &mut self.data[start..end] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match self.protocol {
            Protocol::Columns => self.nodes.push(Node::Integer(value)),
            _ => self.header(b':', value),
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        match self.protocol {
            Protocol::Columns => {
                self.nodes.push(Node::Bulk(bytes.len() as u32));
                self.data.extend_from_slice(bytes);
            }
            _ => {
                self.header(b'$', bytes.len() as i64);
                self.data.reserve(bytes.len() + 2);
                self.data.extend_from_slice(bytes);
                self.data.extend_from_slice(b"\r\n");
            }
        }
    }

    /// An integer said as a bulk string, as scores and ids often are.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Text for people (`INFO`, `CLIENT LIST`): a verbatim string in RESP3.
    pub fn verbatim(&mut self, text: &[u8]) {
        if self.protocol != Protocol::Resp3 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() as i64 + 4);
        self.data.extend_from_slice(b"txt:");
        self.data.extend_from_slice(text);
        self.data.extend_from_slice(b"\r\n");
    }

    /// No value where there could be a string.
    #[inline]
    pub fn nil(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.data.extend_from_slice(b"$-1\r\n"),
            Protocol::Resp3 => self.data.extend_from_slice(b"_\r\n"),
            Protocol::Columns => self.nodes.push(Node::Nil),
        }
    }

    /// No value where there could be an array.
    pub fn nil_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.data.extend_from_slice(b"*-1\r\n"),
            _ => self.nil(),
        }
    }

    /// A double, with its text as Redis prints it.
    pub fn double(&mut self, value: f64, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.data.push(b',');
                self.data.extend_from_slice(text);
                self.data.extend_from_slice(b"\r\n");
            }
            Protocol::Columns => self.nodes.push(Node::Double(value)),
        }
    }

    /// A boolean; `1` or `0` in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => {
                self.data.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" });
            }
            Protocol::Columns => self.nodes.push(Node::Boolean(value)),
        }
    }

    /// An array of `len` replies.
    #[inline]
    pub fn array(&mut self, len: usize) {
        match self.protocol {
            Protocol::Columns => self.nodes.push(Node::Array(len as u32)),
            _ => self.header(b'*', len as i64),
        }
    }

    /// A set of `len` replies; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'~', len as i64),
            Protocol::Columns => self.nodes.push(Node::Set(len as u32)),
        }
    }

    /// A map of `pairs` keys and values; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * pairs as i64),
            Protocol::Resp3 => self.header(b'%', pairs as i64),
            Protocol::Columns => self.nodes.push(Node::Pairs(pairs as u32)),
        }
    }

    /// A message that answers no command; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp3 => self.header(b'>', len as i64),
            _ => self.array(len),
        }
    }

    /// Announces an array after the fact: everything written since `mark` becomes its content.
    pub fn array_since(&mut self, mark: Mark, len: usize) {
        self.aggregate_since(mark, |writer| writer.array(len));
    }

    /// Announces a set after the fact.
    pub fn set_since(&mut self, mark: Mark, len: usize) {
        self.aggregate_since(mark, |writer| writer.set(len));
    }

    /// Announces a map after the fact.
    pub fn map_since(&mut self, mark: Mark, pairs: usize) {
        self.aggregate_since(mark, |writer| writer.map(pairs));
    }

    /// Says the header behind the content, then turns it to the front.
    fn aggregate_since(&mut self, mark: Mark, say: impl FnOnce(&mut Self)) {
        let (bytes, nodes) = (self.data.len(), self.nodes.len());
        say(self);
        let header_bytes = self.data.len() - bytes;
        self.data[mark.bytes..].rotate_right(header_bytes);
        let header_nodes = self.nodes.len() - nodes;
        self.nodes[mark.nodes..].rotate_right(header_nodes);
    }

    fn line(&mut self, kind: u8, text: &[u8], node: fn(u32) -> Node) {
        if self.protocol == Protocol::Columns {
            self.nodes.push(node(text.len() as u32));
            self.data.extend_from_slice(text);
        } else {
            self.data.push(kind);
            self.data.extend_from_slice(text);
            self.data.extend_from_slice(b"\r\n");
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        let mut digits = itoa::Buffer::new();
        let text = digits.format(value).as_bytes();
        self.data.reserve(text.len() + 3);
        self.data.push(kind);
        self.data.extend_from_slice(text);
        self.data.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocol: Protocol, say: impl FnOnce(&mut Writer), expected: &[u8]) {
        let mut writer = Writer::new(protocol);
        say(&mut writer);
        assert_eq!(writer.data(), expected, "{}", writer.data().escape_ascii());
    }

    #[test]
    fn each_protocol_has_its_own_words() {
        check(Protocol::Resp2, |w| w.nil(), b"$-1\r\n");
        check(Protocol::Resp3, |w| w.nil(), b"_\r\n");
        check(Protocol::Resp2, |w| w.nil_array(), b"*-1\r\n");
        check(Protocol::Resp2, |w| w.map(2), b"*4\r\n");
        check(Protocol::Resp3, |w| w.map(2), b"%2\r\n");
        check(Protocol::Resp2, |w| w.double(1.5, b"1.5"), b"$3\r\n1.5\r\n");
        check(Protocol::Resp3, |w| w.double(1.5, b"1.5"), b",1.5\r\n");
        check(Protocol::Resp2, |w| w.boolean(true), b":1\r\n");
        check(Protocol::Resp3, |w| w.boolean(false), b"#f\r\n");
        check(Protocol::Resp3, |w| w.verbatim(b"ab"), b"=6\r\ntxt:ab\r\n");
    }

    #[test]
    fn an_error_never_breaks_the_line() {
        check(Protocol::Resp2, |w| w.error("ERR a\r\nb"), b"-ERR a  b\r\n");
    }

    #[test]
    fn an_aggregate_can_be_announced_afterwards() {
        for protocol in [Protocol::Resp2, Protocol::Columns] {
            let mut late = Writer::new(protocol);
            late.integer(7);
            let mark = late.mark();
            late.bulk(b"a");
            late.bulk(b"bc");
            late.array_since(mark, 2);
            let mut early = Writer::new(protocol);
            early.integer(7);
            early.array(2);
            early.bulk(b"a");
            early.bulk(b"bc");
            assert_eq!(late.data(), early.data());
            assert_eq!(late.nodes(), early.nodes());
        }
    }

    #[test]
    fn rewinding_takes_a_reply_back() {
        let mut writer = Writer::new(Protocol::Resp2);
        writer.ok();
        let mark = writer.mark();
        writer.array(3);
        assert!(writer.wrote_since(mark));
        writer.rewind(mark);
        assert_eq!(writer.data(), b"+OK\r\n");
    }
}

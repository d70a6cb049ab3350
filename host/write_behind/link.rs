//! How a pipeline reaches a keyspace: steps of commands, and replies as one pre-order walk.

use std::sync::Arc;

use reef_resp::Node;

/// One command: its name and arguments.
pub(crate) type Words<'a> = Vec<&'a [u8]>;

/// The way to a keyspace.
pub(crate) trait Link: Send {
    /// Runs commands that read, all at one instant.
    ///
    /// # Errors
    /// Why there is no answer; the same may succeed later.
    fn read(&mut self, commands: &[Words<'_>]) -> Result<Replies, String>;

    /// Runs commands in one step. One that fails answers with its error and the others take effect.
    ///
    /// # Errors
    /// As for `read`.
    fn write(&mut self, commands: &[Words<'_>]) -> Result<Replies, String>;

    /// Runs one command that is a step by itself, a plugin's.
    ///
    /// # Errors
    /// As for `read`.
    fn command(&mut self, words: &[&[u8]]) -> Result<Replies, String>;

    /// Whether what was read so far would survive a crash as well as its writers were promised; waits
    /// for that.
    ///
    /// # Errors
    /// Why it is not known.
    fn settle(&mut self) -> Result<(), String>;
}

/// Opens a way, for each thread its own.
pub(crate) type Open = Arc<dyn Fn() -> Box<dyn Link> + Send + Sync>;

/// Replies of some commands.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    pub(crate) nodes: Vec<Node>,
    pub(crate) data: Vec<u8>,
}

impl Replies {
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { nodes: &self.nodes, data: &self.data }
    }
}

/// What a walk comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step<'a> {
    /// A leaf without text, or nothing.
    Nil,
    Integer(i64),
    /// Text: of a string, a status or an error.
    Text(&'a [u8]),
    Error(&'a [u8]),
    /// So many elements follow; of a map, keys and values are counted one by one.
    List(usize),
}

/// Goes over replies from the first on. What is not there is nil: replies of a server that one trusts to
/// speak RESP need no other care.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    nodes: &'a [Node],
    data: &'a [u8],
}

impl<'a> Walk<'a> {
    pub(crate) fn step(&mut self) -> Step<'a> {
        let Some((node, rest)) = self.nodes.split_first() else { return Step::Nil };
        self.nodes = rest;
        match *node {
            Node::Nil | Node::Double(_) => Step::Nil,
            Node::Ok => Step::Text(b"OK"),
            Node::Integer(number) => Step::Integer(number),
            Node::Boolean(truth) => Step::Integer(truth.into()),
            Node::Status(length) | Node::Bulk(length) => Step::Text(self.text(length)),
            Node::Error(length) => Step::Error(self.text(length)),
            Node::Array(length) | Node::Set(length) => Step::List(length as usize),
            Node::Pairs(length) => Step::List(length as usize * 2),
        }
    }

    fn text(&mut self, length: u32) -> &'a [u8] {
        let (text, rest) = self.data.split_at((length as usize).min(self.data.len()));
        self.data = rest;
        text
    }

    /// The next element as text, if it is that.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        match self.step() {
            Step::Text(text) => Some(text),
            Step::List(length) => {
                self.skip(length);
                None
            }
            _ => None,
        }
    }

    /// The next element as a number: an integer, or text that is one.
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.step() {
            Step::Integer(number) => u64::try_from(number).ok(),
            Step::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Step::List(length) => {
                self.skip(length);
                None
            }
            _ => None,
        }
    }

    /// How many elements the next one has; it must be a list, or nothing.
    pub(crate) fn list(&mut self) -> usize {
        match self.step() {
            Step::List(length) => length,
            _ => 0,
        }
    }

    /// Passes over so many elements with all that is in them.
    pub(crate) fn skip(&mut self, elements: usize) {
        let mut left = elements;
        while left > 0 && !self.nodes.is_empty() {
            left -= 1;
            if let Step::List(length) = self.step() {
                left += length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_passes_over_what_it_does_not_want() {
        let nodes = vec![
            Node::Array(3),
            Node::Array(2),
            Node::Bulk(1),
            Node::Pairs(1),
            Node::Bulk(1),
            Node::Nil,
            Node::Bulk(2),
            Node::Integer(7),
        ];
        let replies = Replies { nodes, data: b"ab42".to_vec() };
        let mut walk = replies.walk();
        assert_eq!(walk.list(), 3);
        walk.skip(1);
        assert_eq!((walk.number(), walk.number()), (Some(42), Some(7)));
        assert_eq!(walk.step(), Step::Nil);
    }
}

//! Typed access to the replies of commands, without building a tree.
//!
//! A [`Cursor`] walks the replies in order. Each accessor takes one reply of the kind it names; an
//! error reply becomes an [`Error`], any other kind is [`Error::UNEXPECTED_REPLY`].

use crate::bindings::reef::plugin::engine::{Outcome, View};
use crate::{Error, FromReply, Node, Replies, Result};

/// One step of the walk over a reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The null reply.
    Nil,
    /// `OK`.
    Ok,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// A status other than `OK`.
    Status(&'a [u8]),
    /// A byte string.
    Bulk(&'a [u8]),
    /// An error, code first.
    Error(&'a [u8]),
    /// An array: this many elements follow.
    Array(usize),
    /// A set: this many elements follow.
    Set(usize),
    /// A map: this many pairs follow.
    Pairs(usize),
}

impl Replies {
    /// Walks the replies from the first on.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { nodes: &self.nodes, data: &self.data }
    }
}

impl View {
    /// Walks the replies from the first on.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        self.replies.cursor()
    }

    /// The version of the watched key with this index.
    #[must_use]
    pub fn version(&self, index: usize) -> u64 {
        self.versions.get(index).copied().expect("the server gives one version per watched key")
    }
}

impl Outcome {
    /// The replies of a batch that had no guard which could fail; of one that had, look at the outcome
    /// itself, or use [`transact`](crate::transact): here a lost race is [`Error::CONTENDED`].
    pub fn applied(self) -> Result<Replies> {
        match self {
            Self::Applied(replies) => Ok(replies),
            Self::Stale(_) => Err(Error::CONTENDED),
        }
    }
}

/// The replies that have not been taken yet.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    nodes: &'a [Node],
    data: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Whether all replies have been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The next step, whatever it is.
    pub fn step(&mut self) -> Result<Value<'a>> {
        let (node, nodes) = self.nodes.split_first().ok_or(Error::UNEXPECTED_REPLY)?;
        self.nodes = nodes;
        Ok(match *node {
            Node::Nil => Value::Nil,
            Node::Ok => Value::Ok,
            Node::Integer(number) => Value::Integer(number),
            Node::Double(number) => Value::Double(number),
            Node::Boolean(truth) => Value::Boolean(truth),
            Node::Status(length) => Value::Status(self.take(length)?),
            Node::Bulk(length) => Value::Bulk(self.take(length)?),
            Node::Error(length) => Value::Error(self.take(length)?),
            Node::Array(elements) => Value::Array(elements as usize),
            Node::Set(elements) => Value::Set(elements as usize),
            Node::Pairs(pairs) => Value::Pairs(pairs as usize),
        })
    }

    /// One whole reply, as whatever is wanted.
    ///
    /// ```
    /// # use reef_sdk::{Node, Replies};
    /// # let nodes = vec![Node::Integer(7), Node::Array(2), Node::Bulk(3), Node::Bulk(3)];
    /// # let replies = Replies { nodes, data: b"ada1.5".to_vec() };
    /// // What INCR and ZPOPMIN answered.
    /// let mut cursor = replies.cursor();
    /// let count: i64 = cursor.value()?;
    /// let (member, score): (&str, f64) = cursor.value()?; // an array of two
    /// assert_eq!((count, member, score), (7, "ada", 1.5));
    /// # Ok::<(), reef_sdk::Error>(())
    /// ```
    pub fn value<T: FromReply<'a>>(&mut self) -> Result<T> {
        T::from_reply(self)
    }

    /// A byte string, or `None` for the null reply.
    pub fn bulk(&mut self) -> Result<Option<&'a [u8]>> {
        match self.step()? {
            Value::Bulk(bytes) | Value::Status(bytes) => Ok(Some(bytes)),
            Value::Nil => Ok(None),
            other => Err(refused(&other)),
        }
    }

    /// An integer.
    pub fn integer(&mut self) -> Result<i64> {
        match self.step()? {
            Value::Integer(number) => Ok(number),
            other => Err(refused(&other)),
        }
    }

    /// A number: integer, floating-point, or written as a byte string (RESP2 scores).
    pub fn number(&mut self) -> Result<Option<f64>> {
        match self.step()? {
            Value::Integer(number) => Ok(Some(number as f64)),
            Value::Double(number) => Ok(Some(number)),
            Value::Bulk(text) => {
                let text = std::str::from_utf8(text).map_err(|_| Error::NOT_A_FLOAT)?;
                text.parse().map(Some).map_err(|_| Error::NOT_A_FLOAT)
            }
            Value::Nil => Ok(None),
            other => Err(refused(&other)),
        }
    }

    /// How many elements of an array or set follow; none for the null reply.
    pub fn elements(&mut self) -> Result<usize> {
        match self.step()? {
            Value::Array(elements) | Value::Set(elements) => Ok(elements),
            Value::Pairs(pairs) => Ok(pairs * 2),
            Value::Nil => Ok(0),
            other => Err(refused(&other)),
        }
    }

    /// A whole array or set of byte strings.
    pub fn bulks(&mut self) -> Result<Vec<Option<&'a [u8]>>> {
        (0..self.elements()?).map(|_| self.bulk()).collect()
    }

    /// Passes over one whole reply. An error reply is an error.
    pub fn skip(&mut self) -> Result<()> {
        let mut left = 1_usize;
        while left > 0 {
            left -= 1;
            left += match self.step()? {
                Value::Array(elements) | Value::Set(elements) => elements,
                Value::Pairs(pairs) => pairs * 2,
                error @ Value::Error(_) => return Err(refused(&error)),
                _ => 0,
            };
        }
        Ok(())
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8]> {
        let (bytes, data) =
            self.data.split_at_checked(length as usize).ok_or(Error::UNEXPECTED_REPLY)?;
        self.data = data;
        Ok(bytes)
    }
}

fn refused(value: &Value<'_>) -> Error {
    match value {
        Value::Error(text) => Error::from_reply(text),
        _ => Error::UNEXPECTED_REPLY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies() -> Replies {
        Replies {
            nodes: vec![
                Node::Array(2),
                Node::Bulk(1),
                Node::Pairs(1),
                Node::Bulk(1),
                Node::Nil,
                Node::Error(7),
                Node::Integer(5),
                Node::Bulk(9),
            ],
            data: b"abERR noon".to_vec(),
        }
    }

    #[test]
    fn replies_come_typed_and_in_order() {
        let replies = replies();
        let mut cursor = replies.cursor();
        cursor.clone().skip().unwrap();
        assert_eq!(cursor.elements(), Ok(2));
        assert_eq!(cursor.bulk(), Ok(Some(b"a".as_slice())));
        assert_eq!(cursor.step(), Ok(Value::Pairs(1)));
        assert_eq!(cursor.bulk(), Ok(Some(b"b".as_slice())));
        assert_eq!(cursor.bulk(), Ok(None));
        assert_eq!(cursor.integer(), Err(Error::from_reply(b"ERR noo")));
        assert_eq!(cursor.bulk(), Err(Error::UNEXPECTED_REPLY));
        assert_eq!(cursor.bulk(), Err(Error::UNEXPECTED_REPLY), "forged length");
        assert_eq!(cursor.step(), Err(Error::UNEXPECTED_REPLY), "nothing left");
    }

    #[test]
    fn skipping_passes_over_a_whole_tree() {
        let replies = replies();
        let mut cursor = replies.cursor();
        cursor.skip().unwrap();
        assert_eq!(cursor.skip(), Err(Error::from_reply(b"ERR noo")));
        assert_eq!(cursor.integer(), Ok(5));
    }
}

//! What a handler says: a reply, built as one pre-order walk, or the wish to be called again.

use crate::batch::Items;
use crate::bindings::exports::reef::plugin::handler;
use crate::bindings::reef::plugin::types::ItemsResult;
use crate::{Argument, Error, Node, Replies, ToReply};

/// What a handler returns.
#[derive(Debug)]
pub enum Answer {
    /// This is the reply.
    Reply(Reply),
    /// Call me again when one of these keys is written, or at the deadline.
    Park(Park),
}

impl Answer {
    /// The reply `OK`.
    #[must_use]
    pub fn ok() -> Self {
        Self::leaf(Node::Ok)
    }

    /// The null reply.
    #[must_use]
    pub fn nil() -> Self {
        Self::leaf(Node::Nil)
    }

    /// An integer.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        Self::leaf(Node::Integer(number))
    }

    /// Any value that says itself.
    ///
    /// ```
    /// # use reef_sdk::{Answer, Result};
    /// # fn handler(found: Option<(String, i64)>) -> Result<Answer> {
    /// Ok(Answer::of(found))
    /// # }
    /// # assert!(handler(None).is_ok());
    /// ```
    pub fn of(value: impl ToReply) -> Self {
        let mut reply = Reply::new();
        reply.value(value);
        Self::Reply(reply)
    }

    /// One byte string.
    pub fn bulk(bytes: impl Argument) -> Self {
        let mut reply = Reply { nodes: Vec::with_capacity(1), data: Vec::new() };
        reply.bulk(bytes);
        Self::Reply(reply)
    }

    fn leaf(node: Node) -> Self {
        Self::Reply(Reply { nodes: vec![node], data: Vec::new() })
    }

    #[doc(hidden)]
    #[must_use]
    pub fn into_outcome(self) -> handler::Outcome {
        match self {
            Self::Reply(Reply { nodes, data }) => handler::Outcome::Reply(Replies { nodes, data }),
            Self::Park(Park { keys: Items { lengths, data }, deadline_ms }) => {
                let keys = ItemsResult { lengths, data };
                handler::Outcome::Park(handler::Park { keys, deadline: deadline_ms })
            }
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Park> for Answer {
    fn from(park: Park) -> Self {
        Self::Park(park)
    }
}

/// A reply under construction. An aggregate says how many children follow; they are then added in
/// order. The server refuses a reply whose walk does not add up.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    nodes: Vec<Node>,
    data: Vec<u8>,
}

impl Reply {
    /// A reply that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the null reply.
    pub fn nil(&mut self) -> &mut Self {
        self.node(Node::Nil)
    }

    /// Adds `OK`.
    pub fn ok(&mut self) -> &mut Self {
        self.node(Node::Ok)
    }

    /// Adds an integer.
    pub fn integer(&mut self, number: i64) -> &mut Self {
        self.node(Node::Integer(number))
    }

    /// Adds a floating-point number.
    pub fn double(&mut self, number: f64) -> &mut Self {
        self.node(Node::Double(number))
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, truth: bool) -> &mut Self {
        self.node(Node::Boolean(truth))
    }

    /// Adds any value that says itself.
    pub fn value(&mut self, value: impl ToReply) -> &mut Self {
        value.say(self);
        self
    }

    /// Adds a byte string.
    pub fn bulk(&mut self, bytes: impl Argument) -> &mut Self {
        self.leaf(bytes, Node::Bulk)
    }

    /// Adds a status, the reply of commands that only say how it went.
    pub fn status(&mut self, text: impl Argument) -> &mut Self {
        self.leaf(text, Node::Status)
    }

    /// Adds an error as an element, beside others that are none.
    pub fn error(&mut self, error: &Error) -> &mut Self {
        self.leaf(format!("{error}"), Node::Error)
    }

    /// Begins an array of this many elements.
    pub fn array(&mut self, elements: usize) -> &mut Self {
        self.node(Node::Array(count(elements)))
    }

    /// Begins a set of this many elements.
    pub fn set(&mut self, elements: usize) -> &mut Self {
        self.node(Node::Set(count(elements)))
    }

    /// Begins a map of this many pairs: twice as many elements follow.
    pub fn pairs(&mut self, pairs: usize) -> &mut Self {
        self.node(Node::Pairs(count(pairs)))
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn into_replies(self) -> Replies {
        Replies { nodes: self.nodes, data: self.data }
    }

    fn node(&mut self, node: Node) -> &mut Self {
        self.nodes.push(node);
        self
    }

    fn leaf(&mut self, bytes: impl Argument, kind: fn(u32) -> Node) -> &mut Self {
        let start = self.data.len();
        bytes.write(&mut self.data);
        self.node(kind(count(self.data.len() - start)))
    }
}

/// A count that crosses the border. wasm memory ends before such a count does.
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a reply is smaller than the memory of a plugin")
}

/// "Call me again when one of these keys is written, or at the deadline." Nothing is kept in the
/// plugin meanwhile: the call starts anew, with the same arguments.
#[derive(Clone, Debug, Default)]
pub struct Park {
    pub(crate) keys: Items,
    deadline_ms: u64,
}

impl Park {
    /// Waits without a deadline until told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes when this key is written.
    #[must_use]
    pub fn on(mut self, key: impl Argument) -> Self {
        self.keys.push(key);
        self
    }

    /// Wakes at this instant, in milliseconds since 1970.
    #[must_use]
    pub fn until(mut self, deadline_ms: u64) -> Self {
        self.deadline_ms = deadline_ms;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_pre_order_walk() {
        let mut reply = Reply::new();
        reply.array(2).bulk("ab").pairs(1).status("k").integer(3);
        let handler::Outcome::Reply(replies) = Answer::from(reply).into_outcome() else {
            panic!("a reply was built");
        };
        assert_eq!(replies.data, b"abk");
        assert!(matches!(
            replies.nodes.as_slice(),
            [Node::Array(2), Node::Bulk(2), Node::Pairs(1), Node::Status(1), Node::Integer(3)]
        ));
    }

    #[test]
    fn parking_names_keys_and_deadline() {
        let park = Park::new().on("a").on(("b:", b"c".as_slice())).until(9);
        let handler::Outcome::Park(park) = Answer::from(park).into_outcome() else {
            panic!("it wanted to park");
        };
        assert_eq!((park.keys.data.as_slice(), park.deadline), (b"ab:c".as_slice(), 9));
    }
}

//! What can be said as a reply.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{Error, Reply};

/// A value that says itself as one whole reply: see [`Answer::of`](crate::Answer::of). Plugins implement
/// it for their own.
///
/// `()` is `OK`, `None` the null reply, text and bytes are byte strings, lists and tuples arrays, maps
/// pairs, and an [`Error`] an error among other elements.
///
/// ```
/// use reef_sdk::{Reply, ToReply};
///
/// struct Account {
///     owner: String,
///     balance: i64,
/// }
///
/// impl ToReply for Account {
///     fn say(&self, reply: &mut Reply) {
///         reply.pairs(2).value("owner").value(&self.owner).value("balance").value(self.balance);
///     }
/// }
/// ```
pub trait ToReply {
    /// Adds exactly one reply.
    fn say(&self, reply: &mut Reply);
}

impl<T: ToReply + ?Sized> ToReply for &T {
    fn say(&self, reply: &mut Reply) {
        (**self).say(reply);
    }
}

impl ToReply for () {
    fn say(&self, reply: &mut Reply) {
        reply.ok();
    }
}

impl ToReply for bool {
    fn say(&self, reply: &mut Reply) {
        reply.boolean(*self);
    }
}

impl ToReply for i64 {
    fn say(&self, reply: &mut Reply) {
        reply.integer(*self);
    }
}

impl ToReply for u32 {
    fn say(&self, reply: &mut Reply) {
        reply.integer((*self).into());
    }
}

impl ToReply for f64 {
    fn say(&self, reply: &mut Reply) {
        reply.double(*self);
    }
}

/// One that no integer reply can hold is said in digits.
impl ToReply for u64 {
    fn say(&self, reply: &mut Reply) {
        match i64::try_from(*self) {
            Ok(number) => reply.integer(number),
            Err(_) => reply.bulk(*self),
        };
    }
}

impl ToReply for usize {
    fn say(&self, reply: &mut Reply) {
        (*self as u64).say(reply);
    }
}

impl ToReply for str {
    fn say(&self, reply: &mut Reply) {
        reply.bulk(self);
    }
}

impl ToReply for String {
    fn say(&self, reply: &mut Reply) {
        reply.bulk(self);
    }
}

impl ToReply for [u8] {
    fn say(&self, reply: &mut Reply) {
        reply.bulk(self);
    }
}

impl ToReply for Vec<u8> {
    fn say(&self, reply: &mut Reply) {
        reply.bulk(self);
    }
}

impl ToReply for Error {
    fn say(&self, reply: &mut Reply) {
        reply.error(self);
    }
}

impl<T: ToReply> ToReply for Option<T> {
    fn say(&self, reply: &mut Reply) {
        match self {
            Some(value) => reply.value(value),
            None => reply.nil(),
        };
    }
}

impl<T: ToReply> ToReply for Result<T, Error> {
    fn say(&self, reply: &mut Reply) {
        match self {
            Ok(value) => value.say(reply),
            Err(error) => error.say(reply),
        }
    }
}

impl<T: ToReply> ToReply for [T] {
    fn say(&self, reply: &mut Reply) {
        reply.array(self.len());
        self.iter().for_each(|value| value.say(reply));
    }
}

impl<T: ToReply> ToReply for Vec<T> {
    fn say(&self, reply: &mut Reply) {
        self.as_slice().say(reply);
    }
}

impl<T: ToReply> ToReply for BTreeSet<T> {
    fn say(&self, reply: &mut Reply) {
        reply.set(self.len());
        self.iter().for_each(|value| value.say(reply));
    }
}

impl<T: ToReply, S> ToReply for HashSet<T, S> {
    fn say(&self, reply: &mut Reply) {
        reply.set(self.len());
        self.iter().for_each(|value| value.say(reply));
    }
}

impl<K: ToReply, V: ToReply> ToReply for BTreeMap<K, V> {
    fn say(&self, reply: &mut Reply) {
        reply.pairs(self.len());
        for (key, value) in self {
            reply.value(key).value(value);
        }
    }
}

impl<K: ToReply, V: ToReply, S> ToReply for HashMap<K, V, S> {
    fn say(&self, reply: &mut Reply) {
        reply.pairs(self.len());
        for (key, value) in self {
            reply.value(key).value(value);
        }
    }
}

impl<A: ToReply, B: ToReply> ToReply for (A, B) {
    fn say(&self, reply: &mut Reply) {
        reply.array(2).value(&self.0).value(&self.1);
    }
}

impl<A: ToReply, B: ToReply, C: ToReply> ToReply for (A, B, C) {
    fn say(&self, reply: &mut Reply) {
        reply.array(3).value(&self.0).value(&self.1).value(&self.2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;

    fn nodes(value: impl ToReply) -> Vec<Node> {
        let mut reply = Reply::new();
        reply.value(value);
        reply.into_replies().nodes
    }

    #[test]
    fn values_say_themselves_as_one_walk() {
        assert!(matches!(nodes(()).as_slice(), [Node::Ok]));
        assert!(matches!(nodes(None::<i64>).as_slice(), [Node::Nil]));
        assert!(matches!(nodes(u64::MAX).as_slice(), [Node::Bulk(20)]));
        assert!(matches!(nodes(b"bytes".to_vec()).as_slice(), [Node::Bulk(5)]));
        let nested = vec![("a", Some(1_i64)), ("b", None)];
        assert!(matches!(
            nodes(nested).as_slice(),
            [
                Node::Array(2),
                Node::Array(2),
                Node::Bulk(1),
                Node::Integer(1),
                Node::Array(2),
                Node::Bulk(1),
                Node::Nil
            ]
        ));
        let map = BTreeMap::from([("k", 1.5)]);
        assert!(matches!(nodes(map).as_slice(), [Node::Pairs(1), Node::Bulk(1), Node::Double(_)]));
        let mixed: [Result<bool, Error>; 2] = [Ok(true), Err(Error::SYNTAX)];
        let found = nodes(mixed.as_slice());
        assert!(matches!(found.as_slice(), [Node::Array(2), Node::Boolean(true), Node::Error(_)]));
    }
}

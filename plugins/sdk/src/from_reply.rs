//! What a reply of the server can be read as.

use std::collections::BTreeMap;
use std::hash::Hash;

use crate::{Cursor, Error, FromArgument, Result, Value};

/// A type that replies are read as: see [`Cursor::value`].
///
/// Numbers and texts are read from byte strings, too, as a client would: `GET` gives what is in a
/// counter as text. `Option` takes the null reply, `Vec` an array or set, a tuple an array of so many
/// elements, a map pairs or an array of them in turns (RESP2's form), `()` a whole reply of any kind that
/// is no error.
pub trait FromReply<'a>: Sized {
    /// Reads one whole reply. An error reply is an error.
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self>;
}

impl FromReply<'_> for () {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        cursor.skip()
    }
}

impl<'a> FromReply<'a> for &'a [u8] {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        cursor.bulk()?.ok_or(Error::UNEXPECTED_REPLY)
    }
}

impl FromReply<'_> for Vec<u8> {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        <&[u8]>::from_reply(cursor).map(<[u8]>::to_vec)
    }
}

impl<'a> FromReply<'a> for &'a str {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        FromArgument::from_argument(<&[u8]>::from_reply(cursor)?)
    }
}

impl FromReply<'_> for String {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        <&str>::from_reply(cursor).map(str::to_owned)
    }
}

impl FromReply<'_> for i64 {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        match cursor.clone().step()? {
            Value::Bulk(digits) => {
                cursor.skip()?;
                Self::from_argument(digits)
            }
            _ => cursor.integer(),
        }
    }
}

impl FromReply<'_> for u64 {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        i64::from_reply(cursor)?.try_into().map_err(|_| Error::NOT_AN_INTEGER)
    }
}

impl FromReply<'_> for usize {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        i64::from_reply(cursor)?.try_into().map_err(|_| Error::NOT_AN_INTEGER)
    }
}

impl FromReply<'_> for f64 {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        cursor.number()?.ok_or(Error::UNEXPECTED_REPLY)
    }
}

/// What says yes or no: a truth value, or an integer that is 1 or 0.
impl FromReply<'_> for bool {
    fn from_reply(cursor: &mut Cursor<'_>) -> Result<Self> {
        match cursor.step()? {
            Value::Boolean(truth) => Ok(truth),
            Value::Integer(number @ (0 | 1)) => Ok(number == 1),
            Value::Error(text) => Err(Error::from_reply(text)),
            _ => Err(Error::UNEXPECTED_REPLY),
        }
    }
}

impl<'a, T: FromReply<'a>> FromReply<'a> for Option<T> {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        if cursor.clone().step()? == Value::Nil {
            return cursor.skip().map(|()| None);
        }
        T::from_reply(cursor).map(Some)
    }
}

impl<'a, T: FromReply<'a>> FromReply<'a> for Vec<T> {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        (0..cursor.elements()?).map(|_| T::from_reply(cursor)).collect()
    }
}

fn pairs<'a, K: FromReply<'a>, V: FromReply<'a>, M: FromIterator<(K, V)>>(
    cursor: &mut Cursor<'a>,
) -> Result<M> {
    let elements = cursor.elements()?;
    if !elements.is_multiple_of(2) {
        return Err(Error::UNEXPECTED_REPLY);
    }
    (0..elements / 2).map(|_| Ok((K::from_reply(cursor)?, V::from_reply(cursor)?))).collect()
}

impl<'a, K: FromReply<'a> + Ord, V: FromReply<'a>> FromReply<'a> for BTreeMap<K, V> {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        pairs(cursor)
    }
}

impl<'a, K, V, S> FromReply<'a> for std::collections::HashMap<K, V, S>
where
    K: FromReply<'a> + Eq + Hash,
    V: FromReply<'a>,
    S: std::hash::BuildHasher + Default,
{
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        pairs(cursor)
    }
}

impl<'a, A: FromReply<'a>, B: FromReply<'a>> FromReply<'a> for (A, B) {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        if cursor.elements()? != 2 {
            return Err(Error::UNEXPECTED_REPLY);
        }
        Ok((A::from_reply(cursor)?, B::from_reply(cursor)?))
    }
}

impl<'a, A: FromReply<'a>, B: FromReply<'a>, C: FromReply<'a>> FromReply<'a> for (A, B, C) {
    fn from_reply(cursor: &mut Cursor<'a>) -> Result<Self> {
        if cursor.elements()? != 3 {
            return Err(Error::UNEXPECTED_REPLY);
        }
        Ok((A::from_reply(cursor)?, B::from_reply(cursor)?, C::from_reply(cursor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;

    fn read<T>(
        build: impl FnOnce(&mut Reply) -> &mut Reply,
        check: impl FnOnce(Cursor<'_>) -> T,
    ) -> T {
        let mut reply = Reply::new();
        build(&mut reply);
        check(reply.into_replies().cursor())
    }

    #[test]
    fn replies_become_values() {
        let number = |text: &str| read(|reply| reply.bulk(text), |mut c| c.value::<i64>());
        assert_eq!(number("-12"), Ok(-12));
        assert_eq!(number("x"), Err(Error::NOT_AN_INTEGER));
        assert_eq!(read(|r| r.integer(-1), |mut c| c.value::<u64>()), Err(Error::NOT_AN_INTEGER));
        assert_eq!(read(|r| r.integer(1), |mut c| c.value::<bool>()), Ok(true));
        assert_eq!(read(|r| r.nil(), |mut c| c.value::<Option<i64>>()), Ok(None));
        assert_eq!(read(|r| r.nil(), |mut c| c.value::<String>()), Err(Error::UNEXPECTED_REPLY));
        fn list(r: &mut Reply) -> &mut Reply {
            r.array(2).bulk("a").bulk("1.5")
        }
        assert_eq!(read(list, |mut c| c.value()), Ok(("a".to_owned(), 1.5)));
        let map = BTreeMap::from([("a".to_owned(), 1.5)]);
        assert_eq!(read(list, |mut c| c.value()), Ok(map.clone()));
        assert_eq!(read(|r| r.pairs(1).bulk("a").double(1.5), |mut c| c.value()), Ok(map));
        assert_eq!(read(list, |mut c| c.value::<(i64, i64, i64)>()), Err(Error::UNEXPECTED_REPLY));
        fn error(r: &mut Reply) -> &mut Reply {
            r.error(&Error::WRONG_TYPE)
        }
        assert_eq!(read(error, |mut c| c.value::<Option<Vec<i64>>>()), Err(Error::WRONG_TYPE));
        assert_eq!(read(error, |mut c| c.value::<()>()), Err(Error::WRONG_TYPE));
    }
}

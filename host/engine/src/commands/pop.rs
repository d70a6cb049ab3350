//! The arguments that LMPOP, ZMPOP and their waiting relatives share: counted keys, an end to take
//! from, and how many elements.

use alloc::vec::Vec;
use core::ops::Range;

use crate::args::Args;
use crate::error::Error;

/// From which keys to pop, from which end, and how much at most.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The keys, of which the first that has something counts.
    pub(super) keys: Vec<&'a [u8]>,
    /// Where they are among the arguments.
    pub(super) positions: Range<usize>,
    /// Whether the second of the two words was given.
    pub(super) from_second: bool,
    /// Most elements to pop; at least one.
    pub(super) count: usize,
}

/// Takes `numkeys key [key ...] WORD|WORD [COUNT count]`.
pub(super) fn take<'a>(args: &mut Args<'a>, words: [&str; 2]) -> Result<Request<'a>, Error> {
    let keys = args.integer_within(1..=i64::MAX, Error::NUM_KEYS)?;
    let first = args.position();
    let keys: Vec<_> = args.many(usize::try_from(keys).map_err(|_| Error::Syntax)?)?.collect();
    let positions = first..first + keys.len();
    let from_second = args.one_of(&words).ok_or(Error::Syntax)? == 1;
    let mut count = 1;
    if args.keyword("COUNT") {
        count = args.integer_within(1..=i64::MAX, Error::COUNT_NOT_POSITIVE)?;
    }
    args.end()?;
    Ok(Request {
        keys,
        positions,
        from_second,
        count: usize::try_from(count).unwrap_or(usize::MAX),
    })
}

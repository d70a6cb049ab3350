//! How many elements SRANDMEMBER, HRANDFIELD and ZRANDMEMBER show, and how they show them.

use reef_resp::Writer;

use crate::args::Args;
use crate::error::Error;

/// What the count means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// So many different elements, or all if there are not so many.
    Different(usize),
    /// So many elements, each drawn from all: some may come several times.
    Repeated(usize),
}

/// What one element takes in a reply at least.
const ELEMENT_BYTES_MIN: usize = 6;

impl Draw {
    /// Takes a count; a negative one lets elements repeat.
    pub(super) fn take(args: &mut Args<'_>) -> Result<Self, Error> {
        let count = args.integer()?;
        if count == i64::MIN {
            return Err(Error::VALUE_NOT_NEGATABLE);
        }
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(if count < 0 { Self::Repeated(size) } else { Self::Different(size) })
    }

    /// The size of the count.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Different(size) | Self::Repeated(size) => size,
        }
    }
}

/// Says one element `count` times. There is no end to how many may be asked for, so a reply that
/// would become longer than a string may be is refused.
pub(super) fn say_repeated(
    reply: &mut Writer,
    count: usize,
    bytes_max: usize,
    mut say: impl FnMut(&mut Writer),
) -> Result<(), Error> {
    let too_long = Err(Error::OutOfRange("value"));
    if count.saturating_mul(ELEMENT_BYTES_MIN) > bytes_max {
        return too_long;
    }
    let start = reply.data().len();
    for _ in 0..count {
        say(reply);
        if reply.data().len() - start > bytes_max {
            return too_long;
        }
    }
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use reef_resp::Protocol;

    use super::*;

    #[test]
    fn replies_end_at_the_limit() {
        let say = |count, text: &[u8], bytes_max| {
            let mut reply = Writer::new(Protocol::Resp2);
            say_repeated(&mut reply, count, bytes_max, |reply| reply.bulk(text))
        };
        assert_eq!(say(10, b"", 60), Ok(()));
        assert_eq!(say(10, b"", 59), Err(Error::OutOfRange("value")));
        assert_eq!(say(10, b"abcd", 100), Ok(()));
        assert_eq!(say(10, b"abcd", 99), Err(Error::OutOfRange("value")));
        // Refused before anything is drawn.
        assert_eq!(say(usize::MAX, b"", usize::MAX - 1), Err(Error::OutOfRange("value")));
    }

    #[test]
    fn counts_of_either_sign_are_taken() {
        let take = |text: &[u8]| {
            let mut argv = reef_resp::OwnedArgv::new();
            argv.push(text);
            Draw::take(&mut Args::new(argv.as_argv(), 0))
        };
        assert_eq!(take(b"3"), Ok(Draw::Different(3)));
        assert_eq!(take(b"-3"), Ok(Draw::Repeated(3)));
        assert_eq!(take(b"-9223372036854775807"), Ok(Draw::Repeated(i64::MAX as usize)));
        assert_eq!(take(b"-9223372036854775808"), Err(Error::VALUE_NOT_NEGATABLE));
        assert_eq!(take(b"x"), Err(Error::NotAnInteger));
    }
}

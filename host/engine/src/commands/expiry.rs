//! Expiry times as commands take them: seconds or milliseconds, from now or since 1970.

use crate::args::Args;
use crate::clock::Millis;
use crate::error::Error;

/// In what an expiry time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

impl Unit {
    /// Takes EX, PX, EXAT or PXAT.
    pub(super) fn keyword(args: &mut Args<'_>) -> Option<Self> {
        const UNITS: [Unit; 4] = [Unit::Seconds, Unit::Millis, Unit::UnixSeconds, Unit::UnixMillis];
        args.one_of(&["EX", "PX", "EXAT", "PXAT"]).map(|index| UNITS[index])
    }

    /// The instant that `value` means; `None` if there is no such instant.
    pub(super) fn instant(self, value: i64, now: Millis) -> Option<i64> {
        let ms = match self {
            Self::Seconds | Self::UnixSeconds => value.checked_mul(1000)?,
            Self::Millis | Self::UnixMillis => value,
        };
        match self {
            Self::Seconds | Self::Millis => ms.checked_add(now.get() as i64),
            Self::UnixSeconds | Self::UnixMillis => Some(ms),
        }
    }
}

/// What SET and GETEX say of the expiry. One kind of word excludes the others, but may come again:
/// the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Wish<'a> {
    /// Nothing.
    #[default]
    None,
    /// KEEPTTL or PERSIST, whichever the command knows.
    Keyword,
    /// A time: its unit, and where the number is. It is read when the syntax is known to be right.
    Time(Unit, Args<'a>),
}

impl<'a> Wish<'a> {
    /// Takes `keyword`, or a unit and its number.
    pub(super) fn take(&mut self, args: &mut Args<'a>, keyword: &str) -> Result<(), Error> {
        if !matches!(self, Self::Time(..)) && args.keyword(keyword) {
            *self = Self::Keyword;
            return Ok(());
        }
        let unit = Unit::keyword(args).ok_or(Error::Syntax)?;
        match self {
            Self::Keyword => return Err(Error::Syntax),
            Self::Time(before, _) if *before != unit => return Err(Error::Syntax),
            _ => {}
        }
        *self = Self::Time(unit, *args);
        args.bytes()?;
        Ok(())
    }
}

/// Takes an expiry time that must be positive, as SET and its relatives want it.
pub(super) fn take(
    args: &mut Args<'_>,
    unit: Unit,
    now: Millis,
    command: &str,
) -> Result<Millis, Error> {
    let value = args.integer()?;
    let invalid = || Error::InvalidExpire(command.into());
    if value <= 0 {
        return Err(invalid());
    }
    let at = unit.instant(value, now).ok_or_else(invalid)?;
    Ok(Millis::new(at as u64))
}

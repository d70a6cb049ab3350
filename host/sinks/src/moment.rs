//! Points in time as documents write them, for databases that would not understand them.

use std::fmt::Write;

/// Microseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(i64);

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Moment {
    /// Reads RFC 3339 (`T` may be a space, fraction and zone may be missing: then it is UTC), a date
    /// alone, or milliseconds of Unix time.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self(text.parse::<i64>().ok()?.checked_mul(1_000)?));
        }
        let (date, rest) = text.split_at_checked(10)?;
        let days = days_of(date)?;
        let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
            return rest.is_empty().then_some(Self(days * MICROS_PER_DAY));
        };
        let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
        let (clock, zone) = clock.split_at_checked(zone_at)?;
        Some(Self(days * MICROS_PER_DAY + micros_of(clock)? - zone_of(zone)?))
    }

    /// In UTC as SQL writes it: `2024-02-29 23:59:59.000001`.
    pub(crate) fn sql(self) -> String {
        let (days, micros) = (self.0.div_euclid(MICROS_PER_DAY), self.0.rem_euclid(MICROS_PER_DAY));
        let (year, month, day) = date_of(days);
        let seconds = micros / 1_000_000;
        let mut text = String::with_capacity(26);
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{:02}.{:06}",
            seconds % 60,
            micros % 1_000_000
        );
        text
    }
}

/// Days of Unix time of `YYYY-MM-DD`.
fn days_of(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if (year.len(), month.len(), day.len()) != (4, 2, 2) || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let days = days_from(year, month, day);
    (date_of(days) == (year, month, day)).then_some(days)
}

/// Microseconds since midnight of `hh:mm[:ss[.fraction]]`.
fn micros_of(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hours, minutes) = (two(parts.next()?)?, two(parts.next()?)?);
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => match text.split_once('.') {
            None => (two(text)?, 0),
            Some((seconds, fraction)) => (two(seconds)?, fraction_of(fraction)?),
        },
    };
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction)
}

fn fraction_of(text: &str) -> Option<i64> {
    let digits = text.len();
    if digits == 0 || digits > 18 {
        return None;
    }
    let micros = &text[..digits.min(6)];
    number(&text[micros.len()..])?;
    Some(number(micros)? * 10_i64.pow(6 - micros.len() as u32))
}

/// Microseconds east of Greenwich.
fn zone_of(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (text.len() == 1).then_some(0),
        Some(b'+') => (1, &text[1..]),
        Some(_) => (-1, &text[1..]),
    };
    let (hours, minutes) = match (rest.len(), rest.split_once(':')) {
        (5, Some((hours, minutes))) => (two(hours)?, two(minutes)?),
        (4, None) => (two(rest.get(..2)?)?, two(rest.get(2..)?)?),
        (2, None) => (two(rest)?, 0),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

fn two(text: &str) -> Option<i64> {
    if text.len() == 2 { number(text) } else { None }
}

fn number(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// Days of Unix time of a date of the Gregorian calendar, counted in years that begin in March.
fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day of Unix time.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Option<String> {
        Moment::parse(text.as_bytes()).map(Moment::sql)
    }

    #[test]
    fn all_ways_to_write_a_time_are_understood() {
        for (text, expected) in [
            ("2024-02-29T23:59:59Z", "2024-02-29 23:59:59.000000"),
            ("2024-03-01T00:30:00.5+01:00", "2024-02-29 23:30:00.500000"),
            ("2023-12-31 23:00:00-0130", "2024-01-01 00:30:00.000000"),
            ("2024-01-01T12:00:00.123456789", "2024-01-01 12:00:00.123456"),
            ("2024-01-01", "2024-01-01 00:00:00.000000"),
            ("1969-12-31T23:59", "1969-12-31 23:59:00.000000"),
            ("0", "1970-01-01 00:00:00.000000"),
            ("1700000000123", "2023-11-14 22:13:20.123000"),
            ("-1", "1969-12-31 23:59:59.999000"),
            ("1900-03-01", "1900-03-01 00:00:00.000000"),
        ] {
            assert_eq!(sql(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_understood() {
        for text in [
            "",
            "-",
            "soon",
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "24-01-01T00:00",
            "2024-01-01T24:00:00",
            "2024-01-01T00:00:00+1",
            "2024-01-01T00:00:00.Z",
            "2024-01-01X",
            "99999999999999999999",
            "2024-01-01T00:00:00Zulu",
            "2024-01-01T0:00:00",
        ] {
            assert_eq!(sql(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_dates_are_each_other() {
        for days in (-800_000..800_000).step_by(17) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_from(year, month, day), days);
        }
    }
}

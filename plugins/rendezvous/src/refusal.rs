//! The errors of the rendezvous: each says what was waited for, and what was there instead.

use reef_sdk::Error;

use crate::key::{Name, Run};

/// A run's name is a hash tag.
pub(crate) const BRACES: Error = Error::fixed("ERR", "the name of a run must not have braces");
/// Empty or too long.
pub(crate) const BAD_NAME: Error = Error::fixed("ERR", "a name has 1 to 512 bytes");
/// Not a number of seconds.
pub(crate) const BAD_SECONDS: Error =
    Error::fixed("ERR", "seconds are a number that is not negative, like 10 or 0.5");
/// What ends at once is not worth having.
pub(crate) const ZERO_SECONDS: Error = Error::fixed("ERR", "it would end at once: 0 seconds");
/// A number of which there must be one.
pub(crate) const BAD_COUNT: Error =
    Error::fixed("ERR", "a count is at least 1, and not above the run's limit of registrations");

/// Nobody opened it, or it is over.
pub(crate) fn no_run(Run(run): Run<'_>) -> Error {
    let run = text(run);
    Error::new("NORUN", format!("{run} is not open, or not any more: RDV.OPEN {run} TTL seconds"))
}

/// It went while somebody waited.
pub(crate) fn run_gone(Run(run): Run<'_>, waited_ms: u64) -> Error {
    let (run, waited) = (text(run), seconds(waited_ms));
    Error::new(
        "RUNGONE",
        format!("{run} waited={waited}: the run was dropped, or its time is over"),
    )
}

/// More than the run allows; which limit it is, and how much.
pub(crate) fn limit(Run(run): Run<'_>, what: &str, limit: u64) -> Error {
    Error::new("LIMIT", format!("{} {what}={limit}: the limit of this run", text(run)))
}

/// No registration, or not enough of them.
pub(crate) fn no_listener(
    (Run(run), Name(ns)): (Run<'_>, Name<'_>),
    waited_ms: u64,
    (registered, expired, leased): (u64, u64, u64),
) -> Error {
    let mut told = format!(
        "{} {} waited={} registered={registered} expired={expired}",
        text(run),
        text(ns),
        seconds(waited_ms)
    );
    if leased > 0 {
        told.push_str(&format!(" leased={leased}"));
    }
    Error::new("NOLISTENER", told)
}

/// Not this registration, or not any more.
pub(crate) fn no_registration(
    (Run(run), Name(ns)): (Run<'_>, Name<'_>),
    Name(id): Name<'_>,
) -> Error {
    let place = format!("{} {} {}", text(run), text(ns), text(id));
    Error::new("NOREGISTRATION", format!("{place}: it has expired or was never there"))
}

/// Not this lease, or not any more.
pub(crate) fn no_lease((Run(run), Name(ns)): (Run<'_>, Name<'_>), Name(id): Name<'_>) -> Error {
    let place = format!("{} {} {}", text(run), text(ns), text(id));
    Error::new("NOLEASE", format!("{place}: the lease is over, somebody else may have taken it"))
}

/// Not enough signals, or results.
pub(crate) fn too_few(
    code: &'static str,
    (Run(run), Name(name)): (Run<'_>, Name<'_>),
    waited_ms: u64,
    (arrived, wanted): (u64, u64),
) -> Error {
    let place = format!("{} {}", text(run), text(name));
    let waited = seconds(waited_ms);
    Error::new(code, format!("{place} waited={waited} arrived={arrived} wanted={wanted}"))
}

/// Somebody else leads.
pub(crate) fn not_leader(
    (Run(run), Name(role)): (Run<'_>, Name<'_>),
    waited_ms: u64,
    leader: &[u8],
) -> Error {
    let place = format!("{} {}", text(run), text(role));
    let told = format!("{place} waited={} leader={}", seconds(waited_ms), text(leader));
    Error::new("NOTLEADER", told)
}

/// A field of a result that is not as it was declared.
pub(crate) fn bad_field(field: &[u8], reason: &str) -> Error {
    Error::new("BADFIELD", format!("{}: {reason}", text(field)))
}

/// An alias that cannot be.
pub(crate) fn bad_alias(key: &[u8], reason: &str) -> Error {
    Error::new("BADALIAS", format!("{}: {reason}", text(key)))
}

/// One line of text, whatever the bytes are.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(|letter: char| letter.is_control(), "?")
}

/// In seconds, to a tenth.
fn seconds(milliseconds: u64) -> String {
    let tenths = (milliseconds + 50) / 100;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_was_there_instead() {
        let place = (Run(b"run"), Name(b"ns"));
        assert_eq!(
            no_listener(place, 10_004, (0, 1, 0)).to_string(),
            "NOLISTENER run ns waited=10 registered=0 expired=1"
        );
        assert_eq!(
            no_listener(place, 260, (2, 0, 2)).to_string(),
            "NOLISTENER run ns waited=0.3 registered=2 expired=0 leased=2"
        );
        assert_eq!(
            too_few("NOBARRIER", place, 0, (1, 3)).to_string(),
            "NOBARRIER run ns waited=0 arrived=1 wanted=3"
        );
        assert_eq!(
            not_leader((Run(b"a\r\nb"), Name(b"r")), 0, b"c").to_string(),
            "NOTLEADER a??b r waited=0 leader=c"
        );
    }
}

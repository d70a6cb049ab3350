//! Which clients CLIENT LIST and CLIENT KILL mean, as their arguments say it.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use crate::args::Args;
use crate::client_info::{ClientFilter, ClientInfo, ClientKind, Quality};
use crate::error::Error;
use crate::step::Cx;
use crate::types::number;

/// Which command asks: they were made at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    List,
    Kill,
}

/// Qualities that a client must have, or with `NOT-` in front must not have.
const QUALITIES: [&str; 11] =
    ["ID", "TYPE", "ADDR", "LADDR", "IP", "USER", "NAME", "FLAGS", "LIB-NAME", "LIB-VER", "DB"];
const OTHERS: [&str; 3] = ["SKIPME", "MAXAGE", "IDLE"];

/// Takes all that is left as conditions, in addition to those of `filter`.
pub(super) fn take(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    mut filter: ClientFilter,
    of: Of,
) -> Result<ClientFilter, Error> {
    while !args.is_done() {
        let word = args.bytes()?;
        if args.is_done() {
            return Err(Error::Syntax);
        }
        if let Some((quality, has)) = quality(word) {
            let quality = take_quality(cx, args, (quality, has), of)?;
            filter.require(quality, has);
            continue;
        }
        match OTHERS.iter().position(|other| word.eq_ignore_ascii_case(other.as_bytes())) {
            Some(0) => {
                let skips = args.one_of(&["YES", "NO"]).ok_or(Error::Syntax)? == 0;
                filter.skip_me = skips.then_some(cx.session.id);
            }
            Some(1) => {
                let errors = (Error::MAXAGE_NOT_AN_INTEGER, Error::MAXAGE_NOT_POSITIVE);
                filter.min_age_s = Some(seconds(args, errors)?);
            }
            Some(_) => {
                let errors = (Error::IDLE_NOT_AN_INTEGER, Error::IDLE_NOT_POSITIVE);
                filter.min_idle_s = Some(seconds(args, errors)?);
            }
            None => return Err(Error::Syntax),
        }
    }
    Ok(filter)
}

/// The quality that a word names, and whether it is wanted.
fn quality(word: &[u8]) -> Option<(&'static str, bool)> {
    let (name, has) = match word.split_at_checked(4) {
        Some((not, name)) if not.eq_ignore_ascii_case(b"NOT-") => (name, false),
        _ => (word, true),
    };
    let is_it = |quality: &&&str| name.eq_ignore_ascii_case(quality.as_bytes());
    QUALITIES.iter().find(is_it).map(|quality| (*quality, has))
}

fn take_quality(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    (name, has): (&str, bool),
    of: Of,
) -> Result<Quality, Error> {
    let mut text = || args.bytes().map(Box::from);
    Ok(match name {
        "ID" => Quality::Ids(ids(args, of)?),
        "TYPE" => Quality::Kind(kind(args)?),
        "ADDR" => Quality::Address(text()?),
        "LADDR" => Quality::LocalAddress(text()?),
        "IP" => Quality::Ip(text()?),
        "NAME" => Quality::Name(text()?),
        "LIB-NAME" => Quality::LibraryName(text()?),
        "LIB-VER" => Quality::LibraryVersion(text()?),
        "USER" => {
            let user = args.bytes()?;
            if cx.host.users().get(user).is_none() {
                return Err(Error::no_such_user(user));
            }
            Quality::User(user.into())
        }
        "FLAGS" => {
            let letters = args.bytes()?;
            if !letters.iter().all(|letter| ClientInfo::FLAGS.contains(letter)) {
                return Err(Error::unknown_flags(letters, has));
            }
            Quality::Flags(letters.into())
        }
        _ => Quality::Database(database(cx, args, has)?),
    })
}

/// Ids up to what is none. One at least is to be there; what else is none is told as ever.
fn ids(args: &mut Args<'_>, of: Of) -> Result<BTreeSet<u64>, Error> {
    let mut ids = BTreeSet::new();
    let first = args.position();
    while let Some(word) = args.peek() {
        let id = number::parse_i64(word);
        if id.is_none() && args.position() > first && is_option(word) {
            break;
        }
        match (id, of) {
            (Some(id), Of::List) => ids.extend(u64::try_from(id)),
            (None, Of::List) => return Err(Error::INVALID_CLIENT_ID),
            (Some(1..), Of::Kill) => ids.extend(id.and_then(|id| u64::try_from(id).ok())),
            (None, Of::Kill) if args.position() > first => return Err(Error::Syntax),
            (_, Of::Kill) => return Err(Error::CLIENT_ID_NOT_POSITIVE),
        }
        args.bytes()?;
    }
    Ok(ids)
}

fn is_option(word: &[u8]) -> bool {
    let is_it = |other: &&str| word.eq_ignore_ascii_case(other.as_bytes());
    quality(word).is_some() || OTHERS.iter().any(is_it)
}

fn kind(args: &mut Args<'_>) -> Result<ClientKind, Error> {
    let word = args.bytes()?;
    ClientKind::parse(word).ok_or_else(|| Error::unknown_client_type(word))
}

fn database(cx: &Cx<'_>, args: &mut Args<'_>, has: bool) -> Result<u32, Error> {
    let what = if has { "DB" } else { "NOT-DB" };
    let databases = cx.keys.rules.settings.databases;
    let number = number::parse_i64(args.bytes()?).and_then(|number| i32::try_from(number).ok());
    let number =
        number.ok_or(if has { Error::DB_NOT_AN_INTEGER } else { Error::NOT_DB_NOT_AN_INTEGER })?;
    let number = u32::try_from(number).ok().filter(|number| *number < databases);
    number.ok_or_else(|| Error::no_such_number(what, databases))
}

/// Takes a number of seconds above 0; the errors are for what is no number, and for what is less.
fn seconds(args: &mut Args<'_>, (none, less): (Error, Error)) -> Result<u64, Error> {
    let seconds = args.integer().map_err(|_| none)?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or(less)
}

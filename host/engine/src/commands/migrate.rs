//! MIGRATE: keys that move to another server. The host moves them; see `migration.rs`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::args::Args;
use crate::command::{Command, Flags, command};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::migration::{Login, Migration};
use crate::step::Cx;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("MIGRATE", migrate, -6)
        .write()
        .flags(Flags::OPERATOR)
        .keys(KeySpec::Migrate)
        .usage("host port <key|\"\"> destination-db timeout [COPY] [REPLACE] [AUTH password|AUTH2 username password] [KEYS key [key ...]]")
        .since("2.6.0", "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.")
        .summary("Atomically transfers a key from one Redis instance to another."),
];

/// How long the other server may be silent if MIGRATE names no time.
const TIMEOUT_MS_DEFAULT: u64 = 1000;

/// What MIGRATE says behind its timeout.
#[derive(Default)]
struct Options<'a> {
    copies: bool,
    replaces: bool,
    login: Option<Login>,
    /// What stands behind KEYS.
    keys: Option<Vec<&'a [u8]>>,
}

impl<'a> Options<'a> {
    fn take(args: &mut Args<'a>, key: &[u8]) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.is_done() {
            match args.one_of(&["COPY", "REPLACE", "AUTH", "AUTH2", "KEYS"]) {
                Some(0) => options.copies = true,
                Some(1) => options.replaces = true,
                Some(2) => {
                    let password = args.bytes()?.into();
                    options.login = Some(Login { user: None, password });
                }
                Some(3) => {
                    let (user, password) = (Some(args.bytes()?.into()), args.bytes()?.into());
                    options.login = Some(Login { user, password });
                }
                Some(_) if !key.is_empty() => return Err(Error::MIGRATE_TWO_KEYS),
                Some(_) => options.keys = Some(args.rest().collect()),
                None => return Err(Error::Syntax),
            }
        }
        Ok(options)
    }
}

fn migrate(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (host, port, key) = (args.bytes()?, args.bytes()?, args.bytes()?);
    // Numbers are read when the syntax is known to be right.
    let mut numbers = *args;
    args.bytes()?;
    args.bytes()?;
    let options = Options::take(args, key)?;
    let (to, timeout) = (numbers.integer()?, numbers.integer()?);
    let mut keys = options.keys.unwrap_or_else(|| Vec::from([key]));
    keys.retain(|key| cx.keys.exists(key));
    if keys.is_empty() {
        cx.reply.status("NOKEY");
        return Ok(());
    }
    let port = number::parse_i64(port).and_then(|port| u16::try_from(port).ok());
    if cx.session.executing {
        // While a transaction runs, nobody can wait for a network.
        return Err(Error::NotInMulti);
    }
    let migration = Migration {
        host: String::from_utf8_lossy(host).into_owned(),
        port: port.ok_or(Error::MIGRATE_NOT_SENT)?,
        login: options.login,
        from: cx.keys.database,
        to,
        timeout_ms: u64::try_from(timeout).ok().filter(|ms| *ms > 0).unwrap_or(TIMEOUT_MS_DEFAULT),
        copies: options.copies,
        replaces: options.replaces,
        keys: keys.into_iter().map(Into::into).collect(),
    };
    let status = cx.host.migrate(migration)?;
    cx.rewrite_as_told();
    cx.answer_by(status);
    Ok(())
}

//! ACL: users and their permissions, as operators see and change them.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use reef_resp::{OwnedArgv, Writer};

use super::help;
use crate::acl::{self, Account, Denial, Entry, Reason, Selector, User};
use crate::acl_category::{self, CATEGORIES};
use crate::args::Args;
use crate::client_info::{ClientFilter, ClientKind, Quality};
use crate::clock::Millis;
use crate::command::{Arity, Command, Flags, Group, Handler, Runner, command, container};
use crate::error::Error;
use crate::pubsub::{Subscriptions, TopicKind};
use crate::registry::CommandRef;
use crate::step::Cx;
use crate::types::number;

const ANYTIME: Flags = Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE);
const OPERATOR: Flags = Flags::ADMIN.with(ANYTIME).with(Flags::OWN);
const PER_USER: &str = "O(N). Where N is the number of configured users.";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("ACL", SUBCOMMANDS)
    .group(Group::Server)
    .since("6.0.0", "Depends on subcommand.")
    .summary("A container for Access List Control commands.")];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("ACL").group(Group::Server)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("CAT", categories, -2)
        .flags(ANYTIME)
        .usage("[category]")
        .since("6.0.0", "O(1) since the categories and commands are a fixed set.")
        .summary("Lists the ACL categories, or the commands inside a category."),
    subcommand("DELUSER", delete_user, -3)
        .flags(OPERATOR)
        .usage("username [username ...]")
        .since("6.0.0", "O(1) amortized time considering the typical user.")
        .summary("Deletes ACL users, and terminates their connections."),
    subcommand("DRYRUN", dry_run, -4)
        .flags(OPERATOR)
        .usage("username command [arg [arg ...]]")
        .since("7.0.0", "O(1).")
        .summary("Simulates the execution of a command by a user, without executing the command."),
    subcommand("GENPASS", generate_password, -2)
        .flags(ANYTIME)
        .usage("[bits]")
        .since("6.0.0", "O(1)")
        .summary(
            "Generates a pseudorandom, secure password that can be used to identify ACL users.",
        ),
    subcommand("GETUSER", get_user, 3)
        .flags(OPERATOR)
        .usage("username")
        .since(
            "6.0.0",
            "O(N). Where N is the number of password, command and pattern rules that the user has.",
        )
        .summary("Lists the ACL rules of a user."),
    subcommand("LIST", list, 2)
        .flags(OPERATOR)
        .since("6.0.0", PER_USER)
        .summary("Dumps the effective rules in ACL file format."),
    subcommand("LOAD", load, 2)
        .flags(OPERATOR)
        .since("6.0.0", PER_USER)
        .summary("Reloads the rules from the configured ACL file."),
    subcommand("LOG", log, -2)
        .flags(OPERATOR)
        .usage("[count|RESET]")
        .since("6.0.0", "O(N) with N being the number of entries shown.")
        .summary("Lists recent security events generated due to ACL rules."),
    subcommand("SAVE", save, 2)
        .flags(OPERATOR)
        .since("6.0.0", PER_USER)
        .summary("Saves the effective ACL rules in the configured ACL file."),
    subcommand("SETUSER", set_user, -3)
        .flags(OPERATOR)
        .usage("username [rule [rule ...]]")
        .since("6.0.0", "O(N). Where N is the number of rules provided.")
        .summary("Creates and modifies an ACL user and its rules."),
    subcommand("USERS", users, 2)
        .flags(OPERATOR)
        .since("6.0.0", PER_USER)
        .summary("Lists all ACL users."),
    subcommand("WHOAMI", who_am_i, 2)
        .flags(ANYTIME)
        .since("6.0.0", "O(1)")
        .summary("Returns the authenticated username of the current connection."),
    help::entry("ACL").group(Group::Server).since("6.0.0", "O(1)"),
];

/// Refuses more arguments than these, as containers do.
fn at_most(args: &Args<'_>, count: usize) -> Result<(), Error> {
    if args.left() > count {
        return Err(Error::subcommand_syntax(args.argv().get(1), "ACL"));
    }
    Ok(())
}

fn categories(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    at_most(args, 1)?;
    let Some(name) = args.maybe() else {
        cx.reply.array(CATEGORIES.len());
        CATEGORIES.iter().for_each(|category| cx.reply.bulk(category.as_bytes()));
        return Ok(());
    };
    let known = CATEGORIES.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let category = known.ok_or_else(|| Error::unknown_category(name))?;
    let mark = cx.reply.mark();
    let mut shown = 0;
    let natives = cx.registry.iter().filter(|c| !matches!(c.runner, Runner::Plugin(_)));
    for command in natives {
        let with_subcommands =
            core::iter::once::<&Command>(command).chain(command.subcommands().iter());
        for command in with_subcommands.filter(|c| acl_category::is_in(c, category)) {
            cx.reply.bulk(command.full_name().as_bytes());
            shown += 1;
        }
    }
    cx.reply.array_since(mark, shown);
    Ok(())
}

fn delete_user(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let names: Vec<&[u8]> = args.rest().collect();
    if names.contains(&acl::DEFAULT_USER) {
        return Err(Error::DEFAULT_USER_STAYS);
    }
    let mut deleted = 0;
    for name in names {
        let account = cx.host.users().delete(name);
        if let Some(account) = account {
            disconnect(cx, &account);
            deleted += 1;
        }
    }
    cx.reply.integer(deleted);
    Ok(())
}

/// Closes the connections of a user who is gone, one's own after the reply.
fn disconnect(cx: &mut Cx<'_>, account: &Account) {
    let mut filter = ClientFilter::default();
    filter.require(Quality::User(account.shown().as_bytes().into()), true);
    cx.host.kill_clients(&filter);
    if cx.session.is_outdated() {
        cx.host.users().renew(cx.session);
    }
}

fn dry_run(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let argv: OwnedArgv = args.rest().collect();
    let argv = argv.as_argv();
    let account = cx.host.users().get(name).cloned();
    let account = account.ok_or_else(|| Error::user_not_found(name))?;
    let command = cx.registry.resolve(argv).ok().flatten();
    let command = command.ok_or_else(|| Error::command_not_found(argv.get(0)))?;
    if !command.accepts(argv.len()) {
        return Err(Error::wrong_arity(&command));
    }
    match account.user().check(&command, argv) {
        Ok(()) => cx.reply.ok(),
        Err(denial) => {
            let text = denial_text(&account, denial, &command, &denial.object(&command, argv));
            cx.reply.bulk(text.as_bytes());
        }
    }
    Ok(())
}

fn denial_text(account: &Account, denial: Denial, command: &CommandRef, object: &[u8]) -> String {
    let user = account.shown();
    match denial.reason {
        Reason::Key => Error::dry_run_denial(user, object, "key"),
        Reason::Channel => Error::dry_run_denial(user, object, "channel"),
        Reason::Command | Reason::Auth => denial.error(user, command).message(),
    }
}

fn generate_password(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    const BITS_MAX: i64 = 4096;
    at_most(args, 1)?;
    let bits = if args.is_done() { 256 } else { args.integer()? };
    if !(1..=BITS_MAX).contains(&bits) {
        return Err(Error::GENPASS_BITS);
    }
    let digits = (bits as usize).div_ceil(4);
    let mut secret = vec![0; digits.div_ceil(2)];
    cx.host.secret(&mut secret)?;
    let text = acl::hexadecimal(&secret);
    cx.reply.bulk(text.as_bytes().get(..digits).unwrap_or_default());
    Ok(())
}

fn get_user(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let account = cx.host.users().get(args.bytes()?).cloned();
    let Some(account) = account else {
        cx.reply.nil();
        return Ok(());
    };
    let user = account.user();
    let reply = &mut *cx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(user.flags().count());
    user.flags().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(user.passwords().count());
    user.passwords().for_each(|password| reply.bulk(password.as_bytes()));
    say_selector(reply, user.root());
    reply.bulk(b"selectors");
    reply.array(user.selectors().len());
    for selector in user.selectors() {
        reply.map(3);
        say_selector(reply, selector);
    }
    Ok(())
}

/// Three pairs of a map.
fn say_selector(reply: &mut Writer, selector: &Selector) {
    let mut say = |name: &[u8], describe: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        describe(&mut text);
        reply.bulk(name);
        reply.bulk(&text);
    };
    say(b"commands", &|text| selector.describe_commands(text));
    say(b"keys", &|text| selector.describe_keys(text));
    say(b"channels", &|text| selector.describe_channels(text));
}

fn list(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let users = cx.host.users();
    cx.reply.array(users.iter().len());
    users.lines().for_each(|line| cx.reply.bulk(&line));
    Ok(())
}

fn users(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let users = cx.host.users();
    cx.reply.array(users.iter().len());
    users.iter().for_each(|account| cx.reply.bulk(account.name()));
    Ok(())
}

fn who_am_i(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    match cx.session.account() {
        Some(account) => cx.reply.bulk(account.name()),
        None => cx.reply.bulk(cx.session.user.as_bytes()),
    }
    Ok(())
}

fn set_user(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let rules: Vec<&[u8]> = args.rest().collect();
    let mut users = cx.host.users();
    let before = users.get(name).cloned();
    users.set_user(name, &rules, cx.registry)?;
    drop(users);
    if let Some(before) = before {
        disconnect_subscribers(cx, &before);
    }
    cx.reply.ok();
    Ok(())
}

/// Closes the connections of a user, as it was before, that are subscribed to what the user may not
/// use any more.
fn disconnect_subscribers(cx: &mut Cx<'_>, before: &Account) {
    let now = cx.host.users().get(before.name()).cloned();
    let Some(now) = now.filter(|now| !now.user().allow_channels_of(before.user())) else { return };
    let mut filter = ClientFilter::default();
    filter.require(Quality::User(before.shown().as_bytes().into()), true);
    filter.require(Quality::Kind(ClientKind::Pubsub), true);
    let mut clients = Vec::new();
    cx.host.list_clients(&filter, &mut |client| clients.push(client.id));
    cx.host.subscriptions(&mut |all, _| {
        clients.retain(|client| !may_listen(now.user(), all, *client));
    });
    if !clients.is_empty() {
        let mut filter = ClientFilter::default();
        filter.require(Quality::Ids(clients.into_iter().collect()), true);
        cx.host.kill_clients(&filter);
    }
}

/// Whether a user may have all the subscriptions that a client has.
fn may_listen(user: &User, all: &Subscriptions, client: u64) -> bool {
    TopicKind::ALL.into_iter().all(|kind| {
        let names = all.names_of(kind, client);
        names.iter().all(|name| user.allow_channel(name, kind == TopicKind::Pattern))
    })
}

fn load(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let (file, content) = cx.host.read_users()?;
    let policy = cx.host.users().policy();
    let users = acl::parse_file(&content, &file, policy, cx.registry);
    let users = users.map_err(|errors| Error::acl_file_refused(&errors))?;
    let mut directory = cx.host.users();
    let before: Vec<_> = directory.iter().cloned().collect();
    let gone = directory.replace(users, cx.registry);
    drop(directory);
    gone.iter().for_each(|account| disconnect(cx, account));
    before.iter().for_each(|account| disconnect_subscribers(cx, account));
    cx.reply.ok();
    Ok(())
}

fn save(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let content = cx.host.users().file();
    cx.host.write_users(&content)?;
    cx.reply.ok();
    Ok(())
}

fn log(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    const SHOWN: i64 = 10;
    at_most(args, 1)?;
    if args.keyword("RESET") {
        cx.host.users().log_mut().clear();
        cx.reply.ok();
        return Ok(());
    }
    let count = if args.is_done() { SHOWN } else { args.integer()? };
    let now = cx.keys.now;
    let users = cx.host.users();
    let entries = users.log().entries();
    let count = usize::try_from(count).unwrap_or(0).min(entries.len());
    cx.reply.array(count);
    entries.take(count).for_each(|entry| say_entry(cx.reply, entry, now));
    Ok(())
}

fn say_entry(reply: &mut Writer, entry: &Entry, now: Millis) {
    let age_s = now.since(entry.updated_at) as f64 / 1000.0;
    let mut age = Vec::new();
    number::write_f64_shortest(&mut age, age_s);
    reply.map(10);
    reply.bulk(b"count");
    reply.integer(entry.count as i64);
    reply.bulk(b"reason");
    reply.bulk(entry.reason.name().as_bytes());
    reply.bulk(b"context");
    reply.bulk(if entry.in_transaction { b"multi" } else { b"toplevel" });
    reply.bulk(b"object");
    reply.bulk(&entry.object);
    reply.bulk(b"username");
    reply.bulk(&entry.user);
    reply.bulk(b"age-seconds");
    reply.double(age_s, &age);
    reply.bulk(b"client-info");
    reply.bulk(entry.client.as_bytes());
    reply.bulk(b"entry-id");
    reply.integer(entry.id as i64);
    reply.bulk(b"timestamp-created");
    reply.integer(entry.created_at.get() as i64);
    reply.bulk(b"timestamp-last-updated");
    reply.integer(entry.updated_at.get() as i64);
}

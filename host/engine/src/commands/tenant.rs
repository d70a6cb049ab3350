//! TENANT: who shares the server. The host does all of it; here it has its place in the table.

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_MULTI);

/// The version of Reef that introduced the family.
const SINCE: &str = "0.1.0";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("TENANT", SUBCOMMANDS)
    .group(Group::Server)
    .since(SINCE, "Depends on subcommand.")
    .summary("A container for tenant commands.")];

const fn subcommand(name: &'static str, arity: Arity) -> Command {
    command(name, administer, arity)
        .of("TENANT")
        .group(Group::Server)
        .flags(OPERATOR)
        .since(SINCE, "O(1)")
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("CREATE", -3)
        .usage("name [PASSWORD password] [LIMIT quota amount [quota amount ...]]")
        .summary("Makes a tenant, with a keyspace, users and plugins of its own."),
    subcommand("SET", -3)
        .usage("name [PASSWORD password] [LIMIT quota amount [quota amount ...]]")
        .summary("Changes a tenant's password or quotas."),
    subcommand("INFO", 3).usage("name").summary("Returns a tenant's quotas and what it uses."),
    subcommand("LIST", 2)
        .since(SINCE, "O(N) where N is the number of tenants")
        .summary("Returns the names of all tenants."),
    subcommand("DROP", 3)
        .usage("name")
        .since(SINCE, "O(N) where N is the number of the tenant's connections")
        .summary("Removes a tenant with its data, users, plugins and connections."),
    help::entry("TENANT").group(Group::Server).since(SINCE, "O(1)"),
];

fn administer(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    cx.host.administer_tenants(args.argv(), cx.reply)
}

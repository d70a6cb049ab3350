//! The commands of a cluster, as a server that belongs to none answers them: it has no slots, and
//! says so. They are declared so that proxies, permissions and COMMAND know them.

use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::STALE);
const CHANGE: Flags = OPERATOR.with(Flags::NO_ASYNC_LOADING);
const RANGE: &str =
    "O(N) where N is the total number of the slots between the start slot and end slot arguments.";
const NODES: &str = "O(N) where N is the total number of Cluster nodes";
const SLOTS: &str = "O(N) where N is the total number of hash slot arguments";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    container("CLUSTER", SUBCOMMANDS)
        .group(Group::Cluster)
        .since("3.0.0", "Depends on subcommand.")
        .summary("A container for Redis Cluster commands."),
    of_clients("ASKING").summary("Signals that a cluster client is following an -ASK redirect."),
    of_clients("READONLY")
        .flags(Flags::LOADING.with(Flags::STALE))
        .summary("Enables read-only queries for a connection to a Redis Cluster replica node."),
    of_clients("READWRITE")
        .flags(Flags::LOADING.with(Flags::STALE))
        .summary("Enables read-write queries for a connection to a Redis Cluster replica node."),
];

const fn of_clients(name: &'static str) -> Command {
    command(name, refuse, 1).group(Group::Cluster).flags(Flags::FAST).since("3.0.0", "O(1)")
}

const fn subcommand(name: &'static str, flags: Flags, arity: Arity) -> Command {
    command(name, refuse, arity).of("CLUSTER").group(Group::Cluster).flags(flags)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("ADDSLOTS", CHANGE, -3)
        .usage("slot [slot ...]")
        .since("3.0.0", SLOTS)
        .summary("Assigns new hash slots to a node."),
    subcommand("ADDSLOTSRANGE", CHANGE, -4)
        .usage("start-slot end-slot [start-slot end-slot ...]")
        .since("7.0.0", RANGE)
        .summary("Assigns new hash slot ranges to a node."),
    subcommand("BUMPEPOCH", CHANGE, 2)
        .since("3.0.0", "O(1)")
        .summary("Advances the cluster config epoch."),
    subcommand("COUNT-FAILURE-REPORTS", OPERATOR, 3)
        .usage("node-id")
        .since("3.0.0", "O(N) where N is the number of failure reports")
        .summary("Returns the number of active failure reports active for a node."),
    subcommand("COUNTKEYSINSLOT", Flags::STALE, 3)
        .usage("slot")
        .since("3.0.0", "O(1)")
        .summary("Returns the number of keys in a hash slot."),
    subcommand("DELSLOTS", CHANGE, -3)
        .usage("slot [slot ...]")
        .since("3.0.0", SLOTS)
        .summary("Sets hash slots as unbound for a node."),
    subcommand("DELSLOTSRANGE", CHANGE, -4)
        .usage("start-slot end-slot [start-slot end-slot ...]")
        .since("7.0.0", RANGE)
        .summary("Sets hash slot ranges as unbound for a node."),
    subcommand("FAILOVER", CHANGE, -2)
        .usage("[FORCE|TAKEOVER]")
        .since("3.0.0", "O(1)")
        .summary("Forces a replica to perform a manual failover of its master."),
    subcommand("FLUSHSLOTS", CHANGE, 2)
        .since("3.0.0", "O(1)")
        .summary("Deletes all slots information from a node."),
    subcommand("FORGET", CHANGE, 3)
        .usage("node-id")
        .since("3.0.0", "O(1)")
        .summary("Removes a node from the nodes table."),
    subcommand("GETKEYSINSLOT", Flags::STALE, 4)
        .usage("slot count")
        .since("3.0.0", "O(N) where N is the number of requested keys")
        .summary("Returns the key names in a hash slot."),
    subcommand("INFO", Flags::STALE, 2)
        .since("3.0.0", "O(1)")
        .summary("Returns information about the state of a node."),
    subcommand("KEYSLOT", Flags::STALE, 3)
        .usage("key")
        .since("3.0.0", "O(N) where N is the number of bytes in the key")
        .summary("Returns the hash slot for a key."),
    subcommand("LINKS", Flags::STALE, 2)
        .since("7.0.0", NODES)
        .summary("Returns a list of all TCP links to and from peer nodes."),
    subcommand("MEET", CHANGE, -4)
        .usage("ip port [cluster_bus_port]")
        .since("3.0.0", "O(1)")
        .summary("Forces a node to handshake with another node."),
    subcommand("MYID", Flags::STALE, 2)
        .since("3.0.0", "O(1)")
        .summary("Returns the ID of a node."),
    subcommand("MYSHARDID", Flags::STALE, 2)
        .since("7.2.0", "O(1)")
        .summary("Returns the shard ID of a node."),
    subcommand("NODES", Flags::STALE, 2)
        .since("3.0.0", NODES)
        .summary("Returns the cluster configuration for a node."),
    subcommand("REPLICAS", OPERATOR, 3)
        .usage("node-id")
        .since("5.0.0", "O(N) where N is the number of replicas.")
        .summary("Lists the replica nodes of a master node."),
    subcommand("REPLICATE", CHANGE, 3)
        .usage("node-id")
        .since("3.0.0", "O(1)")
        .summary("Configure a node as replica of a master node."),
    subcommand("RESET", OPERATOR.with(Flags::NOSCRIPT), -2)
        .usage("[HARD|SOFT]")
        .since("3.0.0", "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.")
        .summary("Resets a node."),
    subcommand("SAVECONFIG", CHANGE, 2)
        .since("3.0.0", "O(1)")
        .summary("Forces a node to save the cluster configuration to disk."),
    subcommand("SET-CONFIG-EPOCH", CHANGE, 3)
        .usage("config-epoch")
        .since("3.0.0", "O(1)")
        .summary("Sets the configuration epoch for a new node."),
    subcommand("SETSLOT", CHANGE, -4)
        .usage("slot <IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE>")
        .since("3.0.0", "O(1)")
        .summary("Binds a hash slot to a node."),
    subcommand("SHARDS", Flags::STALE, 2)
        .since("7.0.0", "O(N) where N is the total number of cluster nodes")
        .summary("Returns the mapping of cluster slots to shards."),
    subcommand("SLAVES", OPERATOR, 3)
        .usage("node-id")
        .since("3.0.0", "O(N) where N is the number of replicas.")
        .summary("Lists the replica nodes of a master node."),
    subcommand("SLOTS", Flags::STALE, 2)
        .since("3.0.0", NODES)
        .summary("Returns the mapping of cluster slots to nodes."),
    // Not even help is given: so does Redis.
    subcommand("HELP", Flags::LOADING.with(Flags::STALE), 2)
        .since("5.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

fn refuse(_cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    Err(Error::NO_CLUSTER)
}

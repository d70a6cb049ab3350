//! The rendezvous: programs that start in any order find each other, once, and clean up.
//!
//! Everything happens in a *run*, which is opened with a time to live and dropped as a whole. In it are
//! name spaces of registrations, states that are signalled, topics, results and roles that somebody
//! leads; [`key`] says where it is kept. Whoever waits is parked by the server, costs no memory here, and is
//! woken when what it waits for is there, when its time is over, or when the run is.
//!
//! Registrations, leases and leads end by time or with the connection that made them. The server tells
//! of both ([`reaction`]), and what is over is taken out before anybody looks ([`sweep`]).
//!
//! **Configuration** (`PLUGIN LOAD rendezvous ... CONFIG name value`): `registrations`, `waiters`,
//! `bytes` (of one value) and `wait` (seconds) are the limits of runs that name none, `ttl-max` is for how
//! many seconds a run may be opened, `alias` says which plain keys may stand for one another
//! ([`alias`]).
//!
//! Deliberately absent: a clock or a timer of its own, and any way to wait that is not parking.

mod alias;
mod entry;
mod find;
mod key;
mod lead;
mod meta;
mod open;
mod reaction;
mod refusal;
mod register;
mod results;
mod round;
mod signal;
mod sweep;
mod take;
#[cfg(test)]
mod tests;
mod topic;

use reef_sdk::Command;

const COMMANDS: &[Command] = &[
    Command::new("RDV.OPEN", open::open)
        .usage("run TTL seconds [REGISTRATIONS count] [WAITERS count] [BYTES count] [WAIT seconds]")
        .summary(
            "Opens a run, or prolongs it; returns its time in milliseconds and whether it is new.",
        )
        .complexity("O(N) where N is the number of keys of the run")
        .since("0.1.0")
        .arity(-4)
        .write()
        .denyoom()
        .blocking(),
    Command::new("RDV.DROP", open::drop_run)
        .usage("run")
        .summary("Drops a run with all that is in it; whoever waits in it gets an error at once.")
        .complexity("O(N) where N is the size of the run")
        .since("0.1.0")
        .arity(2)
        .write(),
    Command::new("RDV.LIST", open::list)
        .usage("")
        .summary("Returns the open runs, each with the milliseconds that are left of it.")
        .complexity("O(N) where N is the number of runs")
        .since("0.1.0")
        .arity(1)
        .readonly(),
    Command::new("RDV.INFO", open::info)
        .usage("run")
        .summary("Returns what is in a run, who waits in it, and its limits.")
        .complexity("O(N) where N is the number of keys of the run")
        .since("0.1.0")
        .arity(2)
        .write(),
    Command::new("RDV.REGISTER", register::register)
        .usage("run namespace value [ID id] [TTL seconds | CONNECTION]")
        .summary("Registers a value; returns its id, its revision and its time in milliseconds.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(-4)
        .write()
        .denyoom()
        .fast(),
    Command::new("RDV.HEARTBEAT", register::heartbeat)
        .usage("run namespace id [TTL seconds]")
        .summary("Begins the time of a registration anew and returns it in milliseconds.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(-4)
        .write()
        .fast(),
    Command::new("RDV.UNREGISTER", register::unregister)
        .usage("run namespace id")
        .summary("Ends a registration and returns 1, or 0 if there was none.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(4)
        .write()
        .fast(),
    Command::new("RDV.FIND", find::find)
        .usage("run namespace [SINCE revision | COUNT count] [WAIT seconds]")
        .summary(
            "Returns the revision, registrations (id, value, revision, milliseconds left) and ids \
             that are gone.",
        )
        .complexity("O(N) where N is the number of registrations")
        .since("0.1.0")
        .arity(-3)
        .write()
        .blocking(),
    Command::new("RDV.TAKE", take::take)
        .usage("run namespace [LEASE seconds] [WAIT seconds]")
        .summary("Takes the oldest registration; with a lease it returns id, value and a token.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(-3)
        .write()
        .blocking(),
    Command::new("RDV.ACK", take::ack)
        .usage("run namespace id token")
        .summary("Ends a lease and what was leased: it is done with.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(5)
        .write()
        .fast(),
    Command::new("RDV.NACK", take::nack)
        .usage("run namespace id token")
        .summary("Ends a lease: what was leased goes to the next taker, in its old place.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(5)
        .write()
        .fast(),
    Command::new("RDV.SIGNAL", signal::signal)
        .usage("run state")
        .summary("Signals a state and returns how often that has happened.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .write()
        .denyoom()
        .fast(),
    Command::new("RDV.BARRIER", signal::barrier)
        .usage("run state count [SIGNAL] [WAIT seconds]")
        .summary("Returns how often a state was signalled, once that is often enough.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-4)
        .write()
        .blocking(),
    Command::new("RDV.PUBLISH", topic::publish)
        .usage("run topic value")
        .summary("Publishes a value and returns its number.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(4)
        .write()
        .denyoom()
        .fast(),
    Command::new("RDV.READ", topic::read)
        .usage("run topic [AFTER number] [COUNT count] [WAIT seconds]")
        .summary("Returns what was published after a number, and the number to go on with.")
        .complexity("O(N) where N is how far from the beginning it is, and how many it returns")
        .since("0.1.0")
        .arity(-3)
        .write()
        .blocking(),
    Command::new("RDV.FIELDS", results::fields)
        .usage("run name field INT|FLOAT|BOOL|TEXT [field INT|FLOAT|BOOL|TEXT ...]")
        .summary("Declares which fields the results of a name have.")
        .complexity("O(N) where N is the number of fields")
        .since("0.1.0")
        .arity(-5)
        .write()
        .denyoom(),
    Command::new("RDV.RESULT", results::result)
        .usage("run name by field value [field value ...]")
        .summary("Reports a result, checked against the declaration; returns how many there are.")
        .complexity("O(N) where N is the number of fields")
        .since("0.1.0")
        .arity(-6)
        .write()
        .denyoom(),
    Command::new("RDV.RESULTS", results::results)
        .usage("run name [COUNT count] [WAIT seconds]")
        .summary("Returns the results, each with who reported it, once there are enough.")
        .complexity("O(N) where N is the number of results")
        .since("0.1.0")
        .arity(-3)
        .write()
        .blocking(),
    Command::new("RDV.LEAD", lead::lead)
        .usage("run role candidate [TTL seconds | CONNECTION] [WAIT seconds]")
        .summary("Leads, or goes on to lead: returns the fencing number and the time it lasts.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(-4)
        .write()
        .denyoom()
        .blocking(),
    Command::new("RDV.LEADER", lead::who_leads)
        .usage("run role")
        .summary("Returns who leads and the fencing number, or nil.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .write()
        .fast(),
    Command::new("RDV.RESIGN", lead::resign)
        .usage("run role candidate")
        .summary("Leads no longer and returns 1, or 0 if somebody else does.")
        .complexity("O(log N)")
        .since("0.1.0")
        .arity(4)
        .write()
        .fast(),
    Command::new("RDV.ALIAS", alias::alias)
        .usage("name [TTL seconds] LIST|STRING key [LIST|STRING key ...]")
        .summary("Lets plain keys stand for one another, each in the form of those who read it.")
        .complexity("O(N) where N is what the keys hold")
        .since("0.1.0")
        .arity(-4)
        .keys(3, -1, 2)
        .write()
        .denyoom(),
    Command::new("RDV.UNALIAS", alias::unalias)
        .usage("name")
        .summary("Lets the keys of an alias stand for themselves again; what they hold they keep.")
        .complexity("O(N) where N is the number of keys")
        .since("0.1.0")
        .arity(2)
        .write(),
];

reef_sdk::export_plugin! {
    name: "rendezvous",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Programs that start in any order find each other.",
    commands: COMMANDS,
    wants: &[
        "DEL", "EXISTS", "GET", "HDEL", "HGET", "HGETALL", "HLEN", "HSET", "LLEN", "LRANGE", "PEXPIREAT",
        "PTTL", "RPUSH", "SADD", "SET", "SMEMBERS", "SRANDMEMBER", "SREM", "TYPE", "ZADD", "ZCARD",
        "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYRANK", "~rdv:*",
    ],
    subscribe: reaction::triggers,
    on_event: reaction::react,
}

//! Accounts and transfers between them that may be asked for again and again: a request takes effect
//! once, whatever breaks between a client and the server, and no money comes or goes on the way.
//!
//! Keys: `ledger:account:<name>` (balance in the smallest unit), `ledger:request:<id>` (what a request
//! was and what came of it), `ledger:journal` (a stream of all transfers).

use reef_sdk::{
    Answer, Attempt, Batch, Call, Command, Error, FromArgument, Query, Result, export_plugin,
    transact,
};

const COMMANDS: &[Command] = &[
    Command::new("LEDGER.OPEN", open)
        .usage("account [deposit]")
        .summary("Opens an account. One that is there stays as it is, and is an error.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-2)
        .write()
        .denyoom()
        .fast(),
    Command::new("LEDGER.TRANSFER", transfer)
        .usage("request from to amount")
        .summary("Moves money. The same request again changes nothing and gets the same reply.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(5)
        .write()
        .denyoom()
        .fast(),
    Command::new("LEDGER.BALANCE", balance)
        .usage("account [account ...]")
        .summary("Says what is in accounts, at one instant.")
        .complexity("O(N) where N is the number of accounts")
        .since("0.1.0")
        .arity(-2)
        .readonly()
        .fast(),
];

/// How long a request is remembered: far longer than any client tries.
const REMEMBERED_MS: u64 = 7 * 24 * 60 * 60 * 1000;

const NO_ACCOUNT: Error = Error::fixed("NOACCOUNT", "there is no such account");
const THERE: Error = Error::fixed("ACCOUNT", "the account is there already");
const SAME: Error = Error::fixed("ERR", "money is moved between two accounts");
const FUNDS: Error = Error::fixed("FUNDS", "there is not that much in the account");
const OTHER: Error = Error::fixed("REQUEST", "this request was for another transfer");

/// A sum of money that is moved: some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount(i64);

impl FromArgument<'_> for Amount {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        match i64::from_argument(bytes)? {
            1.. => Ok(Self(i64::from_argument(bytes)?)),
            _ => Err(Error::fixed("ERR", "an amount is greater than zero")),
        }
    }
}

fn account(name: &[u8]) -> (&'static str, &[u8]) {
    ("ledger:account:", name)
}

fn open(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    let deposit = call.arguments.optional::<u64>()?.unwrap_or(0);
    call.arguments.end()?;
    let deposit = i64::try_from(deposit).map_err(|_| Error::NOT_AN_INTEGER)?;
    let mut batch = Batch::new();
    batch.absent(account(name)).set(account(name), deposit);
    match call.host.apply(&batch)?.applied() {
        Ok(_) => Ok(Answer::ok()),
        Err(_) => Err(THERE),
    }
}

fn transfer(call: &mut Call<'_>) -> Result<Answer> {
    let request: &[u8] = call.arguments.parse()?;
    let (from, to): (&[u8], &[u8]) = (call.arguments.parse()?, call.arguments.parse()?);
    let Amount(amount) = call.arguments.parse()?;
    call.arguments.end()?;
    if from == to {
        return Err(SAME);
    }
    let request = ("ledger:request:", request);
    // What was asked for, in a form that no names can forge: their lengths come first.
    let asked = [format!("{}:{}:", from.len(), to.len()).as_bytes(), from, to].concat();
    let asked = [&asked[..], format!(":{amount}").as_bytes()].concat();
    transact(call.host, |host| {
        let mut query = Query::new();
        query.get(request).get(account(from)).get(account(to));
        query.watch(account(from)).watch(account(to));
        let view = host.read(&query)?;
        let mut replies = view.cursor();
        if let Some(before) = replies.value::<Option<&[u8]>>()? {
            return Ok(Attempt::Done(Answer::of(repeated(before, &asked)?)));
        }
        let funds: i64 = replies.value::<Option<i64>>()?.ok_or(NO_ACCOUNT)?;
        replies.value::<Option<i64>>()?.ok_or(NO_ACCOUNT)?;
        let left = funds.checked_sub(amount).filter(|left| *left >= 0).ok_or(FUNDS)?;
        let mut batch = Batch::new();
        batch.guard(account(from), view.version(0)).guard(account(to), view.version(1));
        batch.absent(request);
        batch.incr_by(account(from), -amount).incr_by(account(to), amount);
        let record = [format!("{left} ").as_bytes(), &asked].concat();
        batch.command("SET").arg(request).arg(record).arg("PX").arg(REMEMBERED_MS);
        batch
            .command("XADD")
            .args(["ledger:journal", "*", "request"])
            .arg(request.1)
            .arg("from")
            .arg(from)
            .arg("to")
            .arg(to)
            .arg("amount")
            .arg(amount);
        match host.apply(&batch)?.applied() {
            Ok(_) => Ok(Attempt::Done(Answer::of(left))),
            Err(_) => Ok(Attempt::Stale),
        }
    })
}

/// The reply to a request that was answered before: what was left in the account then.
fn repeated(before: &[u8], asked: &[u8]) -> Result<i64> {
    let end = before.iter().position(|byte| *byte == b' ').ok_or(OTHER)?;
    let (left, was_asked) = before.split_at(end);
    if was_asked.get(1..) == Some(asked) { i64::from_argument(left) } else { Err(OTHER) }
}

fn balance(call: &mut Call<'_>) -> Result<Answer> {
    let names: Vec<&[u8]> = call.arguments.rest()?;
    let mut query = Query::new();
    for name in &names {
        query.get(account(name));
    }
    let view = call.host.read(&query)?;
    let mut replies = view.cursor();
    let balances = names.iter().map(|_| replies.value::<Option<i64>>());
    Ok(Answer::of(balances.collect::<Result<Vec<_>>>()?))
}

export_plugin! {
    name: "payment-ledger",
    version: "0.1.0",
    summary: "Accounts, and transfers between them that take effect once.",
    commands: COMMANDS,
    wants: &["GET", "SET", "INCRBY", "XADD", "~ledger:*"],
}

#[cfg(test)]
mod tests {
    use reef_sdk::fake::Server;

    use super::*;

    #[test]
    fn a_transfer_that_loses_a_race_reads_and_decides_anew() {
        let mut server = Server::new();
        server.run(&PLUGIN, &["LEDGER.OPEN", "ada", "100"]);
        server.run(&PLUGIN, &["LEDGER.OPEN", "bob"]);
        server.before_apply(|server| {
            server.redis(&["DECRBY", "ledger:account:ada", "80"]);
            server.leave_alone();
        });
        let reply = server.run(&PLUGIN, &["LEDGER.TRANSFER", "r-1", "ada", "bob", "30"]);
        assert_eq!(reply, "(error) FUNDS there is not that much in the account");
        let reply = server.run(&PLUGIN, &["LEDGER.TRANSFER", "r-2", "ada", "bob", "20"]);
        assert_eq!(reply, "(integer) 0");
        assert_eq!(server.redis(&["XLEN", "ledger:journal"]), "(integer) 1");
    }

    #[test]
    fn a_request_is_known_by_all_that_it_asked() {
        assert_eq!(repeated(b"70 1:1:ab:30", b"1:1:ab:30"), Ok(70));
        assert_eq!(repeated(b"70 1:1:ab:30", b"1:1:ab:31"), Err(OTHER));
        assert_eq!(repeated(b"rubbish", b"rubbish"), Err(OTHER));
    }

    #[test]
    fn an_amount_is_some_money() {
        assert_eq!(Amount::from_argument(b"5"), Ok(Amount(5)));
        for bad in ["0", "-1", "1.5", "", "9223372036854775808"] {
            assert!(Amount::from_argument(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

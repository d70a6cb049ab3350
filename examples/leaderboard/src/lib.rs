//! Points of players, of all time and of this week: two sorted sets that always agree, because one
//! batch changes both. Weeks go by themselves.
//!
//! Keys: `board:<name>:all`, `board:<name>:week:<number>` (weeks since 1970, which begin on Mondays).

use reef_sdk::{
    Answer, Arguments, Batch, Call, Command, Error, Joined, Query, Result, export_plugin,
};

const COMMANDS: &[Command] = &[
    Command::new("BOARD.ADD", add)
        .usage("board player points")
        .summary(
            "Adds points, of this week and of all time. Gives the player's points of all time.",
        )
        .complexity("O(log(N)) where N is the number of players")
        .since("0.1.0")
        .arity(4)
        .write()
        .denyoom()
        .fast(),
    Command::new("BOARD.TOP", top)
        .usage("board [WEEK] [LIMIT players]")
        .summary("Returns the best players with their points.")
        .complexity("O(log(N)+M) where M is the number of players returned")
        .since("0.1.0")
        .arity(-2)
        .readonly(),
    Command::new("BOARD.RANK", rank)
        .usage("board player [WEEK]")
        .summary("Returns a player's place, from 1, and points.")
        .complexity("O(log(N)) where N is the number of players")
        .since("0.1.0")
        .arity(-3)
        .readonly()
        .fast(),
    Command::new("BOARD.REMOVE", remove)
        .usage("board player")
        .summary("Removes a player from the board, as if there had been none.")
        .complexity("O(log(N)) where N is the number of players")
        .since("0.1.0")
        .arity(3)
        .write()
        .fast(),
];

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// 1970 began on a Thursday.
const MONDAY_MS: u64 = 3 * 24 * 60 * 60 * 1000;
/// How long a week can be looked at after its end.
const KEPT_MS: u64 = 4 * WEEK_MS;
/// Players of a page, and most of one.
const LIMIT: u64 = 10;
const LIMIT_MAX: u64 = 1000;

/// The week of an instant.
fn week(now_ms: u64) -> u64 {
    (now_ms + MONDAY_MS) / WEEK_MS
}

/// When a week is forgotten.
fn forgotten_at_ms(week: u64) -> u64 {
    (week + 1) * WEEK_MS - MONDAY_MS + KEPT_MS
}

/// The keys of a board.
struct Board<'a> {
    name: &'a [u8],
    week: u64,
    suffix: String,
}

impl<'a> Board<'a> {
    fn of(name: &'a [u8], now_ms: u64) -> Self {
        let week = week(now_ms);
        Self { name, week, suffix: format!(":week:{week}") }
    }

    fn key(&self, is_week: bool) -> [&[u8]; 3] {
        [b"board:", self.name, if is_week { self.suffix.as_bytes() } else { b":all" }]
    }
}

fn add(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    let player: &[u8] = call.arguments.parse()?;
    let points: i64 = call.arguments.parse()?;
    call.arguments.end()?;
    let board = Board::of(name, call.host.now_ms());
    let (all, of_week) = (board.key(false), board.key(true));
    let mut batch = Batch::new();
    batch.command("ZINCRBY").arg(Joined(&all)).arg(points).arg(player);
    batch.command("ZINCRBY").arg(Joined(&of_week)).arg(points).arg(player);
    batch.command("PEXPIREAT").arg(Joined(&of_week)).arg(forgotten_at_ms(board.week));
    let replies = call.host.apply(&batch)?.applied()?;
    Ok(Answer::of(replies.cursor().value::<f64>()? as i64))
}

fn top(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    let (is_week, limit) = page(&mut call.arguments)?;
    let board = Board::of(name, call.host.now_ms());
    let mut query = Query::new();
    let range = query.command("ZREVRANGE").arg(Joined(&board.key(is_week))).arg("0");
    range.arg(limit as i64 - 1).arg("WITHSCORES");
    let view = call.host.read(&query)?;
    let mut cursor = view.cursor();
    let players = cursor.elements()? / 2;
    let mut rows = Vec::with_capacity(players);
    for _ in 0..players {
        let (player, points): (&[u8], f64) = (cursor.value()?, cursor.value()?);
        rows.push((player.to_vec(), points as i64));
    }
    Ok(Answer::of(rows))
}

/// `[WEEK] [LIMIT players]`, in any order.
fn page(arguments: &mut Arguments<'_>) -> Result<(bool, u64)> {
    let (mut is_week, mut limit) = (false, LIMIT);
    while !arguments.is_empty() {
        if let Some(players) = arguments.option("LIMIT")? {
            limit = players;
        } else if arguments.keyword("WEEK") {
            is_week = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok((is_week, limit))
    } else {
        Err(Error::new("ERR", format!("LIMIT is between 1 and {LIMIT_MAX}")))
    }
}

fn rank(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    let player: &[u8] = call.arguments.parse()?;
    let is_week = call.arguments.keyword("WEEK");
    call.arguments.end()?;
    let board = Board::of(name, call.host.now_ms());
    let key = board.key(is_week);
    // Both at one instant, or the place may be another's.
    let mut query = Query::new();
    query.command("ZREVRANK").arg(Joined(&key)).arg(player);
    query.command("ZSCORE").arg(Joined(&key)).arg(player);
    let view = call.host.read(&query)?;
    let mut cursor = view.cursor();
    let (place, points): (Option<i64>, Option<f64>) = (cursor.value()?, cursor.value()?);
    Ok(Answer::of(place.zip(points).map(|(place, points)| (place + 1, points as i64))))
}

fn remove(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    let player: &[u8] = call.arguments.parse()?;
    call.arguments.end()?;
    let board = Board::of(name, call.host.now_ms());
    let mut batch = Batch::new();
    batch.command("ZREM").arg(Joined(&board.key(false))).arg(player);
    batch.command("ZREM").arg(Joined(&board.key(true))).arg(player);
    let replies = call.host.apply(&batch)?.applied()?;
    Ok(Answer::of(replies.cursor().value::<i64>()?))
}

export_plugin! {
    name: "leaderboard",
    version: "0.1.0",
    summary: "Points of players, of all time and of this week.",
    commands: COMMANDS,
    wants: &["ZINCRBY", "ZREM", "ZREVRANGE", "ZREVRANK", "ZSCORE", "PEXPIREAT", "~board:*"],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        // 2026-01-05 was a Monday.
        let monday_ms = 1_767_571_200_000;
        assert_eq!(week(monday_ms), week(monday_ms - 1) + 1);
        assert_eq!(week(monday_ms + WEEK_MS - 1), week(monday_ms));
        assert_eq!(forgotten_at_ms(week(monday_ms)), monday_ms + WEEK_MS + KEPT_MS);
    }

    #[test]
    fn options_come_in_any_order_and_within_bounds() {
        let parsed = |words: &[&str]| {
            let lengths: Vec<u32> = words.iter().map(|word| word.len() as u32).collect();
            page(&mut Arguments::new(&lengths, words.concat().as_bytes()))
        };
        assert_eq!(parsed(&["TOP"]), Ok((false, LIMIT)));
        assert_eq!(parsed(&["TOP", "limit", "3", "week"]), Ok((true, 3)));
        assert_eq!(parsed(&["TOP", "MONTH"]), Err(Error::SYNTAX));
        assert!(parsed(&["TOP", "LIMIT", "0"]).is_err());
        assert!(parsed(&["TOP", "LIMIT", "1001"]).is_err());
    }
}

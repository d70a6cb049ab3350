//! A token bucket per key: it holds so many tokens, gets so many back per second, and a call takes some
//! if they are there. However many clients ask at the same time, no token is taken twice.
//!
//! A bucket is one hash, `limit:<key>`: `tokens` in millionths, `at` in milliseconds. It goes when it
//! would be full anyway, so that a full bucket costs no memory.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Command, Error, Query, Result, export_plugin, transact,
};

const COMMANDS: &[Command] = &[Command::new("LIMIT.TAKE", take)
    .usage("key capacity refill-per-second [COST tokens]")
    .summary("Takes tokens from a bucket, if they are there.")
    .complexity("O(1)")
    .since("0.1.0")
    .arity(-4)
    .write()
    .denyoom()
    .fast()];

/// Tokens are counted in millionths: one per second and microsecond.
const MILLIONTHS: u64 = 1_000_000;
/// Largest bucket and refill.
const TOKENS_MAX: u64 = 1_000_000_000;

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    capacity: u64,
    per_second: f64,
}

/// A bucket at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// In millionths.
    tokens: u64,
    at_ms: u64,
}

impl Shape {
    fn checked(self) -> Result<Self> {
        let Self { capacity, per_second } = self;
        let is_fine = (1..=TOKENS_MAX).contains(&capacity)
            && (0.000_001..=TOKENS_MAX as f64).contains(&per_second);
        if is_fine {
            Ok(self)
        } else {
            Err(Error::fixed("ERR", "capacity or refill is out of range"))
        }
    }

    fn full(self) -> u64 {
        self.capacity * MILLIONTHS
    }

    /// What the bucket holds at a later instant.
    fn refilled(self, bucket: Bucket, now_ms: u64) -> Bucket {
        let gained = now_ms.saturating_sub(bucket.at_ms) as f64 * self.per_second * 1000.0;
        let tokens = bucket.tokens.saturating_add(gained as u64).min(self.full());
        // A clock that was set back gives nothing twice.
        Bucket { tokens, at_ms: bucket.at_ms.max(now_ms) }
    }

    /// How long it takes to gain so many millionths.
    fn wait_ms(self, missing: u64) -> u64 {
        (missing as f64 / (self.per_second * 1000.0)).ceil() as u64
    }
}

fn take(call: &mut Call<'_>) -> Result<Answer> {
    let key: &[u8] = call.arguments.parse()?;
    let (capacity, per_second) = (call.arguments.parse()?, call.arguments.parse()?);
    let shape = Shape { capacity, per_second }.checked()?;
    let cost = call.arguments.option::<u64>("COST")?.unwrap_or(1);
    call.arguments.end()?;
    if cost > capacity {
        return Err(Error::fixed("ERR", "it costs more than the bucket holds"));
    }
    let (key, cost) = (("limit:", key), cost * MILLIONTHS);
    transact(call.host, |host| {
        let mut query = Query::new();
        query.command("HMGET").arg(key).args(["tokens", "at"]);
        query.watch(key);
        let view = host.read(&query)?;
        let now_ms = host.now_ms();
        let bucket = match view.cursor().value()? {
            (Some(tokens), Some(at_ms)) => Bucket { tokens, at_ms },
            _ => Bucket { tokens: shape.full(), at_ms: now_ms },
        };
        let Bucket { tokens, at_ms } = shape.refilled(bucket, now_ms);
        let Some(left) = tokens.checked_sub(cost) else {
            // Nothing is written: the bucket fills as it did.
            let answer = (0_i64, tokens / MILLIONTHS, shape.wait_ms(cost - tokens));
            return Ok(Attempt::Done(Answer::of(answer)));
        };
        let full_at_ms = at_ms.saturating_add(shape.wait_ms(shape.full() - left)).saturating_add(1);
        let mut batch = Batch::new();
        batch.guard(key, view.version(0));
        batch.command("HSET").arg(key).arg("tokens").arg(left).arg("at").arg(at_ms);
        batch.command("PEXPIREAT").arg(key).arg(full_at_ms);
        match host.apply(&batch)?.applied() {
            Ok(_) => Ok(Attempt::Done(Answer::of((1_i64, left / MILLIONTHS, 0_u64)))),
            Err(_) => Ok(Attempt::Stale),
        }
    })
}

export_plugin! {
    name: "rate-limiter",
    version: "0.1.0",
    summary: "Token buckets.",
    commands: COMMANDS,
    wants: &["HMGET", "HSET", "PEXPIREAT", "~limit:*"],
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { capacity: 10, per_second: 2.0 };

    #[test]
    fn a_bucket_fills_with_time_up_to_its_rim() {
        let empty = Bucket { tokens: 0, at_ms: 1000 };
        assert_eq!(SHAPE.refilled(empty, 1500).tokens, MILLIONTHS);
        assert_eq!(SHAPE.refilled(empty, 60_000).tokens, SHAPE.full());
        assert_eq!(SHAPE.refilled(empty, 0), empty, "a clock that was set back");
        assert_eq!(SHAPE.wait_ms(MILLIONTHS), 500);
        let later = SHAPE.refilled(empty, 1000 + SHAPE.wait_ms(MILLIONTHS));
        assert_eq!(later.tokens, MILLIONTHS, "who waits as long as it was told gets it");
    }

    #[test]
    fn shapes_have_bounds() {
        for (capacity, per_second) in
            [(0, 1.0), (TOKENS_MAX + 1, 1.0), (1, 0.0), (1, -1.0), (1, 1e10)]
        {
            assert!(Shape { capacity, per_second }.checked().is_err(), "{capacity} {per_second}");
        }
        assert!(SHAPE.checked().is_ok());
    }
}

//! Thousands of random operations from several connections, verified while they run and after.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{check_indexes, empty};
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::demo::house::House;
use crate::cli::demo::stage::Stage;
use crate::cli::table::{counted, grouped};
use crate::cli::tx::draft::STATUSES;
use crate::cli::tx::{audit, faults};

const THREADS: u64 = 4;
const OPERATIONS_PER_THREAD: u64 = 2_500;
const RELAYERS: u64 = 3;
const NONCES: u64 = 3_000;

/// Shows the step.
pub(super) fn show(stage: &mut Stage<'_>, house: &House) -> Result<(), Failure> {
    let total = THREADS * OPERATIONS_PER_THREAD;
    stage.step(&format!(
        "{} random operations on {THREADS} connections: every index agrees",
        grouped(total)
    ))?;
    let server = house.server();
    let mut client = server.connect()?;
    empty(&mut client)?;
    let storm = Storm::run(server)?;
    let refused: u64 = storm.refused.values().sum();
    let sentence = format!(
        "{} with the next nonce, {} patched, {} requests repeated, {} locks taken, {} repairs",
        grouped(storm.with_next),
        grouped(storm.patched),
        grouped(storm.repeated),
        grouped(storm.locked),
        grouped(storm.repaired),
    );
    let codes: Vec<String> =
        storm.refused.iter().map(|(code, number)| format!("{} {code}", grouped(*number))).collect();
    stage.say(&format!(
        "{} created, {} moved, {} deleted, {} refused ({})",
        grouped(storm.created),
        grouped(storm.moved),
        grouped(storm.deleted),
        grouped(refused),
        codes.join(", "),
    ))?;
    stage.say(&sentence)?;
    let usual = storm.created > 0 && storm.moved > 0 && storm.deleted > 0 && refused > 0;
    let others = [storm.with_next, storm.patched, storm.repeated, storm.locked, storm.repaired];
    let some = usual && others.iter().all(|number| *number > 0);
    stage.check(some, "every kind of operation happened, and collisions too")?;
    let sentence = "a request that is sent again with its token gets the same answer";
    stage.check(storm.answered_otherwise == 0, sentence)?;
    stage.check(storm.held_twice == 0, "a lock has one owner at a time")?;
    stage.check(storm.pages_apart == 0, "the total of every page agreed with its records")?;
    let sentence = format!(
        "TX.VERIFY ran {} while everything changed: {}",
        counted(storm.verified, "time"),
        storm.fault.as_deref().unwrap_or("no fault"),
    );
    stage.check(storm.verified > 0 && storm.fault.is_none(), &sentence)?;
    check_indexes(stage, &mut client)?;
    let audit = audit::whole_database(&mut client)?;
    let sentence = format!(
        "created less deleted are {}, and so many records are there",
        grouped(storm.created - storm.deleted)
    );
    stage.check(audit.transactions == storm.created - storm.deleted, &sentence)
}

/// What happened.
#[derive(Debug, Default)]
struct Storm {
    created: u64,
    moved: u64,
    deleted: u64,
    /// Of the created ones, those that took the next nonce.
    with_next: u64,
    patched: u64,
    repeated: u64,
    answered_otherwise: u64,
    locked: u64,
    held_twice: u64,
    repaired: u64,
    pages_apart: u64,
    /// By the code of the refusal.
    refused: BTreeMap<String, u64>,
    verified: u64,
    /// What a verification found first.
    fault: Option<String>,
}

impl Storm {
    fn run(server: &Server) -> Result<Self, Failure> {
        let ids = Mutex::new(Vec::new());
        let over = AtomicBool::new(false);
        let seed = getrandom::u64()?;
        let (results, verified) = std::thread::scope(|scope| {
            let verifier = scope.spawn(|| verify_until(server, &over));
            let threads: Vec<_> = (1..=THREADS)
                .map(|thread| {
                    let ids = &ids;
                    scope
                        .spawn(move || Self::thread(server, ids, seed.wrapping_mul(2 * thread + 1)))
                })
                .collect();
            let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            over.store(true, Ordering::Relaxed);
            (results, verifier.join())
        });
        let panicked = |_| Failure::new("a thread of the demonstration panicked");
        let mut storm = verified.map_err(panicked)??;
        for result in results {
            storm.add(result.map_err(panicked)??);
        }
        Ok(storm)
    }

    fn add(&mut self, other: Self) {
        self.created += other.created;
        self.moved += other.moved;
        self.deleted += other.deleted;
        self.with_next += other.with_next;
        self.patched += other.patched;
        self.repeated += other.repeated;
        self.answered_otherwise += other.answered_otherwise;
        self.locked += other.locked;
        self.held_twice += other.held_twice;
        self.repaired += other.repaired;
        self.pages_apart += other.pages_apart;
        for (code, number) in other.refused {
            *self.refused.entry(code).or_default() += number;
        }
    }

    fn thread(server: &Server, ids: &Mutex<Vec<String>>, seed: u64) -> Result<Self, ClientError> {
        let mut client = server.connect()?;
        let mut dice = Dice(seed | 1);
        let mut storm = Self::default();
        for _ in 0..OPERATIONS_PER_THREAD {
            match storm.operation(&mut client, &mut dice, ids) {
                Ok(()) => {}
                Err(error) => match error.code() {
                    Some(code @ ("NONCEUSED" | "ILLEGALSTATUS" | "NOTX" | "CONTENDED")) => {
                        *storm.refused.entry(code.to_owned()).or_default() += 1;
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(storm)
    }

    fn operation(
        &mut self,
        client: &mut Client,
        dice: &mut Dice,
        ids: &Mutex<Vec<String>>,
    ) -> Result<(), ClientError> {
        let chosen = {
            let ids = ids.lock();
            let at = dice.below(ids.len().max(1) as u64);
            ids.get(at as usize).cloned()
        };
        match (dice.below(100), chosen) {
            (0..4, _) => self.create_again(client, dice, ids)?,
            (4..7, _) => self.hold(client, dice)?,
            (7..9, _) => self.look(client, dice)?,
            (9, _) if dice.below(5) == 0 => {
                let relayer = format!("relayer-{}", dice.below(RELAYERS));
                client.call::<redis::Value>(&["TX.REPAIR", &relayer])?;
                self.repaired += 1;
            }
            (35..45, Some(id)) => {
                let words = ["TX.UPDATE", &id, "SAME", "GASPRICE", "7", "FAILURE"];
                client.call::<()>(&words)?;
                self.patched += 1;
            }
            (45..80, Some(id)) => {
                let status = STATUSES[dice.below(STATUSES.len() as u64) as usize];
                client.call::<()>(&["TX.UPDATE", &id, status])?;
                self.moved += 1;
            }
            (80.., Some(id)) => {
                // The id stays in the list, so others run into it.
                let (deleted, _): (u64, redis::Value) = client.call(&["TX.DELETE", &id])?;
                self.deleted += deleted;
                if deleted == 0 {
                    *self.refused.entry("NOTX".to_owned()).or_default() += 1;
                }
            }
            _ => {
                let relayer = format!("relayer-{}", dice.below(RELAYERS));
                let nonce = dice.below(NONCES).to_string();
                let id: String = client.call(&["TX.CREATE", &relayer, &nonce, "0x0", "1"])?;
                self.created += 1;
                ids.lock().push(id);
            }
        }
        Ok(())
    }

    /// Takes the next nonce with a token, twice.
    fn create_again(
        &mut self,
        client: &mut Client,
        dice: &mut Dice,
        ids: &Mutex<Vec<String>>,
    ) -> Result<(), ClientError> {
        let relayer = format!("relayer-{}", dice.below(RELAYERS));
        let token = dice.below(u64::MAX).to_string();
        let words = ["TX.CREATE", &relayer, "NEXT", "0x0", "1", "TOKEN", &token];
        let id: String = client.call(&words)?;
        self.created += 1;
        self.with_next += 1;
        let again: String = client.call(&words)?;
        self.repeated += 1;
        self.answered_otherwise += u64::from(again != id);
        ids.lock().push(id);
        Ok(())
    }

    /// Takes a lock that all threads want; who has it counts up and down, which only one may.
    fn hold(&mut self, client: &mut Client, dice: &mut Dice) -> Result<(), ClientError> {
        let owner = dice.below(u64::MAX).to_string();
        let taken: u64 = client.call(&["TX.LOCK", "relayer-0", "storm", &owner, "60000"])?;
        if taken == 1 {
            let holders: i64 = client.call(&["INCR", "storm:holders"])?;
            self.held_twice += u64::from(holders != 1);
            client.call::<i64>(&["DECR", "storm:holders"])?;
            let released: u64 = client.call(&["TX.UNLOCK", "relayer-0", "storm", &owner])?;
            self.held_twice += u64::from(released != 1);
            self.locked += 1;
        }
        Ok(())
    }

    /// Lists what is finished: no more than one page, so its total is how many came.
    fn look(&mut self, client: &mut Client, dice: &mut Dice) -> Result<(), ClientError> {
        let relayer = format!("relayer-{}", dice.below(RELAYERS));
        let status = STATUSES[dice.below(STATUSES.len() as u64) as usize];
        let words = ["TX.LIST", &relayer, status, "LIMIT", "1000"];
        let (next, page, total): (String, Vec<String>, u64) = client.call(&words)?;
        self.pages_apart += u64::from(next == "0" && page.len() as u64 != total);
        Ok(())
    }
}

/// Verifies again and again, at least once.
fn verify_until(server: &Server, over: &AtomicBool) -> Result<Storm, ClientError> {
    let mut client = server.connect()?;
    let mut storm = Storm::default();
    loop {
        let found = faults(&mut client, None)?;
        storm.verified += 1;
        if storm.fault.is_none() {
            storm.fault = found.into_iter().next();
        }
        if over.load(Ordering::Relaxed) {
            return Ok(storm);
        }
    }
}

/// Random numbers that cost nothing and need not be good.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

//! What clients do: few keys, so that they meet.

use reef_fuzz::choice::{Choice, Rng};

use crate::client::{Recorder, Unanswered};
use crate::model::{Key, Step};

/// Keys with numbers: the first two meet in batches.
const NUMBERS: [Key; 4] = [Key(0), Key(1), Key(2), Key(3)];
/// Keys with lists: the first two meet.
const LISTS: [Key; 3] = [Key(10), Key(11), Key(12)];
/// Relayers of transactions.
const RELAYERS: [Key; 2] = [Key(30), Key(31)];
/// Counters that are only ever incremented, and always together.
pub const TOGETHER: [Key; 2] = [Key(20), Key(21)];

/// Keys of a client's own: it writes ever higher numbers, each to the first key and then, in a step of
/// its own, to the second. Nobody ever sees more in the second than in the first.
#[must_use]
pub fn ordered(client: usize) -> [Key; 2] {
    let first = 100 + 2 * client as u32;
    [Key(first), Key(first + 1)]
}

/// Looks at such keys.
#[must_use]
pub fn look_ordered(client: usize) -> Vec<Step> {
    ordered(client).iter().map(|key| Step::Get(*key)).collect()
}

/// Does something at random.
///
/// # Errors
/// There is no answer.
pub fn act(client: &mut Recorder, rng: &mut Rng) -> Result<(), Unanswered> {
    let steps = match rng.below(20) {
        19 => {
            let [first, second] = ordered(client.client());
            let number = client.now() as i64;
            client.run(vec![Step::Set(first, number)])?;
            vec![Step::Set(second, number)]
        }
        18 => look_ordered(rng.below(4)),
        0 if client.only_writes => return Ok(()),
        0 => return client.add_watching(NUMBERS[2 + rng.below(2)], 1 + rng.below(9) as i64),
        1..3 => batch(rng),
        3 => together(1 + rng.below(3) as i64),
        4 => look_together(),
        5..8 => vec![on_lists(rng)],
        8 | 9 => vec![on_relayer(rng)],
        _ => {
            let key = NUMBERS[rng.below(NUMBERS.len())];
            vec![on_number(key, rng)]
        }
    };
    if client.only_writes && !steps.iter().any(Step::is_write) {
        return Ok(());
    }
    client.run(steps).map(|_| ())
}

/// Increments what is always incremented together.
#[must_use]
pub fn together(number: i64) -> Vec<Step> {
    TOGETHER.iter().map(|key| Step::Add(*key, number)).collect()
}

/// Looks at what is always written together.
#[must_use]
pub fn look_together() -> Vec<Step> {
    TOGETHER.iter().map(|key| Step::Get(*key)).collect()
}

/// Looks at everything, one key after the other.
///
/// # Errors
/// There is no answer.
pub fn look_everywhere(client: &mut Recorder) -> Result<(), Unanswered> {
    let numbers = NUMBERS.iter().chain(&TOGETHER).map(|key| Step::Get(*key));
    let lists = LISTS.iter().map(|key| Step::Range(*key));
    let mut looks = numbers.chain(lists).chain(RELAYERS.iter().map(|key| Step::Tally(*key)));
    looks.try_for_each(|look| client.run(vec![look]).map(|_| ()))
}

fn on_number(key: Key, rng: &mut Rng) -> Step {
    let number = rng.below(1_000_000) as i64;
    match rng.below(12) {
        0..3 => Step::Set(key, number),
        3 => Step::SetAbsent(key, number),
        4 => Step::Swap(key, number),
        5 => Step::Delete(key),
        6 => Step::Add(key, 1),
        _ => Step::Get(key),
    }
}

fn on_lists(rng: &mut Rng) -> Step {
    let key = LISTS[rng.below(LISTS.len())];
    match rng.below(8) {
        0..3 => Step::Push(key, rng.below(1_000_000) as i64),
        3 | 4 => Step::Pop(key),
        5 if key == LISTS[0] => Step::Move(key, LISTS[1]),
        5 if key == LISTS[1] => Step::Move(key, LISTS[0]),
        _ => Step::Range(key),
    }
}

fn on_relayer(rng: &mut Rng) -> Step {
    let key = RELAYERS[rng.below(RELAYERS.len())];
    match rng.below(4) {
        0 => Step::Nonce(key),
        1 => Step::Tally(key),
        _ => Step::Record(key),
    }
}

fn batch(rng: &mut Rng) -> Vec<Step> {
    if rng.one_in(3) {
        let number = rng.below(1_000_000) as i64;
        let (from, to) = if rng.one_in(2) { (LISTS[0], LISTS[1]) } else { (LISTS[1], LISTS[0]) };
        return vec![Step::Push(to, number), Step::Pop(from), Step::Range(to)];
    }
    (0..2 + rng.below(3)).map(|_| on_number(NUMBERS[rng.below(2)], rng)).collect()
}

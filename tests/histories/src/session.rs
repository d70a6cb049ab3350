//! What a client may rely on even where it reads from a replica: it never sees its own past undone, and
//! never half of a batch.
//!
//! Judged on keys that only grow: counters that are only incremented, lists that are only appended to.
//! On one line each client's observations must grow, too, and what was always written together must
//! always be seen together. That says less than linearizability, and holds for asynchronous copies.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::Operation;
use crate::model::{Answer, Key, Step};

/// What is known of a key that only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    size: i64,
    /// As far as it was seen.
    content: Vec<i64>,
}

impl Known {
    /// Another look at it: whether it goes on from what was known.
    fn look(&mut self, step: &Step, answer: &Answer) -> bool {
        let size = match (step, answer) {
            (_, Answer::Number(size)) => *size,
            (Step::Get(_), Answer::Nothing) => 0,
            (Step::Range(_), Answer::Numbers(content)) => {
                if !content.starts_with(&self.content) {
                    return false;
                }
                self.content.clone_from(content);
                content.len() as i64
            }
            _ => return false,
        };
        let goes_on = size >= self.size;
        self.size = size;
        goes_on
    }
}

/// The keys that only grow in these histories.
fn growing(history: &[Operation]) -> BTreeSet<Key> {
    let steps = || history.iter().flat_map(|operation| operation.steps());
    let is_growth = |step: &Step| match step {
        Step::Get(_) | Step::Range(_) | Step::Push(..) => true,
        Step::Add(_, number) => *number > 0,
        _ => false,
    };
    let others: BTreeSet<Key> =
        steps().filter(|step| !is_growth(step)).flat_map(|step| step.keys()).collect();
    steps().flat_map(|step| step.keys()).filter(|key| !others.contains(key)).collect()
}

/// Judges what each client saw on each line; gives how many observations there were.
///
/// # Errors
/// Somebody saw a key go back.
pub fn check(history: &[Operation]) -> Result<usize, String> {
    let growing = growing(history);
    let mut known: BTreeMap<(usize, Option<usize>, Key), Known> = BTreeMap::new();
    let mut ordered: Vec<&Operation> = history.iter().collect();
    ordered.sort_by_key(|operation| operation.invoked);
    let mut observations = 0;
    for operation in ordered {
        let answers = operation.answers.as_deref().unwrap_or_default();
        for (step, answer) in operation.steps().iter().zip(answers) {
            let key = step.keys()[0];
            if !growing.contains(&key) {
                continue;
            }
            observations += 1;
            let known = known.entry((operation.client, operation.line(), key)).or_default();
            let before = known.clone();
            if !known.look(step, answer) {
                return Err(format!("{key} went back from {before:?}:\n  {operation}"));
            }
        }
    }
    Ok(observations)
}

/// Judges whether keys that are always incremented together were always seen together.
///
/// # Errors
/// Somebody saw a batch by half.
pub fn check_together(history: &[Operation], keys: &[Key]) -> Result<usize, String> {
    let mut observations = 0;
    for operation in history {
        let reads = operation.steps().iter().all(|step| matches!(step, Step::Get(_)));
        let read: Vec<Key> = operation.steps().iter().flat_map(|step| step.keys()).collect();
        let Some(answers) = &operation.answers else { continue };
        if reads && read == keys {
            observations += 1;
            if answers.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(format!("a batch by half:\n  {operation}"));
            }
        }
    }
    Ok(observations)
}

/// Judges whether of two keys that one client writes the same ever higher numbers to, one after the
/// other, nobody saw more in the second than in the first: everybody sees a moment of one past.
///
/// # Errors
/// Somebody saw the later write without the earlier.
pub fn check_ordered(history: &[Operation], [first, second]: [Key; 2]) -> Result<usize, String> {
    let looks = [Step::Get(first), Step::Get(second)];
    let mut observations = 0;
    for operation in history.iter().filter(|operation| operation.steps() == looks) {
        let number = |answer: &Answer| match answer {
            Answer::Number(number) => *number,
            _ => i64::MIN,
        };
        let Some([first, second]) = operation.answers.as_deref() else { continue };
        observations += 1;
        if number(second) > number(first) {
            return Err(format!("the later write without the earlier:\n  {operation}"));
        }
    }
    Ok(observations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Action;

    const A: Key = Key(0);
    const B: Key = Key(1);

    fn seen(client: usize, line: usize, time: u64, steps: &[Step], said: &[Answer]) -> Operation {
        Operation {
            client,
            action: Action::Run { line, steps: steps.to_vec() },
            invoked: time,
            returned: time + 1,
            answers: Some(said.to_vec()),
            after: Vec::new(),
        }
    }

    fn counts(numbers: &[(usize, usize, i64)]) -> Vec<Operation> {
        let looks = numbers.iter().zip(0..);
        looks
            .map(|((client, line, number), time)| {
                seen(*client, *line, time, &[Step::Get(A)], &[Answer::Number(*number)])
            })
            .collect()
    }

    #[test]
    fn a_stale_session_is_fine_and_one_that_goes_back_is_not() {
        assert_eq!(check(&counts(&[(0, 0, 5), (1, 0, 3), (0, 0, 5), (1, 0, 4)])), Ok(4));
        let error = check(&counts(&[(0, 0, 5), (1, 0, 3), (0, 0, 4)])).expect_err("it went back");
        assert!(error.contains("client 0"), "{error}");
        assert_eq!(check(&counts(&[(0, 0, 5), (0, 1, 3)])), Ok(2), "another line");
    }

    #[test]
    fn a_client_sees_its_own_writes() {
        let write = seen(0, 0, 0, &[Step::Add(A, 2)], &[Answer::Number(2)]);
        let read = |answer| seen(0, 0, 1, &[Step::Get(A)], &[answer]);
        assert_eq!(check(&[write.clone(), read(Answer::Number(2))]), Ok(2));
        assert!(check(&[write.clone(), read(Answer::Number(1))]).is_err());
        assert!(check(&[write, read(Answer::Nothing)]).is_err());
    }

    #[test]
    fn lists_go_on_from_what_was_seen() {
        let range = |time, said: &[i64]| {
            seen(0, 0, time, &[Step::Range(A)], &[Answer::Numbers(said.to_vec())])
        };
        assert_eq!(check(&[range(0, &[]), range(1, &[7]), range(2, &[7, 8])]), Ok(3));
        assert!(check(&[range(0, &[7]), range(1, &[8, 7])]).is_err(), "another order");
        assert!(check(&[range(0, &[7, 8]), range(1, &[7])]).is_err(), "shorter");
        let push = seen(0, 0, 1, &[Step::Push(A, 9)], &[Answer::Number(3)]);
        assert!(check(&[range(0, &[7, 8]), push, range(2, &[7, 8])]).is_err(), "its own is gone");
    }

    #[test]
    fn keys_that_shrink_are_not_judged() {
        let mut history = counts(&[(0, 0, 5), (0, 0, 4)]);
        history.push(seen(3, 0, 9, &[Step::Delete(A)], &[Answer::Number(1)]));
        assert_eq!(check(&history), Ok(0));
    }

    #[test]
    fn half_of_a_batch_is_noticed() {
        let look = |a, b| {
            seen(0, 0, 0, &[Step::Get(A), Step::Get(B)], &[Answer::Number(a), Answer::Number(b)])
        };
        assert_eq!(check_together(&[look(3, 3), look(4, 4)], &[A, B]), Ok(2));
        assert!(check_together(&[look(3, 3), look(4, 3)], &[A, B]).is_err());
    }
    #[test]
    fn a_later_write_without_the_earlier_is_noticed() {
        let look = |a, b| seen(0, 0, 0, &[Step::Get(A), Step::Get(B)], &[a, b]);
        let (one, two) = (Answer::Number(1), Answer::Number(2));
        let right = [
            look(Answer::Nothing, Answer::Nothing),
            look(one.clone(), Answer::Nothing),
            look(two.clone(), one.clone()),
            look(two.clone(), two.clone()),
        ];
        assert_eq!(check_ordered(&right, [A, B]), Ok(4));
        assert!(check_ordered(&[look(one, two.clone())], [A, B]).is_err());
        assert!(check_ordered(&[look(Answer::Nothing, two)], [A, B]).is_err());
    }
}

//! Histories that are right, and histories that are subtly wrong.

use super::{Judged, check};
use crate::history::{NEVER, Operation, end_unknown};
use crate::model::{Action, Answer, Answer::*, Data, Key, Step, Step::*};
use reef_fuzz::choice::{Choice, Rng};

const A: Key = Key(0);
const B: Key = Key(1);

fn on(line: usize, client: usize, when: (u64, u64), steps: &[Step], said: &[Answer]) -> Operation {
    Operation {
        client,
        action: Action::Run { line, steps: steps.to_vec() },
        invoked: when.0,
        returned: when.1,
        answers: Some(said.to_vec()),
        after: Vec::new(),
    }
}

fn one(client: usize, when: (u64, u64), step: Step, said: Answer) -> Operation {
    on(0, client, when, &[step], &[said])
}

fn lost(client: usize, invoked: u64, step: Step) -> Operation {
    Operation { answers: None, ..one(client, (invoked, NEVER), step, Done) }
}

fn fork(returned: u64, after: &[usize]) -> Operation {
    Operation {
        client: 9,
        action: Action::Fork { from: 0, to: 1 },
        invoked: 0,
        returned,
        answers: Some(Vec::new()),
        after: after.to_vec(),
    }
}

#[track_caller]
fn right(history: &[Operation]) -> Judged {
    check(history).unwrap_or_else(|violation| panic!("{violation}"))
}

/// Wrong, and it shows in this operation.
#[track_caller]
fn wrong(history: &[Operation], shows_in: &str) {
    let violation = check(history).expect_err("no order explains it").to_string();
    let line = violation.lines().nth(1).expect("an operation");
    assert!(line.contains(shows_in), "{violation}");
}

#[test]
fn reads_under_way_with_a_write_may_see_either() {
    right(&[
        one(0, (0, 10), Set(A, 1), Done),
        one(0, (20, 50), Set(A, 2), Done),
        one(1, (25, 30), Get(A), Number(1)),
        one(2, (26, 40), Get(A), Number(2)),
        one(1, (60, 70), Get(A), Number(2)),
    ]);
}

#[test]
fn a_stale_read_is_noticed() {
    wrong(
        &[
            one(0, (0, 10), Set(A, 1), Done),
            one(0, (20, 30), Set(A, 2), Done),
            one(1, (40, 50), Get(A), Number(1)),
        ],
        "GET",
    );
    // Two readers, both under way with the write, but the second began after the first had seen it.
    wrong(
        &[
            one(0, (0, 10), Set(A, 1), Done),
            one(0, (20, 90), Set(A, 2), Done),
            one(1, (25, 40), Get(A), Number(2)),
            one(2, (50, 60), Get(A), Number(1)),
        ],
        "client 2: [0] GET",
    );
}

#[test]
fn a_lost_update_is_noticed() {
    let both_saw_the_same =
        [one(0, (0, 20), Add(A, 1), Number(1)), one(1, (10, 30), Add(A, 1), Number(1))];
    wrong(&both_saw_the_same, "INCRBY");
    wrong(
        &[
            one(0, (0, 20), Add(A, 1), Number(1)),
            one(1, (10, 30), Add(A, 1), Number(2)),
            one(1, (40, 50), Get(A), Number(1)),
        ],
        "GET",
    );
    wrong(&[one(0, (0, 20), SetAbsent(A, 1), Done), one(1, (10, 30), SetAbsent(A, 2), Done)], "NX");
    wrong(
        &[
            one(0, (0, 10), Push(A, 7), Number(1)),
            one(1, (20, 40), Pop(A), Number(7)),
            one(2, (30, 50), Pop(A), Number(7)),
        ],
        "LPOP",
    );
}

#[test]
fn a_batch_seen_by_half_is_noticed() {
    let write = on(0, 0, (0, 50), &[Set(A, 1), Set(B, 1)], &[Done, Done]);
    let read = |when, a, b| on(0, 1, when, &[Get(A), Get(B)], &[a, b]);
    right(&[write.clone(), read((10, 20), Nothing, Nothing), read((30, 40), Number(1), Number(1))]);
    wrong(&[write.clone(), read((10, 20), Number(1), Nothing)], "GET");
    // By two reads of one key each, in either order of keys.
    let get = |when, key, said| one(1, when, Get(key), said);
    wrong(&[write.clone(), get((10, 20), A, Number(1)), get((30, 40), B, Nothing)], "GET k:1");
    wrong(&[write, get((10, 20), B, Number(1)), get((30, 40), A, Nothing)], "GET k:0");
}

#[test]
fn lists_keep_their_order() {
    let pushes = [
        one(0, (0, 20), Push(A, 1), Number(1)),
        one(1, (10, 30), Push(A, 2), Number(2)),
        one(2, (40, 50), Move(A, B), Number(1)),
    ];
    let range = |key, said: &[i64]| one(2, (60, 70), Range(key), Numbers(said.to_vec()));
    right(&[&pushes[..], &[range(A, &[2]), range(B, &[1])]].concat());
    wrong(&[&pushes[..], &[range(A, &[1])]].concat(), "LRANGE");
    wrong(&[&pushes[..2], &[range(A, &[2, 1])]].concat(), "LRANGE");
}

#[test]
fn what_is_unknown_may_happen_late_or_never_but_once() {
    let history = |seen: &[(u64, i64)]| {
        let mut history = vec![one(0, (0, 10), Add(A, 1), Number(1)), lost(1, 5, Add(A, 10))];
        for (time, number) in seen {
            history.push(one(2, (*time, time + 1), Get(A), Number(*number)));
        }
        history
    };
    right(&history(&[(20, 1), (30, 1)]));
    right(&history(&[(20, 1), (3000, 11)]));
    right(&history(&[(20, 11)]));
    wrong(&history(&[(20, 1), (30, 11), (40, 1)]), "40");
    wrong(&history(&[(20, 11), (30, 21)]), "30");
    // Whoever might have done it is gone.
    let mut late = history(&[(20, 1), (26, 1), (3000, 11)]);
    right(&late);
    end_unknown(&mut late, 0, 25);
    wrong(&late, "3.000");
    let mut in_time = history(&[(20, 1), (24, 11), (3000, 11)]);
    end_unknown(&mut in_time, 0, 25);
    right(&in_time);
}

#[test]
fn a_promotion_keeps_a_prefix_with_all_that_was_acknowledged() {
    let history = |kept: &[usize], found: Answer| {
        vec![
            one(0, (0, 10), Add(A, 1), Number(1)),
            one(0, (20, 30), Add(A, 1), Number(2)),
            one(1, (35, 95), Get(A), Number(2)),
            fork(50, kept),
            on(1, 1, (60, 70), &[Get(A)], &[found]),
        ]
    };
    right(&history(&[], Nothing));
    right(&history(&[], Number(1)));
    right(&history(&[0], Number(2)));
    wrong(&history(&[0], Nothing), "[1] GET");
    wrong(&history(&[0, 1], Number(1)), "[1] GET");
    wrong(&history(&[], Number(3)), "[1] GET");
    // Not the later one without the earlier.
    let other = [
        one(0, (0, 10), Push(A, 1), Number(1)),
        one(0, (20, 30), Push(A, 2), Number(2)),
        fork(50, &[]),
        on(1, 1, (60, 70), &[Range(A)], &[Numbers(vec![2])]),
    ];
    wrong(&other, "[1] LRANGE");
}

#[test]
fn the_old_primary_goes_on_apart() {
    let history = |on_old: i64, on_new: i64| {
        vec![
            one(0, (0, 10), Add(A, 1), Number(1)),
            fork(20, &[0]),
            on(1, 1, (30, 40), &[Add(A, 5)], &[Number(on_new)]),
            one(0, (30, 40), Add(A, 1), Number(on_old)),
            on(1, 1, (50, 60), &[Get(A)], &[Number(on_new)]),
        ]
    };
    right(&history(2, 6));
    wrong(&history(7, 6), "INCRBY");
    wrong(&history(2, 7), "INCRBY");
}

#[test]
fn keys_that_do_not_meet_are_judged_apart() {
    let mut history = Vec::new();
    for key in 0..50 {
        history.push(lost(key, 0, Set(Key(key as u32), 1)));
    }
    history.push(one(60, (10, 20), Get(Key(3)), Nothing));
    let judged = right(&history);
    assert_eq!((judged.groups, judged.possibilities), (50, 1));
}

/// A history made by really doing it, at a random moment of each operation.
fn random_history(seed: u64, count: usize) -> Vec<Operation> {
    let mut rng = Rng::new(seed);
    let (mut data, mut history) = (Data::default(), Vec::new());
    for moment in 0..count as u64 {
        let key = Key(rng.below(2) as u32);
        let step = match rng.below(6) {
            0 => Set(key, rng.below(3) as i64),
            1 => Add(key, 1),
            2 => Swap(key, rng.below(3) as i64),
            3 => SetAbsent(key, 5),
            4 if rng.one_in(3) => Delete(key),
            _ => Get(key),
        };
        let steps = if rng.one_in(4) { vec![step, Get(A), Add(B, 1)] } else { vec![step] };
        let said: Vec<_> = steps.iter().map(|step| data.step(step)).collect();
        let time = 1000 + moment * 10;
        let when = (time - rng.below(40) as u64, time + 1 + rng.below(40) as u64);
        history.push(on(0, moment as usize, when, &steps, &said));
    }
    history
}

#[test]
fn what_was_really_done_is_right_and_what_was_changed_is_mostly_noticed() {
    let mut noticed = 0;
    for seed in 0..200 {
        let mut history = random_history(seed, 60);
        right(&history);
        let mut rng = Rng::new(seed ^ 0xff);
        let at = rng.below(history.len());
        let answers = history[at].answers.as_mut().expect("it answered");
        answers[0] = Number(1_000_000);
        assert!(check(&history).is_err(), "seed {seed}: nobody wrote a million");
        // An operation that is made to begin after whatever it saw was replaced.
        let mut late = random_history(seed, 60);
        late[at].invoked += 300;
        late[at].returned += 300;
        noticed += usize::from(check(&late).is_err());
    }
    assert!(noticed > 100, "only {noticed} of 200");
}

//! Intersection, union and difference of sets, member by member.
//!
//! Results are shown to a visitor, never collected: what is said to a client costs no second set,
//! and who wants to store a result adds to one of his own. Each member is shown once. Memory is
//! used for members of the smaller sets alone.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::ControlFlow;
use core::ptr;

use super::element::Element;
use super::hasher::Hasher;
use super::limits::Limits;
use super::set::Set;

/// Shows what all of `sets` have in common until `visit` breaks.
pub fn intersect<'a>(
    hasher: &Hasher,
    sets: &[&'a Set],
    mut visit: impl FnMut(Element<'a>) -> ControlFlow<()>,
) {
    let mut sets = sets.to_vec();
    // Whatever is in all of them is in the smallest, and most others fail in the next smallest.
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    // One that is named again has nothing to add.
    let others: Vec<_> = others.iter().filter(|other| !ptr::eq(**other, *smallest)).collect();
    for member in smallest.iter() {
        let everywhere = others.iter().all(|other| holds(hasher, other, member));
        if everywhere && visit(member).is_break() {
            return;
        }
    }
}

/// Shows what at least one of `sets` has.
pub fn unite<'a>(
    hasher: &Hasher,
    limits: &Limits,
    sets: &[&'a Set],
    mut visit: impl FnMut(Element<'a>),
) {
    let mut sets = sets.to_vec();
    sets.sort_by_key(|set| Reverse(set.len()));
    let Some((largest, others)) = sets.split_first() else { return };
    largest.iter().for_each(&mut visit);
    let others: Vec<_> = others.iter().filter(|other| !ptr::eq(**other, *largest)).collect();
    let mut shown = Set::new();
    let is_pair = others.len() == 1;
    for member in others.iter().flat_map(|other| other.iter()) {
        let is_new = !holds(hasher, largest, member)
            && (is_pair || member.with(|text| shown.add(hasher, text, limits)));
        if is_new {
            visit(member);
        }
    }
}

/// Shows what `set` has and none of `others`.
pub fn subtract<'a>(
    hasher: &Hasher,
    limits: &Limits,
    set: &'a Set,
    others: &[&Set],
    visit: impl FnMut(Element<'a>),
) {
    let mut others = others.to_vec();
    others.sort_by_key(|other| Reverse(other.len()));
    // Looking every member up in half of the others on average, or every member of the others here.
    let look_there = set.len().saturating_mul(others.len()) / 2;
    let look_here = others.iter().map(|other| other.len()).sum::<usize>() + set.len();
    if look_there <= look_here {
        let is_left =
            |member: &Element<'_>| !others.iter().any(|other| holds(hasher, other, *member));
        return set.iter().filter(is_left).for_each(visit);
    }
    let mut gone = Set::new();
    for member in others.iter().flat_map(|other| other.iter()) {
        if gone.len() == set.len() {
            return;
        }
        if holds(hasher, set, member) {
            member.with(|text| gone.add(hasher, text, limits));
        }
    }
    set.iter().filter(|member| !holds(hasher, &gone, *member)).for_each(visit);
}

/// Whether a member of another set is in this one too.
fn holds(hasher: &Hasher, set: &Set, member: Element<'_>) -> bool {
    match (member, set.as_ints()) {
        (Element::Int(value), Some(ints)) => ints.contains(value),
        _ => member.with(|text| set.contains(hasher, text)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::format;
    use std::vec::Vec;

    use super::super::random::{below, seeded};
    use super::*;

    type Model = BTreeSet<Vec<u8>>;

    /// Sets of all forms and sizes, with much in common.
    fn some_sets(random: &mut impl FnMut() -> u64, hasher: &Hasher) -> Vec<(Set, Model)> {
        let count = 1 + below(random, 6);
        (0..count)
            .map(|_| {
                let range = [3, 40, 200, 1500][below(random, 4)];
                let words = below(random, 2) == 0;
                let (mut set, mut model) = (Set::new(), Model::new());
                for _ in 0..below(random, range * 2) {
                    let number = below(random, range);
                    let text = if words && number.is_multiple_of(3) {
                        format!("m{number}")
                    } else {
                        format!("{number}")
                    };
                    set.add(hasher, text.as_bytes(), &Limits::default());
                    model.insert(text.into_bytes());
                }
                (set, model)
            })
            .collect()
    }

    /// What was shown; panics if something was shown twice.
    fn shown(run: impl FnOnce(&mut dyn FnMut(Element<'_>))) -> Model {
        let mut model = Model::new();
        run(&mut |member| assert!(model.insert(member.to_vec()), "shown once"));
        model
    }

    #[test]
    fn results_are_those_of_a_model() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut random = seeded(5);
        for _ in 0..400 {
            let pairs = some_sets(&mut random, &hasher);
            let mut sets: Vec<&Set> = pairs.iter().map(|(set, _)| set).collect();
            let mut models: Vec<&Model> = pairs.iter().map(|(_, model)| model).collect();
            if below(&mut random, 4) == 0 {
                // The same key may be named twice.
                sets.push(sets[0]);
                models.push(models[0]);
            }
            let common = models[1..].iter().fold(models[0].clone(), |all, model| &all & *model);
            let all = models[1..].iter().fold(models[0].clone(), |all, model| &all | *model);
            let left = models[1..].iter().fold(models[0].clone(), |all, model| &all - *model);
            let intersection = shown(|visit| {
                intersect(&hasher, &sets, |member| {
                    visit(member);
                    ControlFlow::Continue(())
                });
            });
            assert_eq!(intersection, common);
            assert_eq!(shown(|visit| unite(&hasher, &limits, &sets, visit)), all);
            let difference = shown(|visit| subtract(&hasher, &limits, sets[0], &sets[1..], visit));
            assert_eq!(difference, left);
        }
    }

    #[test]
    fn a_difference_from_many_small_sets_is_that_from_one() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let add = |set: &mut Set, number: usize| {
            set.add(&hasher, format!("{number}").as_bytes(), &limits)
        };
        let mut large = Set::new();
        (0..10_000).for_each(|number| assert!(add(&mut large, number)));
        let mut small = Set::new();
        (0..10).for_each(|number| assert!(add(&mut small, number)));
        let others = std::vec![&small; 1000];
        let left = shown(|visit| subtract(&hasher, &limits, &large, &others, visit));
        assert_eq!(left.len(), 9_990);
    }

    #[test]
    fn an_intersection_ends_when_the_visitor_has_enough() {
        let hasher = Hasher::new(1);
        let mut set = Set::new();
        (0..100).for_each(|number| {
            set.add(&hasher, format!("{number}").as_bytes(), &Limits::default());
        });
        let mut seen = 0;
        intersect(&hasher, &[&set, &set], |_| {
            seen += 1;
            if seen == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, 7);
    }
}

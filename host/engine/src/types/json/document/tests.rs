//! Random changes of documents: the size is always known, and undoing them in reverse order gives the
//! document as it was.

use alloc::vec;
use std::format;

use super::super::super::random::seeded;
use super::super::parse::parse;
use super::super::path::Path;
use super::super::write::compact;
use super::*;

fn sample(random: &mut dyn FnMut() -> u64, depth: usize) -> Json {
    let size = if depth > 3 { 0 } else { (random() % 5) as usize };
    match random() % 9 {
        0 => Json::Null,
        1 => Json::Bool(random().is_multiple_of(2)),
        2 => Json::Integer(random() as i64),
        3 => Json::Double((random() % 1000) as f64 / 8.0),
        4 => Json::text("long enough for the heap ".repeat(1 + size).as_bytes()),
        5 => Json::text(&b"short"[..size.min(5)]),
        6 | 7 => Json::array((0..size * 3).map(|_| sample(random, depth + 1)).collect()),
        _ => {
            let mut object = Object::new();
            for _ in 0..size * 8 {
                let name =
                    format!("name {}{}", random() % 30, "!".repeat((random() % 20) as usize));
                object.put(name.as_bytes().into(), sample(random, depth + 1));
            }
            Json::Object(Box::new(object))
        }
    }
}

/// Any place of a document.
fn place(document: &Document, random: &mut dyn FnMut() -> u64) -> Vec<usize> {
    let mut at = vec![];
    while let Some(children) = document.at(&at).map(|value| value.children().count())
        && children > 0
        && !random().is_multiple_of(4)
    {
        at.push((random() % children as u64) as usize);
    }
    at
}

fn change(document: &mut Document, random: &mut dyn FnMut() -> u64, changes: &mut Vec<Change>) {
    let at = place(document, random);
    let value = sample(random, 1);
    let children = document.at(&at).map_or(0, |value| value.children().count());
    let position = (random() % (children as u64 + 1)) as usize;
    match random() % 7 {
        0 => changes.extend(document.set(&at, value).unwrap()),
        1 => {
            let name = Text::from(format!("new {}", random() % 9).as_bytes());
            let object = document.at(&at).and_then(Json::as_object);
            if object.is_some_and(|object| object.get(name.as_bytes()).is_none()) {
                changes.extend(document.add(&at, name, value).unwrap());
            }
        }
        2 => changes.extend(document.remove(&at)),
        3 => {
            let positions: Vec<usize> =
                (0..children).filter(|_| random().is_multiple_of(3)).collect();
            changes.extend(document.remove_elements(&at, &positions));
        }
        4 => {
            let new = vec![value, sample(random, 2)];
            changes.extend(document.insert(&at, position, new).unwrap());
        }
        5 => changes.extend(document.trim(&at, position / 2, position)),
        _ => document.merge(&at, value, &mut |change| changes.push(change)).unwrap(),
    }
}

#[test]
fn random_changes_are_counted_and_undone() {
    for seed in 0..60 {
        let mut random = seeded(seed);
        let mut document = Document::new(Json::Null);
        for _ in 0..20 {
            if !matches!(document.root(), Json::Array(_) | Json::Object(_)) {
                document = Document::new(sample(&mut random, 0));
            }
            let before = compact(document.root());
            let mut changes = Vec::new();
            for _ in 0..random() % 12 {
                change(&mut document, &mut random, &mut changes);
                document.check();
            }
            if random().is_multiple_of(2) {
                changes.into_iter().rev().for_each(|change| document.undo(change));
                document.check();
                assert_eq!(compact(document.root()), before, "seed {seed}");
            }
        }
    }
}

#[test]
fn merging_follows_the_examples_of_the_rfc() {
    for (target, patch, merged) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let mut document = Document::new(parse(target).unwrap());
        let mut changes = Vec::new();
        document.merge(&[], parse(patch).unwrap(), &mut |change| changes.push(change)).unwrap();
        assert_eq!(compact(document.root()), merged.as_bytes());
        document.check();
        changes.into_iter().rev().for_each(|change| document.undo(change));
        assert_eq!(compact(document.root()), target.as_bytes());
    }
}

#[test]
fn nothing_is_made_too_deep() {
    let nested = |depth| parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
    let mut document = Document::new(nested(100));
    let path = Path::parse(b"$..[?(@.x)]").unwrap();
    assert_eq!(path.find(document.root()).unwrap().len(), 0);
    let at = vec![0; 99];
    assert_eq!(document.insert(&at, 0, vec![nested(28)]).unwrap_err(), TooDeep);
    assert!(document.insert(&at, 0, vec![nested(27)]).unwrap().is_some());
    assert_eq!(document.root().depth(), DEPTH_MAX);
    assert_eq!(document.set(&at[1..], nested(30)).unwrap_err(), TooDeep);
    assert!(document.merge(&at, nested(29), &mut |_| {}).is_err());
    document.check();
}

#[test]
fn a_million_elements_go_in_one_pass() {
    let million = 1_000_000;
    let mut document = Document::new(Json::array((0..million).map(Json::Integer).collect()));
    let odd: Vec<usize> = (0..million as usize).filter(|at| at % 2 == 1).collect();
    let change = document.remove_elements(&[], &odd).unwrap();
    assert_eq!(document.root().children().count(), 500_000);
    document.undo(change);
    document.check();
    assert!(
        document
            .root()
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .all(|(at, value)| { matches!(value, Json::Integer(number) if *number == at as i64) })
    );
}

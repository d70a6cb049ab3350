//! The small languages that arguments are written in (patterns, numbers, ids, classes of events,
//! usage lines, JSON and paths into it), against plain ideas of what they mean.

use reef_engine::notifications::Classes;
use reef_engine::types::json::{DEPTH_MAX, Document, Json, Path, parse, write};
use reef_engine::types::long_double::LongDouble;
use reef_engine::types::stream_id::Id;
use reef_engine::types::{bounds, glob, hyperloglog, number};
use reef_engine::usage;
use reef_resp::{OwnedArgv, split_line};

use crate::choice::{Choice, Source};
use crate::measure::Measure;

/// Reads these bytes in every one of the languages.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let measure = Measure::begin();
    while !source.is_empty() {
        patterns(&mut source);
        let text = numeral(&mut source);
        integers(&text);
        floats(&text);
        ids(&text);
        words(&mut source);
        sketches(&mut source);
        documents(&mut source);
    }
    measure.end(|| "small languages".to_owned());
}

/// Letters of an alphabet so small that they meet.
fn letters(source: &mut Source<'_>, alphabet: &[u8], length_max: usize) -> Vec<u8> {
    let length = source.below(length_max);
    (0..length).map(|_| alphabet[source.below(alphabet.len())]).collect()
}

fn patterns(source: &mut Source<'_>) {
    let pattern = letters(source, b"ab*?[]^-\\", 12);
    let text = letters(source, b"ab*-]^", 8);
    let matches = glob::matches(&pattern, &text);
    let shown = || format!("{} against {}", pattern.escape_ascii(), text.escape_ascii());
    assert!(!matches || glob::matches_nocase(&pattern, &text), "{}", shown());
    if !pattern.contains(&b'[') {
        assert_eq!(matches, matches_plainly(&pattern, &text), "{}", shown());
    }
    let escaped: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
    assert!(glob::matches(&escaped, &text), "its own letters: {}", shown());
}

/// What a pattern without sets matches. An empty text is matched by the empty pattern only.
fn matches_plainly(pattern: &[u8], text: &[u8]) -> bool {
    fn rest(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', behind @ ..] => (0..=text.len()).any(|skipped| rest(behind, &text[skipped..])),
            [b'?', behind @ ..] => !text.is_empty() && rest(behind, &text[1..]),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                text.first() == Some(byte) && rest(behind, &text[1..])
            }
        }
    }
    if text.is_empty() { pattern.is_empty() } else { rest(pattern, text) }
}

fn numeral(source: &mut Source<'_>) -> Vec<u8> {
    match source.below(4) {
        0 => source.bytes(20).to_vec(),
        1 => letters(source, b"0123456789", 320),
        _ => letters(source, b"0123456789+-.eExXinfaINFpP- \0", 40),
    }
}

fn integers(text: &[u8]) {
    let plain = std::str::from_utf8(text).ok().and_then(|text| {
        let value: i64 = text.parse().ok()?;
        (value.to_string() == text).then_some(value)
    });
    assert_eq!(number::parse_i64(text), plain, "{}", text.escape_ascii());
}

fn floats(text: &[u8]) {
    for value in [number::parse_f64(text), number::parse_f64_any_size(text)].into_iter().flatten() {
        assert!(!value.is_nan(), "{}", text.escape_ascii());
        let mut written = Vec::new();
        number::write_f64_shortest(&mut written, value);
        let again = number::parse_f64(&written);
        assert_eq!(again, Some(value), "{}", written.escape_ascii());
        written.clear();
        number::write_f64(&mut written, value);
        assert_eq!(number::parse_f64(&written), Some(value), "{}", written.escape_ascii());
    }
    if let Some(value) = LongDouble::parse(text) {
        let mut written = Vec::new();
        value.write(&mut written);
        assert!(written.len() < 6000, "{}", text.escape_ascii());
    }
}

fn ids(text: &[u8]) {
    if let Some(id) = Id::parse(text, 0) {
        let mut buffer = [0; reef_engine::types::stream_id::TEXT_BYTES_MAX];
        assert_eq!(Id::parse(id.format(&mut buffer), 7), Some(id));
        assert_eq!(id.next().and_then(Id::previous), id.next().map(|_| id));
    }
    let _ = Id::parse_bound(text, u64::MAX);
    let _ = bounds::ScoreRange::parse(text, text);
    let _ = bounds::LexRange::parse(text, text);
}

/// Text that is nearly JSON, and paths into it.
fn documents(source: &mut Source<'_>) {
    let mut text = String::new();
    value(source, &mut text, 0);
    if source.one_in(4) {
        let at = source.below(text.len() + 1);
        text.insert_str(at, source.pick(&["[", "]", "{", ",", "\"", "1", "\\", "e", "-", " "]));
    }
    let Ok(root) = parse::parse(&text) else { return };
    let document = Document::new(root);
    document.check();
    assert!(document.root().depth() <= DEPTH_MAX);
    let written = write::compact(document.root());
    let again =
        parse::parse(std::str::from_utf8(&written).expect("text")).expect("what was written");
    assert!(again.is_same(document.root()), "{text}");
    assert_eq!(write::compact(&again), written);
    for _ in 0..4 {
        paths(source, document.root());
    }
}

fn value(source: &mut Source<'_>, text: &mut String, depth: usize) {
    let size = if depth > 4 { 0 } else { source.below(6) };
    match source.below(8) {
        0 => {
            text.push_str(source.pick(&["null", "true", "false", "0", "-1", "1e3", "2.5", "1e-9"]))
        }
        1 => text.push_str(&source.below(300).to_string()),
        2 => text.push_str(source.pick(&[
            "\"\"",
            "\"a\"",
            "\"\\u00e9\\n\"",
            "\"a longer text than fits\"",
        ])),
        3..6 => {
            text.push('[');
            for at in 0..size {
                text.push_str(if at > 0 { "," } else { "" });
                value(source, text, depth + 1);
            }
            text.push(']');
        }
        _ => {
            text.push('{');
            for at in 0..size * 4 {
                text.push_str(if at > 0 { "," } else { "" });
                let name = source.pick(&["a", "b", "c", "d"]);
                text.push_str(&format!("\"{name}{}\":", source.below(8) / 2));
                value(source, text, depth + 1);
            }
            text.push('}');
        }
    }
}

/// Pieces of paths, mostly in an order that makes sense.
fn paths(source: &mut Source<'_>, root: &Json) {
    const PIECES: [&str; 28] = [
        ".a0",
        ".b1",
        "..",
        ".*",
        "..*",
        "[*]",
        "[0]",
        "[-1]",
        "[1:]",
        "[:-1:2]",
        "[0,1]",
        "['a0','b0']",
        "[\"c\\\"\"]",
        "[?(@>1)]",
        "[?(@.a0)]",
        "[?(@.a0==@.b0||@<3&&!",
        "[?(@ =~ 'a+')]",
        "[?(@.a1[?(@>$.b0)])]",
        "[?(@!=null)]",
        "[?@..a0]",
        ")",
        "]",
        "(",
        "?",
        "@",
        "$",
        " ",
        "a",
    ];
    let mut text = String::from(source.pick(&["$", "$", "$", "", "."]));
    for _ in 0..source.below(6) {
        text.push_str(source.pick(&PIECES));
    }
    let Ok(path) = Path::parse(text.as_bytes()) else { return };
    let (Ok(found), Ok(located)) = (path.find(root), path.locate(root, |_| true)) else { return };
    assert_eq!(found.len(), located.len(), "{text}");
    for (value, location) in found.iter().zip(located.into_iter().flatten()) {
        let at = location.iter().try_fold(root, |value, at| value.child(*at));
        assert!(at.is_some_and(|at| std::ptr::eq(at, *value)), "{text}");
    }
    assert!(!path.is_single() || found.len() <= 1, "{text}");
    let first = path.first(root).expect("less than all");
    assert_eq!(
        first.map(std::ptr::from_ref),
        found.first().map(|value| std::ptr::from_ref(*value))
    );
}

fn words(source: &mut Source<'_>) {
    let line = letters(source, b"ab \\x\"'09\t\0\r", 30);
    let _ = split_line(&line, &mut OwnedArgv::new());
    let usage = letters(source, b"aB <>[]|... k", 40);
    let arguments = usage::parse(&String::from_utf8_lossy(&usage));
    let _ = usage::line(&arguments, " ");
    let classes = letters(source, b"KEg$lshzxetdmnA?", 8);
    if let Some(classes) = Classes::parse(&classes) {
        assert_eq!(Classes::parse(classes.letters().as_bytes()), Some(classes));
    }
}

/// HyperLogLogs are strings that anybody can write.
fn sketches(source: &mut Source<'_>) {
    let mut text = hyperloglog::empty();
    for element in 0..source.below(50) {
        let _ = hyperloglog::add(&mut text, &element.to_le_bytes(), 3000);
    }
    if source.one_in(16) {
        let _ = hyperloglog::make_dense(&mut text);
    }
    for _ in 0..source.below(6) {
        let at = source.below(text.len().min(200));
        text[at] = source.below(256) as u8;
    }
    if source.one_in(3) {
        text.truncate(source.below(text.len()));
    }
    let _ = hyperloglog::encoding(&text);
    let _ = hyperloglog::last_count(&text);
    let _ = hyperloglog::count(&text);
    let _ = hyperloglog::add(&mut text, b"another", 3000);
    let _ = hyperloglog::count(&text);
    let _ = hyperloglog::make_dense(&mut text);
}

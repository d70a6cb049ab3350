//! Paths: what they lead to, what is no path, and that hostile ones end.

use std::format;
use std::string::String;
use std::vec;

use super::super::parse::parse;
use super::super::write;
use super::*;

fn found(path: &str, document: &str) -> String {
    let document = parse(document).unwrap();
    let path = Path::parse(path.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    let mut out = Vec::new();
    let values = path.find(&document).unwrap();
    write::write_array(&mut out, values.into_iter(), &write::Layout::default());
    String::from_utf8(out).unwrap()
}

const STORE: &str = r#"{"store":{"book":[
    {"category":"reference","author":"Nigel Rees","price":8.95},
    {"category":"fiction","author":"Evelyn Waugh","price":12.99,"max":13},
    {"category":"fiction","author":"Herman Melville","isbn":"0-553-21311-3","price":8.99},
    {"category":"fiction","author":"J. R. R. Tolkien","isbn":"0-395-19395-8","price":22.99}],
    "bicycle":{"color":"red","price":19.95}},"limit":10}"#;

#[test]
fn paths_lead_to_values_in_order() {
    for (path, document, expected) in [
        ("$", "[1]", "[[1]]"),
        (".", "[1]", "[[1]]"),
        ("a.b", r#"{"a":{"b":2}}"#, "[2]"),
        (".a[0]", r#"{"a":[7]}"#, "[7]"),
        ("['a']", r#"{"a":[7]}"#, "[[7]]"),
        ("$ . a [ 0 ]", r#"{" . a [ 0 ]":1}"#, "[]"),
        ("$.a [ 0 ] . b", r#"{"a":[{"b":3}]}"#, "[3]"),
        ("$.*", r#"{"a":1,"b":[2]}"#, "[1,[2]]"),
        ("$[*]", "[1,[2]]", "[1,[2]]"),
        ("$['a','c',\"b\"]", r#"{"a":1,"b":2,"c":3}"#, "[1,3,2]"),
        (r#"$["a\"b"]['c\'d\\']"#, r#"{"a\"b":{"c'd\\":1}}"#, "[1]"),
        ("$['\u{e4} x']", "{\"\u{e4} x\":5}", "[5]"),
        ("$[1,-1,0,9]", "[1,2,3]", "[2,3,1]"),
        ("$[-9]", "[1,2,3]", "[1]"),
        ("$[1:]", "[1,2,3]", "[2,3]"),
        ("$[:2]", "[1,2,3]", "[1,2]"),
        ("$[-2:]", "[1,2,3]", "[2,3]"),
        ("$[:-1]", "[1,2,3]", "[1,2]"),
        ("$[0:9:2]", "[1,2,3]", "[1,3]"),
        ("$[::2]", "[1,2,3]", "[1,3]"),
        ("$[2:1]", "[1,2,3]", "[]"),
        ("$[99999999999999999999]", "[1,2,3]", "[]"),
        ("$..a", r#"{"a":{"a":1},"b":[{"a":2}]}"#, r#"[{"a":1},1,2]"#),
        ("$..*", "[[1],2]", "[[1],2,1]"),
        ("$..[0]", "[[1],2]", "[[1],1]"),
        ("$..['a','b']", r#"[{"a":1,"b":2}]"#, "[1,2]"),
        ("$a", r#"{"$a":4}"#, "[4]"),
    ] {
        assert_eq!(found(path, document), expected, "{path}");
    }
}

#[test]
fn filters_select_children() {
    for (path, document, expected) in [
        ("$.store.book[?(@.price<10)].author", STORE, r#"["Nigel Rees","Herman Melville"]"#),
        ("$..book[?(@.price<$.limit)].price", STORE, "[8.95,8.99]"),
        ("$..book[?(@.isbn)].price", STORE, "[8.99,22.99]"),
        ("$..book[?(@.price==8.95||@.price>20&&@.isbn)].price", STORE, "[8.95,22.99]"),
        ("$..book[?((@.price==8.95||@.price>20)&&@.isbn)].price", STORE, "[22.99]"),
        ("$..book[?(@.author =~ '^(?i)her.*')].price", STORE, "[8.99]"),
        ("$..book[?@.category != \"fiction\"].price", STORE, "[8.95]"),
        ("$..book[?(@.max > @.price)].max", STORE, "[13]"),
        ("$[?(@>=2)]", "[1,2,3.5,\"2\",null]", "[2,3.5]"),
        ("$[?(@==2)]", "[1,2,2.0,\"2\"]", "[2,2.0]"),
        ("$[?(@!=2)]", "[1,2,null]", "[1,null]"),
        ("$[?(@==null)]", "[1,null]", "[null]"),
        ("$[?(@==true || @ == false)]", "[1,true,false]", "[true,false]"),
        ("$[?(@ < 'b')]", r#"["a","b",1]"#, r#"["a"]"#),
        ("$[?(@.a==@.b)]", r#"[{"a":[1],"b":[1.0]},{"a":1}]"#, r#"[{"a":[1],"b":[1.0]}]"#),
        ("$.*[?(@>1)]", r#"{"a":1,"b":2,"c":[1,2]}"#, "[2,2]"),
        ("$[?(@.a[?(@.b==1)])].c", r#"[{"a":[{"b":1}],"c":5},{"a":[{"b":2}],"c":6}]"#, "[5]"),
        ("$.x[?(@ =~ $.p)]", r#"{"p":"^f.o","x":["foo","bar",3]}"#, r#"["foo"]"#),
        ("$.x[?(@ =~ '(')]", r#"{"x":["(","bar"]}"#, "[]"),
        ("$[?(@.a == -1.5)].a", r#"[{"a":-1.5},{"a":1.5}]"#, "[-1.5]"),
        ("$[?(@.*)]", "[[1],[1,2],[]]", "[[1]]"),
    ] {
        assert_eq!(found(path, document), expected, "{path}");
    }
}

#[test]
fn what_is_no_path_is_told_with_its_place() {
    for (path, position, expected) in [
        ("$.", 2, Expected::Name),
        ("$..", 3, Expected::Name),
        ("$.a b", 4, Expected::Step),
        ("$.*a", 3, Expected::Step),
        ("$[", 2, Expected::Bracket),
        ("$[a]", 2, Expected::Bracket),
        ("$[-]", 2, Expected::Bracket),
        ("$[1", 2, Expected::BracketAfterNumber),
        ("$[01]", 2, Expected::BracketAfterNumber),
        ("$[1,", 4, Expected::Number),
        ("$[1:", 4, Expected::Number),
        ("$[1:2", 1, Expected::Start),
        ("$[1:2:0]", 6, Expected::PositiveNumber),
        ("$[\"a", 2, Expected::Bracket),
        ("$[\"a\" 1]", 2, Expected::BracketAfterName),
        ("$[*", 2, Expected::BracketAfterStar),
        ("$[?", 3, Expected::Test),
        ("$[?(@", 5, Expected::OperatorOrStart),
        ("$[?(@.", 6, Expected::Name),
        ("$[?(@.a = 1)]", 8, Expected::OperatorOrStep),
        ("$[?(@.a>", 8, Expected::Term),
        ("$[?(@.a>1", 9, Expected::Relation),
        ("$[?(@.a>1)", 10, Expected::Relation),
        ("$[?(@.a>1 && )]", 13, Expected::Test),
        ("$[?(1]", 5, Expected::Operator),
        ("$.\u{e9}", 2, Expected::Name),
        ("a.", 4, Expected::Name),
        ("", 2, Expected::Name),
    ] {
        let Err(PathError::Unexpected { position: at, expected: what, .. }) =
            Path::parse(path.as_bytes())
        else {
            panic!("{path}");
        };
        assert_eq!((at, what), (position, expected), "{path}");
    }
    assert_eq!(Path::parse(b"$.\xff").unwrap_err(), PathError::NotText);
}

#[test]
fn locations_lead_to_what_was_found() {
    let document = parse(STORE).unwrap();
    for path in ["$..*", "$..price", "$..book[?(@.isbn)]", "$.store.book[-2:].author", "$"] {
        let path = Path::parse(path.as_bytes()).unwrap();
        let values = path.find(&document).unwrap();
        let locations = path.locate(&document, |_| true).unwrap();
        assert_eq!(values.len(), locations.len());
        for (value, location) in core::iter::zip(values, locations.into_iter().flatten()) {
            let at = location.iter().try_fold(&document, |value, at| value.child(*at));
            assert!(core::ptr::eq(value, at.unwrap()));
        }
    }
}

#[test]
fn nesting_of_filters_is_bounded() {
    let parentheses = |depth| format!("$[?{}@.a{}]", "(".repeat(depth), ")".repeat(depth));
    assert!(Path::parse(parentheses(PARENTHESES_MAX).as_bytes()).is_ok());
    for depth in [PARENTHESES_MAX + 1, 1_000_000] {
        assert_eq!(Path::parse(parentheses(depth).as_bytes()).unwrap_err(), PathError::TooDeep);
    }
    let filters = |depth| format!("$[?{}1{}]", "@[?".repeat(depth), "]".repeat(depth));
    assert!(Path::parse(filters(FILTERS_MAX - 1).as_bytes()).is_ok());
    for depth in [FILTERS_MAX, 100_000] {
        assert_eq!(Path::parse(filters(depth).as_bytes()).unwrap_err(), PathError::TooDeep);
    }
}

#[test]
fn a_long_path_and_a_large_document_need_no_stack_and_no_patience() {
    let scalar = parse("1").unwrap();
    let long = format!("${}", "[?(@)]".repeat(200_000));
    assert_eq!(Path::parse(long.as_bytes()).unwrap().find(&scalar).unwrap().len(), 1);
    let long = format!("${}", "..[?(@)]".repeat(200_000));
    assert_eq!(Path::parse(long.as_bytes()).unwrap().find(&scalar).unwrap().len(), 1);
    let wide = Json::array((0..200_000).map(Json::Integer).collect());
    assert_eq!(Path::parse(b"$..*").unwrap().find(&wide).unwrap().len(), 200_000);
    let path = Path::parse(b"$[?(@ > $[10] && @ < $[20])]").unwrap();
    assert_eq!(path.find(&wide).unwrap().len(), 9);
    assert_eq!(Path::parse(b"$[?(@ == $[-1:])]").unwrap().find(&wide).unwrap().len(), 1);
    let long = format!("$[{}0]", "0,".repeat(1_000));
    assert_eq!(Path::parse(long.as_bytes()).unwrap().find(&wide).unwrap().len(), 1_001);
}

#[test]
fn a_path_of_a_few_bytes_cannot_look_for_ever() {
    let deep = parse(&format!("{}{}", "[".repeat(120), "]".repeat(120))).unwrap();
    let path = Path::parse(b"$..*..*..*..*..*..*").unwrap();
    let ended = path.each_within(1_000_000, &deep, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(ended, Err(TooMuch));
    // Two are found soon, which is all that a filter wants to know.
    assert!(found("$[?(@..*..*..*..*..*..* == 1)]", "[[[[[[[[[[1]]]]]]]]]]").starts_with('['));
    let texts = Json::array(vec![Json::text(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"); 2_000]);
    let path = Path::parse(br"$[?(@ =~ '(a*)*(a*)*b')]").unwrap();
    assert_eq!(path.find(&texts).unwrap().len(), 0);
}

#[test]
fn a_path_of_a_few_bytes_cannot_lead_to_the_same_value_for_ever() {
    let document = parse(r#"{"a":{"b":[1]}}"#).unwrap();
    let many = |name: &str, times| format!("[{}]", vec![format!("'{name}'"); times].join(","));
    let path = format!("${}{}", many("a", 60), many("b", 60));
    assert_eq!(Path::parse(path.as_bytes()).unwrap().find(&document).unwrap().len(), 3_600);
    let path = format!("${}{}", many("a", 1_000), many("b", 1_000));
    assert!(Path::parse(path.as_bytes()).unwrap().find(&document).is_err());
    // A pattern that is long is none.
    let pattern = "a".repeat(2_000);
    let texts = Json::array(vec![Json::text(pattern.as_bytes())]);
    let path = format!("$[?(@ =~ '{pattern}')]");
    assert_eq!(Path::parse(path.as_bytes()).unwrap().find(&texts).unwrap().len(), 0);
}

#[test]
fn the_last_step_can_be_split_off() {
    let (parent, last) = Path::parse(b"$.a['b']").unwrap().split_last().unwrap();
    assert!(matches!(last, Selector::Name(name) if name.as_bytes() == b"b"));
    assert_eq!(parent.selectors().len(), 1);
    assert!(Path::parse(b"$").unwrap().split_last().is_none());
    for (path, is_single) in [("$.a[0]", true), ("$.a[0,1]", false), ("$..a", false), ("$", true)] {
        assert_eq!(Path::parse(path.as_bytes()).unwrap().is_single(), is_single);
    }
}

#[test]
fn a_long_text_is_not_shown_for_ever_and_several_paths_share_their_effort() {
    let document = parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 22))).unwrap();
    let path = format!("$[{}]", vec!["'a'"; 4_000].join(","));
    assert!(Path::parse(path.as_bytes()).unwrap().find(&document).is_err());
    assert_eq!(Path::parse(b"$['a','a']").unwrap().find(&document).unwrap().len(), 2);
    let wide = Json::array((0..10_000).map(Json::Integer).collect());
    let path = Path::parse(b"$..nothing").unwrap();
    let mut effort = Effort { visits_left: 1_000_000 };
    let mut search =
        || path.each_of_several(&mut effort, &wide, &mut |_, _| ControlFlow::Continue(()));
    let times = (0..1_000).take_while(|_| search().is_ok()).count();
    assert!((40..=100).contains(&times), "{times}");
    let mut effort = Effort { visits_left: 1_000_000 };
    assert_eq!((0..1_000).take_while(|_| effort.add(&wide).is_ok()).count(), 99);
}

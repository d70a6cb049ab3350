//! Prints a reply as `redis-cli --no-raw` does, one text per reply.
//!
//! Equal texts must mean equal replies, so what redis-cli hides is shown (see the crate's page).

use crate::parse::Order;
use crate::reply::Reply;

/// The reply as text, lines separated by `\n`, without a final one.
#[must_use]
pub fn format_reply(reply: &Reply) -> String {
    let mut out = String::new();
    write_reply(&mut out, reply, 0);
    out
}

/// Brings what has no order into a canonical one.
#[must_use]
pub fn sort_reply(reply: Reply, order: Order) -> Reply {
    match (reply, order) {
        (reply, Order::AsSent) => reply,
        (Reply::Array(items), _) if is_scan(&items) => {
            let mut items = items.into_iter();
            let cursor = items.next();
            let found = items.next().map(|found| sort_reply(found, order));
            Reply::Array(cursor.into_iter().chain(found).collect())
        }
        (Reply::Array(items), _) => Reply::Array(sort_items(items, order)),
        (Reply::Set(items), _) => Reply::Set(sort_items(items, order)),
        (Reply::Map(mut pairs), _) => {
            pairs.sort_by_key(|(key, _)| format_reply(key));
            Reply::Map(pairs)
        }
        (reply, _) => reply,
    }
}

fn is_scan(items: &[Reply]) -> bool {
    matches!(items, [Reply::Bulk(cursor), Reply::Array(_)] if !cursor.is_empty() && cursor.iter().all(u8::is_ascii_digit))
}

fn sort_items(items: Vec<Reply>, order: Order) -> Vec<Reply> {
    let flat = !items.iter().any(|item| matches!(item, Reply::Array(_)));
    let group = if order == Order::FreePairs && flat { 2 } else { 1 };
    let mut groups: Vec<Vec<Reply>> = items.chunks(group).map(<[Reply]>::to_vec).collect();
    groups.sort_by_key(|group| group.iter().map(format_reply).collect::<Vec<_>>());
    groups.into_iter().flatten().collect()
}

fn write_reply(out: &mut String, reply: &Reply, indent: usize) {
    match reply {
        Reply::Status(text) => write_bare(out, "(status) ", text),
        Reply::Error(text) => {
            out.push_str("(error) ");
            write_bare(out, "", text);
        }
        Reply::Integer(number) => out.push_str(&format!("(integer) {number}")),
        Reply::Bulk(bytes) => write_quoted(out, bytes),
        Reply::Nil => out.push_str("(nil)"),
        Reply::NilArray => out.push_str("(nil array)"),
        Reply::Array(items) => write_items(out, items, indent, ')', "(empty array)"),
        Reply::Set(items) => write_items(out, items, indent, '~', "(empty set)"),
        Reply::Push(items) => write_items(out, items, indent, '>', "(empty push)"),
        Reply::Map(pairs) => write_pairs(out, pairs, indent),
        Reply::Double(digits) => {
            out.push_str("(double) ");
            write_bare(out, "", digits);
        }
        Reply::Boolean(true) => out.push_str("(true)"),
        Reply::Boolean(false) => out.push_str("(false)"),
        Reply::BigNumber(digits) => {
            out.push_str("(big number) ");
            write_bare(out, "", digits);
        }
        Reply::Verbatim { format, text } => {
            out.push_str("(verbatim ");
            write_bare(out, "", format);
            out.push_str(") ");
            write_quoted(out, text);
        }
    }
}

fn write_items(out: &mut String, items: &[Reply], indent: usize, mark: char, empty: &str) {
    if items.is_empty() {
        out.push_str(empty);
        return;
    }
    let width = items.len().to_string().len();
    for (index, item) in items.iter().enumerate() {
        start_line(out, index, indent);
        out.push_str(&format!("{:>width$}{mark} ", index + 1));
        write_reply(out, item, indent + width + 2);
    }
}

fn write_pairs(out: &mut String, pairs: &[(Reply, Reply)], indent: usize) {
    if pairs.is_empty() {
        out.push_str("(empty hash)");
        return;
    }
    let width = pairs.len().to_string().len();
    for (index, (key, value)) in pairs.iter().enumerate() {
        start_line(out, index, indent);
        out.push_str(&format!("{:>width$}# ", index + 1));
        write_reply(out, key, indent + width + 2);
        out.push_str(" => ");
        write_reply(out, value, indent + width + 2);
    }
}

fn start_line(out: &mut String, index: usize, indent: usize) {
    if index > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Bare when that is unambiguous, else quoted behind `label`.
fn write_bare(out: &mut String, label: &str, bytes: &[u8]) {
    let spaced = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    let quoted = bytes.first() == Some(&b'"');
    let plain = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    if plain && !spaced && !quoted && !bytes.is_empty() {
        out.extend(bytes.iter().map(|&byte| char::from(byte)));
    } else {
        out.push_str(label);
        write_quoted(out, bytes);
    }
}

fn write_quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::decode;

    fn text(bytes: &[u8]) -> String {
        format_reply(&decode(bytes).unwrap().unwrap().0)
    }

    #[test]
    fn leaves_look_as_in_redis_cli() {
        assert_eq!(text(b"+OK\r\n"), "OK");
        assert_eq!(text(b"-ERR no\r\n"), "(error) ERR no");
        assert_eq!(text(b"-ERR no: \r\n"), "(error) \"ERR no: \"");
        assert_eq!(text(b"+\r\n"), "(status) \"\"");
        assert_eq!(text(b":7\r\n"), "(integer) 7");
        assert_eq!(text(b"$5\r\na\"\x00\n\\\r\n"), r#""a\"\x00\n\\""#);
        assert_eq!(text(b"$-1\r\n"), "(nil)");
        assert_eq!(text(b"*-1\r\n"), "(nil array)");
        assert_eq!(text(b"*0\r\n"), "(empty array)");
        assert_eq!(text(b"~0\r\n"), "(empty set)");
        assert_eq!(text(b"%0\r\n"), "(empty hash)");
        assert_eq!(text(b",inf\r\n"), "(double) inf");
        assert_eq!(text(b"#f\r\n"), "(false)");
        assert_eq!(text(b"=5\r\ntxt:a\r\n"), "(verbatim txt) \"a\"");
    }

    #[test]
    fn nested_lines_align() {
        let mut bytes =
            b"*10\r\n*2\r\n:1\r\n:2\r\n%2\r\n+a\r\n*2\r\n:1\r\n:2\r\n+b\r\n:2\r\n".to_vec();
        bytes.extend(b":0\r\n".repeat(8));
        let expected = " 1) 1) (integer) 1\n    2) (integer) 2\n 2) 1# a => 1) (integer) 1\n       2) (integer) 2\n    2# b => (integer) 2\n 3) (integer) 0";
        assert!(text(&bytes).starts_with(expected), "{}", text(&bytes));
        assert!(text(&bytes).ends_with("\n10) (integer) 0"));
    }

    #[test]
    fn free_order_is_sorted_and_pairs_stay_together() {
        let bulk = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        let flat = Reply::Array(["b", "1", "a", "2"].map(bulk).to_vec());
        let sorted = |order| format_reply(&sort_reply(flat.clone(), order)).replace('\n', " ");
        assert_eq!(sorted(Order::AsSent), r#"1) "b" 2) "1" 3) "a" 4) "2""#);
        assert_eq!(sorted(Order::Free), r#"1) "1" 2) "2" 3) "a" 4) "b""#);
        assert_eq!(sorted(Order::FreePairs), r#"1) "a" 2) "2" 3) "b" 4) "1""#);
        let scan = Reply::Array(vec![bulk("9"), flat.clone()]);
        assert_eq!(
            format_reply(&sort_reply(scan, Order::FreePairs)).replace('\n', " "),
            r#"1) "9" 2) 1) "a"    2) "2"    3) "b"    4) "1""#
        );
        let map = Reply::Map(vec![(bulk("b"), bulk("1")), (bulk("a"), bulk("2"))]);
        assert_eq!(
            format_reply(&sort_reply(map, Order::Free)).replace('\n', " "),
            r##"1# "a" => "2" 2# "b" => "1""##
        );
    }
}

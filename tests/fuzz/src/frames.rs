//! Streams of RESP as clients send them, whole and spoilt, in pieces of any size: the commands found
//! must be those that were sent, whatever the cuts, limits must hold, and memory must be taken for
//! what came, not for what was announced.

use reef_resp::{Decoder, Limits, Progress, ProtocolError};

use crate::choice::{Choice, Source};

type Commands = Vec<Vec<Vec<u8>>>;

/// Sends a stream made from these bytes.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let limits = Limits {
        bulk_bytes_max: *source.pick(&[&0, &10, &100, &(512 << 20)]),
        authenticated: !source.one_in(4),
    };
    let (mut stream, mut sent) = (Vec::new(), Commands::new());
    let (is_spoilt, is_raw) = (source.one_in(2), source.one_in(8));
    if is_raw {
        stream.extend_from_slice(source.bytes(usize::MAX));
    }
    while !source.is_empty() && stream.len() < 1 << 16 {
        frame(&mut source, &mut stream, &mut sent);
    }
    if is_spoilt {
        let mut source = Source::new(bytes);
        for _ in 0..1 + source.below(4) {
            spoil(&mut source, &mut stream);
        }
    }
    let whole = decode(&stream, &limits, &mut |_| usize::MAX);
    if let (false, false, Ok(found)) = (is_spoilt, is_raw, &whole) {
        assert_eq!(*found, sent, "{}", stream.escape_ascii());
    }
    let mut source = Source::new(bytes);
    let parts = decode(&stream, &limits, &mut |left| 1 + source.below(left.min(64)));
    assert_eq!(parts, whole, "random pieces of {}", stream.escape_ascii());
    if stream.len() < 4096 {
        let single = decode(&stream, &limits, &mut |_| 1);
        assert_eq!(single, whole, "single bytes of {}", stream.escape_ascii());
    }
}

/// Appends a command as a client would send it.
fn frame(source: &mut Source<'_>, stream: &mut Vec<u8>, sent: &mut Commands) {
    let count = source.below(6);
    let words: Vec<Vec<u8>> = (0..count)
        .map(|_| {
            let length = source.below(20);
            source.bytes(length).to_vec()
        })
        .collect();
    if source.one_in(4) {
        words.iter().for_each(|word| quote(source.below(2) == 0, word, stream));
        stream.extend_from_slice(if source.one_in(2) { b"\n" } else { b"\r\n" });
    } else {
        stream.extend_from_slice(format!("*{count}\r\n").as_bytes());
        for word in &words {
            stream.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            stream.extend_from_slice(word);
            stream.extend_from_slice(b"\r\n");
        }
    }
    sent.push(words);
}

/// A word of an inline command, with a space in front and all that is special written as its code.
fn quote(all: bool, word: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(b" \"");
    for byte in word {
        match byte {
            b'a'..=b'z' if !all => stream.push(*byte),
            _ => stream.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    stream.push(b'"');
}

fn spoil(source: &mut Source<'_>, stream: &mut Vec<u8>) {
    if stream.is_empty() {
        return;
    }
    let at = source.below(stream.len());
    match source.below(5) {
        0 => stream[at] = source.below(256) as u8,
        1 => {
            stream.remove(at);
        }
        2 => stream.truncate(at),
        3 => stream.insert(at, *source.pick(&[&b'*', &b'$', &b'-', &b'9', &b'\r', &b'\n', &0])),
        _ => {
            let lines: [&[u8]; 6] = [
                b"*-1\r\n",
                b"*2147483647\r\n",
                b"*2147483648\r\n",
                b"$536870912\r\n",
                b"*1000000\r\n$1\r\n",
                b"$-9223372036854775808\r\n",
            ];
            let line =
                *source.pick(&[&lines[0], &lines[1], &lines[2], &lines[3], &lines[4], &lines[5]]);
            stream.splice(at..at, line.iter().copied());
        }
    }
}

/// Decodes a stream that arrives in pieces; checks what the decoder promises about each.
fn decode(
    stream: &[u8],
    limits: &Limits,
    piece: &mut dyn FnMut(usize) -> usize,
) -> Result<Commands, (Commands, ProtocolError)> {
    let mut decoder = Decoder::new();
    let (mut found, mut start, mut end, mut needed) = (Commands::new(), 0, 0, 0);
    loop {
        match decoder.decode(&stream[start..end], limits) {
            Ok(Progress::Command { used }) => {
                assert!(needed <= end && used > 0 && start + used <= end, "used what had come");
                let argv = decoder.argv(&stream[start..end]);
                let words: Vec<_> = argv.iter().map(<[u8]>::to_vec).collect();
                if stream[start] == b'*' {
                    let longest = words.iter().map(Vec::len).max().unwrap_or_default();
                    assert!(longest as i64 <= limits.bulk_bytes_max, "longer than allowed");
                    assert!(limits.authenticated || words.len() <= 10, "a stranger's arguments");
                }
                found.push(words);
                start += used;
                needed = 0;
            }
            Ok(Progress::Incomplete { missing }) => {
                needed = end + missing;
                if end == stream.len() {
                    return Ok(found);
                }
                end += piece(stream.len() - end).clamp(1, stream.len() - end);
            }
            Err(error) => return Err((found, error)),
        }
        let bytes_max = 256 + 16 * end;
        assert!(decoder.heap_bytes() <= bytes_max, "{} bytes", decoder.heap_bytes());
    }
}

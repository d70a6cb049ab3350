//! Rewrites the expectations of a transcript from what real servers answer.
//!
//! redis-server 7.0 gives the expectations; redis-server 7.2 only what changed since, for which
//! somebody must then write the reason. An expectation that still fits is kept as it is, wildcards
//! included, so recording an unchanged transcript changes nothing. Reef itself is never recorded.

use std::io;

use crate::parse::{Action, Expected, REEF2, REEF3, RESP3, Reason, Step, Transcript};
use crate::pattern::matches;
use crate::peer::{Kind, Peer, Protocol};
use crate::run::{as_resp3, run_case};

/// The transcript's text with the expectations that `oracle` fulfils, under both protocols.
///
/// # Errors
/// A connection broke in the middle of a case, or the peer is no oracle.
pub fn record(transcript: &Transcript, oracle: &mut dyn Peer) -> io::Result<String> {
    let update = match oracle.kind() {
        Kind::Oracle => updated,
        Kind::Newer => updated_since,
        Kind::Reef => return Err(io::Error::other("Reef is no oracle")),
    };
    let mut out = String::new();
    let mut copied = 0;
    for case in &transcript.cases {
        if case.needs.iter().any(|need| !oracle.offers(need)) {
            continue;
        }
        let mut run = |protocol| {
            run_case(case, oracle, protocol).map_err(|(at, error)| {
                let line = case.steps.get(at).map_or(case.line, |step| step.line);
                io::Error::other(format!("{}:{line}: {error}", transcript.name))
            })
        };
        let resp2 = run(Protocol::Resp2)?;
        let resp3 = run(Protocol::Resp3)?;
        for (step, (two, three)) in case.steps.iter().zip(resp2.texts.iter().zip(&resp3.texts)) {
            push_lines(&mut out, &transcript.lines[copied..step.recorded.start]);
            copied = step.recorded.end;
            if !matches!(step.action, Action::Advance { .. }) {
                write_expected(&mut out, step, &update(&step.expected, two, three));
            }
        }
    }
    push_lines(&mut out, &transcript.lines[copied..]);
    Ok(out)
}

fn updated(old: &Expected, two: &str, three: &str) -> Expected {
    let resp2 = match &old.resp2 {
        Some(text) if matches(text, two) => text.clone(),
        _ => two.to_owned(),
    };
    let resp3 = match &old.resp3 {
        _ if matches(&as_resp3(&resp2), three) => None,
        Some(text) if matches(text, three) => Some(text.clone()),
        _ => Some(three.to_owned()),
    };
    Expected { resp2: Some(resp2), resp3, ..old.clone() }
}

fn updated_since(old: &Expected, two: &str, three: &str) -> Expected {
    let fits = |protocol, actual| {
        old.text(Kind::Newer, protocol).is_some_and(|text| matches(&text, actual))
    };
    if fits(Protocol::Resp2, two) && fits(Protocol::Resp3, three) {
        return old.clone();
    }
    let reason = match &old.reason {
        Some(Reason::Deliberate(_)) => return old.clone(),
        Some(reason) => reason.clone(),
        None => Reason::Since72(String::new()),
    };
    let same = matches(&as_resp3(two), three);
    let reef3 = (!same).then(|| three.to_owned());
    Expected { reason: Some(reason), reef2: Some(two.to_owned()), reef3, ..old.clone() }
}

fn write_expected(out: &mut String, step: &Step, expected: &Expected) {
    let label = match step.action {
        Action::Receive { client: 1 } => "! ".to_owned(),
        Action::Receive { client } => format!("@{client}! "),
        _ => expected.order.label().to_owned(),
    };
    push_block(out, &label, expected.resp2.as_deref());
    push_block(out, RESP3, expected.resp3.as_deref());
    push_block(out, "", expected.reason.as_ref().map(Reason::line).as_deref());
    push_block(out, REEF2, expected.reef2.as_deref());
    push_block(out, REEF3, expected.reef3.as_deref());
}

fn push_block(out: &mut String, label: &str, text: Option<&str>) {
    for (index, line) in text.into_iter().flat_map(str::lines).enumerate() {
        match index {
            0 => out.push_str(label),
            _ => out.extend(label.chars().map(|_| ' ')),
        }
        out.push_str(line);
        out.push('\n');
    }
}

fn push_lines(out: &mut String, lines: &[String]) {
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakePeer;

    const ANSWERS: [(&str, &str); 4] = [
        ("GET k", "$1\r\nv\r\n"),
        ("SMEMBERS s", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"),
        ("TWICE", ":1\r\n*2\r\n:2\r\n:3\r\n"),
        ("LPOP k 1", "*-1\r\n"),
    ];
    const ANSWERS_RESP3: [(&str, &str); 2] =
        [("SMEMBERS s", "~2\r\n$1\r\nb\r\n$1\r\na\r\n"), ("LPOP k 1", "_\r\n")];

    fn recorded(text: &str, kind: Kind) -> String {
        let transcript = Transcript::parse("test", text).unwrap();
        record(&transcript, &mut FakePeer::new(kind, &ANSWERS, &ANSWERS_RESP3)).unwrap()
    }

    #[test]
    fn expectations_are_filled_in_and_the_rest_is_kept() {
        let text = "## about\n\n# t\n> GET k\n> SMEMBERS s\n~\n+1ms\n@2> TWICE\n@2!\n> LPOP k 1\n\n# u\n> GET k\nold\n## end\n";
        let full = "## about\n\n# t\n> GET k\n\"v\"\n> SMEMBERS s\n~ 1) \"a\"\n  2) \"b\"\n3= 1~ \"a\"\n   2~ \"b\"\n+1ms\n@2> TWICE\n(integer) 1\n@2! 1) (integer) 2\n    2) (integer) 3\n> LPOP k 1\n(nil array)\n\n# u\n> GET k\n\"v\"\n## end\n";
        assert_eq!(recorded(text, Kind::Oracle), full);
        assert_eq!(recorded(full, Kind::Oracle), full);
    }

    #[test]
    fn wildcards_that_fit_stay() {
        let text = "# t\n> GET k\n\"?\"\n";
        assert_eq!(recorded(text, Kind::Oracle), text);
        assert_eq!(recorded("# t\n> GET k\n(integer) ?\n", Kind::Oracle), "# t\n> GET k\n\"v\"\n");
    }

    #[test]
    fn the_newer_server_adds_what_changed_and_leaves_the_reason_open() {
        let text =
            "# t\n> GET k\n\"a\"\n> SMEMBERS s\n~ 1) \"a\"\n  2) \"b\"\n3= 1~ \"a\"\n   2~ \"b\"\n";
        let full = text.replace("\"a\"\n> S", "\"a\"\n# since 7.2:\n= reef: \"v\"\n> S");
        assert_eq!(recorded(text, Kind::Newer), full);
        let explained = full.replace("7.2:", "7.2: it is so");
        assert_eq!(recorded(&explained, Kind::Newer), explained);
        let deliberate = "# t\n> GET k\n\"a\"\n# differs: x\n= reef: \"b\"\n";
        assert_eq!(recorded(deliberate, Kind::Newer), deliberate);
    }

    #[test]
    fn reef_is_never_recorded() {
        let transcript = Transcript::parse("test", "# t\n> GET k\n").unwrap();
        assert!(record(&transcript, &mut FakePeer::new(Kind::Reef, &ANSWERS, &[])).is_err());
    }
}

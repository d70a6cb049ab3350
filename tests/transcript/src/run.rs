//! Runs the cases of a transcript against a peer and compares.

use std::collections::HashMap;
use std::fmt;
use std::io;

use crate::format::{format_reply, sort_reply};
use crate::parse::{Action, Case, Expected, Order, Reason, Step, Transcript};
use crate::pattern::matches;
use crate::peer::{ClientId, Kind, Patience, Peer, Protocol, Received};
use crate::reply::Reply;

/// Seen when nothing came.
pub(crate) const NO_REPLY: &str = "(no reply)";
/// Seen when the peer hung up.
pub(crate) const CLOSED: &str = "(closed)";

/// A place where a peer and its transcript disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which file.
    pub transcript: String,
    /// The title of the case.
    pub case: String,
    /// Line of the step, from 1.
    pub line: usize,
    /// The protocol that was spoken.
    pub protocol: Protocol,
    /// The step, as written.
    pub step: String,
    /// What should have come.
    pub expected: String,
    /// What came.
    pub actual: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Resp2 => "RESP2",
            Protocol::Resp3 => "RESP3",
        };
        writeln!(f, "{}:{}: {} ({protocol})", self.transcript, self.line, self.case)?;
        writeln!(f, "    {}", self.step)?;
        for (label, text) in [("expected", &self.expected), ("actual  ", &self.actual)] {
            for line in text.lines() {
                writeln!(f, "  {label} | {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs all cases that the peer can run; an empty list means that it agrees.
#[must_use]
pub fn check(transcript: &Transcript, peer: &mut dyn Peer, protocol: Protocol) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for case in &transcript.cases {
        if case.needs.iter().any(|need| !peer.offers(need)) {
            continue;
        }
        let kind = peer.kind();
        match run_case(case, peer, protocol) {
            Ok(seen) => {
                let compared = case.steps.iter().zip(&seen.texts);
                let wrong = compared.filter_map(|(step, actual)| {
                    let expected = step.expected.text(kind, protocol).unwrap_or_default();
                    let fits =
                        *step.action_kind() == ActionKind::Time || matches(&expected, actual);
                    (!fits).then(|| mismatch(transcript, case, step, protocol, expected, actual))
                });
                mismatches.extend(wrong);
                mismatches.extend(seen.left_over.iter().filter_map(|actual| {
                    let last = case.steps.last()?;
                    let expected = "(nothing more after this step)".to_owned();
                    Some(mismatch(transcript, case, last, protocol, expected, actual))
                }));
            }
            Err((at, error)) => {
                let Some(step) = case.steps.get(at).or(case.steps.last()) else { continue };
                let expected = "(a connection that works)".to_owned();
                let actual = error.to_string();
                mismatches.push(mismatch(transcript, case, step, protocol, expected, &actual));
            }
        }
    }
    mismatches
}

/// What a case showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// One text per step; empty where time passed.
    pub texts: Vec<String>,
    /// What clients received beyond their steps.
    pub left_over: Vec<String>,
}

/// Runs one case and returns what was seen.
///
/// # Errors
/// The index of the step at which a connection broke, and how.
pub fn run_case(
    case: &Case,
    peer: &mut dyn Peer,
    protocol: Protocol,
) -> Result<Seen, (usize, io::Error)> {
    let mut run = Run { peer, protocol, clients: HashMap::new() };
    let outcome = run.case(case);
    run.peer.disconnect_all();
    outcome
}

impl Expected {
    /// The text that a peer of this kind must answer.
    #[must_use]
    pub fn text(&self, kind: Kind, protocol: Protocol) -> Option<String> {
        let differs = match kind {
            Kind::Oracle => false,
            Kind::Newer => matches!(self.reason, Some(Reason::Since72(_))),
            Kind::Reef => self.reason.is_some(),
        };
        let (resp2, resp3) = match (differs, &self.reef2) {
            (true, Some(_)) => (&self.reef2, &self.reef3),
            (true, None) => (&self.resp2, &self.reef3),
            (false, _) => (&self.resp2, &self.resp3),
        };
        match (protocol, resp3) {
            (Protocol::Resp3, Some(text)) => Some(text.clone()),
            (Protocol::Resp3, None) => resp2.as_deref().map(as_resp3),
            (Protocol::Resp2, _) => resp2.clone(),
        }
    }
}

/// What becomes of a RESP2 text under RESP3 when nothing else is said: there is only one null.
pub(crate) fn as_resp3(resp2: &str) -> String {
    resp2.replace("(nil array)", "(nil)")
}

#[derive(PartialEq, Eq)]
enum ActionKind {
    Time,
    Reply,
}

impl Step {
    fn action_kind(&self) -> &ActionKind {
        match self.action {
            Action::Advance { .. } => &ActionKind::Time,
            _ => &ActionKind::Reply,
        }
    }
}

fn mismatch(
    transcript: &Transcript,
    case: &Case,
    step: &Step,
    protocol: Protocol,
    expected: String,
    actual: &str,
) -> Mismatch {
    Mismatch {
        transcript: transcript.name.clone(),
        case: case.title.clone(),
        line: step.line,
        protocol,
        step: transcript.lines.get(step.line - 1).cloned().unwrap_or_default(),
        expected,
        actual: actual.to_owned(),
    }
}

struct Run<'a> {
    peer: &'a mut dyn Peer,
    protocol: Protocol,
    clients: HashMap<usize, ClientId>,
}

impl Run<'_> {
    fn case(&mut self, case: &Case) -> Result<Seen, (usize, io::Error)> {
        self.start().map_err(|error| (0, error))?;
        let mut seen = Seen::default();
        for (at, step) in case.steps.iter().enumerate() {
            seen.texts.push(self.step(step).map_err(|error| (at, error))?);
        }
        seen.left_over = self.left_over().map_err(|error| (case.steps.len(), error))?;
        Ok(seen)
    }

    fn start(&mut self) -> io::Result<()> {
        let client = self.client(1)?;
        self.peer.send(client, &[b"FLUSHALL".to_vec()])?;
        match self.peer.receive(client, Patience::Something)? {
            Received::Reply(Reply::Status(status)) if status == b"OK" => Ok(()),
            other => Err(io::Error::other(format!("FLUSHALL before the case got {other:?}"))),
        }
    }

    fn client(&mut self, number: usize) -> io::Result<ClientId> {
        if let Some(&client) = self.clients.get(&number) {
            return Ok(client);
        }
        let client = self.peer.connect()?;
        if self.protocol == Protocol::Resp3 {
            self.peer.send(client, &[b"HELLO".to_vec(), b"3".to_vec()])?;
            match self.peer.receive(client, Patience::Something)? {
                Received::Reply(Reply::Map(_)) => {}
                other => return Err(io::Error::other(format!("HELLO 3 got {other:?}"))),
            }
        }
        self.clients.insert(number, client);
        Ok(client)
    }

    fn step(&mut self, step: &Step) -> io::Result<String> {
        let client = match &step.action {
            Action::Send { client, args } => {
                let client = self.client(*client)?;
                self.peer.send(client, args)?;
                client
            }
            Action::Receive { client } => self.client(*client)?,
            Action::Advance { time_ms } => {
                self.peer.advance(*time_ms);
                return Ok(String::new());
            }
        };
        let expected = step.expected.text(self.peer.kind(), self.protocol);
        let silence = expected.as_deref() == Some(NO_REPLY);
        let patience = if silence { Patience::Silence } else { Patience::Something };
        Ok(seen_text(self.peer.receive(client, patience)?, step.expected.order))
    }

    fn left_over(&mut self) -> io::Result<Vec<String>> {
        let mut texts = Vec::new();
        for &client in self.clients.values() {
            match self.peer.receive(client, Patience::Peek)? {
                Received::Nothing | Received::Closed => {}
                more => texts.push(seen_text(more, Order::AsSent)),
            }
        }
        texts.sort();
        Ok(texts)
    }
}

fn seen_text(received: Received, order: Order) -> String {
    match received {
        Received::Reply(reply) => format_reply(&sort_reply(reply, order)),
        Received::Nothing => NO_REPLY.to_owned(),
        Received::Closed => CLOSED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakePeer;

    const ANSWERS: [(&str, &str); 6] = [
        ("GET k", "$1\r\nv\r\n"),
        ("LPOP k 1", "*-1\r\n"),
        ("ZSCORE z m", "$3\r\n1.5\r\n"),
        ("TWICE", ":1\r\n:2\r\n"),
        ("SILENT", ""),
        ("QUIT", "hang up"),
    ];
    const ANSWERS_RESP3: [(&str, &str); 2] = [("LPOP k 1", "_\r\n"), ("ZSCORE z m", ",1.5\r\n")];

    fn mismatches(text: &str, kind: Kind, protocol: Protocol) -> Vec<String> {
        let transcript = Transcript::parse("test", text).unwrap();
        let mut peer = FakePeer::new(kind, &ANSWERS, &ANSWERS_RESP3);
        let found = check(&transcript, &mut peer, protocol);
        found.iter().map(|m| format!("{}: {} not {}", m.line, m.actual, m.expected)).collect()
    }

    #[test]
    fn a_peer_that_agrees_has_no_mismatch() {
        let text = "# t\n> GET k\n\"v\"\n> LPOP k 1\n(nil array)\n> ZSCORE z m\n\"1.5\"\n3= (double) 1.5\n> SILENT\n(no reply)\n@2> QUIT\n(closed)\n";
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            assert_eq!(mismatches(text, Kind::Oracle, protocol), [""; 0]);
        }
    }

    #[test]
    fn a_peer_that_differs_is_told_where() {
        let text = "# t\n> GET k\n\"w\"\n\n# u\n> LPOP k 1\n(nil)\n> NOPE\n> SILENT\nOK\n";
        let expected = [
            "2: \"v\" not \"w\"",
            "6: (nil array) not (nil)",
            "8: (error) ERR what not ",
            "9: (no reply) not OK",
        ];
        assert_eq!(mismatches(text, Kind::Oracle, Protocol::Resp2), expected);
        let text = "# t\n> ZSCORE z m\n\"1.5\"\n";
        assert_eq!(mismatches(text, Kind::Oracle, Protocol::Resp2), [""; 0]);
        assert_eq!(
            mismatches(text, Kind::Oracle, Protocol::Resp3),
            ["2: (double) 1.5 not \"1.5\""]
        );
    }

    #[test]
    fn what_comes_beyond_the_steps_is_a_mismatch() {
        let text = "# t\n> TWICE\n(integer) 1\n";
        let expected = ["2: (integer) 2 not (nothing more after this step)"];
        assert_eq!(mismatches(text, Kind::Oracle, Protocol::Resp2), expected);
        let text = "# t\n> TWICE\n(integer) 1\n! (integer) 2\n";
        assert_eq!(mismatches(text, Kind::Oracle, Protocol::Resp2), [""; 0]);
    }

    #[test]
    fn each_kind_of_peer_has_its_own_expectation() {
        let since = "# t\n> GET k\n\"a\"\n# since 7.2: x\n= reef: \"v\"\n";
        let deliberate = "# t\n> GET k\n\"a\"\n# differs: x\n= reef: \"v\"\n";
        let wrong = ["2: \"v\" not \"a\""];
        assert_eq!(mismatches(since, Kind::Oracle, Protocol::Resp2), wrong);
        assert_eq!(mismatches(since, Kind::Newer, Protocol::Resp2), [""; 0]);
        assert_eq!(mismatches(since, Kind::Reef, Protocol::Resp3), [""; 0]);
        assert_eq!(mismatches(deliberate, Kind::Newer, Protocol::Resp2), wrong);
        assert_eq!(mismatches(deliberate, Kind::Reef, Protocol::Resp2), [""; 0]);
        let only_resp3 = "# t\n> GET k\n\"v\"\n# differs: x\n3= reef: \"w\"\n";
        assert_eq!(mismatches(only_resp3, Kind::Reef, Protocol::Resp2), [""; 0]);
        assert_eq!(mismatches(only_resp3, Kind::Reef, Protocol::Resp3), ["2: \"v\" not \"w\""]);
    }

    #[test]
    fn cases_run_only_where_their_needs_are_met_and_time_is_passed_on() {
        let text = "# t\n# needs: server\n> GET k\n\"w\"\n\n# u\n+20ms\n+1s\n";
        let transcript = Transcript::parse("test", text).unwrap();
        let mut peer = FakePeer::new(Kind::Reef, &ANSWERS, &[]);
        assert_eq!(check(&transcript, &mut peer, Protocol::Resp2).len(), 1);
        peer.offers = false;
        peer.waited_ms = 0;
        assert_eq!(check(&transcript, &mut peer, Protocol::Resp2), []);
        assert_eq!(peer.waited_ms, 1020);
    }

    #[test]
    fn a_mismatch_is_readable() {
        let text = "# the title\n> GET k\n1) \"a\"\n2) \"b\"\n";
        let transcript = Transcript::parse("test.txt", text).unwrap();
        let mut peer = FakePeer::new(Kind::Oracle, &ANSWERS, &[]);
        let found = check(&transcript, &mut peer, Protocol::Resp3);
        let expected = "test.txt:2: the title (RESP3)\n    > GET k\n  expected | 1) \"a\"\n  expected | 2) \"b\"\n  actual   | \"v\"\n";
        assert_eq!(found[0].to_string(), expected);
    }
}

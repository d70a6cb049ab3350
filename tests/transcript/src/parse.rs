//! The text of a transcript as cases and steps.
//!
//! The lines are kept, and every step knows which of them hold its expectation: recording replaces
//! exactly those. Nothing is guessed: a line that is out of place is an error with its number.

use std::fmt;

use crate::argv::split_args;

/// One file of cases.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// What to call it in a report: its family.
    pub name: String,
    /// All lines, as read.
    pub lines: Vec<String>,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// A story of a few steps that starts from an empty server.
#[derive(Debug, Clone)]
pub struct Case {
    /// The sentence behind `# `.
    pub title: String,
    /// Line of the title, from 1.
    pub line: usize,
    /// What a peer must offer to run it.
    pub needs: Vec<String>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One thing that happens, and what must be seen.
#[derive(Debug, Clone)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// Line of the action, from 1.
    pub line: usize,
    /// What must be seen.
    pub expected: Expected,
    /// The lines (from 0, end exclusive) that recording rewrites.
    pub recorded: std::ops::Range<usize>,
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A client sends a command and looks at the next thing it receives.
    Send {
        /// Number of the client, from 1.
        client: usize,
        /// The arguments.
        args: Vec<Vec<u8>>,
    },
    /// A client receives something without sending.
    Receive {
        /// Number of the client, from 1.
        client: usize,
    },
    /// Time passes.
    Advance {
        /// How much.
        time_ms: u64,
    },
}

/// What must be seen; the oracle's texts are recorded, Reef's are written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether the order of the reply's items counts.
    pub order: Order,
    /// Under RESP2.
    pub resp2: Option<String>,
    /// Under RESP3, when it differs.
    pub resp3: Option<String>,
    /// Why Reef answers something else.
    pub reason: Option<Reason>,
    /// What Reef answers under RESP2.
    pub reef2: Option<String>,
    /// What Reef answers under RESP3, when it differs from `reef2`.
    pub reef3: Option<String>,
}

/// Why Reef answers something else than the oracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Redis changed in 7.2, and Reef follows: a server of that line judges it.
    Since72(String),
    /// Reef does it in its own way.
    Deliberate(String),
}

/// Whether the order of a reply's items counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// It does.
    #[default]
    AsSent,
    /// It does not.
    Free,
    /// It does not, and a flat list is one of pairs.
    FreePairs,
}

/// A line that is no transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Which file.
    pub name: String,
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.name, self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

impl Transcript {
    /// Reads the text of a transcript.
    ///
    /// # Errors
    /// The first line that is out of place.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let cases = Parser { name, lines: &lines, at: 0, cases: Vec::new() }.run()?;
        Ok(Self { name: name.to_owned(), lines, cases })
    }
}

/// The labels of the expectations that follow a step's own.
pub(crate) const RESP3: &str = "3= ";
const SINCE_72: &str = "# since 7.2: ";
const DIFFERS: &str = "# differs: ";
pub(crate) const REEF2: &str = "= reef: ";
pub(crate) const REEF3: &str = "3= reef: ";

/// What a case may need beyond the commands of an engine.
const NEEDS: [&str; 6] = ["server", "config", "7.4", "json", "search", "plugins"];

/// Time only moves in small steps: a real server really waits.
const ADVANCE_MAX_MS: u64 = 100_000;

impl Reason {
    fn parse(line: &str) -> Option<Self> {
        // A recorded difference still waits for its words.
        if line == SINCE_72.trim_end() {
            return Some(Self::Since72(String::new()));
        }
        let since = line.strip_prefix(SINCE_72).map(|text| Self::Since72(text.to_owned()));
        since.or_else(|| line.strip_prefix(DIFFERS).map(|text| Self::Deliberate(text.to_owned())))
    }

    fn text(&self) -> &str {
        match self {
            Self::Since72(text) | Self::Deliberate(text) => text,
        }
    }

    pub(crate) fn line(&self) -> String {
        let label = match self {
            Self::Since72(_) => SINCE_72,
            Self::Deliberate(_) => DIFFERS,
        };
        format!("{label}{}", self.text()).trim_end().to_owned()
    }
}

impl Order {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::AsSent => "",
            Self::Free => "~ ",
            Self::FreePairs => "~2 ",
        }
    }
}

struct Parser<'a> {
    name: &'a str,
    lines: &'a [String],
    at: usize,
    cases: Vec<Case>,
}

impl<'a> Parser<'a> {
    fn run(mut self) -> Result<Vec<Case>, ParseError> {
        while let Some(line) = self.lines.get(self.at) {
            if line.is_empty() || line.starts_with("## ") || line == "##" {
                self.at += 1;
            } else if let Some(needs) = line.strip_prefix("# needs: ") {
                if let Some(unknown) = needs.split(' ').find(|need| !NEEDS.contains(need)) {
                    return Err(self.error(&format!("unknown need `{unknown}`")));
                }
                let error = self.error("a need without a case");
                let case = self.cases.last_mut().ok_or(error)?;
                case.needs.extend(needs.split(' ').map(str::to_owned));
                self.at += 1;
            } else if Reason::parse(line).is_some() {
                return Err(self.error("a difference must follow the reply that it is about"));
            } else if let Some(title) = line.strip_prefix("# ") {
                let (title, line) = (title.to_owned(), self.at + 1);
                self.cases.push(Case { title, line, needs: Vec::new(), steps: Vec::new() });
                self.at += 1;
            } else {
                let step = self.step()?;
                let error = self.error("a step before the first title");
                self.cases.last_mut().ok_or(error)?.steps.push(step);
            }
        }
        Ok(self.cases)
    }

    fn step(&mut self) -> Result<Step, ParseError> {
        let (head, text_at) = self.head()?;
        let start = self.at;
        let mut expected = Expected::default();
        let recorded_from = match head {
            Action::Send { .. } => {
                self.at += 1;
                (expected.order, expected.resp2) = self.bare_reply();
                start + 1
            }
            Action::Receive { .. } => {
                expected.resp2 = Some(self.block(text_at)).filter(|text| !text.is_empty());
                start
            }
            Action::Advance { .. } => {
                self.at += 1;
                let recorded = self.at..self.at;
                return Ok(Step { action: head, line: start + 1, expected, recorded });
            }
        };
        self.labelled(&mut expected)?;
        let recorded = recorded_from..self.at;
        Ok(Step { action: head, line: start + 1, expected, recorded })
    }

    /// What the current line does, and where in it a reply begins.
    fn head(&self) -> Result<(Action, usize), ParseError> {
        let line = self.lines[self.at].as_str();
        if let Some(time) = line.strip_prefix('+') {
            let time_ms = parse_time_ms(time).filter(|&time| time <= ADVANCE_MAX_MS);
            let time_ms = time_ms.ok_or_else(|| self.error("not a time such as +250ms or +2s"))?;
            return Ok((Action::Advance { time_ms }, 0));
        }
        let (client, rest) = match line.strip_prefix('@') {
            None => (1, line),
            Some(tail) => {
                let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
                let client = tail[..digits].parse().ok().filter(|client| (1..=99).contains(client));
                let client = client.ok_or_else(|| self.error("a client is @1 to @99"))?;
                (client, &tail[digits..])
            }
        };
        if let Some(command) = rest.strip_prefix("> ") {
            let args = split_args(command).map_err(|error| self.error(&error.to_string()))?;
            if args.is_empty() {
                return Err(self.error("an empty command"));
            }
            return Ok((Action::Send { client, args }, 0));
        }
        if rest == "!" || rest.starts_with("! ") {
            return Ok((Action::Receive { client }, line.len() - rest.len() + 2));
        }
        Err(self.error("a line that is no title, step, time or reply"))
    }

    /// The unlabelled reply of a sent command, or one labelled with its order.
    fn bare_reply(&mut self) -> (Order, Option<String>) {
        for order in [Order::FreePairs, Order::Free] {
            let Some(line) = self.lines.get(self.at) else { break };
            if line == order.label().trim_end() {
                self.at += 1;
                return (order, None);
            }
            if line.starts_with(order.label()) {
                return (order, Some(self.block(order.label().len())));
            }
        }
        let start = self.at;
        while self.lines.get(self.at).is_some_and(|line| is_bare_reply(line)) {
            self.at += 1;
        }
        let text = self.lines[start..self.at].join("\n");
        (Order::AsSent, Some(text).filter(|text| !text.is_empty()))
    }

    fn labelled(&mut self, expected: &mut Expected) -> Result<(), ParseError> {
        while let Some(line) = self.lines.get(self.at) {
            let line_at = self.at;
            if line.starts_with(REEF3) {
                let text = self.block(REEF3.len());
                once(&mut expected.reef3, text).map_err(|what| self.error_at(line_at, what))?;
            } else if line.starts_with(RESP3) {
                let text = self.block(RESP3.len());
                once(&mut expected.resp3, text).map_err(|what| self.error_at(line_at, what))?;
            } else if line.starts_with(REEF2) {
                let text = self.block(REEF2.len());
                once(&mut expected.reef2, text).map_err(|what| self.error_at(line_at, what))?;
            } else if let Some(reason) = Reason::parse(line) {
                if reason.text().is_empty() {
                    return Err(self.error("a difference without a reason"));
                }
                once(&mut expected.reason, reason).map_err(|what| self.error_at(line_at, what))?;
                self.at += 1;
            } else {
                break;
            }
        }
        let differs = expected.reef2.is_some() || expected.reef3.is_some();
        if differs != expected.reason.is_some() {
            return Err(self.error("a reason and `= reef: reply` belong together"));
        }
        Ok(())
    }

    /// A labelled text: the rest of this line and the lines indented below it.
    fn block(&mut self, label: usize) -> String {
        let mut text = self.lines[self.at].get(label..).unwrap_or("").to_owned();
        self.at += 1;
        while let Some(line) = self.lines.get(self.at) {
            match line.get(label..) {
                Some(rest) if line[..label].bytes().all(|byte| byte == b' ') => {
                    text.push('\n');
                    text.push_str(rest);
                }
                _ => break,
            }
            self.at += 1;
        }
        text
    }

    fn error(&self, what: &str) -> ParseError {
        self.error_at(self.at, what)
    }

    fn error_at(&self, at: usize, what: &str) -> ParseError {
        ParseError { name: self.name.to_owned(), line: at + 1, what: what.to_owned() }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("a second expectation of the same kind"),
    }
}

/// Whether a line can be part of a reply without label: it is none of the other kinds.
fn is_bare_reply(line: &str) -> bool {
    let directive = ["> ", "@", "! ", "#", "+", "= ", RESP3].iter().any(|p| line.starts_with(p));
    !(line.is_empty() || line == "!" || directive)
}

fn parse_time_ms(time: &str) -> Option<u64> {
    if let Some(digits) = time.strip_suffix("ms") {
        return digits.parse().ok();
    }
    let seconds: u64 = time.strip_suffix('s')?.parse().ok()?;
    seconds.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Transcript {
        Transcript::parse("test", text).unwrap()
    }

    fn error(text: &str) -> String {
        Transcript::parse("test", text).unwrap_err().to_string()
    }

    #[test]
    fn a_case_has_steps_with_their_expectations() {
        let text = "## about\n\n# a title\n# needs: server\n> GET \"a b\"\n\"1\"\n3= (nil)\n@2> LRANGE k 0 -1\n1) \"a\"\n2) 1) \"b\"\n   2) \"c\"\n@2! 1) \"x\"\n    2) \"y\"\n+20ms\n+2s\n> PING\n";
        let transcript = parse(text);
        let case = &transcript.cases[0];
        assert_eq!((case.title.as_str(), case.line), ("a title", 3));
        assert_eq!(case.needs, ["server"]);
        let [get, range, receive, ms, s, ping] = &case.steps[..] else { panic!("{case:?}") };
        assert_eq!(
            get.action,
            Action::Send { client: 1, args: vec![b"GET".to_vec(), b"a b".to_vec()] }
        );
        assert_eq!(get.expected.resp2.as_deref(), Some("\"1\""));
        assert_eq!(get.expected.resp3.as_deref(), Some("(nil)"));
        assert_eq!((get.line, get.recorded.clone()), (5, 5..7));
        assert_eq!(range.expected.resp2.as_deref(), Some("1) \"a\"\n2) 1) \"b\"\n   2) \"c\""));
        assert_eq!(receive.action, Action::Receive { client: 2 });
        assert_eq!(receive.expected.resp2.as_deref(), Some("1) \"x\"\n2) \"y\""));
        assert_eq!(receive.recorded, 11..13);
        assert_eq!(ms.action, Action::Advance { time_ms: 20 });
        assert_eq!(s.action, Action::Advance { time_ms: 2000 });
        assert_eq!(ping.expected, Expected::default());
    }

    #[test]
    fn labels_carry_order_and_differences() {
        let text = "# t\n> SMEMBERS s\n~ 1) \"a\"\n  2) \"b\"\n3= 1~ \"a\"\n   2~ \"b\"\n# differs: newer\n= reef: 1) \"c\"\n        2) \"d\"\n3= reef: (nil)\n> HGETALL h\n~2\n";
        let transcript = parse(text);
        let [members, all] = &transcript.cases[0].steps[..] else { panic!("two steps") };
        let expected = &members.expected;
        assert_eq!(expected.order, Order::Free);
        assert_eq!(expected.resp2.as_deref(), Some("1) \"a\"\n2) \"b\""));
        assert_eq!(expected.resp3.as_deref(), Some("1~ \"a\"\n2~ \"b\""));
        assert_eq!(expected.reason, Some(Reason::Deliberate("newer".to_owned())));
        assert_eq!(expected.reef2.as_deref(), Some("1) \"c\"\n2) \"d\""));
        assert_eq!(expected.reef3.as_deref(), Some("(nil)"));
        assert_eq!((all.expected.order, all.expected.resp2.clone()), (Order::FreePairs, None));
    }

    #[test]
    fn misplaced_lines_are_refused_with_their_number() {
        assert_eq!(error("> PING\n"), "test:2: a step before the first title");
        assert_eq!(error("# t\nwhat\n"), "test:2: a line that is no title, step, time or reply");
        assert_eq!(error("# t\n# needs: sevrer\n"), "test:2: unknown need `sevrer`");
        assert_eq!(error("# t\n+5\n"), "test:2: not a time such as +250ms or +2s");
        assert_eq!(error("# t\n+5000s\n"), "test:2: not a time such as +250ms or +2s");
        assert_eq!(error("# t\n> GET \"\n"), "test:2: a quote is never closed");
        assert_eq!(error("# t\n@0> GET\n"), "test:2: a client is @1 to @99");
        assert_eq!(
            error("# t\n> GET\n1\n= reef: 2\n"),
            "test:5: a reason and `= reef: reply` belong together"
        );
        assert_eq!(
            error("# t\n> GET\n1\n# since 7.2:\n= reef: 2\n"),
            "test:4: a difference without a reason"
        );
        assert_eq!(
            error("# t\n> GET\n1\n3= 2\n3= 2\n"),
            "test:5: a second expectation of the same kind"
        );
    }
}

//! A client that notes what it sees.

use std::time::Instant;

use redis::{Connection, ErrorKind, RedisError, Value};

use crate::history::{NEVER, Operation};
use crate::model::{Action, Answer, Step};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The connection was lost: what it asked for may have happened or not.
    Lost,
    /// The server says that nothing happened: it loads, or it is a replica now.
    Refused,
}

/// The clock of a history.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A history begins.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since it began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// A client, and what it saw.
pub struct Recorder {
    client: usize,
    line: usize,
    clock: Clock,
    connection: Connection,
    /// What it saw.
    pub history: Vec<Operation>,
    /// Whether it does only what a replica refuses, so that it notices when its server is none any more.
    pub only_writes: bool,
    /// Which of its operations, by their place, a replica is known to have.
    pub kept: Vec<usize>,
}

impl Recorder {
    /// A client of a line's primary.
    #[must_use]
    pub fn new(client: usize, line: usize, clock: Clock, connection: Connection) -> Self {
        let history = Vec::new();
        Self { client, line, clock, connection, history, only_writes: false, kept: Vec::new() }
    }

    /// Its number.
    #[must_use]
    pub fn client(&self) -> usize {
        self.client
    }

    /// What its clock says.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Does steps, all at once if there are several, and notes what they say.
    ///
    /// # Errors
    /// There is no answer.
    ///
    /// # Panics
    /// If the answer is no such as the model knows.
    pub fn run(&mut self, steps: Vec<Step>) -> Result<Vec<Answer>, Unanswered> {
        let invoked = self.clock.now();
        let reply = self.send(&steps);
        let returned = self.clock.now();
        let mut operation = Operation {
            client: self.client,
            action: Action::Run { line: self.line, steps },
            invoked,
            returned,
            answers: None,
            after: Vec::new(),
        };
        match reply {
            Ok(replies) => {
                let steps = operation.steps().iter();
                let answers: Vec<_> =
                    steps.zip(replies).map(|(step, reply)| said(step, reply)).collect();
                assert_eq!(answers.len(), operation.steps().len(), "{operation}: replies");
                operation.answers = Some(answers.clone());
                self.history.push(operation);
                Ok(answers)
            }
            Err(error) if is_refusal(&error) => Err(Unanswered::Refused),
            Err(error) => {
                assert!(error.is_io_error(), "{operation}: {error}");
                operation.returned = NEVER;
                self.history.push(operation);
                Err(Unanswered::Lost)
            }
        }
    }

    fn send(&mut self, steps: &[Step]) -> Result<Vec<Value>, RedisError> {
        let mut pipe = redis::pipe();
        let is_batch = steps.len() > 1;
        if is_batch {
            pipe.cmd("MULTI");
        }
        for step in steps {
            let words = step.words();
            let command = pipe.cmd(&words[0]);
            words[1..].iter().for_each(|word| {
                command.arg(word);
            });
        }
        if is_batch {
            pipe.cmd("EXEC");
        }
        let mut replies: Vec<Value> = pipe.query(&mut self.connection)?;
        if !is_batch {
            return Ok(replies);
        }
        match replies.pop() {
            Some(Value::Array(replies)) => Ok(replies),
            other => panic!("EXEC said {other:?}"),
        }
    }

    /// Adds to a number as clients without scripts do: look, and write if nobody else did meanwhile.
    ///
    /// # Errors
    /// There is no answer.
    pub fn add_watching(&mut self, key: crate::model::Key, number: i64) -> Result<(), Unanswered> {
        let watch = redis::cmd("WATCH").arg(key.to_string()).exec(&mut self.connection);
        watch.map_err(|error| self.unanswered(&error))?;
        let seen = self.run(vec![Step::Get(key)])?;
        let sum = match seen[0] {
            Answer::Number(seen) => seen + number,
            _ => number,
        };
        let invoked = self.clock.now();
        let mut pipe = redis::pipe();
        pipe.cmd("MULTI").cmd("SET").arg(key.to_string()).arg(sum).cmd("EXEC");
        let reply = pipe.query::<Vec<Value>>(&mut self.connection);
        let (returned, answers) = match reply {
            // Nothing happened.
            Ok(replies) if replies.last() == Some(&Value::Nil) => return Ok(()),
            Ok(_) => (self.clock.now(), Some(vec![seen[0].clone(), Answer::Done])),
            Err(error) => match self.unanswered(&error) {
                Unanswered::Refused => return Err(Unanswered::Refused),
                Unanswered::Lost => (NEVER, None),
            },
        };
        let is_known = answers.is_some();
        // What nobody changed since it was seen, was still so when it was written.
        let steps = match is_known {
            true => vec![Step::Get(key), Step::Set(key, sum)],
            false => vec![Step::Set(key, sum)],
        };
        let action = Action::Run { line: self.line, steps };
        let client = self.client;
        self.history.push(Operation { client, action, invoked, returned, answers, after: vec![] });
        is_known.then_some(()).ok_or(Unanswered::Lost)
    }

    fn unanswered(&self, error: &RedisError) -> Unanswered {
        if is_refusal(error) {
            return Unanswered::Refused;
        }
        assert!(error.is_io_error(), "client {}: {error}", self.client);
        Unanswered::Lost
    }

    /// Asks how many replicas have all that it wrote, and notes that they have it if so many do.
    ///
    /// # Errors
    /// There is no answer.
    pub fn wait_for_replicas(&mut self, count: i64, wait_ms: u64) -> Result<(), Unanswered> {
        let mut wait = redis::cmd("WAIT");
        let got = wait.arg(count).arg(wait_ms).query::<i64>(&mut self.connection);
        let got = got.map_err(|error| self.unanswered(&error))?;
        if got >= count {
            let written = (0..self.history.len())
                .filter(|at| self.history[*at].is_write() && self.history[*at].answers.is_some());
            self.kept = written.collect();
        }
        Ok(())
    }
}

/// Whether the server says that it did nothing because of what it is at the moment.
fn is_refusal(error: &RedisError) -> bool {
    const CODES: [&str; 5] = ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "WAIT CANNOT"];
    let text = error.to_string().to_uppercase();
    error.kind() != ErrorKind::Io
        && (error.code().is_some_and(|code| CODES.contains(&code))
            || CODES.iter().any(|code| text.contains(code)))
}

/// What a step said, as the model puts it.
fn said(step: &Step, value: Value) -> Answer {
    match (step, value) {
        // Which id a transaction gets is chance.
        (Step::Record(_), Value::BulkString(id)) if !id.is_empty() => Answer::Done,
        (Step::Tally(_), Value::Array(pairs)) => {
            let named = |name: &[u8]| {
                let at = pairs.iter().position(|word| *word == Value::BulkString(name.to_vec()));
                match at.and_then(|at| pairs.get(at + 1)) {
                    Some(Value::Int(number)) => *number,
                    other => panic!("no number: {other:?} of {pairs:?}"),
                }
            };
            Answer::Numbers(vec![named(b"total"), named(b"pending")])
        }
        (_, value) => answer(value),
    }
}

fn answer(value: Value) -> Answer {
    match value {
        Value::Okay => Answer::Done,
        Value::Nil => Answer::Nothing,
        Value::Int(number) => Answer::Number(number),
        Value::BulkString(bytes) => {
            let text = String::from_utf8(bytes).expect("text");
            Answer::Number(text.parse().expect("a number"))
        }
        Value::Array(values) => {
            let number = |value| match answer(value) {
                Answer::Number(number) => number,
                other => panic!("{other:?} is no number"),
            };
            Answer::Numbers(values.into_iter().map(number).collect())
        }
        other => panic!("no answer of these commands: {other:?}"),
    }
}

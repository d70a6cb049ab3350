//! `PLUGIN ...`: reads the arguments and hands the work on.
//!
//! Options are exact: each keyword takes what it says, a keyword ends the list before it, and
//! anything else is a syntax error. Loading answers later; everything else at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use reef_engine::backend::{CallStatus, Completion};
use reef_resp::{Argv, Writer};

use crate::digest::Digest;
use crate::limits::{COMPONENT_BYTES_MAX, Limits};
use crate::loader::{House, Loader, WASM_MAGIC};
use crate::manifest::{WANTS_MAX, is_plugin_name};
use crate::request::{GrantRequest, LoadError, LoadRequest, Mode, Source};
use crate::runtime::Crew;
use crate::version::Version;
use crate::{report, texts};

/// Pairs of configuration that a plugin may be given.
const CONFIG_PAIRS_MAX: usize = 256;
/// What stands for the file of a plugin that came with the server.
const BUNDLED: &[u8] = b"bundled";
/// Lines that `LOG` shows by default.
const LOG_LINES_DEFAULT: usize = 10;

/// Runs one `PLUGIN` command.
pub(crate) fn run(
    house: &Arc<House>,
    crew: &Crew,
    argv: Argv<'_>,
    reply: &mut Writer,
    later: &mut dyn FnMut() -> Completion,
) -> CallStatus {
    match understand(house, crew, argv, reply) {
        Ok(Some(job)) => {
            submit(house, &crew.loader, job, reply, later);
            CallStatus::Later
        }
        Ok(None) => CallStatus::Done,
        Err(text) => {
            reply.error(&text);
            CallStatus::Done
        }
    }
}

/// What is left to be done by the loader.
enum Job {
    Load(Box<LoadRequest>),
    RollBack(String, Option<String>),
    Unload(String),
}

impl Job {
    fn run(self, house: &House) -> Result<(), LoadError> {
        match self {
            Self::Load(request) => house.load(*request).map(|_| ()),
            Self::RollBack(name, which) => house.roll_back(&name, which.as_deref()).map(|_| ()),
            Self::Unload(name) => house.unload(&name),
        }
    }
}

fn submit(
    house: &Arc<House>,
    loader: &Loader,
    job: Job,
    reply: &mut Writer,
    later: &mut dyn FnMut() -> Completion,
) {
    let house = Arc::clone(house);
    let protocol = reply.protocol();
    let answer = move |result: Result<(), LoadError>, completion: Completion| {
        let mut reply = Writer::new(protocol);
        match result {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(&error.0),
        }
        completion(reply.take_data());
    };
    // The completion must be called exactly once, also when the queue is full.
    let completion = Arc::new(Mutex::new(Some(later())));
    let taken = Arc::clone(&completion);
    let submitted = loader.submit(move || {
        let result = catch_unwind(AssertUnwindSafe(|| job.run(&house)));
        let result = result.unwrap_or_else(|_| Err(texts::LOAD_PANICKED.into()));
        let completion = taken.lock().take();
        if let Some(completion) = completion {
            answer(result, completion);
        }
    });
    if let Err(text) = submitted {
        let completion = completion.lock().take();
        if let Some(completion) = completion {
            answer(Err(text.into()), completion);
        }
    }
}

fn understand(
    house: &House,
    crew: &Crew,
    argv: Argv<'_>,
    reply: &mut Writer,
) -> Result<Option<Job>, String> {
    let word = argv.get(1).to_ascii_lowercase();
    let exactly = |count: usize, name: &str| {
        if argv.len() == count + 2 { Ok(()) } else { Err(texts::wrong_arguments(name)) }
    };
    match word.as_slice() {
        b"load" => return load(argv, "load").map(|request| Some(Job::Load(Box::new(request)))),
        b"replace" => {
            return load(argv, "replace").map(|request| Some(Job::Load(Box::new(request))));
        }
        b"unload" => {
            exactly(1, "unload")?;
            return Ok(Some(Job::Unload(find(house, argv)?.name().into())));
        }
        b"rollback" => {
            let which = match argv.len() {
                3 => None,
                4 => Some(text(argv.get(3))?),
                _ => return Err(texts::wrong_arguments("rollback")),
            };
            return Ok(Some(Job::RollBack(find(house, argv)?.name().into(), which)));
        }
        b"versions" => {
            exactly(1, "versions")?;
            report::versions(&*find(house, argv)?, reply);
        }
        b"list" => {
            exactly(0, "list")?;
            let leaving = house.leaving();
            report::list(&house.registry.all(), &leaving, reply);
        }
        b"info" => {
            exactly(1, "info")?;
            report::info(&*find(house, argv)?, reply);
        }
        b"stats" if argv.len() == 2 => report::all_statistics(&house.registry.all(), reply),
        b"stats" => {
            exactly(1, "stats")?;
            report::statistics(&*find(house, argv)?, reply);
        }
        b"log" => log(house, argv, reply)?,
        b"kill" => {
            exactly(1, "kill")?;
            reply.integer(crew.kill(&find(house, argv)?.terms.plugin).into());
        }
        b"help" => report::help(reply),
        _ => return Err(texts::unknown_subcommand(argv.get(1))),
    }
    Ok(None)
}

fn find(house: &House, argv: Argv<'_>) -> Result<Arc<Version>, String> {
    let name = std::str::from_utf8(argv.get(2)).ok();
    let version = name.and_then(|name| house.registry.find(name));
    version.ok_or_else(|| texts::no_such_plugin(argv.get(2)))
}

fn log(house: &House, argv: Argv<'_>, reply: &mut Writer) -> Result<(), String> {
    let count = match argv.len() {
        3 => LOG_LINES_DEFAULT,
        4 => std::str::from_utf8(argv.get(3))
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(texts::NOT_AN_INTEGER)?,
        _ => return Err(texts::wrong_arguments("log")),
    };
    report::log(&*find(house, argv)?, count, reply);
    Ok(())
}

/// Reads `LOAD name source options` and `REPLACE name source options`.
pub(crate) fn load(argv: Argv<'_>, subcommand: &str) -> Result<LoadRequest, String> {
    if argv.len() < 4 {
        return Err(texts::wrong_arguments(subcommand));
    }
    let name = argv.get(2);
    if !is_plugin_name(name) {
        return Err(texts::bad_name(name));
    }
    let source = argv.get(3);
    let source = if source.len() > COMPONENT_BYTES_MAX {
        return Err(texts::component_too_large(COMPONENT_BYTES_MAX));
    } else if source.starts_with(WASM_MAGIC) {
        Source::Bytes(source.to_vec().into())
    } else if source == BUNDLED {
        Source::Bundled
    } else if let Some(digest) = Digest::parse(source) {
        Source::Digest(digest)
    } else {
        Source::Path(text(source)?.into())
    };
    let mut request = LoadRequest { is_kept: true, ..LoadRequest::new(text(name)?, source) };
    let mut rest = Options { argv, at: 4 };
    if subcommand == "replace" {
        request.mode = Mode::Replace;
    }
    while let Some(keyword) = rest.keyword() {
        match keyword {
            Keyword::Replace if request.mode == Mode::New => request.mode = Mode::NewOrReplace,
            Keyword::Replace => return Err(texts::SYNTAX.into()),
            Keyword::Digest if request.digest.is_none() => request.digest = Some(rest.digest()?),
            Keyword::Digest => return Err(texts::SYNTAX.into()),
            Keyword::Grant => rest.grants(&mut request)?,
            Keyword::Config => rest.config(&mut request)?,
            Keyword::Limit => rest.limits(&mut request)?,
        }
    }
    if rest.at < argv.len() {
        return Err(texts::SYNTAX.into());
    }
    Ok(request)
}

fn text(bytes: &[u8]) -> Result<String, String> {
    Ok(std::str::from_utf8(bytes).map_err(|_| texts::NOT_UTF8)?.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    Replace,
    Digest,
    Grant,
    Config,
    Limit,
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The options that are still to be read.
struct Options<'a> {
    argv: Argv<'a>,
    at: usize,
}

impl<'a> Options<'a> {
    fn peek(&self) -> Option<Keyword> {
        match self.argv.get(self.at).to_ascii_uppercase().as_slice() {
            b"REPLACE" => Some(Keyword::Replace),
            b"DIGEST" => Some(Keyword::Digest),
            b"GRANT" => Some(Keyword::Grant),
            b"CONFIG" => Some(Keyword::Config),
            b"LIMIT" => Some(Keyword::Limit),
            _ => None,
        }
    }

    fn keyword(&mut self) -> Option<Keyword> {
        let keyword = self.peek();
        self.at += usize::from(keyword.is_some());
        keyword
    }

    /// The next word of a keyword's list, `None` at its end.
    fn word(&mut self) -> Option<&'a [u8]> {
        if self.at >= self.argv.len() || self.peek().is_some() {
            return None;
        }
        self.at += 1;
        Some(self.argv.get(self.at - 1))
    }

    /// The next two words: half a pair is an error.
    fn pair(&mut self) -> Result<Option<Pair<'a>>, String> {
        let Some(first) = self.word() else { return Ok(None) };
        if self.at >= self.argv.len() {
            return Err(texts::SYNTAX.into());
        }
        self.at += 1;
        Ok(Some((first, self.argv.get(self.at - 1))))
    }

    fn digest(&mut self) -> Result<Digest, String> {
        let word = self.word().ok_or(texts::SYNTAX)?;
        Digest::parse(word).ok_or_else(|| texts::no_digest(word))
    }

    fn grants(&mut self, request: &mut LoadRequest) -> Result<(), String> {
        let mut words = match std::mem::take(&mut request.grants) {
            GrantRequest::Words(words) => words,
            _ => Vec::new(),
        };
        let before = words.len();
        while let Some(word) = self.word() {
            words.push(text(word)?);
        }
        if words.len() == before {
            return Err(texts::SYNTAX.into());
        }
        if words.len() > WANTS_MAX {
            return Err(texts::too_many_words("grants", WANTS_MAX));
        }
        request.grants = GrantRequest::Words(words);
        Ok(())
    }

    fn config(&mut self, request: &mut LoadRequest) -> Result<(), String> {
        let pairs = request.config.get_or_insert_default();
        let before = pairs.len();
        while let Some((key, value)) = self.pair()? {
            pairs.push((text(key)?, text(value)?));
        }
        if pairs.len() == before {
            return Err(texts::SYNTAX.into());
        }
        if pairs.len() > CONFIG_PAIRS_MAX {
            return Err(texts::too_many_words("pairs of configuration", CONFIG_PAIRS_MAX));
        }
        Ok(())
    }

    fn limits(&mut self, request: &mut LoadRequest) -> Result<(), String> {
        let before = request.limits.len();
        while let Some((name, value)) = self.pair()? {
            // Tried on a scratch value, so that a slip is reported before anything is compiled.
            Limits::default().set(name, value)?;
            request.limits.push((text(name)?, text(value)?));
        }
        if request.limits.len() == before { Err(texts::SYNTAX.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;

    fn parse(line: &str) -> Result<LoadRequest, String> {
        let argv: OwnedArgv = line.split_whitespace().collect();
        let subcommand = argv.as_argv().get(1).to_ascii_lowercase();
        load(argv.as_argv(), std::str::from_utf8(&subcommand).unwrap())
    }

    #[test]
    fn options_come_in_any_order_and_end_each_other() {
        let request = parse(
            "PLUGIN LOAD x /p.wasm config a 1 grant replace LIMIT cpu-ms 9 GRANT SET ~x:* CONFIG b 2",
        );
        // GRANT without a word: REPLACE is the next keyword, not a word.
        assert_eq!(request.unwrap_err(), texts::SYNTAX);
        let request = parse(
            "PLUGIN LOAD x /p.wasm CONFIG a 1 GRANT SET replace LIMIT cpu-ms 9 grant ~x:* CONFIG b limit",
        )
        .unwrap();
        assert_eq!(request.mode, Mode::NewOrReplace);
        assert_eq!(request.grants, GrantRequest::Words(vec!["SET".into(), "~x:*".into()]));
        let config = [("a", "1"), ("b", "limit")].map(|(k, v)| (k.to_string(), v.to_string()));
        assert_eq!(request.config.unwrap(), config);
        assert_eq!(request.limits, [("cpu-ms".to_string(), "9".to_string())]);
    }

    #[test]
    fn anything_else_is_refused() {
        for (line, error) in [
            ("PLUGIN LOAD x", texts::wrong_arguments("load")),
            ("PLUGIN REPLACE x", texts::wrong_arguments("replace")),
            ("PLUGIN LOAD x/y /p", texts::bad_name(b"x/y")),
            ("PLUGIN LOAD x /p NONSENSE", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p DIGEST", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p DIGEST 12", texts::no_digest(b"12")),
            ("PLUGIN LOAD x /p GRANT", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p CONFIG a", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p CONFIG a 1 b", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p LIMIT", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p LIMIT cpu-ms", texts::SYNTAX.into()),
            ("PLUGIN LOAD x /p LIMIT fuel 1", texts::unknown_limit(b"fuel")),
            ("PLUGIN LOAD x /p REPLACE REPLACE", texts::SYNTAX.into()),
            ("PLUGIN REPLACE x /p REPLACE", texts::SYNTAX.into()),
        ] {
            assert_eq!(parse(line).unwrap_err(), error, "{line}");
        }
    }
}

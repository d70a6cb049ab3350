//! A runtime over [`Keys`], and words to talk to it as a client does.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use reef_engine::backend::{
    CallStatus, Called, Caller, Completion, Conclusion, Extension, Late, Park, PluginCommand, Wake,
};
use reef_engine::command::Runner;
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{
    GrantRequest, LoadError, LoadRequest, Options, PluginSummary, Plugins, Runtime, Source,
};

use crate::guest::Guest;
use crate::keys::Keys;

/// How long a reply may take before a test fails. Far more than any budget.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) keys: Arc<Keys>,
    pub(crate) runtime: Arc<Plugins>,
    pub(crate) threads: Runtime,
}

/// A call whose reply may still be on its way.
pub(crate) enum Call {
    Done(String),
    Later(Receiver<Late>),
    Parked(Box<Park>),
}

impl Call {
    /// The reply.
    pub(crate) fn reply(self) -> String {
        match self {
            Self::Done(reply) => reply,
            Self::Later(receiver) => {
                match receiver.recv_timeout(PATIENCE).expect("the call never ended") {
                    Late::Reply(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Late::Park(park) => Self::Parked(park).reply(),
                }
            }
            Self::Parked(park) => {
                let keys: Vec<_> = park.keys.as_argv().iter().map(<[u8]>::to_vec).collect();
                format!("(parked on {})", String::from_utf8_lossy(&keys.join(&b' ')))
            }
        }
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(&Options::default())
    }

    pub(crate) fn with(options: &Options) -> Self {
        let keys = Arc::new(Keys::default());
        let threads = Runtime::new(options).expect("a runtime");
        let runtime = threads.plugins(keys.clone());
        Self { keys, runtime, threads }
    }

    /// A runtime with this guest loaded as `test`, granted all it wants.
    pub(crate) fn of(guest: &Guest) -> Self {
        let rig = Self::new();
        rig.load("test", guest, &[]).expect("the guest loads");
        rig
    }

    pub(crate) fn load(
        &self,
        name: &str,
        guest: &Guest,
        limits: &[(&str, &str)],
    ) -> Result<PluginSummary, LoadError> {
        let mut request = LoadRequest::new(name, Source::Bytes(guest.build().into()));
        request.grants = GrantRequest::AllWanted;
        request.limits = limits.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        self.runtime.load(request)
    }

    /// The number of a plugin's command.
    pub(crate) fn number(&self, name: &str) -> PluginCommand {
        match self.keys.command(name).expect("the command is in the table").runner {
            Runner::Plugin(number) => number,
            _ => panic!("{name} is not a plugin's"),
        }
    }

    /// Begins a call.
    pub(crate) fn begin(&self, words: &[&str]) -> Call {
        self.begin_as(self.number(words[0]), words)
    }

    pub(crate) fn begin_as(&self, number: PluginCommand, words: &[&str]) -> Call {
        self.begin_because(number, None, words)
    }

    /// Begins a call, or goes on with a parked one.
    pub(crate) fn begin_because(
        &self,
        number: PluginCommand,
        wake: Option<Wake<'_>>,
        words: &[&str],
    ) -> Call {
        let caller = Caller { client_id: 7, user: "someone".into(), database: 3 };
        let argv: OwnedArgv = words.iter().collect();
        let mut reply = Writer::new(Protocol::Resp2);
        let (sender, receiver) = mpsc::channel();
        let mut later = || -> Conclusion {
            let sender = sender.clone();
            Box::new(move |late| sender.send(late).expect("the test waits"))
        };
        match self.runtime.call(number, wake, &caller, argv.as_argv(), &mut reply, &mut later) {
            Called::Done => Call::Done(String::from_utf8_lossy(reply.data()).into_owned()),
            Called::Parked(park) => Call::Parked(park),
            Called::Later => {
                assert!(reply.data().is_empty(), "nothing is written when the reply comes later");
                Call::Later(receiver)
            }
        }
    }

    /// Runs a plugin's command.
    pub(crate) fn call(&self, words: &[&str]) -> String {
        self.begin(words).reply()
    }

    /// Runs `PLUGIN ...`.
    pub(crate) fn admin(&self, words: &[&str]) -> String {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.admin_bytes(&words)
    }

    pub(crate) fn admin_bytes(&self, words: &[&[u8]]) -> String {
        send(words, |argv, reply, later| self.runtime.administer(argv, reply, later)).reply()
    }

    /// The figure after `name` in `PLUGIN STATS test`, of the first map that has it.
    pub(crate) fn figure(&self, subcommand: &str, name: &str) -> i64 {
        let reply = self.admin(&["PLUGIN", subcommand, "test"]);
        let mut lines = reply.split("\r\n").skip_while(|line| *line != name);
        let value = lines.nth(1).unwrap_or_else(|| panic!("no {name} in {reply}"));
        value.strip_prefix(':').and_then(|digits| digits.parse().ok()).expect("a number")
    }
}

/// Runs `PLUGIN ...` of a tenant.
pub(crate) fn administer(plugins: &dyn Extension, words: &[&[u8]]) -> String {
    send(words, |argv, reply, later| plugins.administer(argv, reply, later)).reply()
}

fn send<A: AsRef<[u8]>>(
    words: &[A],
    run: impl FnOnce(reef_resp::Argv<'_>, &mut Writer, &mut dyn FnMut() -> Completion) -> CallStatus,
) -> Call {
    let argv: OwnedArgv = words.iter().collect();
    let mut reply = Writer::new(Protocol::Resp2);
    let (sender, receiver) = mpsc::channel();
    let mut later = || -> Completion {
        let sender = sender.clone();
        Box::new(move |bytes| sender.send(Late::Reply(bytes)).expect("the test waits"))
    };
    match run(argv.as_argv(), &mut reply, &mut later) {
        CallStatus::Done => Call::Done(String::from_utf8_lossy(reply.data()).into_owned()),
        CallStatus::Later => {
            assert!(reply.data().is_empty(), "nothing is written when the reply comes later");
            Call::Later(receiver)
        }
    }
}

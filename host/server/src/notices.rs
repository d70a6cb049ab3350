//! What the extension keeps with the data: plugins that were loaded while the server ran.
//!
//! A snapshot has it in fields of its header, which stock servers pass over. The log and replicas are
//! told by a PING with a message: stock servers answer it into the void, and no client can make a
//! server pass one on.

use reef_resp::Argv;

use crate::indexes;
use crate::persistence::Summary;
use crate::server::Shared;
use crate::store::Store;
use crate::tenants::of_plugin;

/// The names of the fields in a snapshot: for the operator's plugins, and for tenants.
const FIELD: &str = "reef-plugin";
const TENANT_FIELD: &str = "reef-tenant";
/// What the message of a PING begins with that is a notice.
const MARK: &[u8] = b"\0reef:";

impl Store {
    /// Tells replicas and the log a notice of this store's extension.
    pub(crate) fn tell_extension_notice(&self, notice: &[u8]) {
        match self.tenancy() {
            None => self.tell_notice(notice),
            Some(tenancy) => self.tell_notice(&of_plugin(&tenancy.name, notice)),
        }
    }

    /// Tells replicas and the log a notice.
    pub(crate) fn tell_notice(&self, notice: &[u8]) {
        self.log_notice(notice);
        if let Some(stream) = self.stream() {
            stream.say(&ping(notice));
        }
    }

    /// Tells the log a notice.
    pub(crate) fn log_notice(&self, notice: &[u8]) {
        if self.log().is_on() {
            let command = ping(notice);
            self.log().append([(0, command)]);
        }
    }
}

/// The notice about a tenant in a field of a snapshot's header, if it is one.
pub(crate) fn of_tenant<'f>(name: &[u8], value: &'f [u8]) -> Option<&'f [u8]> {
    (name == TENANT_FIELD.as_bytes()).then_some(value)
}

/// Whether the first word of a notice is TENANT.
fn is_about_tenants(notice: &[u8]) -> bool {
    let words = notice.iter().position(|byte| *byte == b'\n').map(|end| &notice[end + 1..]);
    words.is_some_and(|words| words.starts_with(b"$6\r\nTENANT\r\n"))
}

/// A notice as the message of a PING.
pub(crate) fn ping(notice: &[u8]) -> Vec<u8> {
    command(&[b"PING", &[MARK, notice].concat()])
}

/// The notice in a PING, if there is one.
pub(crate) fn message_of(argv: Argv<'_>) -> Option<&[u8]> {
    if argv.len() != 2 || !argv.get(0).eq_ignore_ascii_case(b"PING") {
        return None;
    }
    argv.get(1).strip_prefix(MARK)
}

/// A command in RESP.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Shared {
    /// What a snapshot keeps of the extension.
    pub(crate) fn notices(&self) -> Vec<(&'static str, Vec<u8>)> {
        let kept = self.extension.get().map(|extension| extension.kept()).unwrap_or_default();
        let tenants = self.tenant_notices().into_iter().map(|notice| (TENANT_FIELD, notice));
        kept.into_iter().map(|notice| (FIELD, notice)).chain(tenants).collect()
    }

    /// Takes a field of a snapshot's header that must be known before the data comes.
    pub(crate) fn note_field(&self, name: &[u8], value: &[u8]) {
        if name == TENANT_FIELD.as_bytes() {
            self.restore_tenant(value);
        } else if let Some((number, command)) = indexes::read_field(name, value) {
            self.restore_index(number, command);
        }
    }

    /// Takes what a snapshot kept of the extension, as all that there is.
    pub(crate) fn restore_notices(&self, summary: &Summary) {
        let fields = |field: &'static str| {
            let all = summary.aux.iter().filter(move |(name, _)| name == field.as_bytes());
            all.map(|(_, notice)| notice.as_slice())
        };
        self.restore_tenants_plugins(fields(TENANT_FIELD));
        if let Some(extension) = self.extension.get() {
            extension.restore(fields(FIELD).map(<[u8]>::to_vec).collect());
        }
    }

    /// Waits until what was restored and heeded has taken effect.
    pub(crate) fn settle_notices(&self) {
        if let Some(extension) = self.extension.get() {
            extension.settle();
        }
        self.restore_tenants_users();
    }

    /// The same without waiting for it: a primary's stream goes on while plugins are compiled.
    pub(crate) fn settle_notices_later(&self) {
        let shared = self.me();
        let thread = std::thread::Builder::new().name("reef-settle".to_owned());
        if let Err(error) = thread.spawn(move || shared.settle_notices()) {
            tracing::error!("what was restored has not taken effect: {error}");
        }
    }

    /// Takes what a primary or a log says, if it is a notice. Whether it was.
    pub(crate) fn heed(&self, argv: Argv<'_>) -> bool {
        let Some(notice) = message_of(argv) else { return false };
        if is_about_tenants(notice) {
            self.heed_tenants(notice);
        } else if let Some(extension) = self.extension.get() {
            extension.heed(notice);
        }
        true
    }
}

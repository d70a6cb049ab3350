//! What the extension keeps with the data: plugins that were loaded while the server ran.
//!
//! A snapshot has it in fields of its header, which stock servers pass over. The log and replicas are
//! told by a PING with a message: stock servers answer it into the void, and no client can make a
//! server pass one on.

use reef_resp::Argv;

use crate::persistence::Summary;
use crate::server::Shared;
use crate::store::Store;

/// The name of the fields in a snapshot.
const FIELD: &str = "reef-plugin";
/// What the message of a PING begins with that is a notice.
const MARK: &[u8] = b"\0reef:";

impl Store {
    /// Tells replicas and the log a notice.
    pub(crate) fn tell_notice(&self, notice: &[u8]) {
        let message = [MARK, notice].concat();
        let mut command = format!("*2\r\n$4\r\nPING\r\n${}\r\n", message.len()).into_bytes();
        command.extend_from_slice(&message);
        command.extend_from_slice(b"\r\n");
        if self.log().is_on() {
            self.log().append(|| std::iter::once((0, command.as_slice())));
        }
        if let Some(stream) = self.stream() {
            stream.say(&command);
        }
    }
}

impl Shared {
    /// What a snapshot keeps of the extension.
    pub(crate) fn notices(&self) -> Vec<(&'static str, Vec<u8>)> {
        let kept = self.extension.get().map(|extension| extension.kept()).unwrap_or_default();
        kept.into_iter().map(|notice| (FIELD, notice)).collect()
    }

    /// Takes what a snapshot kept of the extension, as all that there is.
    pub(crate) fn restore_notices(&self, summary: &Summary) {
        let Some(extension) = self.extension.get() else { return };
        let kept = summary.aux.iter().filter(|(name, _)| name == FIELD.as_bytes());
        extension.restore(kept.map(|(_, notice)| notice.clone()).collect());
    }

    /// Waits until what was restored and heeded has taken effect.
    pub(crate) fn settle_notices(&self) {
        if let Some(extension) = self.extension.get() {
            extension.settle();
        }
    }

    /// Takes what a primary or a log says, if it is a notice. Whether it was.
    pub(crate) fn heed(&self, argv: Argv<'_>) -> bool {
        if argv.len() != 2 || !argv.get(0).eq_ignore_ascii_case(b"PING") {
            return false;
        }
        let Some(notice) = argv.get(1).strip_prefix(MARK) else { return false };
        if let Some(extension) = self.extension.get() {
            extension.heed(notice);
        }
        true
    }
}

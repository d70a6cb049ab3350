//! CLIENT: what clients tell of themselves, and what operators see of them.

use alloc::format;

use crate::error::Error;

/// Names and labels of clients are one printable word.
pub(super) fn check_label(label: &[u8], what: &str) -> Result<(), Error> {
    if label.iter().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Ok(());
    }
    Err(Error::Owned(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}

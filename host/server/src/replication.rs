//! What the server is to others that hold the same data.

use reef_engine::gates::Conditions;

use crate::persistence::Summary;
use crate::server::Shared;

impl Shared {
    /// Whether keys that have expired are gone although nobody removed them: not on a replica.
    pub(crate) fn drops_expired(&self) -> bool {
        true
    }

    /// Remembers where the data of a snapshot comes from.
    pub(crate) fn note_origin(&self, _summary: &Summary) {}
}

impl Shared {
    /// What stands in the way of commands now.
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions {
            loading: self.loading.is_on(),
            disk_failure: self.disk_failure(),
            ..Conditions::default()
        }
    }
}

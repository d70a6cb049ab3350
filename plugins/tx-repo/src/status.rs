//! The statuses of a transaction and which may follow which.
//!
//! Open ones go forward, in any stride: pending, sent, submitted, mined. A mined one may fall back
//! to submitted, since chains reorganise. Each open one may finish as confirmed, failed, canceled
//! or expired. A finished one never changes.

use serde::Deserialize;

/// Where a transaction is in its life. The order is that of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Sent,
    Submitted,
    Mined,
    Confirmed,
    Failed,
    Canceled,
    Expired,
}

impl Status {
    /// All, in the order of progress.
    pub(crate) const ALL: [Self; 8] = [
        Self::Pending,
        Self::Sent,
        Self::Submitted,
        Self::Mined,
        Self::Confirmed,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// The status with this name, in upper or lower case.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|status| name.eq_ignore_ascii_case(status.name().as_bytes()))
    }

    pub(crate) fn is_final(self) -> bool {
        self >= Self::Confirmed
    }

    /// Whether a transaction in this status may be moved to the next; staying is no move.
    pub(crate) fn may_become(self, next: Self) -> bool {
        !self.is_final() && (next > self || (self, next) == (Self::Mined, Self::Submitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_status() {
        for status in Status::ALL {
            assert_eq!(Status::named(status.name().as_bytes()), Some(status));
            assert_eq!(Status::named(status.name().to_uppercase().as_bytes()), Some(status));
            let json = format!("\"{}\"", status.name());
            assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
        }
        assert_eq!(Status::named(b"done"), None);
    }

    #[test]
    fn the_whole_table_of_moves() {
        let allowed = [
            ("pending", "sent submitted mined confirmed failed canceled expired"),
            ("sent", "submitted mined confirmed failed canceled expired"),
            ("submitted", "mined confirmed failed canceled expired"),
            ("mined", "submitted confirmed failed canceled expired"),
            ("confirmed", ""),
            ("failed", ""),
            ("canceled", ""),
            ("expired", ""),
        ];
        for (from, to) in allowed {
            let from = Status::named(from.as_bytes()).unwrap();
            let may = Status::ALL.into_iter().filter(|next| from.may_become(*next));
            assert_eq!(may.map(Status::name).collect::<Vec<_>>().join(" "), to, "{}", from.name());
        }
    }
}

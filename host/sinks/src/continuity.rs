//! Whether a stream goes on where its position in the database ends.
//!
//! A stream that ends before the position has lost what was applied: rows exist that no document
//! explains, and new entries could take the ids of lost ones. One whose entries behind the position
//! were trimmed has events that nobody will ever apply. Neither is passed over in silence.

use crate::event::StreamId;
use crate::source::Extent;

/// What is wrong between a stream and a position in it, in one sentence; nothing if all is well.
/// `added` is how many entries the stream had had up to the position, 0 if that is not known.
pub(crate) fn breach(extent: &Extent, position: StreamId, added: u64) -> Option<String> {
    if extent.last < position {
        return Some(format!(
            "the stream has lost its tail: it ends at {}, but events up to {position} are applied",
            extent.last
        ));
    }
    if extent.deleted_max > position {
        return Some(format!(
            "events are missing: entries up to {} were trimmed or deleted, but only those up to \
             {position} are applied",
            extent.deleted_max
        ));
    }
    if position > StreamId::ZERO && !extent.holds_position && extent.deleted_max < position {
        return Some(format!(
            "the stream has lost its tail and has grown again: it never had the entry {position}, \
             up to which events are applied"
        ));
    }
    if added > extent.added {
        return Some(format!(
            "the stream has lost its tail and has grown again: {added} entries up to {position} were \
             applied, but it has only ever had {}",
            extent.added
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent() -> Extent {
        Extent {
            first: Some(StreamId::new(5, 0)),
            last: StreamId::new(9, 0),
            added: 9,
            deleted_max: StreamId::new(4, 0),
            behind: None,
            holds_position: true,
        }
    }

    #[test]
    fn a_whole_stream_is_no_breach() {
        assert_eq!(breach(&extent(), StreamId::new(9, 0), 9), None);
        assert_eq!(breach(&extent(), StreamId::new(5, 0), 5), None);
        let trimmed = Extent { holds_position: false, ..extent() };
        assert_eq!(breach(&trimmed, StreamId::new(4, 0), 4), None, "applied, then trimmed");
        assert_eq!(breach(&Extent::default(), StreamId::ZERO, 0), None, "an empty beginning");
    }

    #[test]
    fn a_lost_tail_is_found_even_under_new_entries() {
        assert!(breach(&extent(), StreamId::new(9, 1), 0).unwrap().contains("lost its tail"));
        let regrown = Extent { holds_position: false, ..extent() };
        assert!(breach(&regrown, StreamId::new(8, 5), 0).unwrap().contains("grown again"));
        assert!(breach(&extent(), StreamId::new(8, 0), 10).unwrap().contains("only ever had 9"));
    }

    #[test]
    fn a_trimmed_gap_is_found() {
        assert!(breach(&extent(), StreamId::new(3, 0), 0).unwrap().contains("missing"));
        assert!(breach(&extent(), StreamId::ZERO, 0).unwrap().contains("missing"));
    }
}

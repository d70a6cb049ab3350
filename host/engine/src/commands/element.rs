//! Elements of collections in replies.

use reef_resp::Writer;

use crate::types::element::Element;

/// Says an element as a bulk string.
#[inline]
pub(super) fn say(reply: &mut Writer, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Int(value) => reply.bulk_integer(value),
    }
}

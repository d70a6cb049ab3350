//! What is kept of a registration, a lease and a leader: a line of numbers, then bytes.

use std::borrow::Cow;

use reef_sdk::{Argument, Error, Result};

use crate::key::{CORRUPT, Name};
use crate::meta::{numbers, write_numbers};

/// A connection in a life of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) incarnation: u64,
    pub(crate) client: u64,
}

impl Owner {
    /// How its key is called.
    pub(crate) fn name(self) -> Vec<u8> {
        format!("{}:{}", self.incarnation, self.client).into_bytes()
    }

    /// The owner whose key is called so.
    pub(crate) fn of_name(name: &[u8]) -> Option<Self> {
        let (incarnation, client) = std::str::from_utf8(name).ok()?.split_once(':')?;
        Some(Self { incarnation: incarnation.parse().ok()?, client: client.parse().ok()? })
    }

    fn of(incarnation: u64, client: u64) -> Option<Self> {
        (client != 0).then_some(Self { incarnation, client })
    }
}

/// Numbers of an owner, zeros for none.
fn parts(owner: Option<Owner>) -> (u64, u64) {
    owner.map_or((0, 0), |owner| (owner.incarnation, owner.client))
}

/// Until when something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// As long as the run.
    Run,
    /// For so many milliseconds; another sign of life begins them anew.
    Time(u64),
    /// As long as this connection.
    Connection(Owner),
}

impl Span {
    pub(crate) fn owner(self) -> Option<Owner> {
        match self {
            Self::Connection(owner) => Some(owner),
            _ => None,
        }
    }

    fn ttl_ms(self) -> u64 {
        match self {
            Self::Time(ttl_ms) => ttl_ms,
            _ => 0,
        }
    }

    fn of(ttl_ms: u64, owner: Option<Owner>) -> Self {
        match owner {
            Some(owner) => Self::Connection(owner),
            None if ttl_ms > 0 => Self::Time(ttl_ms),
            None => Self::Run,
        }
    }
}

/// A registration, as long as the reply that it was read from, or longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration<'a> {
    /// Its place among those of its name space.
    pub(crate) order: u64,
    /// When it changed last.
    pub(crate) revision: u64,
    /// When it ends, in milliseconds since 1970; 0: not by itself.
    pub(crate) deadline_ms: u64,
    pub(crate) span: Span,
    pub(crate) value: Cow<'a, [u8]>,
}

impl Argument for Registration<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (incarnation, client) = parts(self.span.owner());
        let Self { order, revision, deadline_ms, .. } = *self;
        write_numbers([order, revision, deadline_ms, self.span.ttl_ms(), incarnation, client], out);
        out.push(b'\n');
        out.extend_from_slice(&self.value);
    }
}

impl<'a> Registration<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let (head, value) = split(bytes)?;
        let [order, revision, deadline_ms, ttl_ms, incarnation, client] =
            numbers(head).ok_or(CORRUPT)?;
        let span = Span::of(ttl_ms, Owner::of(incarnation, client));
        Ok(Self { order, revision, deadline_ms, span, value: value.into() })
    }

    /// The same, whatever becomes of what it was read from.
    pub(crate) fn into_owned(self) -> Registration<'static> {
        let Self { order, revision, deadline_ms, span, value } = self;
        Registration { order, revision, deadline_ms, span, value: value.into_owned().into() }
    }
}

/// A lease: who took a registration and has not said yet what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The place of what is leased, to which it goes back.
    pub(crate) order: u64,
    /// What the taker knows it by.
    pub(crate) token: u64,
    pub(crate) owner: Owner,
}

impl Argument for Lease {
    fn write(&self, out: &mut Vec<u8>) {
        let Owner { incarnation, client } = self.owner;
        write_numbers([self.order, self.token, incarnation, client], out);
        out.push(b'\n');
    }
}

impl Lease {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (head, _) = split(bytes)?;
        let [order, token, incarnation, client] = numbers(head).ok_or(CORRUPT)?;
        Ok(Self { order, token, owner: Owner { incarnation, client } })
    }
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The fencing number: each leader of a role has a higher one than those before.
    pub(crate) token: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) span: Span,
    pub(crate) candidate: Vec<u8>,
}

impl Argument for Leader {
    fn write(&self, out: &mut Vec<u8>) {
        let (incarnation, client) = parts(self.span.owner());
        let Self { token, deadline_ms, span, .. } = *self;
        write_numbers([token, deadline_ms, span.ttl_ms(), incarnation, client], out);
        out.push(b'\n');
        out.extend_from_slice(&self.candidate);
    }
}

impl Leader {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (head, candidate) = split(bytes)?;
        let [token, deadline_ms, ttl_ms, incarnation, client] = numbers(head).ok_or(CORRUPT)?;
        let span = Span::of(ttl_ms, Owner::of(incarnation, client));
        Ok(Self { token, deadline_ms, span, candidate: candidate.to_vec() })
    }
}

/// The line of numbers, and the bytes after it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(CORRUPT)?;
    let (head, rest) = bytes.split_at(end);
    Ok((head, rest.get(1..).unwrap_or_default()))
}

/// Something that ends by itself or with a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    Registration {
        ns: Vec<u8>,
        id: Vec<u8>,
    },
    Lease {
        ns: Vec<u8>,
        id: Vec<u8>,
    },
    Leader {
        role: Vec<u8>,
    },
    /// What a connection that is gone has left and nobody has ended yet.
    Connection(Owner),
}

/// As a member of a set.
impl Argument for Tie {
    fn write(&self, out: &mut Vec<u8>) {
        let mut pair = |letter: u8, ns: &[u8], id: &[u8]| {
            out.push(letter);
            ns.len().write(out);
            out.push(b':');
            out.extend_from_slice(ns);
            out.extend_from_slice(id);
        };
        match self {
            Self::Registration { ns, id } => pair(b'r', ns, id),
            Self::Lease { ns, id } => pair(b'k', ns, id),
            Self::Leader { role } => ("l", role.as_slice()).write(out),
            Self::Connection(owner) => ("c", owner.name().as_slice()).write(out),
        }
    }
}

impl Tie {
    pub(crate) fn registration(Name(ns): Name<'_>, Name(id): Name<'_>) -> Self {
        Self::Registration { ns: ns.to_vec(), id: id.to_vec() }
    }

    pub(crate) fn lease(Name(ns): Name<'_>, Name(id): Name<'_>) -> Self {
        Self::Lease { ns: ns.to_vec(), id: id.to_vec() }
    }

    pub(crate) fn leader(Name(role): Name<'_>) -> Self {
        Self::Leader { role: role.to_vec() }
    }

    pub(crate) fn decode(member: &[u8]) -> Result<Self> {
        Self::parse(member).ok_or(CORRUPT)
    }

    fn parse(member: &[u8]) -> Option<Self> {
        let (letter, rest) = member.split_first()?;
        if *letter == b'l' {
            return Some(Self::Leader { role: rest.to_vec() });
        }
        if *letter == b'c' {
            return Owner::of_name(rest).map(Self::Connection);
        }
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(rest.get(..colon)?).ok()?.parse().ok()?;
        let (ns, id) = rest.get(colon + 1..)?.split_at_checked(length)?;
        let (ns, id) = (ns.to_vec(), id.to_vec());
        match letter {
            b'r' => Some(Self::Registration { ns, id }),
            b'k' => Some(Self::Lease { ns, id }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(argument: &impl Argument) -> Vec<u8> {
        let mut bytes = Vec::new();
        argument.write(&mut bytes);
        bytes
    }

    #[test]
    fn what_was_kept_comes_back() {
        let owner = Owner { incarnation: u64::MAX, client: 9 };
        for span in [Span::Run, Span::Time(5), Span::Connection(owner)] {
            let value = Cow::Borrowed(b"/ip4/1\n2".as_slice());
            let one = Registration { order: 1, revision: 2, deadline_ms: 3, span, value };
            assert_eq!(Registration::decode(&written(&one)), Ok(one));
            let leader = Leader { token: 1, deadline_ms: 2, span, candidate: b"\n".to_vec() };
            assert_eq!(Leader::decode(&written(&leader)), Ok(leader));
        }
        let lease = Lease { order: 1, token: 2, owner };
        assert_eq!(Lease::decode(&written(&lease)), Ok(lease));
        assert_eq!(Owner::of_name(&owner.name()), Some(owner));
        for bad in [b"".as_slice(), b"1 2", b"\n", b"1 2 3\nx"] {
            assert!(Registration::decode(bad).is_err() && Lease::decode(bad).is_err());
        }
    }

    #[test]
    fn ties_of_any_names_come_back() {
        for (ns, id) in [("a", "b"), ("1:", ":2"), ("k3:", "r"), ("x", "")] {
            let (ns, id) = (Name(ns.as_bytes()), Name(id.as_bytes()));
            for tie in [Tie::registration(ns, id), Tie::lease(ns, id), Tie::leader(ns)] {
                assert_eq!(Tie::decode(&written(&tie)), Ok(tie));
            }
        }
        let tie = Tie::Connection(Owner { incarnation: u64::MAX, client: 9 });
        assert_eq!(Tie::decode(&written(&tie)), Ok(tie));
        for bad in ["", "r", "r9:ab", "rx:ab", "q1:ab", "c", "c1"] {
            assert!(Tie::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

//! What can be an argument of a command: anything that can write its bytes into a buffer.
//!
//! Arguments are written where they are sent from, so a key made of parts, a number or a JSON
//! document needs no allocation of its own. Plugins implement [`Argument`] for their key types.

/// Something that can stand in a command, a reply or a list of keys.
pub trait Argument {
    /// Appends the bytes. Must not change what is already there.
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Argument + ?Sized> Argument for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl Argument for [u8] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Argument for str {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Argument for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Argument for String {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl<const N: usize> Argument for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Parts written one after the other, as one argument: `Joined(&[b"user:", id, b":name"])`.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a>(pub &'a [&'a [u8]]);

impl Argument for Joined<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for part in self.0 {
            out.extend_from_slice(part);
        }
    }
}

/// Two parts written one after the other, as one argument.
impl Argument for (&str, &[u8]) {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(self.1);
    }
}

impl Argument for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut digits = [0_u8; 20];
        let mut start = digits.len();
        let mut rest = *self;
        // Four digits a turn: one wide division for four narrow ones.
        while let Some(four) = start.checked_sub(4)
            && rest >= 10_000
        {
            let mut low = (rest % 10_000) as u32;
            rest /= 10_000;
            for digit in digits[four..start].iter_mut().rev() {
                *digit = b'0' + (low % 10) as u8;
                low /= 10;
            }
            start = four;
        }
        let mut low = rest as u32;
        while let Some(one) = start.checked_sub(1) {
            start = one;
            digits[start] = b'0' + (low % 10) as u8;
            low /= 10;
            if low == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[start..]);
    }
}

impl Argument for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().write(out);
    }
}

impl Argument for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }
}

impl Argument for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(argument: impl Argument) -> String {
        let mut out = b">".to_vec();
        argument.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_in_decimal_at_both_ends_of_their_range() {
        for number in
            [0, 9, 10, 255, 9_999, 10_000, 1_000_000, 100_010_001, (1 << 53) + 1, u64::MAX]
        {
            assert_eq!(written(number), format!(">{number}"));
        }
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(written(number), format!(">{number}"));
        }
    }

    #[test]
    fn parts_become_one_argument() {
        assert_eq!(written(Joined(&[b"a:", b"b", b":c"])), ">a:b:c");
        assert_eq!(written(("tx:", b"7".as_slice())), ">tx:7");
    }
}

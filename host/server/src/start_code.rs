//! Code and constants that only the start needed, after the start.
//!
//! The kernel maps a program's file in pieces of up to megabytes around each page that is touched, and
//! a start touches a bit of everything: the command line, the compiler of plugins, the bundled components,
//! TLS. So a server that holds nothing would show as resident some ten megabytes that it never looks at
//! again. They are unmapped once; what is still needed comes back from the page cache as it is run or read,
//! in well under a microsecond a page.
//!
//! Where there is no `/proc`, everything stays as it is.

use std::fs;
use std::ops::Range;

use rustix::mm::{Advice, madvise};

/// Unmaps this program's code and constants. To be called when the server is ready.
pub fn forget_start_code() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let Some(program) = program.to_str() else { return };
    let Ok(mappings) = fs::read_to_string("/proc/self/maps") else { return };
    for addresses in mappings.lines().filter_map(|line| unwritten(line, program)) {
        unmap(addresses);
    }
}

/// The addresses of a line of `/proc/self/maps`, if they are of this program's file and nobody, the loader
/// included, has ever written there: its code, and the constants that the file begins with. Other
/// constants hold addresses that the loader has filled in.
fn unwritten(line: &str, program: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (rights, offset) = (words.next()?, words.next()?);
    let is_code = rights == "r-xp";
    let is_beginning = rights == "r--p" && offset.bytes().all(|digit| digit == b'0');
    let address = |text| usize::from_str_radix(text, 16).ok();
    let is_meant = (is_code || is_beginning) && line.ends_with(program);
    is_meant.then_some(address(start)?..address(end)?)
}

#[expect(unsafe_code, reason = "the kernel is told of addresses")]
fn unmap(addresses: Range<usize>) {
    let start = std::ptr::without_provenance_mut(addresses.start);
    // SAFETY: nobody writes to these pages (a Rust program is position independent, so not even the
    // loader did), and they belong to a file that is mapped: whoever runs or reads one after this
    // finds what was there.
    if let Err(error) = unsafe { madvise(start, addresses.len(), Advice::LinuxDontNeed) } {
        tracing::debug!("code of the start stays resident: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_wrote_of_the_programs_file_is_meant() {
        for text in [
            "55d0a000-55d0c000 r-xp 00963000 fe:00 10010961        /usr/bin/reef",
            "55d0a000-55d0c000 r--p 00000000 fe:00 10010961        /usr/bin/reef",
        ] {
            assert_eq!(unwritten(text, "/usr/bin/reef"), Some(0x55d0_a000..0x55d0_c000));
        }
        for other in [
            "55d0a000-55d0c000 r--p 02350000 fe:00 10010961        /usr/bin/reef",
            "55d0a000-55d0c000 rw-p 00963000 fe:00 10010961        /usr/bin/reef",
            "55d0a000-55d0c000 r-xp 00026000 fe:00 326279          /usr/lib/libc.so.6",
            "55d0a000-55d0c000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(unwritten(other, "/usr/bin/reef"), None, "{other}");
        }
    }

    #[test]
    fn a_program_runs_on_without_it() {
        forget_start_code();
        only_what_nobody_wrote_of_the_programs_file_is_meant();
    }
}

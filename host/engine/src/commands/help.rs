//! What containers say of themselves: `OBJECT HELP` and its like.

use reef_resp::Writer;

/// Says the help of a container: a headline, its lines, and HELP itself. A line that explains the
/// one above begins with four spaces.
pub(super) fn say(reply: &mut Writer, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.status(&alloc::format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    lines.iter().for_each(|line| reply.status(line));
    reply.status("HELP");
    reply.status("    Prints this help.");
}

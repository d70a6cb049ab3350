//! HELP of containers. Made from the container's entries in the table, so that what is not declared
//! is not told; where that would not be enough, from lines.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Writer;

use crate::args::Args;
use crate::command::{Command, Flags, command};
use crate::error::Error;
use crate::step::Cx;

/// The entry of a container's HELP; the container sets the group.
pub(super) const fn entry(container: &'static str) -> Command {
    command("HELP", help, 2)
        .of(container)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("5.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands.")
}

fn help(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(container) = cx.registry.get(args.argv().get(0)) else { return Err(Error::Syntax) };
    let subcommands = container.subcommands();
    // A title, and two lines for each.
    cx.reply.array(1 + 2 * subcommands.len());
    let title = "<subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
    cx.reply.status(&format!("{} {title}", container.name));
    let (help, others): (Vec<_>, Vec<_>) = subcommands.iter().partition(|sub| sub.name == "HELP");
    for subcommand in others {
        cx.reply.status(&head(subcommand));
        cx.reply.status(&format!("    {}", subcommand.summary));
    }
    for _ in help {
        cx.reply.status("HELP");
        cx.reply.status("    Print this help.");
    }
    Ok(())
}

fn head(subcommand: &Command) -> String {
    if subcommand.usage.is_empty() {
        return subcommand.name.as_ref().into();
    }
    format!("{} {}", subcommand.name, subcommand.usage)
}

/// Says the help of a container: a headline, its lines, and HELP itself. A line that explains the
/// one above begins with four spaces.
pub(super) fn say(reply: &mut Writer, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.status(&alloc::format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    lines.iter().for_each(|line| reply.status(line));
    reply.status("HELP");
    reply.status("    Print this help.");
}

//! Words for people.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a text on standard output. A reader that is gone is no failure of the command.
pub(super) fn print(text: impl Display) {
    let _ = write!(io::stdout().lock(), "{text}");
}

/// Prints a line on standard output.
pub(super) fn say(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// Prints a line on standard error.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

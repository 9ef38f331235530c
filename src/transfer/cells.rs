//! Texts in tables that spreadsheets open.
//!
//! A text that a spreadsheet would take for a formula gets an apostrophe, which spreadsheets take for "this is text". So does one
//! that looks as if it had got one, so that what is read back is what was written.

use std::borrow::Cow;

/// The text of a cell that is no formula.
pub(super) fn defuse(text: &str) -> Cow<'_, str> {
    if begins_like_formula(text) && !is_number(text) { format!("'{text}").into() } else { text.into() }
}

/// The text that was written.
pub(super) fn restore(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if begins_like_formula(rest) => rest,
        _ => text,
    }
}

/// Behind any number of apostrophes, what spreadsheets compute.
fn begins_like_formula(text: &str) -> bool {
    text.trim_start_matches('\'')
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

/// A number with its sign computes to itself.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match digits.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_texts_and_come_back() {
        let check = |text: &str, expected: &str| {
            assert_eq!(defuse(text), expected);
            assert_eq!(restore(expected), text);
        };
        check("plain", "plain");
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("+33 1 23", "'+33 1 23");
        check("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0");
        check("-12.50", "-12.50");
        check("\t=1", "'\t=1");
        check("'=1", "''=1");
        check("'quoted'", "'quoted'");
        check("", "");
    }
}

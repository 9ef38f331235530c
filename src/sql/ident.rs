//! Names in SQL.

use super::Dialect;

/// Writes a name so that it is nothing but a name, whatever it contains.
///
/// A NUL cannot stand in any statement; it is left out, so that such a name is one that no table has.
pub fn quote(dialect: Dialect, name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    push_quoted(&mut quoted, dialect, name);
    quoted
}

/// The same, at the end of a text.
pub fn push_quoted(text: &mut String, dialect: Dialect, name: &str) {
    let mark = match dialect {
        Dialect::Sqlite | Dialect::Postgres => '"',
        Dialect::Mysql => '`',
    };
    text.push(mark);
    for character in name.chars().filter(|character| *character != '\0') {
        if character == mark {
            text.push(mark);
        }
        text.push(character);
    }
    text.push(mark);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        let check = |dialect: Dialect, name: &str, expected: &str| assert_eq!(quote(dialect, name), expected);
        check(Dialect::Sqlite, "order", r#""order""#);
        check(Dialect::Postgres, r#"a"b"#, r#""a""b""#);
        check(Dialect::Postgres, "a`b", r#""a`b""#);
        check(Dialect::Mysql, "a`b", "`a``b`");
        check(Dialect::Mysql, "a\0b", "`ab`");
    }

    proptest! {
        /// Reading the quotes back gives the name, and nothing stands outside of them.
        #[test]
        fn quotes_hold(name in ".{0,40}") {
            for (dialect, mark) in [(Dialect::Sqlite, '"'), (Dialect::Postgres, '"'), (Dialect::Mysql, '`')] {
                let quoted = quote(dialect, &name);
                let inner = quoted.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
                let inner = inner.expect("marks at both ends");
                let doubled: String = [mark, mark].iter().collect();
                prop_assert!(!inner.replace(&doubled, "").contains(mark));
                prop_assert_eq!(inner.replace(&doubled, &mark.to_string()), name.replace('\0', ""));
            }
        }
    }
}

//! Names in SQL.

use super::Dialect;

/// Writes a name so that it is nothing but a name, whatever it contains.
///
/// A NUL cannot stand in any statement; it is left out, so that such a name is one that no table has.
pub fn quote(dialect: Dialect, name: &str) -> String {
    let mark = match dialect {
        Dialect::Sqlite | Dialect::Postgres => '"',
        Dialect::Mysql => '`',
    };
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push(mark);
    for character in name.chars().filter(|character| *character != '\0') {
        if character == mark {
            quoted.push(mark);
        }
        quoted.push(character);
    }
    quoted.push(mark);
    quoted
}

//! Values that must not be seen.

use std::collections::BTreeMap;
use std::fmt;

/// A value that prints as `**********`; whoever needs it says so with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("**********")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("**********")
    }
}

/// Variables of the environment, whose values do not print.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, String>,
}

impl Secrets {
    /// These; of two with the same name the later counts.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Secrets { values: values.into_iter().collect() }
    }

    /// The value of a variable. An empty one is none.
    pub fn get(&self, name: &str) -> Option<Secret<String>> {
        self.values.get(name).filter(|value| !value.is_empty()).map(|value| Secret::new(value.clone()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_masked() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "********** **********");
        assert_eq!(secret.expose(), "hunter2");
    }
}

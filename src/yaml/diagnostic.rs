//! What is wrong in a file, and where.

use std::fmt;
use std::sync::Arc;

use super::Position;

/// One finding in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named to the reader.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What is wrong, naming it.
    pub message: String,
    /// What could stand there instead.
    pub expected: Option<String>,
    /// The nearest valid name.
    pub suggestion: Option<String>,
    /// Whether the file can be used nevertheless.
    pub severity: Severity,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, perhaps not as meant.
    Warning,
}

impl Diagnostic {
    /// A finding that makes the file unusable.
    pub fn error(at: &Position, message: impl Into<String>) -> Self {
        Diagnostic {
            file: at.file.clone(),
            line: at.line,
            column: at.column,
            message: message.into(),
            expected: None,
            suggestion: None,
            severity: Severity::Error,
        }
    }

    /// A finding beside which the file can be used.
    pub fn warning(at: &Position, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(at, message) }
    }

    /// The same in another place.
    pub fn at(self, at: &Position) -> Self {
        Diagnostic { file: at.file.clone(), line: at.line, column: at.column, ..self }
    }

    /// Says what could stand there instead.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Suggests the candidate that looks most like `name`, when one does.
    pub fn nearest<'a>(mut self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        self.suggestion = nearest(name, candidates).map(str::to_owned);
        self
    }

    /// The file cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean \"{suggestion}\"?")?;
        }
        Ok(())
    }
}

/// The candidate that differs from `name` in few enough letters to be a slip of the pen.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Distances cost the product of both lengths, and no name of ours is that long.
    if name.len() > 100 {
        return None;
    }
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let longer = length.max(candidate.chars().count());
            // At least one letter has to be the same.
            *distance <= (longer / 3).max(1) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A name in quotes for a message, cut when somebody pasted a novel.
pub fn quoted(name: &str) -> String {
    const MOST: usize = 80;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &name[..end])),
        None => format!("{name:?}"),
    }
}

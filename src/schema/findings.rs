//! Collects what is wrong while files are read.

use crate::yaml::Diagnostic;

/// Findings so far.
#[derive(Default)]
pub struct Findings {
    list: Vec<Diagnostic>,
    errors: usize,
}

/// From here on no names are suggested: a file like this is not one with a slip of the pen.
const MOST_SUGGESTIONS: usize = 300;
/// Most findings shown per file.
const MOST_PER_FILE: usize = 100;

impl Findings {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        self.list.push(diagnostic);
    }

    /// Adds a finding about a name, with the candidate that looks most like it.
    pub fn push_nearest<'a>(
        &mut self,
        diagnostic: Diagnostic,
        name: &str,
        candidates: impl Iterator<Item = &'a str>,
    ) {
        let suggests = self.list.len() < MOST_SUGGESTIONS;
        self.push(if suggests { diagnostic.nearest(name, candidates) } else { diagnostic });
    }

    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Number of findings that make the files unusable.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// All findings in the order of files and lines; of a file that is wrong throughout, the first hundred.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|left, right| {
            (&left.file, left.line, left.column).cmp(&(&right.file, right.line, right.column))
        });
        let mut shown: Vec<Diagnostic> = Vec::new();
        for same_file in self.list.chunk_by(|left, right| left.file == right.file) {
            shown.extend_from_slice(&same_file[..same_file.len().min(MOST_PER_FILE)]);
            if let Some(next) = same_file.get(MOST_PER_FILE) {
                let more = same_file.len() - MOST_PER_FILE;
                shown.push(Diagnostic {
                    message: format!("and {more} more"),
                    expected: None,
                    suggestion: None,
                    ..next.clone()
                });
            }
        }
        shown
    }
}

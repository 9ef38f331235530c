//! Changes over the API, taken home into the files.
//!
//! The files are written while the transaction is open and put back when it fails: whoever waits for the lock of the database
//! finds both or none. Where they cannot be written, what they would say is kept in memory and served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::super::access::home::Wanted;
use super::super::access::{Access, FILE_NAME, Found, Source};
use super::super::adopt::Catalogue;
use super::super::apply::{ProjectFiles, understand};
use super::super::change::{Model, compare};
use super::super::files::{self, Files};
use super::super::pull::{Undo, Writer};
use crate::config::Secrets;
use crate::error::Result;
use crate::schema::Schema;
use crate::sql::Dialect;

/// What is known of the files when a change begins.
pub struct Home {
    pub folder: PathBuf,
    pub secrets: Secrets,
    pub is_writable: bool,
    /// The files as they would be, where they could not be written before.
    pub overlay: Option<Files>,
    /// Who may do what, as the files said when they were applied last.
    pub applied: Option<Access>,
    /// The mark of the last change of the database.
    pub known: Option<String>,
}

/// What the files say after a change.
pub struct Written {
    pub files: Files,
    pub loaded: ProjectFiles,
    /// They do say it; otherwise they would.
    pub is_in_files: bool,
    remembered: Option<(Value, String)>,
}

impl Written {
    /// The model they declare.
    pub fn schema(&self) -> &Schema {
        &self.loaded.schema
    }

    /// What is to be remembered as applied, when the files say all that the database has to.
    pub fn remembered(&self) -> Option<(Value, String)> {
        self.remembered.clone().filter(|_| self.is_in_files)
    }
}

/// Puts files back, should it come to that.
#[derive(Default, Clone)]
pub struct Undoing(Arc<Mutex<Option<Undo>>>);

impl Undoing {
    /// Puts them back.
    pub fn run(&self) {
        if let Some(undo) = self.place().take() {
            undo.run();
        }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<Undo>> {
        // Something is put or taken, nothing else happens while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home {
    /// Roles, policies and permissions as they are now, where files speak of them.
    pub async fn found(&self, source: &mut Source<'_>) -> Result<Option<Found>> {
        match &self.applied {
            Some(applied) if self.folder.join(FILE_NAME).is_file() => {
                Found::read(source, applied, None).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The files after the change, written where they can be. `None` where they do not speak of it at all, or cannot.
    pub fn write(
        &self,
        built_in: &Schema,
        dialect: Dialect,
        states: (&Catalogue, &Catalogue),
        found: Option<&Found>,
        undo: &Undoing,
    ) -> Option<Written> {
        let mut said = self.say_with(built_in, dialect, states, found)?;
        if let Some(writer) = said.1.filter(|_| self.is_writable && self.overlay.is_none()) {
            *undo.place() = Some(writer.undoing());
            match writer.write() {
                Ok(lines) => {
                    lines.iter().for_each(|line| tracing::info!(line, "written back"));
                    said.0.is_in_files = true;
                }
                Err(error) => {
                    undo.run();
                    tracing::warn!(%error, "the model was changed, and the files could not be: see `tablature pull`");
                }
            }
        }
        Some(said.0)
    }

    /// What the files would say; nothing is written.
    pub fn say(
        &self,
        built_in: &Schema,
        dialect: Dialect,
        states: (&Catalogue, &Catalogue),
        found: Option<&Found>,
    ) -> Option<Written> {
        self.say_with(built_in, dialect, states, found).map(|(said, _)| said)
    }

    fn say_with(
        &self,
        built_in: &Schema,
        dialect: Dialect,
        (before, after): (&Catalogue, &Catalogue),
        found: Option<&Found>,
    ) -> Option<(Written, Option<Writer>)> {
        let base = match &self.overlay {
            Some(files) => files.clone(),
            None => files::read(&self.folder).ok()?,
        };
        // What cannot be read now has an older model served; nothing is written into it.
        let (loaded, _) = understand(&base, 0, &self.secrets);
        let loaded = loaded?;
        let mut writer = Writer::on(&self.folder, base);
        let rewritten = self.rewrite(&mut writer, built_in, &loaded, (before, after), found);
        if let Err(error) = rewritten {
            tracing::warn!(%error, "the model was changed, and the files cannot be by small edits: see `tablature pull`");
            return None;
        }
        if !writer.is_changed() {
            return None;
        }
        let files = writer.files();
        let (now, findings) = understand(&files, 0, &self.secrets);
        let Some(now) = now else {
            for finding in findings.iter().filter(|finding| finding.is_error()) {
                tracing::warn!(%finding, "the model was changed, and the files could not follow");
            }
            return None;
        };
        // What files had to say before and nobody has applied yet may be left; nothing may be new.
        let left = |schema: &Schema, state: &Catalogue| -> Vec<String> {
            let diff = compare(schema, &state.structure, built_in, dialect, false);
            diff.steps.iter().map(ToString::to_string).chain(diff.problems).collect()
        };
        let (was_left, is_left) = (left(&loaded.schema, before), left(&now.schema, after));
        if let Some(step) = is_left.iter().find(|step| !was_left.contains(step)) {
            tracing::warn!(step, "the model was changed in a way that files have no words for");
            return None;
        }
        let model = Model::of(&now.schema, &now.access, built_in);
        let remembered = is_left.is_empty().then_some((model.json, model.hash));
        Some((Written { files, loaded: now, is_in_files: false, remembered }, Some(writer)))
    }

    fn rewrite(
        &self,
        writer: &mut Writer,
        built_in: &Schema,
        loaded: &ProjectFiles,
        (before, after): (&Catalogue, &Catalogue),
        found: Option<&Found>,
    ) -> Result<()> {
        if let (Some(found), Some(applied)) = (found, &self.applied) {
            let adopted = super::adopt::merge(&loaded.schema, &after.structure, &after.registry, 0);
            writer.take_rights(loaded, &adopted, found, &Wanted::Since(applied))?;
        }
        writer.rewrite(built_in, (&loaded.schema, &loaded.sources), before, after)
    }
}

//! Items of a file, into a collection.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::read::{self, Columns};
use super::{Format, Transfers};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{ImportProgress, ImportRow, ImportRows, ItemsService};
use crate::schema::CollectionId;

/// Rows that are handed on together.
const BATCH: usize = 500;
/// Batches that are read ahead.
const AHEAD: usize = 2;
/// Most faults that are told; behind them nothing is looked at any more where all or nothing is written.
const MOST_FAULTS: usize = 100;

/// What becomes of the good rows of a file with bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All rows are written, or none.
    AllOrNothing,
    /// Each row is written that can be.
    SkipBad,
}

impl Mode {
    /// The mode of this name.
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "all-or-nothing" => Some(Mode::AllOrNothing),
            "skip-bad" => Some(Mode::SkipBad),
            _ => None,
        }
    }
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Imported {
    /// Items written.
    pub written: u64,
    /// Items that could not be.
    pub refused: u64,
    /// What is wrong with the first of those, with their lines.
    pub faults: Vec<Error>,
}

impl Transfers {
    /// Writes the items of a file. An item with a key that is there is changed, every other one is made.
    ///
    /// Fails with `Forbidden` for who may not make and change items there; in the mode of all or nothing with what is wrong with
    /// the rows, each with its line; with `InvalidPayload` for a broken file.
    pub async fn import(
        &self,
        items: &ItemsService,
        ctx: &Context,
        collection: &str,
        file: (Format, File),
        mode: Mode,
        progress: Arc<ImportProgress>,
    ) -> Result<Imported> {
        let id = items.may_import(ctx, collection)?;
        let _place = self.place().await?;
        let source = Source {
            format: file.0,
            file: file.1,
            columns: Arc::new(Columns::of(ctx.schema.collection(id))),
        };
        match mode {
            Mode::AllOrNothing => all_or_nothing(items, ctx, id, &source, &progress).await,
            Mode::SkipBad => skip_bad(items, ctx, id, &source, &progress).await,
        }
    }
}

/// A file that can be read several times.
struct Source {
    format: Format,
    file: File,
    columns: Arc<Columns>,
}

impl Source {
    /// Begins to read it from its start, on a thread of its own.
    fn read(&self) -> Result<(mpsc::Receiver<ImportRows>, JoinHandle<Result<()>>)> {
        let mut file = self.file.try_clone().map_err(Error::internal)?;
        let (format, columns) = (self.format, self.columns.clone());
        let (sender, rows) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
            let mut batch = Vec::with_capacity(BATCH);
            let mut is_taken = true;
            let mut take = |row: ImportRow| {
                batch.push(row);
                if batch.len() == BATCH {
                    is_taken = sender.blocking_send(ImportRows::Batch(std::mem::take(&mut batch))).is_ok();
                }
                if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let outcome = read::decode(format, file, &columns, &mut take);
            if is_taken && !batch.is_empty() {
                let _ = sender.blocking_send(ImportRows::Batch(batch));
            }
            if outcome.is_ok() {
                let _ = sender.blocking_send(ImportRows::End);
            }
            outcome
        });
        Ok((rows, reading))
    }
}

/// First every row is looked at, so that whoever sent the file learns of all that is wrong and the database is busy for good rows
/// only. Should the database refuse one nevertheless, what was written is undone and done again up to there to find its line.
async fn all_or_nothing(
    items: &ItemsService,
    ctx: &Context,
    id: CollectionId,
    source: &Source,
    progress: &Arc<ImportProgress>,
) -> Result<Imported> {
    let mut faults = Vec::new();
    let (mut rows, reading) = source.read()?;
    while let Some(ImportRows::Batch(batch)) = rows.recv().await {
        faults.extend(items.check_rows(ctx, id, batch));
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    drop(rows);
    if let Err(error) = reading.await.map_err(Error::internal)? {
        faults.push(error);
    }
    progress.refused.store(faults.len() as u64, Ordering::Relaxed);
    faults.truncate(MOST_FAULTS);
    Error::from_findings(faults)?;
    let write = async |careful: Option<u64>| -> Result<()> {
        progress.written.store(0, Ordering::Relaxed);
        progress.batches.store(0, Ordering::Relaxed);
        let (rows, reading) = source.read()?;
        let written = items.import_all(ctx, id, rows, progress.clone(), careful).await;
        let read = reading.await.map_err(Error::internal)?;
        written.and(read)
    };
    let outcome = match write(None).await {
        Err(error) if !is_located(&error) && is_about_rows(&error) => {
            write(Some(progress.batches.load(Ordering::Relaxed))).await
        }
        outcome => outcome,
    };
    if outcome.is_err() {
        progress.written.store(0, Ordering::Relaxed);
    }
    outcome?;
    Ok(Imported { written: progress.written.load(Ordering::Relaxed), ..Imported::default() })
}

async fn skip_bad(
    items: &ItemsService,
    ctx: &Context,
    id: CollectionId,
    source: &Source,
    progress: &ImportProgress,
) -> Result<Imported> {
    let mut outcome = Imported::default();
    let (mut rows, reading) = source.read()?;
    while let Some(ImportRows::Batch(batch)) = rows.recv().await {
        let count = batch.len() as u64;
        let faults = items.import_some(ctx, id, batch).await;
        // Away is not bad: those who come back later may find the database again.
        if let Some(away) = faults.iter().position(|error| !is_about_rows(error)) {
            return Err(faults.into_iter().nth(away).unwrap_or(Error::Forbidden));
        }
        outcome.refused += faults.len() as u64;
        outcome.written += count - faults.len() as u64;
        progress.written.store(outcome.written, Ordering::Relaxed);
        progress.refused.store(outcome.refused, Ordering::Relaxed);
        progress.batches.fetch_add(1, Ordering::Relaxed);
        let room = MOST_FAULTS - outcome.faults.len();
        outcome.faults.extend(faults.into_iter().take(room));
    }
    drop(rows);
    if let Err(error) = reading.await.map_err(Error::internal)? {
        outcome.faults.push(error);
    }
    Ok(outcome)
}

fn is_located(error: &Error) -> bool {
    match error {
        Error::Several(all) => all.iter().all(is_located),
        error => matches!(error, Error::InLine { .. }),
    }
}

/// Whether another row in its place might have fared better.
fn is_about_rows(error: &Error) -> bool {
    match error {
        Error::InLine { cause, .. } => is_about_rows(cause),
        Error::Several(all) => all.iter().all(is_about_rows),
        error => !matches!(
            error,
            Error::ServiceUnavailable { .. }
                | Error::StatementTimeout { .. }
                | Error::Internal { .. }
                | Error::Deadlock
        ),
    }
}

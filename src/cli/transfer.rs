//! `import` and `export`: items from files and to files, for whoever has a shell. Everything may be done, as an administrator.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use uuid::Uuid;

use super::output::{complain, say};
use super::{Outcome, complain_about};
use crate::access::{AccessRules, Accountability, Context};
use crate::app::App;
use crate::error::{Error, Result};
use crate::items::ImportProgress;
use crate::query::{QueryLimits, parse};
use crate::transfer::{Format, Mode, Transfers};

/// How often an import tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Name of the collection.
    collection: String,
    /// The file.
    file: PathBuf,
    /// Its format, when its name does not tell.
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Write the good rows of a file with bad ones, instead of nothing.
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Name of the collection.
    collection: String,
    /// The format.
    #[arg(long, value_enum, default_value_t = FileFormat::Csv)]
    format: FileFormat,
    /// Which items and fields, as in a URL: `fields=id,title&filter[status][_eq]=published`. All, when left out.
    #[arg(long, default_value = "")]
    query: String,
    /// Where to; standard output, when left out.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// The formats, as arguments.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileFormat {
    Csv,
    Json,
    Xml,
    Yaml,
    Xlsx,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Format {
        match format {
            FileFormat::Csv => Format::Csv,
            FileFormat::Json => Format::Json,
            FileFormat::Xml => Format::Xml,
            FileFormat::Yaml => Format::Yaml,
            FileFormat::Xlsx => Format::Xlsx,
        }
    }
}

pub(super) async fn import(app: &App, arguments: Import) -> Result<Outcome> {
    let Import { collection, file: path, format, skip_bad } = arguments;
    let named = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(format) = format.map(Format::from).or_else(|| Format::of_file(None, named.as_deref())) else {
        complain(format_args!("the name of {} tells no format; see --format", path.display()));
        return Ok(Outcome::Misused);
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => {
            complain(format_args!("{}: {error}", path.display()));
            return Ok(Outcome::Failed);
        }
    };
    let mode = if skip_bad { Mode::SkipBad } else { Mode::AllOrNothing };
    let (_, items) = app.services()?;
    let ctx = context(app).await?;
    let transfers = Transfers::new(&app.config.transfer);
    let progress: Arc<ImportProgress> = Arc::default();
    let telling = tokio::spawn(tell(progress.clone()));
    let done = transfers.import(&items, &ctx, &collection, (format, file), mode, progress).await;
    telling.abort();
    match done {
        Ok(done) => {
            done.faults.iter().for_each(complain);
            say(format_args!("{} written, {} refused", done.written, done.refused));
            Ok(if done.refused == 0 { Outcome::Done } else { Outcome::Failed })
        }
        Err(Error::Several(all)) => {
            all.iter().for_each(complain_about);
            Ok(Outcome::Failed)
        }
        Err(Error::Forbidden) => {
            complain(format_args!("there is no collection {collection} of the project"));
            Ok(Outcome::Failed)
        }
        Err(error) => Err(error),
    }
}

async fn tell(progress: Arc<ImportProgress>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        complain(format_args!("{} so far", progress.written.load(Ordering::Relaxed)));
    }
}

pub(super) async fn export(app: &App, arguments: Export) -> Result<Outcome> {
    let Export { collection, format, query, output } = arguments;
    let (_, items) = app.services()?;
    let ctx = context(app).await?;
    let limits = QueryLimits { max_limit: -1, ..QueryLimits::default() };
    let query = parse::parse_string(&query, &limits)?;
    let transfers = Transfers::new(&app.config.transfer);
    let mut file = match transfers.export(&items, &ctx, &collection, query, format.into()).await {
        Err(Error::Forbidden) => {
            complain(format_args!("there is no such collection or field in {collection}"));
            return Ok(Outcome::Failed);
        }
        other => other?,
    };
    let mut out: Box<dyn io::Write + Send> = match &output {
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(error) => {
                complain(format_args!("{}: {error}", path.display()));
                return Ok(Outcome::Failed);
            }
        },
        None => Box::new(io::stdout()),
    };
    while let Some(piece) = file.next().await? {
        if let Err(error) = out.write_all(&piece) {
            complain(error);
            return Ok(Outcome::Failed);
        }
    }
    match out.flush() {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => {
            complain(error);
            Ok(Outcome::Failed)
        }
    }
}

/// Whoever has a shell may do everything.
async fn context(app: &App) -> Result<Context> {
    Ok(Context {
        accountability: Arc::new(Accountability { admin: true, ..Accountability::default() }),
        rules: Arc::new(AccessRules::Everything),
        schema: app.project.model().await?,
        now: Timestamp::now(),
        request_id: Uuid::now_v7(),
    })
}

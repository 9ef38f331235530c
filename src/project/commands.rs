//! What the commands `plan`, `apply` and `pull` do, as text for the shell.

use std::path::Path;

use super::{ApplyOptions, Project};
use crate::db::Database;
use crate::error::Result;

/// Shows the difference between the files and the database.
pub async fn plan(database: Database, folder: &Path, prune: bool) -> Result<String> {
    let project = Project::open(database, folder).await?;
    project.plan(prune).await.map(|report| report.to_string())
}

/// Brings the database in line with the files.
///
/// Fails with `UnprocessableContent`, and changes nothing, when the files are broken or a step is not allowed.
pub async fn apply(database: Database, folder: &Path, options: ApplyOptions) -> Result<String> {
    let project = Project::open(database, folder).await?;
    project.apply(options).await.map(|report| report.to_string())
}

/// Writes what the database has and the files do not; says which files were written.
pub async fn pull(database: Database, folder: &Path) -> Result<String> {
    let project = Project::open(database, folder).await?;
    let written = project.pull().await?;
    if written.is_empty() {
        return Ok("The files are as the database says.\n".to_owned());
    }
    Ok(written.iter().map(|line| format!("  {line}\n")).collect())
}

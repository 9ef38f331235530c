//! `tests:` of a project: who asks for what, and what must become of it, tried in throwaway databases.
//!
//! Start at [`run`]. The model and its policies are applied to a fresh SQLite database, rows that tests share are made once, and
//! each test that would leave something behind works on a copy. A request takes the way that every request takes: a token becomes a
//! context, the context meets the items service.

mod case;
mod judge;
mod made_up;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Project;
use crate::config::AuthConfig;
use crate::db::{Database, Settings, Target};
use crate::error::{Error, Result};
use crate::yaml::{Node, Position};
use case::{Block, Case};
use world::World;

/// What came out.
#[derive(Debug, Default)]
pub struct RuleTests {
    /// Tests that went as they should.
    pub passed: usize,
    /// Those that did not, as `file:line:column: what` and more lines.
    pub failures: Vec<String>,
}

/// What stops a test: its place, and why.
#[derive(Debug)]
struct Problem {
    at: Position,
    text: String,
}

impl Problem {
    fn new(at: &Position, text: impl Into<String>) -> Self {
        Problem { at: at.clone(), text: text.into() }
    }

    fn caused(at: &Position, what: &str, error: &Error) -> Self {
        Problem::new(at, format!("{what}: {}", told(error)))
    }
}

/// Runs every test of the project in a folder.
///
/// Fails with `UnprocessableContent` when its files are broken.
pub async fn run(folder: &Path, auth: &AuthConfig) -> Result<RuleTests> {
    let scratch = tempfile::tempdir().map_err(Error::internal)?;
    let path = scratch.path().join("base.db");
    let database = connect(&path).await?;
    let project = Project::open(database.clone(), folder).await?;
    project.start().await?;
    let (files, diagnostics) = project.load().await?;
    let files = files.ok_or_else(|| super::apply::broken(&diagnostics))?;
    let schema = project.store().schema();
    let mut tester = Tester {
        base: World::new(database, path, schema, Arc::new(files.access.keys()), auth.clone())?,
        scratch,
        copies: 0,
        results: RuleTests::default(),
    };
    drop(project);
    // What `_access.yaml` shares is there for all, and stands first.
    for (position, node) in files.tests.iter().enumerate() {
        tester.file(node, position == 0 && node.at.file.ends_with(super::access::FILE_NAME)).await?;
    }
    Ok(tester.results)
}

async fn connect(path: &Path) -> Result<Database> {
    Database::connect(&Settings::new(Target::Sqlite { path: path.to_owned() })).await
}

struct Tester {
    base: World,
    scratch: tempfile::TempDir,
    copies: usize,
    results: RuleTests,
}

impl Tester {
    async fn file(&mut self, node: &Node, is_shared: bool) -> Result<()> {
        let block = Block::read(node);
        let mut world = match is_shared || block.is_bare() {
            true => None,
            false => Some(self.copy(None).await?),
        };
        let place = world.as_mut().unwrap_or(&mut self.base);
        if let Err(problem) = place.prepare(&block).await {
            self.results.failures.push(format!(
                "{}:{}:{}: {}",
                problem.at.file, problem.at.line, problem.at.column, problem.text
            ));
            return Ok(());
        }
        for case in &block.cases {
            let outcome = if case.leaves_traces() {
                let mut copy = self.copy(world.as_ref()).await?;
                let outcome = copy.try_case(case).await;
                copy.remove();
                outcome
            } else {
                world.as_mut().unwrap_or(&mut self.base).try_case(case).await
            };
            self.note(case, outcome);
        }
        if let Some(world) = world {
            world.remove();
        }
        Ok(())
    }

    fn note(&mut self, case: &Case, outcome: Result<(), Problem>) {
        match outcome {
            Ok(()) => self.results.passed += 1,
            Err(problem) => {
                let at = &problem.at;
                let title = case.title();
                self.results
                    .failures
                    .push(format!("{}:{}:{}: {title}: {}", at.file, at.line, at.column, problem.text));
            }
        }
    }

    /// A copy of a world, of the shared one when none is named.
    async fn copy(&mut self, world: Option<&World>) -> Result<World> {
        self.copies += 1;
        let path = self.scratch.path().join(format!("copy{}.db", self.copies));
        world.unwrap_or(&self.base).copy(&path).await
    }
}

/// Keys by label: `$label` stands for them.
type Labels = BTreeMap<String, Value>;

/// An error as a developer wants to read it.
fn told(error: &Error) -> String {
    match error {
        Error::Internal { cause, .. } => format!("{cause:#}"),
        Error::Several(errors) => errors.iter().map(told).collect::<Vec<_>>().join(", "),
        other => format!("{} ({other})", other.code()),
    }
}

//! `check`: runs the rule tests of projects.

use std::path::PathBuf;

use super::Outcome;
use super::output::{complain, say};
use crate::config::Config;
use crate::error::Error;
use crate::project::rule_tests;

pub(super) async fn run(config: Config, folders: Vec<PathBuf>) -> Outcome {
    let folders = if folders.is_empty() { vec![config.project.collections.clone()] } else { folders };
    let mut outcome = Outcome::Done;
    for folder in folders {
        if !folder.is_dir() {
            complain(format_args!("there is no folder {}", folder.display()));
            outcome = Outcome::Failed;
            continue;
        }
        match rule_tests::run(&folder, &config.auth).await {
            Ok(results) => {
                results.failures.iter().for_each(say);
                let (passed, failed) = (results.passed, results.failures.len());
                say(format_args!("{}: {passed} passed, {failed} failed", folder.display()));
                if failed > 0 {
                    outcome = Outcome::Failed;
                }
            }
            Err(error) => {
                complain(match &error {
                    Error::Internal { cause, .. } => format!("{cause:#}"),
                    other => other.to_string(),
                });
                outcome = Outcome::Failed;
            }
        }
    }
    outcome
}

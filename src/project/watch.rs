//! Noticing that somebody saved a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Project;
use crate::error::Error;

/// How long the folder must be quiet before it is read: editors save in several strokes.
const QUIET: Duration = Duration::from_millis(150);
/// A folder that is never quiet is read after this nevertheless.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often the files are looked at without being told: some file systems do not tell, and a database that was away comes back.
const RECHECK: Duration = Duration::from_millis(1500);

/// Watches the collections of a project until dropped.
pub struct Watch {
    work: JoinHandle<()>,
    /// Stops telling when dropped.
    _watcher: Option<RecommendedWatcher>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Watch {
    /// Begins to watch. Where the system does not tell about changes, the files are looked at every now and then.
    pub fn start(project: Arc<Project>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let watcher = watcher(project.folder(), sender).map_err(|error| {
            tracing::warn!(%error, "changes of files are noticed later: the folder cannot be watched");
        });
        Watch { work: tokio::spawn(follow(project, receiver)), _watcher: watcher.ok() }
    }
}

/// How often a node looks whether another one has changed the model.
const FOLLOW: Duration = Duration::from_millis(400);

/// Takes over what other nodes change in the database. Ends with the process.
pub async fn follow_others(project: Arc<Project>) {
    loop {
        sleep(FOLLOW).await;
        match project.follow().await {
            Ok(true) => tracing::info!("another node changed the model"),
            Ok(false) => {}
            // A database that is away is told of by those who need it.
            Err(error) => tracing::debug!(%error, "changes of other nodes cannot be looked for"),
        }
    }
}

fn watcher(folder: &Path, sender: mpsc::UnboundedSender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error means that events were lost: look at everything.
        if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            return;
        }
        // Fails only when nobody listens any more.
        sender.send(()).ok();
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

async fn follow(project: Arc<Project>, mut changes: mpsc::UnboundedReceiver<()>) {
    let mut is_told = true;
    loop {
        if is_told {
            match timeout(RECHECK, changes.recv()).await {
                Ok(Some(())) => wait_for_quiet(&mut changes).await,
                Ok(None) => is_told = false,
                Err(_) => {}
            }
        } else {
            sleep(RECHECK).await;
        }
        match project.has_new_files().await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                tracing::error!(%error, "the collections cannot be read");
                continue;
            }
        }
        if let Err(error) = project.reload().await {
            tracing::error!(%error, "the collections could not be reloaded");
            if matches!(error, Error::ServiceUnavailable { .. }) {
                project.forget_files();
            }
        }
    }
}

async fn wait_for_quiet(changes: &mut mpsc::UnboundedReceiver<()>) {
    let deadline = Instant::now() + LONGEST_WAIT;
    while Instant::now() < deadline {
        if !matches!(timeout(QUIET, changes.recv()).await, Ok(Some(()))) {
            return;
        }
    }
}

//! Tablature: a headless data platform in one binary.
//!
//! The rooms in reading order; `ARCHITECTURE.md` draws them. A room uses those above it in this list, never those below.

pub mod error;
pub mod config;
pub mod telemetry;
pub mod yaml;
pub mod schema;
pub mod filter;
pub mod access;
pub mod query;
pub mod sql;
pub mod db;
pub mod cache;
pub mod mail;
pub mod outbound;
pub mod storage;
pub mod events;
pub mod items;
pub mod auth;
pub mod files;
pub mod system;
pub mod project;
pub mod transfer;
pub mod server;
pub mod realtime;
pub mod specs;
pub mod graphql;
pub mod rest;
pub mod app;
pub mod cli;

use std::sync::Arc;

use config::Config;
use events::{FilterHook, Hooks};

/// A server with Rust code of your own in it.
///
/// ```no_run
/// use tablature::{Tablature, config::Config};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load()?;
/// Tablature::new(config).serve().await?;
/// # Ok(())
/// # }
/// ```
pub struct Tablature {
    config: Config,
    hooks: Hooks,
}

impl Tablature {
    /// A server with this configuration and nothing added.
    pub fn new(config: Config) -> Self {
        Tablature { config, hooks: Hooks::default() }
    }

    /// Adds a hook that sees every payload before it is written, behind those that were added before.
    pub fn on_items_filter(mut self, hook: impl FilterHook + 'static) -> Self {
        self.hooks.add(Arc::new(hook));
        self
    }

    /// Applies the collections and answers requests until the process is told to stop.
    pub async fn serve(self) -> error::Result<()> {
        app::App::open(self.config).await?.serve(self.hooks).await
    }
}

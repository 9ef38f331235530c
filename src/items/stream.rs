//! Reads of any number of rows, handed on a few at a time.

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::read::compile;
use super::service::ItemsService;
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::query::{Plan, Query, Selection, ValueFormat};
use crate::schema::ColumnType;

/// Pieces that are read ahead of whoever takes them.
const AHEAD: usize = 2;

/// Rows of one read, in pieces.
pub struct Pieces {
    /// Every row has the same members, and none of them is an object or a list.
    pub is_flat: bool,
    pieces: mpsc::Receiver<JsonBytes>,
    reading: Option<JoinHandle<Result<()>>>,
}

impl ItemsService {
    /// Begins to read the items that a query finds; all of them, when it names no limit.
    ///
    /// Fails with `Forbidden` for what is not there or may not be seen, with `InvalidQuery` for what does not fit.
    pub fn read_pieces(&self, ctx: &Context, collection: &str, mut query: Query) -> Result<Pieces> {
        query.limit = query.limit.or(Some(-1));
        let dialect = self.database.dialect();
        let read = compile(ctx, dialect, collection, &Selection::Query, &query, &self.settings.query)?;
        let is_flat = match &*read.plan {
            Plan::Items(plan) => {
                let formats = plan.nodes.first().map(|root| &root.columns);
                let is_object = |format: &ValueFormat| matches!(format, ValueFormat::Typed(ColumnType::Json));
                plan.nodes.len() == 1
                    && !formats.into_iter().flatten().any(|column| is_object(&column.format))
            }
            Plan::Aggregate(_) => false,
        };
        let (sender, pieces) = mpsc::channel(AHEAD);
        let database = self.database(ctx)?;
        let reading =
            tokio::spawn(async move { database.read_pieces(&read.plan, &read.statements, sender).await });
        Ok(Pieces { is_flat, pieces, reading: Some(reading) })
    }

    /// The one item that a selection finds, as a list of one.
    pub async fn read_one(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        query: Query,
    ) -> Result<Value> {
        let mut document = vec![b'{'];
        document.extend(self.read(ctx, collection, selection, query).await?);
        document.push(b'}');
        let mut document: Value = serde_json::from_slice(&document).map_err(Error::internal)?;
        Ok(document["data"].take())
    }
}

impl Pieces {
    /// The next rows as a JSON list; `None` when there are no more. Fails with what went wrong while reading.
    pub async fn next(&mut self) -> Result<Option<JsonBytes>> {
        if let Some(piece) = self.pieces.recv().await {
            return Ok(Some(piece));
        }
        match self.reading.take() {
            Some(reading) => reading.await.map_err(Error::internal)?.map(|()| None),
            None => Ok(None),
        }
    }
}

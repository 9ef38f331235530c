//! Manual order: one item takes the place of another, and those between make room.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::Value;

use super::idempotency::{self, IdempotencyKey};
use super::journal::Journal;
use super::nested::{key_text, key_value};
use super::rights;
use super::run::{first_value, key_field};
use super::service::ItemsService;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::filter::Scalar;
use crate::sql::write as statements;

impl ItemsService {
    /// Moves an item to the place of another one of its collection.
    ///
    /// Items without a position are numbered first, in the order of their keys. Fails with `InvalidPayload` where the
    /// collection has no sort field, with `Forbidden` where one of the two is not there.
    ///
    /// Under an idempotency key it is done once, however often it is sent.
    pub async fn move_item(
        &self,
        ctx: &Context,
        collection: &str,
        (item, to): (&Value, &Value),
        idempotency: Option<IdempotencyKey>,
    ) -> Result<()> {
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        let allowed = rights::allowed(ctx, id, Action::Update)?;
        let collection = ctx.schema.collection(id);
        let sort = collection
            .sort
            .ok_or_else(|| Error::payload(format_args!("\"{}\" has no sort field", collection.name)))?;
        rights::check_fields(&allowed, [sort])?;
        let key = key_field(collection)?;
        let (item, to) = (key_value(collection, item)?, key_value(collection, to)?);
        let _guard = idempotency.as_ref().map(|key| self.running.start(key)).transpose()?;
        let (ctx, schema) = (ctx.clone(), ctx.schema.clone());
        let counting_step = self.counting_step.clone();
        let events = self
            .database(&ctx)?
            .repeatable_transaction(move |tx| {
                async move {
                    if let Some(key) = &idempotency {
                        if idempotency::claim(tx, &ctx, key).await?.is_some() {
                            return Ok(Vec::new());
                        }
                        idempotency::store(tx, key, 200, None).await?;
                    }
                    let collection = schema.collection(id);
                    let dialect = tx.dialect();
                    let rows = tx.rows(&statements::select_in_order(dialect, collection, sort, key)).await?;
                    let before: Vec<(Scalar, Scalar)> = rows
                        .into_iter()
                        .filter_map(|row| {
                            let position = row.values.get(1).cloned().unwrap_or(Scalar::Null);
                            first_value(row).map(|key| (key, position))
                        })
                        .collect();
                    let changes = moved(before, &item, &to)?;
                    let changed: Vec<Scalar> = changes.iter().map(|(key, _)| key.clone()).collect();
                    rights::permit(tx, &ctx, (id, Action::Update), &[sort], &changed, None).await?;
                    // Others see the items in another order from now on: they are told, while history goes without.
                    let mut journal = Journal::new(&ctx);
                    let event = EventAction::Update.event_of(collection);
                    for (key_value, position) in changes {
                        journal.push_aside(collection, &event, key_text(&key_value), None);
                        let values = vec![(sort, position)];
                        let keys = [key_value];
                        tx.execute(&statements::update(dialect, collection, values, key, &keys, &[])).await?;
                    }
                    journal.write(tx, &counting_step).await
                }
                .boxed()
            })
            .await?;
        self.events.dispatch(events).await;
        Ok(())
    }
}

/// The items whose position changes, with the new one. Positions run from 1.
fn moved(before: Vec<(Scalar, Scalar)>, item: &Scalar, to: &Scalar) -> Result<Vec<(Scalar, Scalar)>> {
    let place = |key: &Scalar| before.iter().position(|(known, _)| known == key).ok_or(Error::Forbidden);
    let (from, target) = (place(item)?, place(to)?);
    let mut after: Vec<Scalar> = before.iter().map(|(key, _)| key.clone()).collect();
    let moving = after.remove(from);
    after.insert(target, moving);
    let old: HashMap<Arc<str>, &Scalar> = before.iter().map(|(key, old)| (key_text(key), old)).collect();
    let changes = after.into_iter().enumerate().filter_map(|(position, key)| {
        let position = Scalar::Int(position as i64 + 1);
        let is_known = old.get(&key_text(&key)).is_some_and(|old| **old == position);
        (!is_known).then_some((key, position))
    });
    Ok(changes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[(i64, Option<i64>)], item: i64, to: i64, expected: &[(i64, i64)]) {
        let before = before
            .iter()
            .map(|(key, position)| (Scalar::Int(*key), position.map_or(Scalar::Null, Scalar::Int)))
            .collect();
        let changes = moved(before, &Scalar::Int(item), &Scalar::Int(to)).expect("both are there");
        let expected: Vec<_> = expected.iter().map(|(k, p)| (Scalar::Int(*k), Scalar::Int(*p))).collect();
        assert_eq!(changes, expected);
    }

    #[test]
    fn those_between_make_room() {
        let four = [(1, Some(1)), (2, Some(2)), (3, Some(3)), (4, Some(4))];
        check(&four, 4, 2, &[(4, 2), (2, 3), (3, 4)]);
        check(&four, 1, 3, &[(2, 1), (3, 2), (1, 3)]);
        check(&four, 2, 2, &[]);
        check(&[(1, None), (2, None)], 2, 1, &[(2, 1), (1, 2)]);
        let missing = moved(Vec::new(), &Scalar::Int(1), &Scalar::Int(2));
        assert!(matches!(missing, Err(Error::Forbidden)));
    }
}

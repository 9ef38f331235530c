//! What rows of shares need beyond those of any other collection: whoever makes one must be allowed to share the item, and what it
//! opens stays what its maker chose.
//!
//! Every write passes here, nested ones included.

use serde_json::Value;

use super::nested::key_value;
use super::plan::ItemWrite;
use super::run::Run;
use crate::access::Action;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{Collection, CollectionId, Schema};

const SHARES: &str = "directus_shares";
/// A share answers with its maker's rights, so nobody else may point it anywhere; and uses are counted, not told.
const FIXED: [&str; 5] = ["collection", "item", "role", "user_created", "times_used"];

fn shares(schema: &Schema) -> Option<(CollectionId, &Collection)> {
    schema.find(SHARES).map(|id| (id, schema.collection(id)))
}

impl Run<'_> {
    /// Before new rows: who makes a share may read and share the item. Fails with `Forbidden`.
    pub(super) async fn check_new_shares(&mut self, items: &[ItemWrite]) -> Result<()> {
        let schema = self.schema();
        let Some((id, shares)) = shares(&schema).filter(|_| !self.is_unlimited()) else { return Ok(()) };
        for item in items.iter().filter(|item| item.collection == id) {
            let text = |name: &str| match shares.find(name).and_then(|field| item.value(field)) {
                Some(Scalar::Text(text)) => Ok(text.clone()),
                _ => Err(Error::Forbidden),
            };
            let target = schema.find(&text("collection")?).ok_or(Error::Forbidden)?;
            let collection = schema.collection(target);
            if collection.is_system() {
                return Err(Error::Forbidden);
            }
            let key = key_value(collection, &Value::from(&*text("item")?))?;
            if !self.is_there(target, &key).await? {
                return Err(Error::Forbidden);
            }
            for action in [Action::Read, Action::Share] {
                self.allow((target, action), &[], std::slice::from_ref(&key)).await?;
            }
        }
        Ok(())
    }

    /// Before a change: a share goes on to open what it opened. Fails with `Forbidden`.
    pub(super) fn check_changed_share(&self, item: &ItemWrite) -> Result<()> {
        let schema = self.schema();
        let Some((id, shares)) = shares(&schema).filter(|_| !self.is_unlimited()) else { return Ok(()) };
        let is_fixed = |field| FIXED.contains(&&*shares.field(field).name);
        if item.collection == id && item.named.iter().any(|field| is_fixed(*field)) {
            return Err(Error::Forbidden);
        }
        Ok(())
    }
}

//! Rows of tenants: new ones are stamped, and none refers to what belongs to another tenant.
//!
//! Which rows are seen and may be changed is part of the rights on rows; here is what those cannot say.

use super::faults::shown;
use super::plan::ItemWrite;
use super::rights::allowed;
use super::run::{Run, first_value, key_field};
use crate::access::{self, AccessRules, Action, TenantRule};
use crate::error::{Error, Result};
use crate::filter::{Condition, Filter, Operand, Scalar, Target};
use crate::schema::{Collection, CollectionId, FieldId, FieldKind};
use crate::sql::{self, Reference};

impl Run<'_> {
    /// Gives new items of one collection that name no tenant the one of the caller.
    ///
    /// Fails with `Forbidden` for a caller who belongs to none, with `InvalidPayload` for one who has to choose.
    pub(super) async fn stamp(&mut self, items: &mut [ItemWrite]) -> Result<()> {
        let Some(first) = items.first().filter(|_| !self.is_unlimited()) else { return Ok(()) };
        let rules = allowed(&self.with.ctx, first.collection, Action::Create)?;
        let Some(rule) = &rules.tenant else { return Ok(()) };
        for item in items {
            if matches!(item.value(rule.field), None | Some(Scalar::Null)) {
                let tenant = self.only_tenant(rule).await?;
                item.set(rule.field, tenant);
            }
        }
        Ok(())
    }

    async fn only_tenant(&mut self, rule: &TenantRule) -> Result<Scalar> {
        if let Some((_, tenant)) = self.tenants.iter().find(|(known, _)| *known == rule.tenants) {
            return Ok(tenant.clone());
        }
        let schema = self.schema();
        let statement = sql::build_found(&schema, self.tx.dialect(), rule.tenants, &rule.mine, Some(2))?;
        let found: Vec<Scalar> =
            self.tx.rows(&statement).await?.into_iter().filter_map(first_value).collect();
        match found.as_slice() {
            [] => Err(Error::Forbidden),
            [only] => {
                self.tenants.push((rule.tenants, only.clone()));
                Ok(only.clone())
            }
            _ => Err(Error::payload("Several tenants are yours: choose one with the header \"X-Tenant\".")),
        }
    }

    /// Makes sure that rows just written refer to nothing of another tenant through these fields (all, without any named).
    pub(super) async fn keep_apart(
        &mut self,
        id: CollectionId,
        keys: &[Scalar],
        fields: Option<&[FieldId]>,
    ) -> Result<()> {
        let ctx = self.with.ctx.clone();
        let AccessRules::Limited(limited) = &*ctx.rules else { return Ok(()) };
        let schema = self.schema();
        let own = access::owner(&schema, id).and_then(|(tenants, field)| Some((tenants, field?)));
        // What joins rows joins those of one tenant.
        let joined = access::joined(&schema, id);
        let mut references = Vec::new();
        for (field, declared) in schema.collection(id).fields() {
            let is_meant = fields.is_none_or(|fields| fields.contains(&field));
            if !is_meant || own.is_some_and(|(_, own)| own == field) {
                continue;
            }
            let targets = match &declared.kind {
                FieldKind::ManyToOne { related, .. } => std::slice::from_ref(related),
                FieldKind::ManyToAny { allowed, .. } => allowed.as_slice(),
                FieldKind::Plain | FieldKind::OneToMany { .. } | FieldKind::Presentation => &[],
            };
            for related in targets {
                let Some((tenants, tenant)) = access::owner(&schema, *related) else { continue };
                references.push(Reference {
                    field,
                    related: *related,
                    tenant,
                    is_of_same_kind: own.is_some_and(|(own, _)| own == tenants),
                    mine: limited.belonging(tenants, tenant, ctx.now),
                    // The later of two fields that do not agree is at fault.
                    beside: joined
                        .iter()
                        .take_while(|(other, ..)| *other != field)
                        .find(|(_, of, _)| *of == tenants)
                        .map(|(other, _, named_by)| (*other, *named_by)),
                });
            }
        }
        let mine = own.map(|(tenants, field)| (field, limited.belonging(tenants, None, ctx.now)));
        if (mine.is_none() && references.is_empty()) || keys.is_empty() {
            return Ok(());
        }
        let column = schema.collection(id).field(key_field(schema.collection(id))?).column.as_ref();
        let Some(column) = column else { return Err(Error::Forbidden) };
        let keys: Vec<Operand> = keys
            .iter()
            .map(|key| Operand { value: key.clone(), column_type: column.column_type.clone() })
            .collect();
        let own = mine.as_ref().map(|(field, mine)| (*field, mine));
        let statement = sql::build_strangers(&schema, self.tx.dialect(), id, &keys, own, &references)?;
        let Some(row) = self.tx.rows(&statement).await?.into_iter().next() else { return Ok(()) };
        // What belongs to another tenant looks like what is not there.
        let collection = schema.collection(id);
        let fields = own.iter().map(|(field, _)| *field).chain(references.iter().map(|of| of.field));
        let stranger = fields.zip(row.values).find(|(_, value)| *value != Scalar::Null);
        let Some((field, value)) = stranger else { return Err(Error::Forbidden) };
        Err(Error::InvalidForeignKey {
            collection: collection.name.to_string(),
            field: collection.field(field).name.to_string(),
            value: shown(collection, field, &value),
        })
    }
}

/// A row stays with its tenant: a change may name the tenant, but no other one.
pub(super) fn stays(
    collection: &Collection,
    rule: Option<&TenantRule>,
    item: &ItemWrite,
) -> Result<Option<Filter>> {
    let Some(rule) = rule.filter(|rule| item.named.contains(&rule.field)) else { return Ok(None) };
    let value = item.value(rule.field).filter(|value| **value != Scalar::Null).ok_or(Error::Forbidden)?;
    let column = collection.field(rule.field).column.as_ref().ok_or(Error::Forbidden)?;
    let operand = Operand { value: value.clone(), column_type: column.column_type.clone() };
    Ok(Some(Filter::Compare { target: Target::Field(rule.field), condition: Condition::Equal(operand) }))
}

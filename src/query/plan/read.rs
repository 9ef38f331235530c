//! Plans of items: one node per relation.

use std::sync::Arc;

use super::{counts, defaults, format, rendered_key};
use crate::filter::{Filter, Target};
use crate::query::{
    AnyLink, AnyTarget, CursorPlan, Document, Form, Link, MemberValue, OutputMember, ReadColumn, ReadNode,
    ReadPlan, ResolvedOutput, ResolvedRead, ResolvedValue, RowRules, ValueFormat,
};
use crate::schema::{CollectionId, ColumnType, FieldId, FieldKind, Schema};

/// Plans a read of items.
pub fn plan(schema: &Schema, read: ResolvedRead, rules: RowRules, form: Form) -> ReadPlan {
    let (total_count, filter_count) =
        counts(read.meta, read.collection, read.filter.clone(), read.selection.clone());
    let document = read.document;
    let mut builder = Builder { schema, rules: &rules, form, nodes: Vec::new() };
    builder.node(read, None);
    let nodes = builder.nodes;
    ReadPlan { document, nodes, rules, total_count, filter_count }
}

struct Builder<'a> {
    schema: &'a Schema,
    rules: &'a RowRules,
    form: Form,
    nodes: Vec<ReadNode>,
}

/// How a level hangs on the one above.
struct Parent {
    node: usize,
    field: FieldId,
    any: Option<AnyLink>,
    single: bool,
}

/// The columns of a level, each of them once.
struct Columns<'a> {
    schema: &'a Schema,
    rules: &'a RowRules,
    form: Form,
    collection: CollectionId,
    columns: Vec<ReadColumn>,
}

impl Columns<'_> {
    fn add(&mut self, target: Target, format: ValueFormat, gate: Option<FieldId>) -> usize {
        let column = ReadColumn { target, format, gate };
        match self.columns.iter().position(|known| *known == column) {
            Some(position) => position,
            None => {
                self.columns.push(column);
                self.columns.len() - 1
            }
        }
    }

    /// A value as the caller may see it.
    fn value(&mut self, target: Target) -> usize {
        let (Target::Field(field) | Target::Function(_, field) | Target::Count(field)) = target;
        self.behind(field, target)
    }

    /// A value that is seen where this field may be seen.
    fn behind(&mut self, field: FieldId, target: Target) -> usize {
        let format = format(self.schema, self.collection, &target, self.form);
        let gate = self.rules.gate(self.collection, field);
        self.add(target, format, gate)
    }

    /// A value that only holds levels together.
    fn structural(&mut self, field: FieldId) -> usize {
        let target = Target::Field(field);
        let format = format(self.schema, self.collection, &target, self.form);
        self.add(target, format, None)
    }
}

impl Builder<'_> {
    /// Adds a level and those below it; the level itself comes first.
    fn node(&mut self, read: ResolvedRead, parent: Option<Parent>) -> usize {
        let position = self.nodes.len();
        let schema = self.schema;
        let collection = read.collection;
        let defaults = (read.document == Document::Singleton)
            .then(|| defaults::singleton(schema, collection, &read.output, self.form));
        let mut columns =
            Columns { schema, rules: self.rules, form: self.form, collection, columns: Vec::new() };
        let key = schema.collection(collection).key();
        let is_bare = read.output.is_empty() && self.form == Form::Plain;
        let bare = key.filter(|_| is_bare).map(|key| columns.value(Target::Field(key)));
        let link = parent.map(|parent| Link {
            parent: parent.node,
            field: parent.field,
            column: columns.structural(parent.field),
            any: parent.any,
            single: parent.single,
        });
        let cursor = read.continuation.as_ref().map(|pages| CursorPlan {
            columns: pages.fields.iter().map(|field| columns.value(Target::Field(*field))).collect(),
            hash: pages.hash,
            page: read.limit.map_or(u64::MAX, |limit| limit.rows),
        });
        let after = read.continuation.and_then(|pages| pages.after);
        let filter = match (read.filter, after) {
            (Some(filter), Some(after)) => Some(Filter::And(vec![filter, after])),
            (one, other) => one.or(other),
        };
        self.nodes.push(ReadNode {
            collection,
            columns: Vec::new(),
            output: Vec::new(),
            bare,
            link,
            filter,
            selection: read.selection,
            sort: read.sort,
            limit: read.limit,
            offset: read.offset,
            cursor,
            defaults,
        });
        let output = self.members(position, &mut columns, read.output);
        let node = &mut self.nodes[position];
        node.columns = columns.columns;
        node.output = output;
        position
    }

    fn members(
        &mut self,
        position: usize,
        columns: &mut Columns<'_>,
        members: Vec<ResolvedOutput>,
    ) -> Vec<OutputMember> {
        let mut output = Vec::with_capacity(members.len());
        for member in members {
            if let Some(value) = self.member(position, columns, member.value) {
                output.push(OutputMember { rendered_key: rendered_key(&member.key), value });
            }
        }
        output
    }

    /// `None` where the other side has no single key to refer to, which only tables that we did not make can lack.
    fn member(
        &mut self,
        position: usize,
        columns: &mut Columns<'_>,
        value: ResolvedValue,
    ) -> Option<MemberValue> {
        let schema = self.schema;
        let collection = columns.collection;
        Some(match value {
            ResolvedValue::Constant(text) => MemberValue::Constant(text.as_bytes().into()),
            ResolvedValue::Object(members) => MemberValue::Object(self.members(position, columns, members)),
            ResolvedValue::Target(target) => MemberValue::Column(columns.value(target)),
            ResolvedValue::Concealed(field) => {
                let gate = self.rules.gate(collection, field);
                MemberValue::Column(columns.add(Target::Field(field), ValueFormat::Concealed, gate))
            }
            ResolvedValue::ToOne { field, read } => {
                let key = schema.collection(read.collection).key()?;
                let column = columns.value(Target::Field(field));
                let parent = Parent { node: position, field: key, any: None, single: true };
                MemberValue::ToOne { column, node: self.node(*read, Some(parent)) }
            }
            ResolvedValue::ToAny { field, reads } => {
                let FieldKind::ManyToAny { allowed, collection_field } =
                    &schema.field(collection, field).kind
                else {
                    return None;
                };
                let column = columns.value(Target::Field(field));
                let collection_column = columns.behind(field, Target::Field(*collection_field));
                let mut reads = reads;
                let nodes = allowed
                    .iter()
                    .filter_map(|related| {
                        let found = schema.collection(*related);
                        let key = found.key()?;
                        let key_type = column_type(schema, *related, key)?;
                        let read = reads.iter().position(|read| read.collection == *related);
                        let node = read.map(|at| {
                            let parent = Parent { node: position, field: key, any: None, single: true };
                            self.node(reads.swap_remove(at), Some(parent))
                        });
                        Some(AnyTarget { collection: found.name.clone(), node, key_type })
                    })
                    .collect();
                let shows_keys = self.form == Form::Plain;
                MemberValue::ToAny { column, collection_column, nodes, shows_keys }
            }
            ResolvedValue::ToMany { field, read } | ResolvedValue::ToManyKeys { field, read } => {
                let FieldKind::OneToMany { related, related_field, .. } =
                    schema.field(collection, field).kind
                else {
                    return None;
                };
                let key = schema.collection(collection).key()?;
                let column = columns.behind(field, Target::Field(key));
                let any = match schema.field(related, related_field).kind {
                    FieldKind::ManyToAny { collection_field, .. } => Some(AnyLink {
                        collection_field,
                        collection: Arc::clone(&schema.collection(collection).name),
                    }),
                    _ => None,
                };
                let parent = Parent { node: position, field: related_field, any, single: false };
                MemberValue::ToMany { column, node: self.node(*read, Some(parent)) }
            }
        })
    }
}

fn column_type(schema: &Schema, collection: CollectionId, field: FieldId) -> Option<ColumnType> {
    schema.field(collection, field).column.as_ref().map(|column| column.column_type.clone())
}

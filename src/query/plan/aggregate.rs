//! Plans of figures.

use super::{counts, format, rendered_key};
use crate::query::{
    AggregateColumn, AggregateExpr, AggregateFunction, AggregateMember, AggregatePlan, AggregateSort,
    AggregateValue, Figure, GroupTerm, KeySelection, ResolvedAggregate, RowRules, ValueFormat,
};
use crate::schema::{ColumnType, Schema};

/// Plans figures about the rows of a collection.
pub fn plan(schema: &Schema, aggregate: ResolvedAggregate, rules: RowRules) -> AggregatePlan {
    let collection = aggregate.collection;
    let (total_count, filter_count) =
        counts(aggregate.meta, collection, aggregate.filter.clone(), KeySelection::Any);
    let mut columns = Vec::new();
    let mut output = Vec::new();
    for (key, target) in &aggregate.group_by {
        let value = AggregateValue::Column(columns.len());
        output.push(AggregateMember { rendered_key: rendered_key(key), value });
        columns.push(AggregateColumn {
            value: AggregateExpr::Group(target.clone()),
            format: format(schema, collection, target),
        });
    }
    let mut figures = Figures { schema, aggregate: &aggregate, columns };
    let mut functions: Vec<AggregateFunction> = Vec::new();
    for figure in &aggregate.figures {
        if !functions.contains(&figure.function) {
            functions.push(figure.function);
            let value = figures.function(figure.function);
            output.push(AggregateMember { rendered_key: rendered_key(figure.function.name()), value });
        }
    }
    let columns = figures.columns;
    let sort = aggregate
        .sort
        .iter()
        .map(|sort| AggregateSort {
            value: match sort.by {
                GroupTerm::Group(position) => AggregateExpr::Group(aggregate.group_by[position].1.clone()),
                GroupTerm::Figure(position) => AggregateExpr::Figure(aggregate.figures[position].clone()),
            },
            descending: sort.descending,
        })
        .collect();
    AggregatePlan {
        collection,
        rules,
        filter: aggregate.filter,
        group_by: aggregate.group_by.into_iter().map(|(_, target)| target).collect(),
        columns,
        output,
        sort,
        limit: aggregate.limit,
        offset: aggregate.offset,
        total_count,
        filter_count,
    }
}

struct Figures<'a> {
    schema: &'a Schema,
    aggregate: &'a ResolvedAggregate,
    columns: Vec<AggregateColumn>,
}

impl Figures<'_> {
    /// All figures of one function: an object by field, or the bare figure where whole rows are counted.
    fn function(&mut self, function: AggregateFunction) -> AggregateValue {
        let aggregate = self.aggregate;
        let figures: Vec<&Figure> =
            aggregate.figures.iter().filter(|figure| figure.function == function).collect();
        if let [Figure { field: None, .. }] = figures.as_slice() {
            return AggregateValue::Column(self.column(function, figures[0], ValueFormat::NumberText));
        }
        let members = figures
            .into_iter()
            .map(|figure| {
                let name = match figure.field {
                    Some(field) => &*self.schema.field(aggregate.collection, field).name,
                    None => "*",
                };
                AggregateMember { rendered_key: rendered_key(name), value: self.figure(figure) }
            })
            .collect();
        AggregateValue::Object(members)
    }

    fn figure(&mut self, figure: &Figure) -> AggregateValue {
        use AggregateFunction as F;
        let column_type = figure.field.and_then(|field| {
            let column = self.schema.field(self.aggregate.collection, field).column.as_ref()?;
            Some(column.column_type.clone())
        });
        let typed = || column_type.clone().map_or(ValueFormat::NumberText, ValueFormat::Typed);
        let sum_text = |scale| ValueFormat::SumText { scale };
        // Exact numbers have a scale; floating point ones do not.
        let scale = match column_type {
            Some(ColumnType::Decimal { scale, .. }) => Some(scale),
            Some(ColumnType::Integer | ColumnType::BigInteger) => Some(0),
            _ => None,
        };
        let function = figure.function;
        match (function, scale) {
            (F::Count | F::CountDistinct | F::CountAll, _) => {
                AggregateValue::Column(self.column(function, figure, ValueFormat::NumberText))
            }
            (F::Min | F::Max, _) | (F::Sum | F::SumDistinct | F::Avg | F::AvgDistinct, None) => {
                AggregateValue::Column(self.column(function, figure, typed()))
            }
            (F::Sum | F::SumDistinct, Some(scale)) => {
                AggregateValue::Column(self.column(function, figure, sum_text(scale)))
            }
            (F::Avg, Some(scale)) => AggregateValue::Average {
                sum: self.column(F::Sum, figure, sum_text(scale)),
                count: self.column(F::Count, figure, ValueFormat::NumberText),
                scale,
            },
            (F::AvgDistinct, Some(scale)) => AggregateValue::Average {
                sum: self.column(F::SumDistinct, figure, sum_text(scale)),
                count: self.column(F::CountDistinct, figure, ValueFormat::NumberText),
                scale,
            },
        }
    }

    fn column(&mut self, function: AggregateFunction, figure: &Figure, format: ValueFormat) -> usize {
        let value = AggregateExpr::Figure(Figure { function, field: figure.field });
        let column = AggregateColumn { value, format };
        match self.columns.iter().position(|known| *known == column) {
            Some(position) => position,
            None => {
                self.columns.push(column);
                self.columns.len() - 1
            }
        }
    }
}

//! Plans of figures.

use super::{counts, format, number, rendered_key};
use crate::query::{
    AggregateColumn, AggregateExpr, AggregateFunction, AggregateMember, AggregatePlan, AggregateSort,
    AggregateValue, Figure, Form, GroupTerm, KeySelection, ResolvedAggregate, ResolvedFigure,
    ResolvedFigureValue, RowRules, ValueFormat,
};
use crate::schema::{ColumnType, Schema};

/// Plans figures about the rows of a collection.
pub fn plan(schema: &Schema, aggregate: ResolvedAggregate, rules: RowRules, form: Form) -> AggregatePlan {
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
            // What a group has in common is any JSON, and as over REST.
            format: format(schema, collection, target, Form::Plain),
        });
    }
    let mut figures = Figures { schema, aggregate: &aggregate, form, columns };
    if let Some(told) = &aggregate.output {
        let group = std::mem::take(&mut output);
        output = figures.told(told, &group);
        if figures.columns.is_empty() {
            aggregate.figures.iter().for_each(|figure| drop(figures.figure(figure)));
        }
    } else {
        let mut functions: Vec<AggregateFunction> = Vec::new();
        for figure in &aggregate.figures {
            if !functions.contains(&figure.function) {
                functions.push(figure.function);
                let value = figures.function(figure.function);
                output.push(AggregateMember { rendered_key: rendered_key(figure.function.name()), value });
            }
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
    form: Form,
    columns: Vec<AggregateColumn>,
}

impl Figures<'_> {
    /// The members of a group, as they are told.
    fn told(&mut self, members: &[ResolvedFigure], group: &[AggregateMember]) -> Vec<AggregateMember> {
        let planned = |member: &ResolvedFigure| {
            let value = match &member.value {
                ResolvedFigureValue::Constant(text) => AggregateValue::Constant(text.as_bytes().into()),
                ResolvedFigureValue::Figure(figure) => self.figure(figure),
                ResolvedFigureValue::Group if group.is_empty() => {
                    AggregateValue::Constant(b"null".as_slice().into())
                }
                ResolvedFigureValue::Group => AggregateValue::Object(group.to_vec()),
                ResolvedFigureValue::Object(members) => AggregateValue::Object(self.told(members, group)),
            };
            AggregateMember { rendered_key: rendered_key(&member.key), value }
        };
        members.iter().map(planned).collect()
    }

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
        let form = self.form;
        let typed = || {
            let format = column_type.clone().map_or(ValueFormat::NumberText, ValueFormat::Typed);
            let is_text = matches!(column_type, Some(ColumnType::BigInteger | ColumnType::Decimal { .. }));
            if is_text { number(format, form) } else { format }
        };
        let sum_text = |scale| number(ValueFormat::SumText { scale }, form);
        let count = || number(ValueFormat::NumberText, form);
        let is_bare = form == Form::Typed;
        // Exact numbers have a scale; floating point ones do not.
        let scale = match column_type {
            Some(ColumnType::Decimal { scale, .. }) => Some(scale),
            Some(ColumnType::Integer | ColumnType::BigInteger) => Some(0),
            _ => None,
        };
        let function = figure.function;
        match (function, scale) {
            (F::Count | F::CountDistinct | F::CountAll, _) => {
                AggregateValue::Column(self.column(function, figure, count()))
            }
            (F::Min | F::Max, _) | (F::Sum | F::SumDistinct | F::Avg | F::AvgDistinct, None) => {
                AggregateValue::Column(self.column(function, figure, typed()))
            }
            (F::Sum | F::SumDistinct, Some(scale)) => {
                AggregateValue::Column(self.column(function, figure, sum_text(scale)))
            }
            (F::Avg, Some(scale)) => AggregateValue::Average {
                sum: self.column(F::Sum, figure, sum_text(scale)),
                count: self.column(F::Count, figure, count()),
                scale,
                is_bare,
            },
            (F::AvgDistinct, Some(scale)) => AggregateValue::Average {
                sum: self.column(F::SumDistinct, figure, sum_text(scale)),
                count: self.column(F::CountDistinct, figure, count()),
                scale,
                is_bare,
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

//! `aggregate` and `groupBy`.

use std::sync::Arc;

use super::{Level, Resolver};
use crate::error::{Error, Result};
use crate::filter::Target;
use crate::filter::names::{self, Name};
use crate::query::{
    AggregateFunction, Figure, FigureMember, GroupSort, GroupTerm, Members, Query, ResolvedAggregate,
    ResolvedFigure, ResolvedFigureValue, SortPath, WantedFigure,
};
use crate::schema::{CollectionId, ColumnType, FieldKind};

impl AggregateFunction {
    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            AggregateFunction::Count => "count",
            AggregateFunction::CountDistinct => "countDistinct",
            AggregateFunction::CountAll => "countAll",
            AggregateFunction::Sum => "sum",
            AggregateFunction::SumDistinct => "sumDistinct",
            AggregateFunction::Avg => "avg",
            AggregateFunction::AvgDistinct => "avgDistinct",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let all = [
            AggregateFunction::Count,
            AggregateFunction::CountDistinct,
            AggregateFunction::CountAll,
            AggregateFunction::Sum,
            AggregateFunction::SumDistinct,
            AggregateFunction::Avg,
            AggregateFunction::AvgDistinct,
            AggregateFunction::Min,
            AggregateFunction::Max,
        ];
        all.into_iter()
            .find(|function| function.name() == name)
            .ok_or_else(|| Error::query(format_args!("\"{name}\" in \"aggregate\" is not a function")))
    }

    /// Means something for values of this type, on every database.
    fn fits(self, column_type: &ColumnType) -> bool {
        let has_order = column_type.is_number()
            || column_type.has_date()
            || column_type.has_time()
            || column_type.is_text();
        match self {
            AggregateFunction::Count | AggregateFunction::CountAll => true,
            AggregateFunction::CountDistinct => {
                has_order || matches!(column_type, ColumnType::Uuid | ColumnType::Boolean)
            }
            AggregateFunction::Sum
            | AggregateFunction::SumDistinct
            | AggregateFunction::Avg
            | AggregateFunction::AvgDistinct => column_type.is_number(),
            AggregateFunction::Min | AggregateFunction::Max => has_order && *column_type != ColumnType::Hash,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn aggregate(&mut self, collection: CollectionId, query: &Query) -> Result<ResolvedAggregate> {
        let group_by = query
            .group_by
            .iter()
            .map(|name| self.group(collection, name))
            .collect::<Result<Vec<(Arc<str>, Target)>>>()?;
        let mut figures = Vec::new();
        for (function, fields) in &query.aggregate {
            let function = AggregateFunction::parse(function)?;
            for field in fields {
                let figure = self.figure(collection, function, field)?;
                if !figures.contains(&figure) {
                    figures.push(figure);
                }
            }
        }
        let output = match &query.members {
            Some(Members::Figures(members)) => Some(self.told(collection, members, &mut figures)?),
            Some(Members::Items(_)) | None => None,
        };
        if figures.is_empty() && group_by.is_empty() {
            // Something has to be selected, also where nothing of it is shown.
            figures.push(Figure { function: AggregateFunction::CountAll, field: None });
        }
        let level = Level::of_query(query);
        let is_grouped = !group_by.is_empty();
        let sort =
            if is_grouped { self.group_order(collection, query, &group_by, &figures)? } else { Vec::new() };
        let window = self.window(&level);
        Ok(ResolvedAggregate {
            collection,
            group_by,
            figures,
            output,
            filter: self.filter(collection, &level)?,
            sort,
            // Without groups there is one row, which a limit for items does not mean.
            limit: window.limit.filter(|_| is_grouped).map(|limit| limit.rows),
            offset: if is_grouped { window.offset } else { 0 },
            meta: query.meta,
        })
    }

    /// What groups hold, where that is told member by member; figures are gathered on the way.
    fn told(
        &self,
        collection: CollectionId,
        members: &[FigureMember],
        figures: &mut Vec<Figure>,
    ) -> Result<Vec<ResolvedFigure>> {
        let resolved = |member: &FigureMember| {
            let value = match &member.wanted {
                WantedFigure::Constant(text) => ResolvedFigureValue::Constant(text.clone()),
                WantedFigure::Group => ResolvedFigureValue::Group,
                WantedFigure::Object(members) => {
                    ResolvedFigureValue::Object(self.told(collection, members, figures)?)
                }
                WantedFigure::Figure(function, field) => {
                    let figure = self.figure(collection, AggregateFunction::parse(function)?, field)?;
                    if !figures.contains(&figure) {
                        figures.push(figure.clone());
                    }
                    ResolvedFigureValue::Figure(figure)
                }
            };
            Ok(ResolvedFigure { key: member.key.clone(), value })
        };
        members.iter().map(resolved).collect()
    }

    fn group(&mut self, collection: CollectionId, name: &str) -> Result<(Arc<str>, Target)> {
        if name.contains('.') {
            return Err(Error::query(format_args!("\"groupBy\" cannot follow relations: \"{name}\"")));
        }
        let target = names::ordered(&self.env, collection, name, "groupBy")?;
        if let Target::Count(field) = target
            && matches!(self.schema().field(collection, field).kind, FieldKind::OneToMany { .. })
        {
            return Err(Error::query("\"groupBy\" cannot count relations"));
        }
        Ok((answer_key(name), target))
    }

    fn figure(&self, collection: CollectionId, function: AggregateFunction, name: &str) -> Result<Figure> {
        let refused = || {
            let function = function.name();
            Error::query(format_args!("\"{function}\" in \"aggregate\" cannot be applied to \"{name}\""))
        };
        if name == "*" {
            return match function {
                AggregateFunction::Count | AggregateFunction::CountAll => {
                    Ok(Figure { function, field: None })
                }
                _ => Err(refused()),
            };
        }
        if name.contains('.') || !matches!(Name::parse(name), Name::Field(_)) {
            return Err(refused());
        }
        let (id, field) = names::field(&self.env, collection, name)?;
        let column = field.column.as_ref().ok_or_else(refused)?;
        let reveals = !matches!(function, AggregateFunction::Count | AggregateFunction::CountAll);
        if !function.fits(&column.column_type) || (field.conceal && reveals) {
            return Err(refused());
        }
        Ok(Figure { function, field: Some(id) })
    }

    /// What is asked for, then the terms of the group, so that the order is total.
    fn group_order(
        &self,
        collection: CollectionId,
        query: &Query,
        group_by: &[(Arc<str>, Target)],
        figures: &[Figure],
    ) -> Result<Vec<GroupSort>> {
        let mut order = Vec::with_capacity(group_by.len() + query.sort.len());
        for sort in &query.sort {
            let by = self.group_term(collection, sort, group_by, figures)?;
            order.push(GroupSort { by, descending: sort.descending });
        }
        for position in 0..group_by.len() {
            let by = GroupTerm::Group(position);
            if !order.iter().any(|sort: &GroupSort| sort.by == by) {
                order.push(GroupSort { by, descending: false });
            }
        }
        Ok(order)
    }

    /// `status`, `month(day)`, `count`, `sum.views`.
    fn group_term(
        &self,
        collection: CollectionId,
        sort: &SortPath,
        group_by: &[(Arc<str>, Target)],
        figures: &[Figure],
    ) -> Result<GroupTerm> {
        let name = sort.path.join(".");
        let key = answer_key(&name);
        if let Some(position) = group_by.iter().position(|(group, _)| *group == key) {
            return Ok(GroupTerm::Group(position));
        }
        let found = self.schema().collection(collection);
        let is_meant = |figure: &Figure| match sort.path.as_slice() {
            [function] => figure.function.name() == function,
            [function, field] => figure.function.name() == function && figure.field == found.find(field),
            _ => false,
        };
        figures.iter().position(is_meant).map(GroupTerm::Figure).ok_or_else(|| {
            Error::query(format_args!(
                "\"{name}\" in \"sort\" is neither in \"groupBy\" nor in \"aggregate\""
            ))
        })
    }
}

/// The key of a group in answers: `status`, `day_month`.
fn answer_key(name: &str) -> Arc<str> {
    match Name::parse(name) {
        Name::Function { function, field } => format!("{field}_{function}").into(),
        Name::Field(_) | Name::Scoped { .. } => name.into(),
    }
}

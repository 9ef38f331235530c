//! Adds what stands in the table to a schema, as far as its reader may use it.

use std::borrow::Cow;
use std::collections::HashSet;

use async_graphql::dynamic::{Enum, InputObject, InputValue, Object, TypeRef};

use super::table::{COLUMNS, ENUMS, MUTATIONS, QUERIES, SERVER_INFO, ShownTo, Stands, TYPES};
use crate::graphql::{Caller, Roots, Scope, output};

/// Adds to the roots of `/graphql/system` what it has beside the items of system collections.
pub fn describe(scope: Scope, caller: &Caller, roots: &mut Roots<'_, '_>) {
    if scope != Scope::System {
        return;
    }
    let mut types = Types { caller, made: HashSet::new() };
    for query in QUERIES {
        if types.shows(query, roots)
            && let Some(of) = types.resolve(roots, query.gives)
            && let Some(arguments) = types.arguments(roots, query.takes)
        {
            roots.query(query.name, of, arguments);
        }
    }
    for mutation in MUTATIONS {
        if types.shows(mutation, roots)
            && let Some(arguments) = types.arguments(roots, mutation.takes)
        {
            // Whoever may not read what was written is told that it was.
            let of = types.resolve(roots, mutation.gives).unwrap_or_else(|| TypeRef::named(TypeRef::BOOLEAN));
            roots.mutation(mutation.name, of, arguments);
        }
    }
}

/// The types of the table, made where something leads to them.
struct Types<'a> {
    caller: &'a Caller,
    made: HashSet<String>,
}

impl Types<'_> {
    fn shows(&self, field: &Stands, roots: &mut Roots<'_, '_>) -> bool {
        match field.shown_to {
            ShownTo::All => true,
            ShownTo::Users => self.caller.is_user,
            ShownTo::Administrators => self.caller.is_admin,
            ShownTo::Readers(collection) => roots.reads(collection),
            ShownTo::Makers(collection) => roots.create_input(collection).is_some(),
            ShownTo::Changers => roots.changes_anything(),
        }
    }

    /// `name: String!, items: [ID]`; `None` where one of the types is not there.
    fn arguments(&mut self, roots: &mut Roots<'_, '_>, text: &str) -> Option<Vec<InputValue>> {
        fields(text).map(|(name, of)| Some(InputValue::new(name, self.resolve(roots, of)?))).collect()
    }

    /// A type with its brackets and exclamation marks.
    fn resolve(&mut self, roots: &mut Roots<'_, '_>, text: &str) -> Option<TypeRef> {
        if let Some(inner) = text.strip_suffix('!') {
            return Some(TypeRef::NonNull(Box::new(self.resolve(roots, inner)?)));
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return Some(TypeRef::List(Box::new(self.resolve(roots, inner)?)));
        }
        self.named(roots, text).map(TypeRef::named)
    }

    fn named(&mut self, roots: &mut Roots<'_, '_>, name: &str) -> Option<String> {
        match name {
            "Boolean" | "ID" | "Int" | "String" => return Some(name.to_owned()),
            "JSON" => return Some(roots.json().to_owned()),
            "GraphQLBigInt" => return Some(roots.big_int().to_owned()),
            "Void" => return Some(roots.void().to_owned()),
            _ => {}
        }
        if self.made.contains(name) {
            return Some(name.to_owned());
        }
        if let Some((_, words)) = ENUMS.iter().find(|(known, _)| *known == name) {
            self.made.insert(name.to_owned());
            roots.register(name, Enum::new(name).items(words.iter().copied()));
            return Some(name.to_owned());
        }
        match self.fields_of(roots, name) {
            Some(fields) => {
                self.made.insert(name.to_owned());
                self.make(roots, name, &fields);
                Some(name.to_owned())
            }
            None => item_type(roots, name),
        }
    }

    /// The fields of a type of the table.
    fn fields_of(&self, roots: &mut Roots<'_, '_>, name: &str) -> Option<String> {
        if name == "server_info" {
            let count = 1 + usize::from(self.caller.is_user) + usize::from(self.caller.is_admin);
            return Some(SERVER_INFO[..count.min(SERVER_INFO.len())].join(", "));
        }
        let Family { base, is_input, .. } = Family::of(name);
        if let Some((_, table)) = COLUMNS.iter().find(|(known, _)| *known == base) {
            return Some(roots.columns(table).join(", "));
        }
        let (_, fields, more) = TYPES.iter().find(|(known, ..)| *known == base)?;
        Some(if is_input && !more.is_empty() { format!("{fields}, {more}") } else { (*fields).to_owned() })
    }

    fn make(&mut self, roots: &mut Roots<'_, '_>, name: &str, text: &str) {
        let family = Family::of(name);
        let mut made = Vec::new();
        for (field, of) in fields(text) {
            if let Some(of) = self.resolve(roots, &family.member(of)) {
                made.push((field, of));
            }
        }
        if family.is_input {
            let input = made
                .into_iter()
                .fold(InputObject::new(name), |input, (field, of)| input.field(InputValue::new(field, of)));
            roots.register(name, input);
        } else {
            let object = made
                .into_iter()
                .fold(Object::new(name), |object, (field, of)| object.field(output(field, of)));
            roots.register(name, object);
        }
    }
}

/// A type of the table is one of three: what is read, what is answered after a change, and what a change says.
struct Family<'n> {
    base: &'n str,
    is_written: bool,
    is_input: bool,
}

impl<'n> Family<'n> {
    fn of(name: &'n str) -> Self {
        let base = name.strip_suffix("_input").unwrap_or(name);
        let is_input = base.len() < name.len();
        match base.strip_prefix("write_") {
            Some(base) => Family { base, is_written: true, is_input },
            None => Family { base, is_written: false, is_input },
        }
    }

    /// The type of a field, which is of the same kind where the table has it.
    fn member<'m>(&self, of: &'m str) -> Cow<'m, str> {
        let bare = of.trim_matches(['[', ']', '!']);
        let is_known =
            TYPES.iter().any(|(known, ..)| *known == bare) || COLUMNS.iter().any(|(known, _)| *known == bare);
        if !is_known || !(self.is_written || self.is_input) {
            return of.into();
        }
        let before = if self.is_written { "write_" } else { "" };
        let behind = if self.is_input { "_input" } else { "" };
        of.replace(bare, &format!("{before}{bare}{behind}")).into()
    }
}

/// The type of the items of a collection, of new ones or of changes.
fn item_type(roots: &mut Roots<'_, '_>, name: &str) -> Option<String> {
    let input = name.strip_suffix("_input");
    if let Some(collection) = input.and_then(|name| name.strip_prefix("create_")) {
        return roots.create_input(collection);
    }
    if let Some(collection) = input.and_then(|name| name.strip_prefix("update_")) {
        return roots.update_input(collection);
    }
    roots.item(name)
}

/// Names and types of fields as the table writes them.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|field| field.trim().split_once(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_of_the_same_kind() {
        let member = |name: &str, of: &str| Family::of(name).member(of).into_owned();
        assert_eq!(member("directus_fields", "directus_fields_meta"), "directus_fields_meta");
        assert_eq!(member("write_directus_fields", "directus_fields_meta"), "write_directus_fields_meta");
        assert_eq!(
            member("write_directus_collections_input", "[directus_fields!]"),
            "[write_directus_fields_input!]"
        );
        assert_eq!(member("write_directus_collections_input", "String"), "String");
    }

    #[test]
    fn fields_are_read_as_they_are_written() {
        let read: Vec<_> = fields("a: [ID!]!, \n b: String").collect();
        assert_eq!(read, [("a", "[ID!]!"), ("b", "String")]);
        assert_eq!(fields("").count(), 0);
    }
}

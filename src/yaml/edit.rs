//! Changes one place of a text and leaves every other line as it is, comments and order included.
//!
//! Each function finds the place in the parsed tree, patches the text there, and reads the outcome back: a change that would come
//! out as anything but what was asked for (inside of an alias, say) is refused instead.

use serde_json::Value;

use super::{Diagnostic, Entry, Node, Point, Style, Yaml, emit, parse, quoted};

/// Sets the value at a path of keys; list entries are named by their number. The last key must exist.
pub fn set(file: &str, text: &str, path: &[&str], value: &Value) -> Result<String, Diagnostic> {
    let edit = Edit::start(file, text)?;
    let found = edit.find(path)?;
    let mut expected = edit.root.to_json();
    if let Some(place) = path.iter().try_fold(&mut expected, |place, step| step_into(place, step)) {
        *place = value.clone();
    }
    let patched = match found.entry {
        Some(entry) => edit.set_entry(entry, found.in_flow, value),
        None => edit.replace(edit.span(found.node), &emit::flow(value)),
    };
    edit.finish(patched, &expected)
}

/// Adds a key behind the last one of the map at a path (the empty path is the whole document). The key must be new.
pub fn insert(file: &str, text: &str, path: &[&str], key: &str, value: &Value) -> Result<String, Diagnostic> {
    let edit = Edit::start(file, text)?;
    let found = edit.find(path)?;
    let mut expected = edit.root.to_json();
    let place = path.iter().try_fold(&mut expected, |place, step| step_into(place, step));
    match (place, &found.node.value) {
        (Some(Value::Object(map)), _) if map.contains_key(key) => {
            return Err(Diagnostic::error(
                &found.node.at,
                format!("the key {} is already there", quoted(key)),
            ));
        }
        (Some(Value::Object(map)), _) => {
            map.insert(key.to_owned(), value.clone());
        }
        (Some(place @ Value::Null), Yaml::Null) => {
            *place = Value::Object([(key.to_owned(), value.clone())].into_iter().collect());
        }
        _ => {
            return Err(
                Diagnostic::error(&found.node.at, "keys can only be added to a map").expected("a map")
            );
        }
    }
    let patched = edit.insert_entry(&found, key, value);
    edit.finish(patched, &expected)
}

/// Removes the key at the end of a path, with its value. Comments above it stay.
pub fn remove(file: &str, text: &str, path: &[&str]) -> Result<String, Diagnostic> {
    let edit = Edit::start(file, text)?;
    let (parent, entry, _) = edit.find_entry(path)?;
    let mut expected = edit.root.to_json();
    let above = &path[..path.len() - 1];
    if let Some(Value::Object(map)) =
        above.iter().try_fold(&mut expected, |place, step| step_into(place, step))
    {
        map.shift_remove(&entry.name);
    }
    let patched = edit.remove_entry(parent, entry);
    edit.finish(patched, &expected)
}

/// Gives the key at the end of a path another name, in the same place.
pub fn rename(file: &str, text: &str, path: &[&str], name: &str) -> Result<String, Diagnostic> {
    let edit = Edit::start(file, text)?;
    let (parent, entry, _) = edit.find_entry(path)?;
    if entry.name != name && parent.get(name).is_some() {
        return Err(Diagnostic::error(&entry.key.at, format!("the key {} is already there", quoted(name))));
    }
    let mut expected = edit.root.to_json();
    let above = &path[..path.len() - 1];
    if let Some(Value::Object(map)) =
        above.iter().try_fold(&mut expected, |place, step| step_into(place, step))
    {
        let renamed = std::mem::take(map)
            .into_iter()
            .map(|(key, value)| if key == entry.name { (name.to_owned(), value) } else { (key, value) });
        *map = renamed.collect();
    }
    let patched = edit.replace(edit.span(&entry.key), &emit::string(name));
    edit.finish(patched, &expected)
}

fn step_into<'a>(value: &'a mut Value, step: &&str) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(*step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A place that a path leads to.
struct Found<'a> {
    node: &'a Node,
    /// The entry whose value it is, unless it is an entry of a list or the document.
    entry: Option<&'a Entry>,
    /// Stands between brackets, where line breaks and indentation mean nothing.
    in_flow: bool,
}

/// A text with its tree and the offsets of its lines.
struct Edit<'a> {
    file: &'a str,
    text: &'a str,
    root: Node,
    line_starts: Vec<usize>,
    line_break: &'static str,
}

impl<'a> Edit<'a> {
    fn start(file: &'a str, text: &'a str) -> Result<Self, Diagnostic> {
        let (root, findings) = parse(file, text.as_bytes());
        let root = match (root, findings.into_iter().find(Diagnostic::is_error)) {
            (_, Some(diagnostic)) => return Err(diagnostic),
            (Some(root), None) => root,
            (None, None) => return Err(unfit(file, "the file is empty")),
        };
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_break = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Ok(Edit { file, text, root, line_starts, line_break })
    }

    fn find(&self, path: &[&str]) -> Result<Found<'_>, Diagnostic> {
        let mut found = Found { node: &self.root, entry: None, in_flow: false };
        for step in path {
            let in_flow = found.in_flow || found.node.style == Style::Flow;
            let next = match &found.node.value {
                Yaml::Map(entries) => entries.iter().find(|entry| entry.name == **step).map(|entry| Found {
                    node: &entry.value,
                    entry: Some(entry),
                    in_flow,
                }),
                Yaml::List(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|position| items.get(position))
                    .map(|node| Found { node, entry: None, in_flow }),
                _ => None,
            };
            found = next.ok_or_else(|| {
                Diagnostic::error(&found.node.at, format!("there is no key {} here", quoted(step)))
            })?;
        }
        Ok(found)
    }

    /// The entry at the end of a path, with the map it stands in.
    fn find_entry(&self, path: &[&str]) -> Result<(&Node, &Entry, bool), Diagnostic> {
        let found = self.find(path)?;
        match (found.entry, path.split_last()) {
            (Some(entry), Some((_, above))) => Ok((self.find(above)?.node, entry, found.in_flow)),
            _ => Err(Diagnostic::error(&found.node.at, "this is not the value of a key")),
        }
    }

    fn offset(&self, point: Point) -> usize {
        let line = (point.line as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(line).copied() else { return self.text.len() };
        let end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        let content = &self.text[start..end];
        let column = (point.column as usize).saturating_sub(1);
        start + content.char_indices().nth(column).map_or(content.len(), |(at, _)| at)
    }

    fn start_of(&self, node: &Node) -> usize {
        self.offset(Point { line: node.at.line, column: node.at.column })
    }

    /// Bytes of a node, without the white space that a block may end with.
    fn span(&self, node: &Node) -> (usize, usize) {
        let start = self.start_of(node);
        let end = self.offset(node.end).max(start);
        // For the parser a text in quotes ends behind the comment that follows it.
        if node.style == Style::Quoted
            && let Some(length) = quoted_length(&self.text[start..end])
        {
            return (start, start + length);
        }
        (start, start + self.text[start..end].trim_end_matches([' ', '\t', '\r', '\n']).len())
    }

    /// End of an entry: of its value, or of the colon when it has none.
    fn end_of(&self, entry: &Entry) -> usize {
        self.colon(entry).max(self.span(&entry.value).1)
    }

    /// Just behind the colon of an entry; behind the key when it has none, as `{ a }` may.
    fn colon(&self, entry: &Entry) -> usize {
        let key_end = self.span(&entry.key).1;
        let rest = &self.text[key_end..];
        let colon = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if colon.starts_with(':') { key_end + (rest.len() - colon.len()) + 1 } else { key_end }
    }

    fn replace(&self, (start, end): (usize, usize), with: &str) -> String {
        let with =
            if self.line_break == "\n" { with.to_owned() } else { with.replace('\n', self.line_break) };
        format!("{}{with}{}", &self.text[..start], &self.text[end..])
    }

    fn set_entry(&self, entry: &Entry, in_flow: bool, value: &Value) -> String {
        let (start, end) = self.span(&entry.value);
        let colon = self.colon(entry);
        if in_flow
            || (entry.value.style != Style::Block && entry.value.style != Style::BlockText && start < end)
        {
            let inline = emit::flow(value);
            // Without a value there may be no space in front of it, and not even a colon.
            return if start < end {
                self.replace((start, end), &inline)
            } else if self.text[..colon].ends_with(':') {
                self.replace((colon, colon), &format!(" {inline}"))
            } else {
                self.replace((colon, colon), &format!(": {inline}"))
            };
        }
        let indent = entry.key.at.column as usize + 1;
        // The end of a block stands in its last line, so that what follows in that line is a comment or nothing.
        self.replace((colon, end.max(colon)), &emit::behind_key(value, indent))
    }

    fn insert_entry(&self, found: &Found<'_>, key: &str, value: &Value) -> String {
        let key = emit::string(key);
        match &found.node.value {
            Yaml::Map(entries) => match (entries.last(), found.node.style) {
                (Some(last), Style::Flow) => {
                    let end = self.end_of(last);
                    self.replace((end, end), &format!(", {key}: {}", emit::flow(value)))
                }
                (Some(last), _) => {
                    let indent = last.key.at.column as usize - 1;
                    let end = self.line_end(self.end_of(last));
                    let entry =
                        format!("{}{key}:{}", " ".repeat(indent), emit::behind_key(value, indent + 2));
                    self.replace((end, end), &format!("\n{entry}"))
                }
                (None, _) => {
                    self.replace(self.span(found.node), &format!("{{ {key}: {} }}", emit::flow(value)))
                }
            },
            _ => match found.entry {
                Some(entry) if !found.in_flow => {
                    let (start, end) = self.span(&entry.value);
                    let indent = entry.key.at.column as usize + 1;
                    let colon = self.colon(entry);
                    let fresh =
                        format!("\n{}{key}:{}", " ".repeat(indent), emit::behind_key(value, indent + 2));
                    if start < end {
                        self.replace((colon, end), &fresh)
                    } else {
                        let line_end = self.line_end(colon);
                        self.replace((line_end, line_end), &fresh)
                    }
                }
                Some(entry) => {
                    let map = Value::Object([(key, value.clone())].into_iter().collect());
                    self.set_entry(entry, true, &map)
                }
                None => self.replace(self.span(found.node), &format!("{{ {key}: {} }}", emit::flow(value))),
            },
        }
    }

    fn remove_entry(&self, parent: &Node, entry: &Entry) -> String {
        let entries = parent.as_map().unwrap_or_default();
        let position = entries.iter().position(|other| other.name == entry.name).unwrap_or(0);
        let start = self.start_of(&entry.key);
        let end = self.end_of(entry);
        let next = entries.get(position + 1);
        let previous = position.checked_sub(1).and_then(|before| entries.get(before));
        if parent.style == Style::Flow {
            return match (next, previous) {
                (Some(next), _) => self.replace((start, self.start_of(&next.key)), ""),
                (None, Some(previous)) => self.replace((self.end_of(previous), end), ""),
                (None, None) => self.replace((start, end), ""),
            };
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let shares_line = !self.text[line_start..start].trim().is_empty();
        match (next, previous) {
            (None, None) => self.replace((start, end), "{}"),
            // The first key of a map beside the dash of a list: the next one takes its place.
            (Some(next), None) if shares_line => self.replace((start, self.start_of(&next.key)), ""),
            _ => {
                let line_end = self.line_end(end);
                let after = self.text[line_end..].find('\n').map_or(self.text.len(), |at| line_end + at + 1);
                self.replace((line_start, after), "")
            }
        }
    }

    /// End of the line that an offset stands in, in front of its line break.
    fn line_end(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        offset + line.strip_suffix('\r').unwrap_or(line).len()
    }

    fn finish(&self, patched: String, expected: &Value) -> Result<String, Diagnostic> {
        let (root, findings) = parse(self.file, patched.as_bytes());
        let root = root.map(|root| root.to_json());
        if findings.iter().any(Diagnostic::is_error) || root.as_ref() != Some(expected) {
            return Err(unfit(
                self.file,
                "this place is written in a way that cannot be changed by a small edit",
            ));
        }
        Ok(patched)
    }
}

fn unfit(file: &str, message: &str) -> Diagnostic {
    Diagnostic::error(&super::Position { file: file.into(), line: 1, column: 1 }, message)
}

/// Bytes of the text in quotes that this begins with, with its quotes.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quote == '"' => {
                characters.next();
            }
            // In single quotes, two of them stand for one.
            '\'' if quote == '\'' && characters.next_if(|(_, next)| *next == '\'').is_some() => {}
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

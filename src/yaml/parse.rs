//! Bytes to a tree, within limits that hold for any input.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{Diagnostic, Entry, Node, Point, Position, Style, Yaml, quoted, scalar};

/// Largest file, in bytes.
pub const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Deepest nesting of lists and maps.
pub const MOST_DEPTH: usize = 64;
/// Most values of a file, counting what aliases repeat.
pub const MOST_NODES: usize = 200_000;

/// Reads one document. The tree is missing when there is nothing to go on with; findings beside a tree (a key written twice) still
/// make the file unusable.
pub fn parse(file: &str, bytes: &[u8]) -> (Option<Node>, Vec<Diagnostic>) {
    let file: Arc<str> = file.into();
    let text = match readable(&file, bytes) {
        Ok(text) => text,
        Err(diagnostic) => return (None, vec![diagnostic]),
    };
    let mut builder =
        Builder { file, findings: Vec::new(), anchors: HashMap::new(), stack: Vec::new(), nodes: 0 };
    let root = match builder.run(text) {
        Ok(root) => root,
        Err(diagnostic) => {
            builder.findings.push(diagnostic);
            None
        }
    };
    (root, builder.findings)
}

/// The text of a file, when it is one that YAML may be read from.
fn readable<'a>(file: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    let place = |valid: &[u8]| {
        let line_start = valid.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&valid[line_start..]).chars().count() + 1;
        Position { file: file.clone(), line: line as u32, column: column as u32 }
    };
    let start = place(&[]);
    if bytes.len() > MOST_BYTES {
        return Err(Diagnostic::error(
            &start,
            format!("the file is larger than {} MB", MOST_BYTES / 1024 / 1024),
        ));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Diagnostic::error(
            &start,
            "the file begins with a byte order mark; save it as UTF-8 without one",
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Diagnostic::error(&place(&bytes[..error.valid_up_to()]), "this is not UTF-8"))?;
    let unprintable = text.char_indices().find(|(_, character)| {
        matches!(character, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\x7F' | '\u{FEFF}')
    });
    if let Some((at, character)) = unprintable {
        let message = format!("the character U+{:04X} is not allowed", character as u32);
        return Err(Diagnostic::error(&place(&bytes[..at]), message));
    }
    Ok(text)
}

/// A list or map that is still open.
struct Open {
    at: Position,
    anchor: usize,
    style: Style,
    items: Vec<Node>,
    entries: Vec<Entry>,
    /// For maps: the key whose value comes next.
    key: Option<Node>,
    names: HashMap<String, u32>,
    is_map: bool,
    end: Point,
}

/// What an anchor stands for, with what its repetition costs.
struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
}

struct Builder {
    file: Arc<str>,
    findings: Vec<Diagnostic>,
    anchors: HashMap<usize, Anchored>,
    stack: Vec<Open>,
    nodes: usize,
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<Option<Node>, Diagnostic> {
        let mut parser = Parser::new_from_str(text);
        let mut root: Option<Node> = None;
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => return Err(self.syntax_error(text, *error.marker(), error.info())),
            };
            let node = match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a second document begins here; a file holds one";
                        return Err(Diagnostic::error(&self.position(span.start), message));
                    }
                    continue;
                }
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => continue,
                Event::Alias(anchor) => self.alias(anchor, span)?,
                Event::Scalar(text, style, anchor, tag) => {
                    let node = self.scalar(&text, style, tag.as_deref(), span)?;
                    self.remember(anchor, &node, 1, 0);
                    node
                }
                Event::SequenceStart(anchor, tag) => {
                    self.open(false, anchor, tag.as_deref(), span)?;
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    self.open(true, anchor, tag.as_deref(), span)?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match self.close(span)? {
                    Some(node) => node,
                    None => continue,
                },
            };
            self.place(node, &mut root)?;
        }
        if root.as_ref().is_none_or(|root| root.is_null()) {
            let start = Position { file: self.file.clone(), line: 1, column: 1 };
            return Err(Diagnostic::error(&start, "the file is empty"));
        }
        Ok(root)
    }

    fn position(&self, marker: Marker) -> Position {
        Position {
            file: self.file.clone(),
            line: marker.line().max(1) as u32,
            column: marker.col() as u32 + 1,
        }
    }

    /// The scanner's words, except where a tab is the likely reason.
    fn syntax_error(&self, text: &str, marker: Marker, info: &str) -> Diagnostic {
        let line = marker.line().max(1);
        let first = line.saturating_sub(2);
        let tabbed = text.lines().enumerate().skip(first).take(2).find_map(|(number, content)| {
            let indentation = content.len() - content.trim_start_matches([' ', '\t']).len();
            content[..indentation].find('\t').map(|column| (number + 1, column + 1))
        });
        if let Some((line, column)) = tabbed {
            let at = Position { file: self.file.clone(), line: line as u32, column: column as u32 };
            return Diagnostic::error(&at, "a tab stands in the indentation").expected("spaces");
        }
        Diagnostic::error(&self.position(marker), format!("this is not YAML: {info}"))
    }

    fn count(&mut self, nodes: usize, at: &Position) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES {
            return Err(Diagnostic::error(
                at,
                format!("the file has more than {MOST_NODES} values, aliases counted"),
            ));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, size: usize, depth: usize) {
        // Anchors are numbered from 1; 0 says that there is none.
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Diagnostic> {
        let at = self.position(span.start);
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(&at, "this alias stands inside of what it repeats"));
        };
        let (size, depth) = (anchored.size, anchored.depth);
        self.count(size, &at)?;
        if self.stack.len() + depth > MOST_DEPTH {
            return Err(Diagnostic::error(&at, format!("nested deeper than {MOST_DEPTH} levels")));
        }
        let anchored = &self.anchors[&anchor];
        // What an alias repeats is reported where the alias stands: that is where the reader has to look first.
        Ok(Node { at, end: point(span.end), ..anchored.node.clone() })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Node, Diagnostic> {
        let at = self.position(span.start);
        self.count(1, &at)?;
        let as_text = self.check_tag(tag, &at);
        let value = if style == ScalarStyle::Plain && !as_text {
            scalar::resolve(text).unwrap_or_else(|reason| {
                self.findings.push(Diagnostic::error(&at, format!("{}: {reason}", quoted(text))));
                Yaml::Null
            })
        } else {
            Yaml::Text(text.to_owned())
        };
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::BlockText,
        };
        Ok(Node { at, end: point(span.end), style, value })
    }

    /// Whether the tag makes a plain scalar a text. Other tags say nothing that the format could use.
    fn check_tag(&mut self, tag: Option<&Tag>, at: &Position) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
            Some(tag) if tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "map" | "seq") => false,
            Some(tag) => {
                self.findings.push(Diagnostic::error(
                    at,
                    format!("the tag {} is not known", quoted(&tag.to_string())),
                ));
                false
            }
        }
    }

    fn open(&mut self, is_map: bool, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), Diagnostic> {
        let at = self.position(span.start);
        self.count(1, &at)?;
        self.check_tag(tag, &at);
        if self.stack.len() >= MOST_DEPTH {
            return Err(Diagnostic::error(&at, format!("nested deeper than {MOST_DEPTH} levels")));
        }
        // The start of a block collection has no characters of its own, a bracket has one.
        let style = if span.is_empty() { Style::Block } else { Style::Flow };
        self.stack.push(Open {
            end: point(span.end),
            at,
            anchor,
            style,
            items: Vec::new(),
            entries: Vec::new(),
            key: None,
            names: HashMap::new(),
            is_map,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<Option<Node>, Diagnostic> {
        let Some(open) = self.stack.pop() else { return Ok(None) };
        // A block collection ends with its last value; its end event stands at whatever comes next.
        let end = match open.style {
            Style::Flow => point(span.end),
            _ => open.end,
        };
        let value = if open.is_map { Yaml::Map(open.entries) } else { Yaml::List(open.items) };
        let node = Node { at: open.at, end, style: open.style, value };
        if open.anchor > 0 {
            let (size, depth) = measure(&node);
            // Anchors inside anchors are kept once per level, which has to be paid for like an alias.
            self.count(size, &node.at)?;
            self.remember(open.anchor, &node, size, depth);
        }
        Ok(Some(node))
    }

    fn place(&mut self, node: Node, root: &mut Option<Node>) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.last_mut() else {
            *root = Some(node);
            return Ok(());
        };
        open.end = open.end.max(node.end);
        if !open.is_map {
            open.items.push(node);
            return Ok(());
        }
        let Some(key) = open.key.take() else {
            if !node.is_scalar() {
                return Err(Diagnostic::error(&node.at, format!("{} cannot be a key", node.kind())));
            }
            open.key = Some(node);
            return Ok(());
        };
        let name = match &key.value {
            Yaml::Text(text) => text.clone(),
            Yaml::Bool(value) => value.to_string(),
            Yaml::Number(number) => number.to_string(),
            _ => "null".to_owned(),
        };
        match open.names.get(&name) {
            Some(line) => {
                let message = format!("the key {} stands twice; the first is in line {line}", quoted(&name));
                self.findings.push(Diagnostic::error(&key.at, message));
            }
            None => {
                open.names.insert(name.clone(), key.at.line);
                open.entries.push(Entry { name, key, value: node });
            }
        }
        Ok(())
    }
}

fn point(marker: Marker) -> Point {
    Point { line: marker.line().max(1) as u32, column: marker.col() as u32 + 1 }
}

/// Number of values in a tree, and how deep it goes.
fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<(usize, usize)> = match &node.value {
        Yaml::List(items) => items.iter().map(measure).collect(),
        Yaml::Map(entries) => {
            entries.iter().map(|entry| measure(&entry.value)).map(|(size, depth)| (size + 1, depth)).collect()
        }
        _ => return (1, 0),
    };
    let size = children.iter().map(|(size, _)| size).sum::<usize>() + 1;
    let depth = children.iter().map(|(_, depth)| *depth).max().unwrap_or(0) + 1;
    (size, depth)
}

//! One test as written.

use crate::access::Action;
use crate::yaml::{Entry, Node, Position};

/// The tests of one file, with what they share.
#[derive(Debug, Default)]
pub struct Block<'a> {
    pub people: Vec<(&'a str, Person<'a>)>,
    pub given: Option<&'a Node>,
    pub cases: Vec<Case<'a>>,
}

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct Person<'a> {
    pub at: &'a Position,
    pub role: Option<&'a Node>,
    pub policies: &'a [Node],
    pub user: Option<&'a Node>,
}

/// Who asks in one test.
#[derive(Debug)]
pub enum Asker<'a> {
    /// By label; `public` is a visitor.
    Named(&'a str, &'a Position),
    Described(Person<'a>),
}

#[derive(Debug)]
pub struct Case<'a> {
    pub at: &'a Position,
    pub it: Option<&'a str>,
    pub asker: Option<Asker<'a>>,
    pub from: Option<&'a Node>,
    pub tenant: Option<&'a Node>,
    pub given: Option<&'a Node>,
    /// What is asked, of which collection; a test names exactly one.
    pub requests: Vec<(Action, &'a Node)>,
    pub item: Option<&'a Node>,
    pub query: Option<&'a Node>,
    pub payload: Option<&'a Node>,
    pub expect: Option<&'a Node>,
}

impl<'a> Block<'a> {
    /// Reads what stands behind `tests:`; its shape was checked when the files were loaded.
    pub fn read(node: &'a Node) -> Self {
        let cases = |node: &'a Node| node.as_list().unwrap_or_default().iter().map(Case::read).collect();
        if node.as_list().is_some() {
            return Block { cases: cases(node), ..Block::default() };
        }
        let people = node.get("people").and_then(Node::as_map).unwrap_or_default();
        Block {
            people: people
                .iter()
                .map(|entry: &Entry| (entry.name.as_str(), Person::read(&entry.key.at, &entry.value)))
                .collect(),
            given: node.get("given"),
            cases: node.get("cases").map(cases).unwrap_or_default(),
        }
    }

    /// Shares nothing.
    pub fn is_bare(&self) -> bool {
        self.people.is_empty() && self.given.is_none()
    }
}

impl<'a> Person<'a> {
    fn read(at: &'a Position, node: &'a Node) -> Self {
        Person {
            at,
            role: node.get("role"),
            policies: node.get("policies").and_then(Node::as_list).unwrap_or_default(),
            user: node.get("user"),
        }
    }
}

impl<'a> Case<'a> {
    fn read(node: &'a Node) -> Self {
        let asker = node.get("as").map(|node| match node.as_text() {
            Some(label) => Asker::Named(label, &node.at),
            None => Asker::Described(Person::read(&node.at, node)),
        });
        let actions = [Action::Read, Action::Create, Action::Update, Action::Delete];
        Case {
            at: &node.at,
            it: node.get("it").and_then(Node::as_text),
            asker,
            from: node.get("from"),
            tenant: node.get("tenant"),
            given: node.get("given"),
            requests: actions
                .into_iter()
                .filter_map(|action| Some((action, node.get(action.name())?)))
                .collect(),
            item: node.get("item"),
            query: node.get("query"),
            payload: node.get("payload"),
            expect: node.get("expect"),
        }
    }

    /// The test in a few words.
    pub fn title(&self) -> String {
        let who = match &self.asker {
            Some(Asker::Named(label, _)) => (*label).to_owned(),
            Some(Asker::Described(Person { role: Some(role), .. })) => {
                role.as_text().unwrap_or_default().to_owned()
            }
            _ => "somebody".to_owned(),
        };
        let what: Vec<String> = self
            .requests
            .iter()
            .map(|(action, node)| format!("{} {}", action.name(), node.as_text().unwrap_or_default()))
            .collect();
        let told = format!("{who}, {}", what.join(", "));
        self.it.map_or(told.clone(), |it| format!("{told} ({it})"))
    }

    /// Rows are made or changed, so that the next test needs a fresh world.
    pub fn leaves_traces(&self) -> bool {
        self.given.is_some()
            || matches!(self.asker, Some(Asker::Described(_)))
            || self.requests.iter().any(|(action, _)| *action != Action::Read)
    }
}

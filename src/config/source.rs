//! Where settings come from.

use std::collections::BTreeMap;
use std::path::Path;

use super::Secrets;
use super::read::{ConfigErrors, Finding};

/// Settings as text, by name, from the three places.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    environment: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
    toml: BTreeMap<String, String>,
}

/// The place a setting was found in, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Environment,
    Dotenv,
    Toml,
}

impl Place {
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::Environment => "environment",
            Place::Dotenv => ".env",
            Place::Toml => "tablature.toml",
        }
    }
}

impl Sources {
    /// The environment of this process, and `.env` and `tablature.toml` of its working directory where they exist.
    pub fn of_process() -> Result<Sources, ConfigErrors> {
        let mut findings = Vec::new();
        let environment = environment(&mut findings);
        let dotenv = read_file(Path::new(".env"), &mut findings)
            .map(|text| parse_dotenv(&text, &mut findings))
            .unwrap_or_default();
        let toml = read_file(Path::new("tablature.toml"), &mut findings)
            .map(|text| parse_toml(&text, &mut findings))
            .unwrap_or_default();
        ConfigErrors::from_findings(findings)?;
        Ok(Sources { environment, dotenv, toml })
    }

    /// Settings from texts, as a process with this environment and these files would have them.
    pub fn from_texts(
        environment: &[(&str, &str)],
        dotenv: &str,
        toml: &str,
    ) -> Result<Sources, ConfigErrors> {
        let mut findings = Vec::new();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let dotenv = parse_dotenv(dotenv, &mut findings);
        let toml = parse_toml(toml, &mut findings);
        ConfigErrors::from_findings(findings)?;
        Ok(Sources { environment, dotenv, toml })
    }

    /// The value that counts, and where it stands. An empty value is no value.
    pub(super) fn get(&self, name: &str) -> Option<(&str, Place)> {
        [(&self.environment, Place::Environment), (&self.dotenv, Place::Dotenv), (&self.toml, Place::Toml)]
            .into_iter()
            .find_map(|(values, place)| {
                values.get(name).filter(|value| !value.is_empty()).map(|value| (value.as_str(), place))
            })
    }

    /// What the environment and `.env` hold, for those who let a file name a variable.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::new(
            self.dotenv.iter().chain(&self.environment).map(|(name, value)| (name.clone(), value.clone())),
        )
    }

    /// Every name that stands anywhere.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, Place)> {
        self.environment
            .keys()
            .map(|name| (name.as_str(), Place::Environment))
            .chain(self.dotenv.keys().map(|name| (name.as_str(), Place::Dotenv)))
            .chain(self.toml.keys().map(|name| (name.as_str(), Place::Toml)))
    }
}

fn environment(findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        // A name that is no text is nobody's setting.
        let Some(name) = name.to_str() else { continue };
        match value.into_string() {
            Ok(value) => {
                values.insert(name.to_owned(), value);
            }
            Err(_) if super::settings::find(name).is_some() => {
                findings.push(Finding::new(name, Place::Environment, "is not UTF-8"));
            }
            Err(_) => {}
        }
    }
    values
}

fn read_file(path: &Path, findings: &mut Vec<Finding>) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            findings
                .push(Finding::about_file(&path.display().to_string(), &format!("cannot be read: {error}")));
            None
        }
    }
}

fn parse_dotenv(text: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok((name, value)) => {
                if values.insert(name.clone(), value).is_some() {
                    findings.push(Finding::new(&name, Place::Dotenv, "stands twice"));
                }
            }
            // The line itself may hold a secret, so only its beginning up to the `=` is shown.
            Err(dotenvy::Error::LineParse(line, _)) => {
                let name = line.split('=').next().unwrap_or_default().trim();
                findings.push(Finding::about_file(".env", &format!("the line `{name}` cannot be parsed")));
            }
            Err(error) => findings.push(Finding::about_file(".env", &error.to_string())),
        }
    }
    values
}

/// Tables are joined to names: `[db] client` and `db_client` are both `DB_CLIENT`.
fn parse_toml(text: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    match text.parse::<toml::Table>() {
        Ok(table) => flatten("", &table, &mut values, findings),
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            findings
                .push(Finding::about_file("tablature.toml", &format!("line {line}: {}", error.message())));
        }
    }
    values
}

fn flatten(
    prefix: &str,
    table: &toml::Table,
    values: &mut BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_uppercase());
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&format!("{name}_"), inner, values, findings);
                continue;
            }
            toml::Value::Array(entries) => {
                entries.iter().map(scalar).collect::<Option<Vec<_>>>().map(|all| all.join(","))
            }
            other => scalar(other),
        };
        match text {
            Some(text) => {
                if values.insert(name.clone(), text).is_some() {
                    findings.push(Finding::new(&name, Place::Toml, "stands twice"));
                }
            }
            None => findings.push(Finding::new(
                &name,
                Place::Toml,
                "must be a text, a number, true or false, or a list of them",
            )),
        }
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

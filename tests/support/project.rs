//! Temporary projects and the command line.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::database::Database;
use super::server::{Server, ServerBuilder, binary, settings, spawn};

/// A folder of collections on a database of its own.
pub struct Project {
    pub database: Database,
    collections: PathBuf,
}

impl Project {
    /// A project with these files: names relative to `collections/`, and their text.
    pub async fn new(database: Database, files: &[(&str, &str)]) -> Self {
        let collections = database.dir().join("collections");
        std::fs::create_dir_all(&collections).expect("a folder for the collections");
        let project = Project { database, collections };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub fn collections(&self) -> &Path {
        &self.collections
    }

    /// Writes a file the way editors do: whole, under its name at once.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.collections.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of the file");
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, text).expect("a file of the project");
        std::fs::rename(&beside, &path).expect("its name");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.collections.join(name)).expect("a file of the project");
    }

    /// All files and their bytes, by name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.collections.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(&self.collections)
                        .expect("a path below")
                        .to_string_lossy()
                        .into_owned();
                    found.push((name, std::fs::read(&path).expect("a file")));
                }
            }
        }
        found.sort();
        found
    }

    /// A server on this project that does not watch the files.
    pub fn server(&self) -> ServerBuilder {
        Server::builder(&self.database).collections(&self.collections)
    }

    /// Runs a command of the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut settings = settings(&self.database);
        settings.insert("COLLECTIONS_PATH".to_owned(), self.collections.display().to_string());
        let mut command = binary(self.database.dir(), &settings);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = spawn(command).wait_with_output().expect("its output");
        Ran::new(arguments.join(" "), output)
    }

    /// Starts a command of the binary and gives back its process.
    pub fn begin(&self, arguments: &[&str]) -> std::process::Child {
        let mut settings = settings(&self.database);
        settings.insert("COLLECTIONS_PATH".to_owned(), self.collections.display().to_string());
        let mut command = binary(self.database.dir(), &settings);
        spawn({
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        })
    }
}

/// A command that has ended.
pub struct Ran {
    what: String,
    /// Standard output and standard error, one after the other.
    pub printed: String,
    pub success: bool,
}

impl Ran {
    fn new(what: String, output: Output) -> Self {
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
        Ran { what, printed, success: output.status.success() }
    }

    /// It went well; gives back what it printed.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert!(self.success, "`{}` failed:\n{}", self.what, self.printed);
        &self.printed
    }

    /// It was refused, and said all of this.
    #[track_caller]
    pub fn refused(&self, said: &[&str]) {
        assert!(!self.success, "`{}` was not refused:\n{}", self.what, self.printed);
        self.says(said);
    }

    #[track_caller]
    pub fn says(&self, said: &[&str]) {
        for text in said {
            assert!(self.printed.contains(text), "`{}` does not say {text:?}:\n{}", self.what, self.printed);
        }
    }
}

//! The reference server, where it is at hand: a folder in `TEST_REFERENCE` in which it is installed
//! (`npm install` there), run by the Node that is found first.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use super::database::{Database, Engine};
use super::server::{ADMIN_EMAIL, ADMIN_PASSWORD, free_port, spawn};

/// Where it is installed. Says why not where it is not.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("TEST_REFERENCE").filter(|folder| !folder.is_empty());
    let Some(folder) = named.map(PathBuf::from) else {
        eprintln!("skipped: TEST_REFERENCE names no folder with the reference server");
        return None;
    };
    assert!(cli(&folder).is_file(), "TEST_REFERENCE: there is no {}", cli(&folder).display());
    Some(folder)
}

fn cli(folder: &std::path::Path) -> PathBuf {
    folder.join("node_modules/directus/cli.js")
}

/// It, running on a database.
pub struct Reference {
    child: Child,
    /// Somebody without a token.
    pub visitor: Client,
}

impl Reference {
    /// Makes its tables and starts it.
    pub async fn start(folder: &std::path::Path, database: &Database) -> Self {
        let port = free_port();
        let ended = command(folder, database, port, "bootstrap").status().expect("the reference server");
        assert!(ended.success(), "the reference server makes no tables");
        let base = format!("http://127.0.0.1:{port}");
        let visitor = Client::new(&base, None, database.dir().join("reference.log"));
        let reference = Reference { child: spawn(command(folder, database, port, "start")), visitor };
        let began = Instant::now();
        loop {
            let ping = reference
                .visitor
                .request("GET", "/server/ping")
                .timeout(Duration::from_secs(5))
                .try_send()
                .await;
            if ping.is_ok_and(|answer| answer.status == 200) {
                return reference;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "the reference server does not answer");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends it; the database is left as it is.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(folder: &std::path::Path, database: &Database, port: u16, what: &str) -> Command {
    let path = database.dir().join("reference.log");
    let log = std::fs::File::options().create(true).append(true).open(path).expect("a log file");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "node"]).arg(cli(folder)).arg(what);
    command.current_dir(folder).env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    let public = format!("http://127.0.0.1:{port}");
    let uploads = database.dir().join("uploads");
    let pairs = [
        ("HOST", "127.0.0.1"),
        ("PUBLIC_URL", public.as_str()),
        ("TZ", "UTC"),
        ("SECRET", "secret-of-the-black-box-suite-0123456789"),
        ("ADMIN_EMAIL", ADMIN_EMAIL),
        ("ADMIN_PASSWORD", ADMIN_PASSWORD),
        ("TELEMETRY", "false"),
        ("CACHE_ENABLED", "false"),
        ("RATE_LIMITER_ENABLED", "false"),
        ("PRESSURE_LIMITER_ENABLED", "false"),
        ("SERVE_APP", "false"),
        ("LOG_LEVEL", "warn"),
        ("NODE_ENV", "production"),
        ("STORAGE_LOCATIONS", "local"),
        ("STORAGE_LOCAL_ROOT", uploads.to_str().expect("a path in UTF-8")),
        ("EMAIL_VERIFY_SETUP", "false"),
        ("EMAIL_TRANSPORT", "sendmail"),
        ("EMAIL_SENDMAIL_PATH", "/bin/true"),
    ];
    command.envs(pairs).env("PORT", port.to_string());
    match database.engine {
        Engine::Sqlite => {
            command.env("DB_CLIENT", "sqlite3").env("DB_FILENAME", database.file());
        }
        engine => {
            let url = url::Url::parse(&database.url).expect("the address of the database");
            command
                .env("DB_CLIENT", engine.pick("", "pg", "mysql"))
                .env("DB_HOST", url.host_str().expect("a host"))
                .env("DB_PORT", url.port().expect("a port").to_string())
                .env("DB_USER", url.username())
                .env("DB_PASSWORD", url.password().unwrap_or_default())
                .env("DB_DATABASE", url.path().trim_start_matches('/'));
        }
    }
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    command
}

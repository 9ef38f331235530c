//! Processes of the binary under test.
//!
//! A server dies with its guard, and also when the test process ends in any other way: all are started by one
//! thread that lives as long as the process, and are killed by the kernel when it is gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use super::client::{Client, tail};
use super::database::Database;

/// The administrator of every server.
pub const ADMIN_TOKEN: &str = "admin-token-of-the-black-box-suite";
pub const ADMIN_EMAIL: &str = "admin@example.com";
pub const ADMIN_PASSWORD: &str = "Admin-Passw0rd";

/// A running server.
pub struct Server {
    child: Child,
    base: String,
    log: PathBuf,
    /// How long it took from the start of the process to its first answer.
    pub first_answer: Duration,
}

impl Server {
    /// A server on this database and these collections.
    pub async fn start(database: &Database, collections: &Path) -> Self {
        Self::builder(database).collections(collections).start().await
    }

    pub fn builder(database: &Database) -> ServerBuilder {
        ServerBuilder {
            settings: settings(database),
            log: database.dir().join("server.log"),
            dir: database.dir().to_owned(),
        }
    }

    pub fn admin(&self) -> Client {
        Client::new(&self.base, Some(ADMIN_TOKEN), self.log.clone())
    }

    /// Somebody without a token.
    pub fn visitor(&self) -> Client {
        Client::new(&self.base, None, self.log.clone())
    }

    pub fn port(&self) -> u16 {
        self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port in the address")
    }

    /// Everything it has printed so far.
    pub fn printed(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it the hard way.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        signal(self.child.id(), "TERM");
    }

    /// Waits for it to end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            assert!(began.elapsed() < within, "still running after {within:?}:\n{}", tail(&self.log));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("last lines of {}:\n{}", self.log.display(), tail(&self.log));
        }
    }
}

/// What a server is started with.
#[derive(Clone)]
pub struct ServerBuilder {
    settings: BTreeMap<String, String>,
    log: PathBuf,
    dir: PathBuf,
}

impl ServerBuilder {
    pub fn collections(self, path: &Path) -> Self {
        self.set("COLLECTIONS_PATH", path.to_str().expect("a path in UTF-8"))
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it and waits for its first answer.
    pub async fn start(&self) -> Server {
        let port = match self.settings.get("PORT") {
            Some(port) => port.parse().expect("a port"),
            None => free_port(),
        };
        let began = Instant::now();
        let child = spawn(self.command(port));
        let base = format!("http://127.0.0.1:{port}");
        let mut server = Server { child, base, log: self.log.clone(), first_answer: Duration::ZERO };
        let visitor = server.visitor();
        loop {
            let ping =
                visitor.request("GET", "/server/ping").timeout(Duration::from_secs(5)).try_send().await;
            if ping.is_ok_and(|answer| answer.status == 200) {
                server.first_answer = began.elapsed();
                return server;
            }
            assert!(server.is_running(), "the server ended while it started");
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not answer");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Starts it where it has to fail, and gives back what it printed.
    pub fn fails_to_start(&self) -> String {
        let mut child = spawn(self.command(free_port()));
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a status") {
                let printed = std::fs::read_to_string(&self.log).expect("its output");
                assert!(!status.success(), "it ended well:\n{printed}");
                return printed;
            }
            if began.elapsed() > Duration::from_secs(30) {
                child.kill().ok();
                panic!("it started:\n{}", tail(&self.log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, port: u16) -> Command {
        let mut command = binary(&self.dir, &self.settings);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        command.arg("serve").env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        command
    }
}

/// What every process of the binary is told about its surroundings.
pub fn settings(database: &Database) -> BTreeMap<String, String> {
    let pairs = [
        ("DATABASE_URL", database.url.as_str()),
        ("HOST", "127.0.0.1"),
        ("SECRET", "secret-of-the-black-box-suite-0123456789"),
        ("ADMIN_EMAIL", ADMIN_EMAIL),
        ("ADMIN_PASSWORD", ADMIN_PASSWORD),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("DATA_PATH", database.dir().to_str().expect("a path in UTF-8")),
        ("WATCH", "false"),
        ("WRITE_BACK", "false"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The binary under test (another build of it where `TABLATURE_BINARY` names one) with these settings and nothing else from the
/// environment, in this directory.
pub fn binary(dir: &Path, settings: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new("setpriv");
    let binary = std::env::var_os("TABLATURE_BINARY").unwrap_or(env!("CARGO_BIN_EXE_tablature").into());
    command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
    command.current_dir(dir).env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    command.envs(settings);
    command
}

/// Starts a process from the one thread whose end is the end of this process.
pub fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in received {
                reply.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (reply, child) = mpsc::sync_channel(1);
    spawner.send((command, reply)).expect("the thread that starts processes");
    child.recv().expect("an answer from it").expect("the process starts")
}

/// Sends a signal to one process.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "no process {process} to send {name} to");
}

/// A port that nobody listens on, below the range that the kernel hands out to outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (offset % 15_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

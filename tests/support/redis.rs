//! A Redis of a scenario's own, which it may end.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{free_port, spawn};

/// A running Redis without any file.
pub struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts one that works in this folder. `None` where none is installed, unless `TEST_REDIS=1` asks for it.
    pub fn start(dir: &Path) -> Option<Redis> {
        let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            assert_ne!(std::env::var("TEST_REDIS").as_deref(), Ok("1"), "redis-server is not installed");
            eprintln!("not run: redis-server is not installed");
            return None;
        }
        let port = free_port();
        Some(Redis { child: Self::process(dir, port), port })
    }

    fn process(dir: &Path, port: u16) -> Child {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "redis-server", "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--port", &port.to_string()]);
        command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "Redis does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// It stands still: what is sent to it is neither refused nor answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on with what was sent meanwhile.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
    }

    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Starts it again, empty.
    pub fn restart(&mut self, dir: &Path) {
        self.kill();
        self.child = Self::process(dir, self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

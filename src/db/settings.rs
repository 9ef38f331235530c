//! What a driver needs to know.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which database.
    pub target: Target,
    /// Most connections to a database server.
    pub pool_size: u32,
    /// Longest wait for a free connection, and for a lost server.
    pub acquire_timeout: Duration,
    /// Longest time that one statement may take.
    pub statement_timeout: Duration,
    /// Threads for SQLite reads whose cost is not bounded.
    pub sqlite_readers: usize,
    /// PostgreSQL keeps tenants apart by itself.
    pub row_security: bool,
}

impl Settings {
    /// The defaults for this database.
    pub fn new(target: Target) -> Self {
        Settings {
            target,
            pool_size: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            sqlite_readers: 2,
            row_security: false,
        }
    }
}

/// One of the three databases. Addresses hold credentials and never print.
#[derive(Clone)]
pub enum Target {
    /// A file, made when it is not there.
    Sqlite {
        /// Where it is.
        path: PathBuf,
    },
    /// PostgreSQL, or what speaks its protocol.
    Postgres {
        /// `postgres://user:password@host:port/database`.
        url: String,
    },
    /// MariaDB or MySQL.
    Mysql {
        /// `mysql://user:password@host:port/database`.
        url: String,
    },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Sqlite { path } => write!(f, "sqlite {}", path.display()),
            Target::Postgres { .. } => f.write_str("postgres"),
            Target::Mysql { .. } => f.write_str("mysql"),
        }
    }
}

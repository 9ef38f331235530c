//! The form of log lines.

use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogLevel, LogStyle};

/// Sends log lines to standard output in the form that was chosen, and panics to the log. Later calls change nothing.
pub fn start_logs(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Silent => return,
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // What libraries have to say below a warning is about themselves, not about requests. What the HTTP library calls an error
    // is bytes from outside that are no request, answered with a 400.
    let filter = EnvFilter::new(match config.level {
        LogLevel::Silent | LogLevel::Error | LogLevel::Warn => format!("{level},actix_http=off"),
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => {
            format!("warn,actix_http=off,tablature={level}")
        }
    });
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match config.style {
        LogStyle::Raw => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        LogStyle::Pretty => lines.try_init(),
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// One line instead of a text on standard error. The message of a panic may hold what a caller sent, so only its place is told.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panic");
}

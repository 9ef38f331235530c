//! `/server` and `/metrics`: how the server is.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Api;
use crate::config::Rate;
use crate::error::Result;
use crate::server::{Answer, Call};

pub(super) fn ping() -> Answer {
    Answer::Text("text/html; charset=utf-8", "pong".to_owned())
}

/// A word for everybody; for administrators how each part is.
pub(super) async fn health(api: &Api, call: &Call<'_>) -> Result<Answer> {
    let database = api.items.check_database().await;
    let status = if database.is_ok() { "ok" } else { "error" };
    let code = if database.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Whoever cannot be known now, for whatever reason, is told what everybody is told.
    if api.administrator(call).await.is_err() {
        return Ok(Answer::WithStatus(code, json!({ "status": status })));
    }
    let model = api.schemas.status();
    let schema_status = if model.is_behind || !model.pending.is_empty() { "warn" } else { "ok" };
    let database: Value = match &database {
        Ok(()) => json!({ "status": "ok" }),
        Err(error) => json!({ "status": "error", "output": error.to_string() }),
    };
    Ok(Answer::WithStatus(
        code,
        json!({
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "checks": {
                "database": database,
                "schema": {
                    "status": schema_status,
                    "version": model.version,
                    "diagnostics": model.diagnostics,
                    "pending": model.pending,
                    "drift": model.drift,
                },
            },
        }),
    ))
}

/// What the project is called and looks like, for everybody; limits for those who are signed in; the version for administrators.
pub(super) async fn info(api: &Api, call: &Call<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let mut info = json!({ "project": api.system().project(&ctx).await? });
    if ctx.accountability.user.is_some() {
        info["queryLimit"] = json!({ "default": api.limits.default_limit, "max": api.limits.max_limit });
        info["rateLimit"] = rate(api.rate_limits.requests);
        info["rateLimitGlobal"] = rate(api.rate_limits.global);
        let sockets = api.realtime.as_ref().map(|realtime| realtime.describe());
        info["websocket"] = sockets.unwrap_or(Value::Bool(false));
    }
    if ctx.rules.is_everything() {
        info["version"] = json!(env!("CARGO_PKG_VERSION"));
    }
    Ok(Answer::Document(json!({ "data": info })))
}

/// `false` where nothing is counted; durations in seconds.
fn rate(rate: Option<Rate>) -> Value {
    rate.map_or(
        Value::Bool(false),
        |rate| json!({ "points": rate.points, "duration": rate.duration.as_secs() }),
    )
}

pub(super) fn metrics(api: &Api) -> Answer {
    Answer::Text("text/plain; version=0.0.4; charset=utf-8", api.metrics.render())
}

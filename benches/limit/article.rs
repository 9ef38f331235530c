//! The articles of a request's body.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use uuid::Uuid;

use crate::json;

/// An article as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewArticle {
    pub title: String,
    pub status: Option<String>,
    pub body: Option<String>,
    pub views: Option<i32>,
    #[serde(default, deserialize_with = "cents")]
    pub price: Option<i64>,
    pub featured: Option<bool>,
    pub meta: Option<serde_json::Value>,
    pub author: Option<Uuid>,
    #[serde(default, deserialize_with = "moment")]
    pub published_at: Option<i64>,
}

/// What may be changed in the benchmark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub status: String,
    pub views: i32,
    #[serde(deserialize_with = "cents")]
    pub price: Option<i64>,
}

/// A body with one article or many.
pub enum Body {
    One(Box<NewArticle>),
    Many(Vec<NewArticle>),
}

/// Parses and checks the body of a creation.
pub fn parse(body: &[u8]) -> Result<Body> {
    let parsed = match body.first() {
        Some(b'[') => Body::Many(serde_json::from_slice(body)?),
        _ => Body::One(Box::new(serde_json::from_slice(body)?)),
    };
    match &parsed {
        Body::One(article) => article.check()?,
        Body::Many(articles) => articles.iter().try_for_each(NewArticle::check)?,
    }
    Ok(parsed)
}

impl NewArticle {
    fn check(&self) -> Result<()> {
        ensure!(self.title.chars().count() <= 255, "title is too long");
        self.status.as_deref().map_or(Ok(()), check_status)?;
        self.price.map_or(Ok(()), check_price)
    }

    /// What was sent, as the revision keeps it.
    pub fn payload(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"{\"title\":");
        json::text(&mut out, self.title.as_bytes());
        if let Some(status) = &self.status {
            out.extend_from_slice(b",\"status\":");
            json::text(&mut out, status.as_bytes());
        }
        if let Some(body) = &self.body {
            out.extend_from_slice(b",\"body\":");
            json::text(&mut out, body.as_bytes());
        }
        if let Some(views) = self.views {
            out.extend_from_slice(b",\"views\":");
            json::integer(&mut out, views.into());
        }
        if let Some(price) = self.price {
            out.extend_from_slice(b",\"price\":");
            json::cents(&mut out, price);
        }
        if let Some(featured) = self.featured {
            out.extend_from_slice(b",\"featured\":");
            json::boolean(&mut out, featured);
        }
        if let Some(meta) = &self.meta {
            out.extend_from_slice(b",\"meta\":");
            out.extend_from_slice(meta.to_string().as_bytes());
        }
        if let Some(author) = self.author {
            out.extend_from_slice(b",\"author\":");
            json::uuid(&mut out, author);
        }
        if let Some(published_at) = self.published_at {
            out.extend_from_slice(b",\"published_at\":");
            json::moment(&mut out, published_at);
        }
        out.push(b'}');
        out
    }
}

impl Change {
    /// Parses and checks the body of an update.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let change: Change = serde_json::from_slice(body)?;
        check_status(&change.status)?;
        change.price.map_or(Ok(()), check_price)?;
        Ok(change)
    }

    /// What was changed, as the revision keeps it.
    pub fn payload(&self, updated_at: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(b"{\"status\":");
        json::text(&mut out, self.status.as_bytes());
        out.extend_from_slice(b",\"views\":");
        json::integer(&mut out, self.views.into());
        out.extend_from_slice(b",\"price\":");
        match self.price {
            Some(price) => json::cents(&mut out, price),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"updated_at\":");
        json::moment(&mut out, updated_at);
        out.push(b'}');
        out
    }
}

fn check_status(status: &str) -> Result<()> {
    ensure!(matches!(status, "draft" | "in_review" | "published" | "archived"), "no such status");
    Ok(())
}

fn check_price(cents: i64) -> Result<()> {
    ensure!(cents.unsigned_abs() < 10_000_000_000, "price is too large");
    Ok(())
}

/// Reads `"12.50"` as 1250.
fn cents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    parse_cents(&text).map(Some).map_err(Error::custom)
}

fn parse_cents(text: &str) -> Result<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    ensure!(rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit()), "not a price");
    let hundredths: i64 = format!("{rest:0<2}").parse()?;
    let value: i64 = whole.parse()?;
    let value = value.checked_mul(100).context("price is too large")?;
    Ok(if text.starts_with('-') { value - hundredths } else { value + hundredths })
}

/// Reads `2026-03-02T10:00:00.000Z` as milliseconds since 1970.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let moment: jiff::Timestamp = text.parse().map_err(Error::custom)?;
    Ok(Some(moment.as_millisecond()))
}

/// The moment of a write.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

//! What rows of users need beyond those of any other collection: secrets that are kept as hashes, passwords that fit the policy,
//! e-mails that are told apart without regard to case, and sessions that end when what they stand on changes.
//!
//! Every write passes here, nested ones included, so that no door lets through what another refuses.

use std::sync::Arc;

use regex::Regex;
use serde_json::Map;

use super::hashing;
use super::plan::ItemWrite;
use super::run::{Run, Step};
use super::service::ItemsService;
use super::write::Prepared;
use crate::access::Context;
use crate::db::Row;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{Collection, CollectionId, FieldId, Schema};
use crate::sql::write::{self as statements, Match};

const USERS: &str = "directus_users";
/// Where users are named in a way that would keep them from being removed: what they did stays, without a name.
const NAMED_IN: [(&str, &str); 5] = [
    ("directus_notifications", "sender"),
    ("directus_comments", "user_updated"),
    ("directus_versions", "user_updated"),
    ("directus_files", "uploaded_by"),
    ("directus_files", "modified_by"),
];
/// Longest policy.
const MOST_POLICY_BYTES: usize = 1000;

/// The fields of users that mean something here.
struct Fields {
    collection: CollectionId,
    email: Option<FieldId>,
    password: Option<FieldId>,
    token: Option<FieldId>,
    tfa_secret: Option<FieldId>,
    status: Option<FieldId>,
    role: Option<FieldId>,
}

impl Fields {
    fn of(schema: &Schema) -> Option<Self> {
        let collection = schema.find(USERS)?;
        let users = schema.collection(collection);
        Some(Fields {
            collection,
            email: users.find("email"),
            password: users.find("password"),
            token: users.find("token"),
            tfa_secret: users.find("tfa_secret"),
            status: users.find("status"),
            role: users.find("role"),
        })
    }
}

/// Whether rows of this collection say who is an administrator.
pub(super) fn makes_administrators(collection: &str) -> bool {
    matches!(collection, "directus_users" | "directus_roles" | "directus_policies" | "directus_access")
}

/// Judges what a write says about users, and turns tokens into what is kept of them.
pub(super) async fn check(service: &ItemsService, ctx: &Context, prepared: &mut Prepared) -> Result<()> {
    let passwords = judge(ctx, &mut |visit| prepared.for_each_item(visit))?;
    if passwords.is_empty() {
        return Ok(());
    }
    Box::pin(service.check_passwords(&ctx.schema, &passwords)).await
}

/// A way to show every item of a write, nested ones included.
type EachItem<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&mut ItemWrite));

/// The same without the database: gives the passwords that the policy has to be asked about.
pub(super) fn judge(ctx: &Context, each_item: EachItem<'_>) -> Result<Vec<Arc<str>>> {
    let Some(users) = ctx.schema.find(USERS) else { return Ok(Vec::new()) };
    let mut is_about_users = false;
    each_item(&mut |item| is_about_users |= item.collection == users);
    if !is_about_users {
        return Ok(Vec::new());
    }
    let Some(fields) = Fields::of(&ctx.schema) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    let mut passwords: Vec<Arc<str>> = Vec::new();
    each_item(&mut |item| {
        if item.collection != fields.collection {
            return;
        }
        if fields.tfa_secret.is_some_and(|field| item.sent.contains(&field)) {
            findings.push(Error::payload("\"tfa_secret\" changes at /users/me/tfa only."));
        }
        for (field, value) in &mut item.values {
            let Scalar::Text(text) = value else { continue };
            if Some(*field) == fields.token {
                match kept_token(text, ctx.accountability.admin) {
                    Ok(kept) => *text = kept,
                    Err(error) => findings.push(error),
                }
            } else if Some(*field) == fields.password {
                passwords.push(text.clone());
            } else if Some(*field) == fields.email && !is_address(text) {
                findings.push(Error::FailedValidation {
                    field: "email".to_owned(),
                    rule: "email",
                    details: Map::new(),
                    message: "Value has to be an e-mail address.".to_owned(),
                });
            }
        }
    });
    Error::from_findings(findings)?;
    // A hash comes from another installation; only those who may do everything bring such.
    passwords.retain(|password| !(hashing::is_hash(password) && ctx.accountability.admin));
    if passwords.iter().any(|password| hashing::is_hash(password)) {
        return Err(Error::payload("\"password\" must be a password, not its hash."));
    }
    Ok(passwords)
}

/// Whether a letter can be sent to it.
pub fn is_address(email: &str) -> bool {
    let parts = email.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && email.len() <= 128
        && !email.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What is kept of a token that a request sets.
fn kept_token(token: &str, is_admin: bool) -> Result<Arc<str>> {
    if hashing::is_token_hash(token) {
        return if is_admin {
            Ok(token.into())
        } else {
            Err(Error::payload("\"token\" must not be a hash."))
        };
    }
    // What answers show in place of a token would otherwise become one that everybody knows.
    if token.is_empty() || token.len() > 255 || token.chars().all(|c| c == '*') {
        return Err(Error::payload("\"token\" must have 1 to 255 characters that are not all asterisks."));
    }
    Ok(hashing::token_hash(token).into())
}

impl ItemsService {
    /// Whether passwords fit the policy of the project. Fails with `FailedValidation`.
    pub async fn check_passwords(&self, schema: &Schema, passwords: &[Arc<str>]) -> Result<()> {
        let Some(policy) = self.password_policy(schema).await? else { return Ok(()) };
        let policy = Policy::parse(&policy)?;
        if passwords.iter().all(|password| policy.fits(password)) {
            return Ok(());
        }
        Err(Error::FailedValidation {
            message: "The password does not fit the password policy.".to_owned(),
            field: "password".to_owned(),
            rule: "regex",
            details: Map::new(),
        })
    }

    async fn password_policy(&self, schema: &Schema) -> Result<Option<String>> {
        let found = schema
            .get("directus_settings")
            .and_then(|settings| settings.find("auth_password_policy").map(|policy| (settings, policy)));
        let Some((settings, policy)) = found else { return Ok(None) };
        let statement = statements::lookup(self.database.dialect(), settings, &[policy], &[]);
        let rows = self.database.rows(&statement).await?;
        let policy = rows.first().and_then(|row| row.text(0)).map(|policy| policy.to_string());
        Ok(policy.filter(|policy| !policy.is_empty()))
    }
}

/// A password policy: a regular expression, perhaps between slashes, which may begin with conditions `(?=...)` and `(?!...)`.
///
/// The engine takes no such conditions, since it promises linear time. At the beginning they say no more than that each must hold,
/// or not hold, of the whole text, so each becomes an expression of its own.
struct Policy {
    conditions: Vec<(bool, Regex)>,
}

impl Policy {
    fn parse(text: &str) -> Result<Self> {
        let unreadable =
            || Error::payload("the password policy of the project cannot be read as a regular expression.");
        if text.len() > MOST_POLICY_BYTES {
            return Err(unreadable());
        }
        let text =
            text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).map_or(text, |(inner, _)| inner);
        let compile = |text: &str| Regex::new(text).map_err(|_| unreadable());
        let mut rest = text.strip_prefix('^').unwrap_or(text);
        if !rest.starts_with("(?=") && !rest.starts_with("(?!") {
            return Ok(Policy { conditions: vec![(true, compile(text)?)] });
        }
        let mut conditions = Vec::new();
        while let Some((holds, after)) = lookahead(rest) {
            let end = closing(after).ok_or_else(unreadable)?;
            conditions.push((holds, compile(&format!(r"\A(?:{})", &after[..end]))?));
            rest = &after[end + 1..];
        }
        conditions.push((true, compile(&format!(r"\A(?:{rest})"))?));
        Ok(Policy { conditions })
    }

    fn fits(&self, password: &str) -> bool {
        self.conditions.iter().all(|(holds, condition)| condition.is_match(password) == *holds)
    }
}

/// A condition at the beginning: whether it must hold, and what follows its mark.
fn lookahead(text: &str) -> Option<(bool, &str)> {
    text.strip_prefix("(?=")
        .map(|rest| (true, rest))
        .or_else(|| text.strip_prefix("(?!").map(|rest| (false, rest)))
}

/// Where the parenthesis closes that was open at the beginning.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut in_class, mut is_escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

impl Run<'_> {
    /// After new users: no two have the same e-mail.
    pub(super) async fn check_new_accounts(&mut self, items: &[ItemWrite]) -> Result<()> {
        let schema = self.schema();
        let is_about_users = |item: &ItemWrite| &*schema.collection(item.collection).name == USERS;
        if !items.iter().any(is_about_users) {
            return Ok(());
        }
        let Some(fields) = Fields::of(&schema) else { return Ok(()) };
        for item in items.iter().filter(|item| item.collection == fields.collection) {
            self.check_email(schema.collection(fields.collection), &fields, item).await?;
        }
        Ok(())
    }

    /// After a change of users: no two have the same e-mail, and sessions end whose password, second factor or status is another.
    pub(super) async fn check_changed_accounts(&mut self, item: &ItemWrite, keys: &[Scalar]) -> Result<()> {
        let schema = self.schema();
        let name = &schema.collection(item.collection).name;
        self.may_lose_administrators |= **name != *USERS && makes_administrators(name);
        if **name != *USERS {
            return Ok(());
        }
        let Some(fields) = Fields::of(&schema) else { return Ok(()) };
        self.check_email(schema.collection(fields.collection), &fields, item).await?;
        let value = |field: Option<FieldId>| field.and_then(|field| item.value(field));
        let is_closed =
            value(fields.status).is_some_and(|status| *status != Scalar::Text(Arc::from("active")));
        self.may_lose_administrators |= value(fields.status).is_some() || value(fields.role).is_some();
        if !is_closed && value(fields.password).is_none() {
            return Ok(());
        }
        let Some(sessions) = schema.get("directus_sessions") else { return Ok(()) };
        let Some(user) = sessions.find("user") else { return Ok(()) };
        if let Some(session) = self.own_session(keys).filter(|_| !is_closed) {
            return self.end_other_sessions(sessions, user, keys, session).await;
        }
        let matches = [Match { field: user, values: keys }];
        let statement = statements::delete(self.tx.dialect(), sessions, &matches, &[]);
        self.tx.execute(&statement).await?;
        Ok(())
    }

    /// The session in which somebody changes their own account and nobody else's.
    fn own_session(&self, keys: &[Scalar]) -> Option<String> {
        let who = &self.with.ctx.accountability;
        let is_own = matches!(keys, [Scalar::Text(key)] if who.user.as_deref() == Some(key));
        who.session.clone().filter(|_| is_own)
    }

    /// Ends the sessions of a user but for this one and what it was renewed to.
    fn end_other_sessions<'s>(
        &'s mut self,
        sessions: &'s Collection,
        user: FieldId,
        keys: &'s [Scalar],
        session: String,
    ) -> Step<'s, ()> {
        Box::pin(async move {
            let (Some(token), Some(next)) = (sessions.find("token"), sessions.find("next_token")) else {
                return Ok(());
            };
            let matches = [Match { field: user, values: keys }];
            let statement = statements::select(self.tx.dialect(), sessions, &[token, next], &matches);
            let rows = self.tx.rows(&statement).await?;
            let mut kept = vec![session];
            while let Some(renewed) = rows
                .iter()
                .find(|row| row.text(0).map(|token| &**token) == kept.last().map(String::as_str))
                .and_then(|row| row.text(1))
                .filter(|renewed| !kept.iter().any(|token| **token == ***renewed))
            {
                kept.push(renewed.to_string());
            }
            let is_kept =
                |row: &&Row| row.text(0).is_some_and(|token| kept.iter().any(|kept| **kept == **token));
            let ended: Vec<Scalar> = rows
                .iter()
                .filter(|row| !is_kept(row))
                .filter_map(|row| row.values.first().cloned())
                .collect();
            if !ended.is_empty() {
                let matches = [Match { field: token, values: &ended }];
                self.tx.execute(&statements::delete(self.tx.dialect(), sessions, &matches, &[])).await?;
            }
            Ok(())
        })
    }

    /// Before users are removed: nothing refers to them any more that would refuse it.
    pub(super) async fn let_go_of_accounts(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<()> {
        let schema = self.schema();
        if &*schema.collection(id).name != USERS || keys.is_empty() {
            return Ok(());
        }
        for (collection, field) in NAMED_IN {
            let Some(collection) = schema.get(collection) else { continue };
            let Some(field) = collection.find(field) else { continue };
            let nobody = vec![(field, Scalar::Null)];
            let statement = statements::update(self.tx.dialect(), collection, nobody, field, keys, &[]);
            self.tx.execute(&statement).await?;
        }
        Ok(())
    }

    /// At the end of a write by somebody: there is still an administrator to undo it. Fails with `UnprocessableContent`.
    pub(super) async fn check_administrators(&mut self) -> Result<()> {
        // The server itself may leave a database without users, as it finds one.
        if !self.may_lose_administrators || self.with.ctx.accountability.user.is_none() {
            return Ok(());
        }
        if self.has_administrator().await? {
            return Ok(());
        }
        Err(Error::UnprocessableContent {
            reason: "There must be at least one active administrator.".to_owned(),
        })
    }

    async fn has_administrator(&mut self) -> Result<bool> {
        let yes = [Scalar::Bool(true)];
        let policies = self.columns_of("directus_policies", &["id"], "admin_access", &yes).await?;
        let policies: Vec<Scalar> = policies.into_iter().flatten().collect();
        let grants = self.columns_of("directus_access", &["role", "user"], "policy", &policies).await?;
        let (mut roles, mut users): (Vec<Scalar>, Vec<Scalar>) = (Vec::new(), Vec::new());
        for grant in grants {
            let mut grant = grant.into_iter();
            roles.extend(grant.next().filter(|role| *role != Scalar::Null));
            users.extend(grant.next().filter(|user| *user != Scalar::Null));
        }
        // Roles below one that gives everything give it too; each is looked at once, so circles end.
        let mut below = roles.clone();
        while !below.is_empty() {
            let found = self.columns_of("directus_roles", &["id"], "parent", &below).await?;
            below = found.into_iter().flatten().filter(|role| !roles.contains(role)).collect();
            roles.extend(below.iter().cloned());
        }
        let is_active = |row: &Vec<Scalar>| row.first() == Some(&Scalar::Text(Arc::from("active")));
        for (by, keys) in [("role", roles), ("id", users)] {
            let found = self.columns_of(USERS, &["status"], by, &keys).await?;
            if found.iter().any(is_active) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Columns of the rows in which this column has one of these values.
    async fn columns_of(
        &mut self,
        collection: &str,
        columns: &[&str],
        by: &str,
        values: &[Scalar],
    ) -> Result<Vec<Vec<Scalar>>> {
        let schema = self.schema();
        let Some(collection) = schema.get(collection).filter(|_| !values.is_empty()) else {
            return Ok(Vec::new());
        };
        let columns: Vec<FieldId> = columns.iter().filter_map(|name| collection.find(name)).collect();
        let Some(field) = collection.find(by) else { return Ok(Vec::new()) };
        let matches = [Match { field, values }];
        let statement = statements::lookup(self.tx.dialect(), collection, &columns, &matches);
        Ok(self.tx.rows(&statement).await?.into_iter().map(|row| row.values).collect())
    }

    async fn check_email(&mut self, users: &Collection, fields: &Fields, item: &ItemWrite) -> Result<()> {
        let Some(email) = fields.email else { return Ok(()) };
        let Some(Scalar::Text(text)) = item.value(email) else { return Ok(()) };
        let statement = statements::lookup_ignoring_case(self.tx.dialect(), users, &[email], email, text);
        let rows = self.tx.rows(&statement).await?;
        let is_same = |row: &&Row| row.text(0).is_some_and(|kept| kept.eq_ignore_ascii_case(text));
        if rows.iter().filter(is_same).count() > 1 {
            return Err(Error::RecordNotUnique {
                collection: USERS.to_owned(),
                field: "email".to_owned(),
                value: format!("[{text}]").into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let check = |policy: &str, password: &str, expected: Option<bool>| {
            let fits = Policy::parse(policy).ok().map(|policy| policy.fits(password));
            assert_eq!(fits, expected, "{policy} {password}");
        };
        let weak = "/^.{8,}$/";
        check(weak, "12345678", Some(true));
        check(weak, "1234567", Some(false));
        let strong = r"/(?=^.{8,}$)(?=.*\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\s)(?=.*[A-Z])(?=.*[a-z]).*$/";
        check(strong, "Passw0rd!", Some(true));
        for refused in ["Pass0!", "Password!", "Passw0rd", "Passw0 rd!", "passw0rd!", "PASSW0RD!"] {
            check(strong, refused, Some(false));
        }
        check(r"^(?=.*\d).{4,}$", "abc1", Some(true));
        check(r"^(?=.*\d).{4,}$", "abcd", Some(false));
        check("digit|[0-9]", "x7", Some(true));
        check("(", "x", None);
        check("(?=(", "x", None);
        check("(?=a", "x", None);
        check(r"a(?=b)", "x", None);
        check(&"a".repeat(2000), "x", None);
    }

    #[test]
    fn tokens_are_kept_as_hashes() {
        let kept = kept_token("a-token", false).expect("a token");
        assert!(hashing::is_token_hash(&kept));
        assert_eq!(kept_token(&kept, true).expect("a hash"), kept);
        assert!(kept_token(&kept, false).is_err());
        for refused in ["", "**********", &"x".repeat(256)] {
            assert!(kept_token(refused, true).is_err(), "{refused}");
        }
    }
}

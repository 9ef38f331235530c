//! Which routes are counted how.

use std::borrow::Cow;

use crate::server::RouteClass;

/// What a path is for the limits. A path that is no route counts like the routes beside it.
pub(super) fn class(path: &[Cow<'_, str>]) -> RouteClass {
    let mut parts = path.iter().map(AsRef::as_ref);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("server"), Some("ping"), None) => RouteClass::Free,
        (Some("auth"), Some(_), _)
        | (Some("shares"), Some("auth" | "info" | "invite"), _)
        | (Some("users"), Some("invite"), _)
        | (Some("users"), Some("register"), Some(_)) => RouteClass::SignIn,
        (Some("users"), Some("register"), None) => RouteClass::Registration,
        // Second factors are guessed here.
        (Some("users"), Some("me"), Some("tfa")) => RouteClass::SignIn,
        _ => RouteClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let check = |path: &str, expected| {
            let segments: Vec<Cow<'_, str>> = path.split('/').map(Cow::Borrowed).collect();
            assert_eq!(class(&segments), expected, "{path}");
        };
        check("server/ping", RouteClass::Free);
        check("server/health", RouteClass::Other);
        check("auth", RouteClass::Other);
        check("auth/login", RouteClass::SignIn);
        check("auth/login/idp/callback", RouteClass::SignIn);
        check("auth/password/request", RouteClass::SignIn);
        check("users/me", RouteClass::Other);
        check("users/me/tfa/enable", RouteClass::SignIn);
        check("users/register", RouteClass::Registration);
        check("users/register/verify-email", RouteClass::SignIn);
        check("users/invite/accept", RouteClass::SignIn);
        check("shares/auth", RouteClass::SignIn);
        check("shares/info/1", RouteClass::SignIn);
        check("shares/1", RouteClass::Other);
        check("items/auth/login", RouteClass::Other);
    }
}

//! What letters say.
//!
//! One template for text and one for HTML per occasion and language. The text begins with the subject and an empty line. What is
//! put in is escaped for where it stands and never taken for a template itself.

use handlebars::{Handlebars, RenderError, TemplateError};
use serde::Serialize;

/// Why somebody is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// They asked for a new password.
    PasswordReset,
    /// Somebody made them a user.
    Invitation,
    /// They made themselves a user.
    Registration,
    /// Somebody shares an item with them; [`Letter::hours`] means nothing here.
    Share,
    /// There is something new in their inbox, which [`Letter::told`] is; nor do hours here.
    Notification,
}

/// Which words are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// For everybody else.
    English,
    /// For whoever reads French.
    French,
}

impl Language {
    /// The language of a tag such as `fr-CA`.
    pub fn of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("fr") { Language::French } else { Language::English }
    }
}

/// One letter.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// What it is about.
    pub occasion: Occasion,
    /// In which language.
    pub language: Language,
    /// Name of the project.
    pub project: &'a str,
    /// Where to go.
    pub url: &'a str,
    /// How many hours that works.
    pub hours: u64,
    /// What somebody says in it.
    pub told: Option<Told<'a>>,
}

/// Words of somebody in a letter of ours.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// What it is about.
    pub subject: &'a str,
    /// More of it, perhaps nothing.
    pub message: &'a str,
}

impl Occasion {
    const ALL: [Occasion; 5] = [
        Occasion::PasswordReset,
        Occasion::Invitation,
        Occasion::Registration,
        Occasion::Share,
        Occasion::Notification,
    ];

    /// How logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Occasion::PasswordReset => "password reset",
            Occasion::Invitation => "invitation",
            Occasion::Registration => "registration",
            Occasion::Share => "share",
            Occasion::Notification => "notification",
        }
    }
}

/// A letter that is written out.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

pub(super) struct Letters {
    text: Handlebars<'static>,
    html: Handlebars<'static>,
}

#[derive(Serialize)]
struct Values<'a> {
    project: &'a str,
    url: &'a str,
    days: Option<u64>,
    hours: u64,
    subject: &'a str,
    message: &'a str,
    language: &'static str,
}

impl Letters {
    pub(super) fn new() -> Result<Self, Box<TemplateError>> {
        let mut text = Handlebars::new();
        text.set_strict_mode(true);
        text.register_escape_fn(handlebars::no_escape);
        let mut html = Handlebars::new();
        html.set_strict_mode(true);
        html.register_partial("layout", include_str!("templates/layout.html.hbs")).map_err(Box::new)?;
        for occasion in Occasion::ALL {
            for language in [Language::English, Language::French] {
                let (text_source, html_source) = sources(occasion, language);
                let name = name(occasion, language);
                text.register_template_string(&name, text_source).map_err(Box::new)?;
                html.register_template_string(&name, html_source).map_err(Box::new)?;
            }
        }
        Ok(Letters { text, html })
    }

    pub(super) fn write(&self, letter: &Letter<'_>) -> Result<Written, RenderError> {
        let whole_days = letter.hours.is_multiple_of(24) && letter.hours > 24;
        // A name of several lines stays one line, in the subject above all.
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let project = in_one_line(letter.project);
        let subject = letter.told.map(|told| in_one_line(told.subject)).unwrap_or_default();
        let values = Values {
            project: &project,
            url: letter.url,
            days: whole_days.then_some(letter.hours / 24),
            hours: letter.hours,
            subject: &subject,
            message: letter.told.map(|told| told.message.trim()).unwrap_or_default(),
            language: code(letter.language),
        };
        let name = name(letter.occasion, letter.language);
        let text = self.text.render(&name, &values)?;
        let html = self.html.render(&name, &values)?;
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(Written { subject: subject.trim().to_owned(), text: text.trim_start().to_owned(), html })
    }
}

fn code(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::French => "fr",
    }
}

fn name(occasion: Occasion, language: Language) -> String {
    format!("{}/{}", code(language), occasion.name())
}

/// The texts of a template: plain and HTML.
fn sources(occasion: Occasion, language: Language) -> (&'static str, &'static str) {
    match (language, occasion) {
        (Language::English, Occasion::PasswordReset) => (
            include_str!("templates/en/password-reset.txt.hbs"),
            include_str!("templates/en/password-reset.html.hbs"),
        ),
        (Language::English, Occasion::Invitation) => (
            include_str!("templates/en/invitation.txt.hbs"),
            include_str!("templates/en/invitation.html.hbs"),
        ),
        (Language::English, Occasion::Registration) => (
            include_str!("templates/en/registration.txt.hbs"),
            include_str!("templates/en/registration.html.hbs"),
        ),
        (Language::English, Occasion::Share) => {
            (include_str!("templates/en/share.txt.hbs"), include_str!("templates/en/share.html.hbs"))
        }
        (Language::French, Occasion::PasswordReset) => (
            include_str!("templates/fr/password-reset.txt.hbs"),
            include_str!("templates/fr/password-reset.html.hbs"),
        ),
        (Language::French, Occasion::Invitation) => (
            include_str!("templates/fr/invitation.txt.hbs"),
            include_str!("templates/fr/invitation.html.hbs"),
        ),
        (Language::French, Occasion::Registration) => (
            include_str!("templates/fr/registration.txt.hbs"),
            include_str!("templates/fr/registration.html.hbs"),
        ),
        (Language::French, Occasion::Share) => {
            (include_str!("templates/fr/share.txt.hbs"), include_str!("templates/fr/share.html.hbs"))
        }
        (Language::English, Occasion::Notification) => (
            include_str!("templates/en/notification.txt.hbs"),
            include_str!("templates/en/notification.html.hbs"),
        ),
        (Language::French, Occasion::Notification) => (
            include_str!("templates/fr/notification.txt.hbs"),
            include_str!("templates/fr/notification.html.hbs"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(occasion: Occasion, language: Language, project: &str, hours: u64) -> Written {
        let url = "https://app.example/reset?a=1&token=x";
        Letters::new()
            .expect("templates")
            .write(&Letter { occasion, language, project, url, hours, told: None })
            .expect("written")
    }

    #[test]
    fn every_letter_has_its_address_in_both_forms() {
        for occasion in Occasion::ALL {
            for language in [Language::English, Language::French] {
                let written = write(occasion, language, "Shop", 24);
                assert!(written.subject.contains("Shop"), "{written:?}");
                assert!(written.text.contains("https://app.example/reset?a=1&token=x\n"), "{written:?}");
                let escaped = "href=\"https://app.example/reset?a&#x3D;1&amp;token&#x3D;x\"";
                assert!(written.html.contains(escaped), "{written:?}");
                assert!(written.html.contains(&format!("lang=\"{}\"", code(language))), "{written:?}");
                assert!(!written.text.contains("{{") && !written.html.contains("{{"), "{written:?}");
            }
        }
    }

    #[test]
    fn names_stay_text() {
        let written =
            write(Occasion::Invitation, Language::French, "{{url}} <b>&\r\nBcc: x@example.com", 168);
        assert!(written.subject.ends_with("{{url}} <b>& Bcc: x@example.com"), "{written:?}");
        assert!(written.html.contains("{{url}} &lt;b&gt;&amp;"), "{written:?}");
        assert!(written.text.contains("7 jours"), "{written:?}");
    }

    #[test]
    fn words_of_others_stay_words() {
        let told =
            Told { subject: "Hi\r\nBcc: x@example.com", message: "<script>{{url}}</script>\nline two" };
        let letter = Letter {
            occasion: Occasion::Notification,
            language: Language::English,
            project: "Shop",
            url: "https://app.example/admin",
            hours: 0,
            told: Some(told),
        };
        let written = Letters::new().expect("templates").write(&letter).expect("written");
        assert_eq!(written.subject, "Hi Bcc: x@example.com (Shop)");
        assert!(written.text.contains("<script>{{url}}</script>\nline two\n"), "{written:?}");
        assert!(written.html.contains("&lt;script&gt;{{url}}&lt;/script&gt;"), "{written:?}");
    }

    #[test]
    fn languages() {
        let check = |tag, expected| assert_eq!(Language::of(tag), expected, "{tag}");
        check("fr", Language::French);
        check("FR-ca", Language::French);
        check("fr_FR", Language::French);
        check("fra", Language::English);
        check("de-DE", Language::English);
        check("", Language::English);
    }
}

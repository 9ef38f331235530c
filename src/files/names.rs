//! Names of files: what people see, and what a disk sees.

use uuid::Uuid;

/// Longest name that is kept.
const MOST_CHARACTERS: usize = 255;

/// A name for content, like no other. Nothing of it but the extension comes from outside, and of that letters and digits only.
pub(super) fn on_disk(extension: Option<&str>) -> String {
    let id = Uuid::now_v7();
    let is_plain =
        |text: &&str| (1..=10).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric());
    match extension.filter(is_plain) {
        Some(extension) => format!("{id}.{}", extension.to_ascii_lowercase()),
        None => id.to_string(),
    }
}

/// The name under which somebody may keep a file: its last part, without what ends a line or a folder.
pub(super) fn for_download(said: &str) -> Option<String> {
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let clean = clean.trim().trim_matches('.').trim();
    let clean = if last.trim().starts_with('.') && !clean.is_empty() {
        format!(".{clean}")
    } else {
        clean.to_owned()
    };
    if clean.is_empty() { None } else { Some(shorten(&clean)) }
}

/// Marks that turn the direction of a text make a name look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A name that is too long loses its middle, so that its extension stays.
fn shorten(name: &str) -> String {
    let count = name.chars().count();
    if count <= MOST_CHARACTERS {
        return name.to_owned();
    }
    let extension = extension(name).filter(|extension| extension.len() <= 20);
    let tail = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
    let head: String = name.chars().take(MOST_CHARACTERS - tail.chars().count()).collect();
    head + &tail
}

/// What stands behind the last dot.
pub(super) fn extension(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(extension)
}

/// A title from a name: `my_summer-photo.jpg` is `My Summer Photo`.
pub(super) fn title(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in stem.chars() {
        let is_separator = c.is_whitespace() || matches!(c, '-' | '_');
        // A capital behind a small letter begins a word, too.
        if (is_separator || (was_lower && c.is_uppercase())) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !is_separator {
            word.push(c);
        }
        was_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    let capital = |word: String| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    let title = words.into_iter().map(capital).collect::<Vec<_>>().join(" ");
    title.chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles() {
        let check = |name, expected: &str| assert_eq!(title(name), expected, "{name}");
        check("cf-my_file-name.txt", "Cf My File Name");
        check("holidayPhoto 2.JPEG", "Holiday Photo 2");
        check("été.png", "Été");
        check(".env", ".env");
        check("HTML", "HTML");
        check("", "");
    }

    #[test]
    fn names_for_people() {
        let check =
            |said, expected: Option<&str>| assert_eq!(for_download(said).as_deref(), expected, "{said:?}");
        check("photo.jpg", Some("photo.jpg"));
        check("../../etc/passwd", Some("passwd"));
        check("C:\\temp\\a.txt", Some("a.txt"));
        check("a\r\nSet-Cookie: x.txt", Some("aSet-Cookie: x.txt"));
        check("a\0.txt", Some("a.txt"));
        check("invoice\u{202e}gpj.exe", Some("invoicegpj.exe"));
        check("..", None);
        check("...", None);
        check("", None);
        check("/", None);
        check(".env", Some(".env"));
        check("  été ☂.png ", Some("été ☂.png"));
        let long = format!("{}.tar", "ü".repeat(400));
        let short = for_download(&long).expect("a name");
        assert!(short.chars().count() == 255 && short.ends_with("ü.tar"));
    }

    #[test]
    fn names_on_disk() {
        assert!(on_disk(Some("PNG")).ends_with(".png"));
        for extension in [None, Some(""), Some("../x"), Some("a b"), Some("aaaaaaaaaaaaaaaa"), Some("é")] {
            assert!(Uuid::parse_str(&on_disk(extension)).is_ok(), "{extension:?}");
        }
    }
}

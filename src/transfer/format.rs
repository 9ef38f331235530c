//! The formats of files.

/// A format in which items are written to files and read from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Rows of values, separated by commas.
    Csv,
    /// A list of objects.
    Json,
    /// Elements in elements.
    Xml,
    /// A list of maps.
    Yaml,
    /// The first sheet of a workbook.
    Xlsx,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] = [Format::Csv, Format::Json, Format::Xml, Format::Yaml, Format::Xlsx];

    /// Its name, and how file names end.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Xml => "xml",
            Format::Yaml => "yaml",
            Format::Xlsx => "xlsx",
        }
    }

    /// The format of this name.
    pub fn find(name: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Json => "application/json",
            Format::Xml => "text/xml",
            Format::Yaml => "text/yaml",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// Its media type as a header says it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/json; charset=utf-8",
            Format::Xml => "text/xml; charset=utf-8",
            Format::Yaml => "text/yaml; charset=utf-8",
            Format::Xlsx => Format::Xlsx.media_type(),
        }
    }

    /// The format of a file by the media type it is sent with, else by its name.
    pub fn of_file(media_type: Option<&str>, name: Option<&str>) -> Option<Self> {
        let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
        match media_type.as_str() {
            "text/csv" | "application/csv" => return Some(Format::Csv),
            "application/json" | "text/json" => return Some(Format::Json),
            "text/xml" | "application/xml" => return Some(Format::Xml),
            "text/yaml" | "text/x-yaml" | "application/yaml" | "application/x-yaml" => {
                return Some(Format::Yaml);
            }
            _ if media_type == Format::Xlsx.media_type() => return Some(Format::Xlsx),
            _ => {}
        }
        let (_, ending) = name?.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "yml" => Some(Format::Yaml),
            ending => Format::find(ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_type_and_by_name() {
        let check = |media_type, name, expected| assert_eq!(Format::of_file(media_type, name), expected);
        check(Some("text/csv"), Some("a.json"), Some(Format::Csv));
        check(Some("application/vnd.ms-excel"), Some("a.CSV"), Some(Format::Csv));
        check(Some("application/octet-stream"), Some("a.b.yml"), Some(Format::Yaml));
        check(None, Some("a.xlsx"), Some(Format::Xlsx));
        check(None, Some("xlsx"), None);
        check(Some("image/png"), Some("a.png"), None);
    }
}

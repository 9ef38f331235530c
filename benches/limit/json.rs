//! Writes values as JSON, straight into the answer.

use uuid::Uuid;

/// Writes a text with quotes. The bytes come from a database or a parsed body, so they are UTF-8.
pub fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut copied = 0;
    for (position, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[copied..position]);
        copied = position + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte)]);
            }
        }
    }
    out.extend_from_slice(&text[copied..]);
    out.push(b'"');
}

/// Writes a text that has nothing to escape.
pub fn plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Writes a whole number.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes true or false.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Writes a UUID with quotes.
pub fn uuid(out: &mut Vec<u8>, value: Uuid) {
    plain(out, value.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

/// Writes hundredths as a decimal with two digits behind the point, with quotes.
pub fn cents(out: &mut Vec<u8>, cents: i64) {
    out.push(b'"');
    if cents < 0 {
        out.push(b'-');
    }
    integer(out, (cents / 100).abs());
    let rest = (cents % 100).unsigned_abs() as u8;
    out.extend_from_slice(&[b'.', b'0' + rest / 10, b'0' + rest % 10]);
    out.push(b'"');
}

/// Writes milliseconds since 1970 as `2026-03-02T10:00:00.000Z` with quotes.
pub fn moment(out: &mut Vec<u8>, milliseconds: i64) {
    plain(out, &moment_text(milliseconds));
}

/// Milliseconds since 1970 as `2026-03-02T10:00:00.000Z`, for years of four digits.
pub fn moment_text(milliseconds: i64) -> [u8; 24] {
    let (days, in_day) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    // The calendar repeats every 400 years of 146097 days; a year that begins in March ends with its leap day.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);

    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut digits = |from: usize, count: usize, mut value: i64| {
        for place in text[from..from + count].iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    digits(0, 4, year);
    digits(5, 2, month);
    digits(8, 2, day);
    digits(11, 2, in_day / 3_600_000);
    digits(14, 2, in_day / 60_000 % 60);
    digits(17, 2, in_day / 1_000 % 60);
    digits(20, 3, in_day % 1_000);
    text
}

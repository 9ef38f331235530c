//! The type of a plain scalar: the core schema of YAML 1.2.

use serde_json::Number;

use super::Yaml;

/// Decides what a scalar without quotes is. `Err` names what cannot be a value here.
pub fn resolve(text: &str) -> Result<Yaml, &'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Yaml::Null),
        "true" | "True" | "TRUE" => return Ok(Yaml::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Yaml::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Err("infinity is not a value"),
        _ => {}
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Err("\"not a number\" is not a value"),
        _ => {}
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Ok(Yaml::Text(text.to_owned()));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            let number = u64::from_str_radix(digits, radix).map_err(|_| "number is out of range")?;
            return Ok(Yaml::Number(number.into()));
        }
    }
    match decimal(text, unsigned) {
        Some(json) => number(&json).map(Yaml::Number),
        None => Ok(Yaml::Text(text.to_owned())),
    }
}

/// The JSON spelling of a decimal number, which is stricter about signs, zeros and points. `None` when it is no number.
fn decimal(text: &str, unsigned: &str) -> Option<String> {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !fraction.is_none_or(all_digits) {
        return None;
    }
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return None;
    }
    let mut json = String::with_capacity(text.len() + 2);
    if text.starts_with('-') {
        json.push('-');
    }
    let whole = whole.trim_start_matches('0');
    json.push_str(if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction {
        json.push('.');
        json.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !all_digits(digits) {
            return None;
        }
        json.push('e');
        json.push_str(exponent);
    }
    Some(json)
}

fn number(json: &str) -> Result<Number, &'static str> {
    // Exact arithmetic on what a short exponent can blow up would take forever.
    if json.len() > 100 || json.parse::<f64>().map_or(true, |value| !value.is_finite()) {
        return Err("number is out of range");
    }
    if json
        .split_once('e')
        .is_some_and(|(_, exponent)| exponent.parse::<i32>().map_or(true, |e| e.abs() > 400))
    {
        return Err("number is out of range");
    }
    json.parse().map_err(|_| "number is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match resolve(text) {
            Ok(Yaml::Null) => "null".to_owned(),
            Ok(Yaml::Bool(value)) => format!("bool {value}"),
            Ok(Yaml::Number(number)) => format!("number {number}"),
            Ok(Yaml::Text(text)) => format!("text {text}"),
            Ok(_) => "collection".to_owned(),
            Err(reason) => format!("error {reason}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        check("", "null");
        check("~", "null");
        check("null", "null");
        check("True", "bool true");
        check("no", "text no");
        check("yes", "text yes");
        check("on", "text on");
        check("Off", "text Off");
        check("12", "number 12");
        check("-12", "number -12");
        check("+12", "number 12");
        check("007", "number 7");
        check("0x1F", "number 31");
        check("0o17", "number 15");
        check("1_000", "text 1_000");
        check("1.50", "number 1.50");
        check(".5", "number 0.5");
        check("5.", "number 5.0");
        check(".", "text .");
        check("...", "text ...");
        check("1e3", "number 1e+3");
        check("1e", "text 1e");
        check("1.2.3", "text 1.2.3");
        check("2026-03-02", "text 2026-03-02");
        check("10:00:00", "text 10:00:00");
        check("-", "text -");
        check("-a", "text -a");
        check("12345678901234567890", "number 12345678901234567890");
        check("1e99999999999", "error number is out of range");
        check("1e-99999999999", "error number is out of range");
        check("-.inf", "error infinity is not a value");
        check(".nan", "error \"not a number\" is not a value");
        check("0xFFFFFFFFFFFFFFFFF", "error number is out of range");
    }
}

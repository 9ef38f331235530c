//! Exact numbers: PostgreSQL's binary form, and its rule for dividing them.

use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Zero};

use crate::error::{Error, Result};

/// Significant digits that a quotient has at least.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// Decimal digits in one digit of PostgreSQL's numbers.
const DIGITS_PER_DIGIT: i64 = 4;

/// Writes a `numeric` value from its binary form: count of base-10000 digits, weight of the first, sign, scale, digits.
///
/// Source: PostgreSQL documentation, "Numeric types" and the `numeric_send` function it describes.
pub(super) fn write_postgres_numeric(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let word = |position: usize| -> Result<i16> {
        let slice = bytes.get(position..position + 2);
        let slice = slice.ok_or_else(|| Error::internal(anyhow::anyhow!("a numeric value is cut short")))?;
        Ok(i16::from_be_bytes([slice[0], slice[1]]))
    };
    let count = word(0)?;
    let weight = word(2)?;
    let sign = word(4)?;
    let scale = usize::try_from(word(6)?).unwrap_or(0);
    const NEGATIVE: i16 = 0x4000;
    if sign != 0 && sign != NEGATIVE {
        // Not a number and the infinities have no JSON form.
        out.extend_from_slice(b"null");
        return Ok(());
    }
    if sign == NEGATIVE {
        out.push(b'-');
    }
    let digit = |position: i32| -> Result<i16> {
        if (0..i32::from(count)).contains(&position) { word(8 + 2 * position as usize) } else { Ok(0) }
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        for position in 0..=i32::from(weight) {
            let value = digit(position)?;
            if position == 0 {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            } else {
                push_four(value, out);
            }
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut position = i32::from(weight) + 1;
        while out.len() < end {
            push_four(digit(position)?, out);
            position += 1;
        }
        out.truncate(end);
    }
    Ok(())
}

fn push_four(value: i16, out: &mut Vec<u8>) {
    let value = value.unsigned_abs();
    out.extend([value / 1000, value / 100 % 10, value / 10 % 10, value % 10].map(|digit| b'0' + digit as u8));
}

/// The mean of a sum over `count` values as PostgreSQL's `avg` prints it, so that every database answers alike.
///
/// `None` when there is nothing to divide by. Fails when `sum` is no decimal number.
pub(super) fn average(sum: &str, count: i64) -> Result<Option<String>> {
    if count == 0 {
        return Ok(None);
    }
    let sum = BigDecimal::from_str(sum).map_err(Error::internal)?;
    let scale = quotient_scale(&sum, count);
    let count = BigDecimal::from(count);
    // Two more digits than asked for, so that the rounding below is that of the true quotient.
    let shifted = (&sum * BigDecimal::new(BigInt::from(10).pow((scale + 2) as u32), 0) / count)
        .with_scale_round(0, RoundingMode::Down);
    let quotient = BigDecimal::new(shifted.as_bigint_and_exponent().0, scale + 2);
    Ok(Some(quotient.with_scale_round(scale, RoundingMode::HalfUp).to_plain_string()))
}

/// Digits behind the point of `sum / count`: at least 16 significant ones, and those of the sum.
fn quotient_scale(sum: &BigDecimal, count: i64) -> i64 {
    let (sum_weight, sum_first) = leading_digit(&sum.abs());
    let (count_weight, count_first) = leading_digit(&BigDecimal::from(count));
    let mut weight = sum_weight - count_weight;
    if sum_first <= count_first {
        weight -= 1;
    }
    (MIN_SIGNIFICANT_DIGITS - weight * DIGITS_PER_DIGIT).max(sum.as_bigint_and_exponent().1).max(0)
}

/// Weight and value of the first base-10000 digit that is not zero.
fn leading_digit(value: &BigDecimal) -> (i64, i64) {
    if value.is_zero() {
        return (0, 0);
    }
    let (digits, scale) = value.as_bigint_and_exponent();
    let text = digits.to_string();
    let trimmed = text.trim_start_matches('0');
    // Position of the first decimal digit, counted from the point: 0 for ones, -1 for tenths.
    let decimal_weight = trimmed.len() as i64 - 1 - scale;
    let weight = decimal_weight.div_euclid(DIGITS_PER_DIGIT);
    let take = (decimal_weight - weight * DIGITS_PER_DIGIT + 1) as usize;
    let first: String = trimmed.chars().chain(std::iter::repeat('0')).take(take).collect();
    (weight, first.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_the_digits_of_postgresql() {
        let check = |sum, count, expected: &str| {
            assert_eq!(average(sum, count).ok().flatten().as_deref(), Some(expected), "{sum} / {count}");
        };
        check("1312.50", 25, "52.5000000000000000");
        check("1550", 30, "51.6666666666666667");
        check("0.00", 3, "0.00000000000000000000");
        check("-10", 4, "-2.5000000000000000");
        check("1", 3, "0.33333333333333333333");
        check("100000000", 3, "33333333.333333333333");
        check("0.01", 2, "0.00500000000000000000");
        assert_eq!(average("5", 0).ok().flatten(), None);
    }

    #[test]
    fn binary_numerics_are_written_with_their_scale() {
        let check = |words: &[i16], expected: &str| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let mut out = Vec::new();
            assert!(write_postgres_numeric(&bytes, &mut out).is_ok());
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(&[2, 0, 0, 2, 12, 3400], "12.34");
        check(&[0, 0, 0, 2], "0.00");
        check(&[1, -1, 0, 4, 5], "0.0005");
        check(&[1, 1, 0x4000, 0, 3], "-30000");
        check(&[2, -2, 0, 8, 12, 0], "0.00000012");
    }
}

//! Decimal numbers.

/// A decimal number without a sign times a scale, rounded down; [`u128::MAX`] where that is less. None if it is not a number.
pub(crate) fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    // More than 18 decimals say nothing in 64 bits.
    let fraction = &fraction[..fraction.len().min(18)];
    // All are digits: what cannot be read is empty, or too long.
    let value = |text: &str| match text {
        "" => 0,
        _ => text.parse::<u128>().unwrap_or(u128::MAX),
    };
    let part = value(fraction).saturating_mul(scale) / 10u128.pow(fraction.len() as u32);
    Some(value(whole).saturating_mul(scale).saturating_add(part))
}

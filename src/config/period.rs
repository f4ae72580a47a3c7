//! Periods as administrators of Prosody write them: `90`, `"1h"`, `"30 minutes"`, `"2 weeks"`.

/// Seconds of one unit. A month counts 31 days and a year 365.2425, as in Prosody 13.
const UNITS: [(&str, u64); 7] = [
    ("s", 1),
    ("min", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 7 * 86_400),
    ("mon", 31 * 86_400),
    ("y", 31_556_952),
];

/// What a period written as text is, in seconds: a whole number and a unit, of which the first letters count; without a
/// unit they are seconds. `None`: it is no such thing, or `m`, which may be minutes or months.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Some(number);
    }
    if !unit.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let (_, factor) = UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("60", 60),
            ("1h", 3_600),
            ("1w", 604_800),
            ("30 minutes", 1_800),
            ("30min", 1_800),
            ("90 seconds", 90),
            ("2 Hours", 7_200),
            ("1 hr", 3_600),
            ("1 day", 86_400),
            ("2 weeks", 1_209_600),
            ("1 month", 2_678_400),
            ("1 year", 31_556_952),
            (" 5 s ", 5),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_nonsense_is_no_period() {
        for text in [
            "",
            "m",
            "5m",
            "5 mi",
            "5 mo",
            "h",
            "-1h",
            "1.5h",
            "1h30min",
            "1 fortnight",
            "an hour",
            "1 h.",
            "never",
            "99999999999999999999",
            "99999999999999999 years",
            "é",
            "1é",
        ] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}

//! Date and time as in XEP-0082, from and to milliseconds since 1970.

use chrono::{DateTime, SecondsFormat};

/// The first millisecond of the year 0000, and the last of the year 9999: what `CCYY` can express.
const RANGE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// Parses `CCYY-MM-DDThh:mm:ss[.sss]TZD`, with TZD as `Z` or `(+|-)hh:mm`. Digits beyond the millisecond are cut off; a leap
/// second is the first of the next minute, since POSIX time has no number for it.
pub fn parse(text: &str) -> Option<i64> {
    // RFC 3339 has `t`, `z` and a space as well, and chrono a long minus; XEP-0082 has none of them.
    let is_ours = |b: u8| b.is_ascii_digit() || b"-:+.TZ".contains(&b);
    text.bytes().all(is_ours).then_some(())?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
}

/// Formats in UTC, with milliseconds only where there are some. What `CCYY` cannot express is clamped.
pub fn format(unix_ms: i64) -> String {
    let ms = unix_ms.clamp(RANGE.0, RANGE.1);
    let precision = match ms % 1000 {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Millis,
    };
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(precision, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small seeded generator (splitmix64), so that a failure replays.
    fn numbers(mut state: u64) -> impl FnMut() -> u64 {
        move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }
    }

    #[test]
    fn known_dates() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-07-21T02:56:15Z", -14_159_025_000),
            ("1969-07-20T21:56:15-05:00", -14_159_025_000),
            ("2002-10-13T23:58:37Z", 1_034_553_517_000),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500),
            ("2000-02-29T12:00:00.123456789+00:00", 951_825_600_123),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("0000-01-01T00:00:00Z", RANGE.0),
            ("9999-12-31T23:59:59.999Z", RANGE.1),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in [
            "",
            "2002-10-13",
            "2002-10-13T23:58:37",
            "2002-10-13 23:58:37Z",
            "2002-10-13T23:58:37z",
            "2002-10-13t23:58:37Z",
            "2002-10-13T23:58:37−01:00",
            "2002-10-13T23:58:37.Z",
            "2002-10-13T23:58:37+0100",
            "2002-10-13T23:58:37+24:00",
            "2002-10-13T23:58:37Z ",
            "2002-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2002-13-01T00:00:00Z",
            "2002-00-01T00:00:00Z",
            "2002-01-00T00:00:00Z",
            "2002-01-01T24:00:00Z",
            "2002-01-01T00:60:00Z",
            "2002-01-01T00:00:61Z",
            "-002-01-01T00:00:00Z",
            "+002-01-01T00:00:00Z",
            "20021013T23:58:37",
            "２００２-10-13T23:58:37Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_millisecond_of_the_range_round_trips() {
        let mut next = numbers(1);
        let span = (RANGE.1 - RANGE.0) as u64 + 1;
        for _ in 0..200_000 {
            let ms = RANGE.0 + (next() % span) as i64;
            assert_eq!(parse(&format(ms)), Some(ms), "{ms} as {}", format(ms));
        }
        assert_eq!(format(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(i64::MIN), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn an_offset_is_the_same_instant() {
        let mut next = numbers(2);
        for _ in 0..20_000 {
            let minutes = (next() % 2879) as i64 - 1439;
            let local = (next() % 4_000_000_000) as i64 * 1000;
            let shown = format(local);
            let stem = shown.trim_end_matches('Z');
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!("{stem}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            assert_eq!(parse(&text), Some(local - minutes * 60_000), "{text}");
        }
    }

    #[test]
    fn no_text_panics() {
        let mut next = numbers(3);
        let alphabet: Vec<char> = "0123456789-:TZ.+é−".chars().collect();
        for _ in 0..200_000 {
            let length = next() % 32;
            let text: String = (0..length)
                .map(|_| alphabet[(next() % alphabet.len() as u64) as usize])
                .collect();
            let _ = parse(&text);
        }
    }
}

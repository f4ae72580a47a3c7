//! Date and time as in XEP-0082, from and to milliseconds since 1970.

const MS_PER_DAY: i64 = 86_400_000;

/// The first millisecond of the year 0000, and the last of the year 9999: what `CCYY` can express.
const RANGE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// Parses `CCYY-MM-DDThh:mm:ss[.sss]TZD`, with TZD as `Z` or `(+|-)hh:mm`. Digits beyond the millisecond are cut off.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date_time, rest) = (bytes.get(..19)?, bytes.get(19..)?);
    let fixed = |at: usize, c: u8| (date_time.get(at) == Some(&c)).then_some(());
    fixed(4, b'-')?;
    fixed(7, b'-')?;
    fixed(10, b'T')?;
    fixed(13, b':')?;
    fixed(16, b':')?;
    let year = digits(date_time.get(..4)?)?;
    let month = within(digits(date_time.get(5..7)?)?, 1, 12)?;
    let day = within(digits(date_time.get(8..10)?)?, 1, days_in_month(year, month))?;
    let hour = within(digits(date_time.get(11..13)?)?, 0, 23)?;
    let minute = within(digits(date_time.get(14..16)?)?, 0, 59)?;
    // 60 is a leap second, which POSIX time has no number for: the next minute begins.
    let second = within(digits(date_time.get(17..19)?)?, 0, 60)?;
    let (fraction, zone) = fraction(rest)?;
    let seconds = (hour * 60 + minute - offset(zone)?) * 60 + second;
    Some(days_from_civil(year, month, day) * MS_PER_DAY + seconds * 1000 + fraction)
}

/// Formats in UTC, with milliseconds only where there are some. What `CCYY` cannot express is clamped.
pub fn format(unix_ms: i64) -> String {
    let ms = unix_ms.clamp(RANGE.0, RANGE.1);
    let (days, in_day) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    match in_day % 1000 {
        0 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        fraction => {
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
        }
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, b| {
        b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0'))
    })
}

fn within(value: i64, low: i64, high: i64) -> Option<i64> {
    (low..=high).contains(&value).then_some(value)
}

/// Splits `[.sss]TZD` into milliseconds and TZD.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let length = after.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let shown = after.get(..length.min(3))?;
    let scale = [100, 10, 1].get(shown.len() - 1)?;
    Some((digits(shown)? * scale, after.get(length..)?))
}

/// Minutes east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, time) = match zone {
        b"Z" => return Some(0),
        [b'+', time @ ..] => (1, time),
        [b'-', time @ ..] => (-1, time),
        _ => return None,
    };
    let &[h1, h2, b':', m1, m2] = time else {
        return None;
    };
    Some(sign * (within(digits(&[h1, h2])?, 0, 23)? * 60 + within(digits(&[m1, m2])?, 0, 59)?))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// The two conversions are Howard Hinnant's (chrono-compatible low-level date algorithms): a year that begins in March
// puts the leap day last, and 400 years always have 146,097 days.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
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
    fn days_follow_each_other() {
        let mut expected = days_from_civil(1600, 1, 1);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_from_civil(year, month, day), expected);
                    assert_eq!(civil_from_days(expected), (year, month, day));
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn no_text_panics() {
        let mut next = numbers(3);
        let alphabet: Vec<char> = "0123456789-:TZ.+é".chars().collect();
        for _ in 0..200_000 {
            let length = next() % 32;
            let text: String = (0..length)
                .map(|_| alphabet[(next() % alphabet.len() as u64) as usize])
                .collect();
            let _ = parse(&text);
        }
    }
}

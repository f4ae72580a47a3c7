//! Versions of what has one writer: an instance's roster (its home), the settings (the source). The writer counts each change
//! by one, so whoever follows sees whether something between is missing (G6, G7).

/// What a version that was told is to somebody who holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It is here already.
    Old,
    /// It follows what is here.
    Next,
    /// Something before it is missing: it is pulled, and this with it.
    Gap,
}

/// Compares the version that is `held`, if any is, with the one that is `told`.
pub(crate) fn news(held: Option<u64>, told: u64) -> News {
    match held {
        Some(held) if told <= held => News::Old,
        Some(held) if told - held == 1 => News::Next,
        _ => News::Gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_old_or_next_or_shows_a_gap() {
        assert_eq!(news(Some(5), 4), News::Old);
        assert_eq!(news(Some(5), 5), News::Old);
        assert_eq!(news(Some(5), 6), News::Next);
        assert_eq!(news(Some(5), 7), News::Gap);
        assert_eq!(news(Some(u64::MAX), u64::MAX), News::Old);
    }

    #[test]
    fn who_holds_nothing_lacks_whatever_came_before() {
        assert_eq!(news(None, 1), News::Gap);
    }
}

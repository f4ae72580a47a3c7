//! Sets of sequence numbers as ranges: what an instance has of one (origin, incarnation).

use std::fmt;
use std::str::FromStr;

use super::WireError;
use super::dom::{bad, decimal, over};
use super::limits::MAX_RANGES;

/// A set of numbers from 1, as ranges that neither touch nor overlap, in order: `1-120 125 130-131`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    /// Everything from 1 to `last`.
    pub fn up_to(last: u64) -> Numbers {
        Numbers(if last == 0 { Vec::new() } else { vec![(1, last)] })
    }

    /// One number.
    pub fn single(number: u64) -> Numbers {
        let mut numbers = Numbers::default();
        numbers.insert_range(number, number);
        numbers
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// Those from `first` on.
    pub fn from(&self, first: u64) -> Numbers {
        let late = self.0.iter().filter(|(_, to)| *to >= first);
        Numbers(late.map(|(from, to)| ((*from).max(first), *to)).collect())
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, to)| *to < number);
        self.0.get(at).is_some_and(|(from, _)| *from <= number)
    }

    /// Adds one number; `false` if it was in.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        self.insert_range(number, number);
        true
    }

    /// Adds all numbers from `from` to `to`.
    pub fn insert_range(&mut self, from: u64, to: u64) {
        if from > to || from == 0 {
            return;
        }
        // Ranges that touch the new one become part of it.
        let first = self.0.partition_point(|(_, end)| end.saturating_add(1) < from);
        let last = self
            .0
            .partition_point(|(start, _)| *start <= to.saturating_add(1));
        let merged = match self.0.get(first..last) {
            Some([]) | None => (from, to),
            Some(touched) => {
                let start = touched.first().map_or(from, |(start, _)| *start);
                let end = touched.last().map_or(to, |(_, end)| *end);
                (from.min(start), to.max(end))
            }
        };
        self.0.splice(first..last, [merged]);
    }

    /// Adds all numbers of `other`.
    pub fn merge(&mut self, other: &Numbers) {
        for (from, to) in &other.0 {
            self.insert_range(*from, *to);
        }
    }

    /// Those that are not in `other`.
    pub fn without(&self, other: &Numbers) -> Numbers {
        let mut left = Vec::new();
        for (from, to) in &self.0 {
            let mut next = *from;
            for (start, end) in other.0.iter().filter(|(start, end)| end >= from && start <= to) {
                if *start > next {
                    left.push((next, start - 1));
                }
                next = next.max(end.saturating_add(1));
            }
            if next <= *to {
                left.push((next, *to));
            }
        }
        Numbers(left)
    }

    /// The highest number.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, to)| *to)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Closes the lowest holes, the one before the first range included, if there are more ranges than `most`. Returns how
    /// many numbers that adds.
    pub fn limit(&mut self, most: usize) -> u64 {
        let before = self.count();
        let excess = self.0.len().saturating_sub(most.max(1));
        self.0.drain(..excess);
        if excess > 0
            && let Some(first) = self.0.first_mut()
        {
            first.0 = 1;
        }
        self.count() - before
    }
}

impl Numbers {
    /// The ranges as they are written, in order.
    pub fn parts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(from, to)| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        })
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&part)?;
        }
        Ok(())
    }
}

impl FromStr for Numbers {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Numbers, WireError> {
        let mut numbers = Numbers::default();
        for (i, part) in text.split_ascii_whitespace().enumerate() {
            if i == MAX_RANGES {
                return Err(over(format!("more than {MAX_RANGES} ranges of numbers")));
            }
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (decimal("numbers", from)?, decimal("numbers", to)?);
            if from == 0 || from > to || i64::try_from(to).is_err() {
                return Err(bad("the attribute 'numbers' is not a set of numbers from 1"));
            }
            if numbers.last().is_some_and(|last| from <= last) {
                return Err(bad("the ranges in the attribute 'numbers' are not in order"));
            }
            numbers.insert_range(from, to);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Numbers {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_grow_together() {
        let mut set = Numbers::default();
        for number in [1, 2, 5, 4, 9, 3] {
            assert!(set.insert(number));
            assert!(!set.insert(number));
        }
        assert_eq!(set.to_string(), "1-5 9");
        set.insert_range(7, 8);
        assert_eq!(set.to_string(), "1-5 7-9");
        set.insert_range(2, 20);
        assert_eq!(set.to_string(), "1-20");
    }

    #[test]
    fn every_pair_of_ranges_merges_like_a_set() {
        for a in 1..8u64 {
            for b in a..8 {
                for c in 1..8u64 {
                    for d in c..8 {
                        let mut set = Numbers::default();
                        set.insert_range(a, b);
                        set.insert_range(c, d);
                        for n in 1..10 {
                            let expected = (a..=b).contains(&n) || (c..=d).contains(&n);
                            assert_eq!(set.contains(n), expected, "{n} in {set}");
                        }
                        assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0), "{set}");
                        assert_eq!(numbers(&set.to_string()), set);
                    }
                }
            }
        }
    }

    #[test]
    fn too_many_holes_are_closed_from_below() {
        let mut set = numbers("1 3 5 7-8");
        assert_eq!(set.limit(2), 2);
        assert_eq!(set.to_string(), "1-5 7-8");
        assert_eq!(set.limit(2), 0);
        let mut set = numbers("4 6 8");
        assert_eq!(set.limit(2), 4, "1 to 3, and 5");
        assert_eq!(set.to_string(), "1-6 8");
        assert_eq!(numbers("4 6").limit(2), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["0", "5-3", "1-", "-", "a", "3 2", "1-5 4", "99999999999999999999"] {
            assert!(text.parse::<Numbers>().is_err(), "{text}");
        }
        assert_eq!(numbers(""), Numbers::default());
    }
}

//! Lengths of time as people say them: one number, one unit, never more precise than useful.

use jiff::Timestamp;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

/// Seconds from `earlier` to `later`; negative when `later` comes first.
pub fn seconds(earlier: Timestamp, later: Timestamp) -> i64 {
    later.as_second().saturating_sub(earlier.as_second())
}

/// A length of time in words. The next unit begins at two of it, so that "1 h" never hides 59 minutes.
pub fn words(length_s: i64) -> String {
    let length_s = length_s.max(0);
    let (number, unit) = if length_s < 2 * MINUTE_S {
        (length_s, "s")
    } else if length_s < 2 * HOUR_S {
        (length_s / MINUTE_S, "min")
    } else if length_s < 2 * DAY_S {
        (length_s / HOUR_S, "h")
    } else {
        (length_s / DAY_S, "days")
    };
    format!("{number} {unit}")
}

/// Whole days from `now` until `then`; negative once it has passed.
pub fn days_until(then: Timestamp, now: Timestamp) -> i64 {
    seconds(now, then).div_euclid(DAY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_the_largest_unit_of_which_it_has_two() {
        let table = [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ];
        for (length_s, text) in table {
            assert_eq!(words(length_s), text);
        }
    }

    #[test]
    fn the_last_day_counts_as_none_and_the_day_after_as_minus_one() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(days_until(at(1_000_000), at(1_000_000 - DAY_S)), 1);
        assert_eq!(days_until(at(1_000_000), at(999_999)), 0);
        assert_eq!(days_until(at(1_000_000), at(1_000_001)), -1);
    }
}

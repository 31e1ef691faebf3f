//! Which etcd versions are known to mistake their own member list, and since when they no longer do.
//!
//! Such a version is named in status and nothing is refused for it: a member that runs is better than one that does not,
//! and distributions carry them. The numbers are etcd's own change logs (spec/etcd.md, fault 18).

/// The first release of each line without a known membership bug.
const FIRST_GOOD: [((u32, u32), u32); 2] = [((3, 5), 30), ((3, 6), 11)];

/// What to say about `version`, if anything.
pub fn advice(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Some(format!("runs etcd '{version}', which this program does not know"));
    };
    let line = FIRST_GOOD.iter().find(|(line, _)| *line == (major, minor));
    match line {
        Some((_, first)) if patch >= *first => None,
        Some((_, first)) => Some(format!(
            "runs etcd {version}, whose member list can go wrong in known ways; {major}.{minor}.{first} and newer do not"
        )),
        None if (major, minor) > (3, 6) => None,
        None => {
            Some(format!("runs etcd {version}, which is too old to be told its bugs apart; 3.5.30 and newer are not"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_18_versions_with_known_membership_bugs_are_named() {
        for bad in ["3.4.23", "3.5.0", "3.5.16", "3.5.29", "3.6.0", "3.6.10", "2.3.8", "", "devel"] {
            assert!(advice(bad).is_some(), "{bad}");
        }
        for good in ["3.5.30", "3.5.31", "3.6.11", "3.6.11+git", "3.7.0"] {
            assert_eq!(advice(good), None, "{good}");
        }
    }
}

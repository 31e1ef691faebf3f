//! The version of an operating system image: IMAGE_VERSION of os-release(5), ordered as the UAPI group's version format
//! says (UAPI.10), which is also how systemd-sysupdate and boot loaders order images.

use std::cmp::Ordering;
use std::fmt;

/// A version such as `20261122.1` or `1.4~rc2`.
#[derive(Debug, Clone)]
pub struct ImageVersion(String);

impl ImageVersion {
    /// The version that `text` writes; none when it has no letter or digit, or characters that no version has.
    pub fn parse(text: &str) -> Option<Self> {
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._~^+-".contains(&byte);
        let good = text.len() <= 128 && text.bytes().all(fit) && text.bytes().any(|byte| byte.is_ascii_alphanumeric());
        good.then(|| Self(text.to_owned()))
    }

    /// The version that an os-release file names.
    pub fn of_os_release(text: &str) -> Option<Self> {
        // As a shell would: the last assignment holds, and quotes around the value are no part of it.
        let value = text.lines().filter_map(|line| line.trim().strip_prefix("IMAGE_VERSION=")).next_back()?;
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Self::parse(unquoted.unwrap_or(value))
    }
}

impl Ord for ImageVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        uapi_version::strverscmp(&self.0, &other.0)
    }
}

impl PartialOrd for ImageVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ImageVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ImageVersion {}

impl fmt::Display for ImageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_systemd_orders_them() {
        // Each is above the one before it ('systemd-analyze compare-versions').
        let rising = ["1~rc1", "1", "1^post", "1.1", "1.2", "1.10", "2", "20261122", "20261122.1", "20261122.1-2"];
        for (at, low) in rising.iter().enumerate() {
            for (further, high) in rising.iter().enumerate() {
                let [low, high] = [low, high].map(|text| ImageVersion::parse(text).unwrap());
                assert_eq!(low.cmp(&high), at.cmp(&further), "{low} {high}");
            }
        }
        assert_eq!(ImageVersion::parse("1.0"), ImageVersion::parse("1.00"));
    }

    #[test]
    fn what_is_no_version_is_told_from_one() {
        for text in ["", "...", "1 2", "latest\n", "ü"] {
            assert!(ImageVersion::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn os_release_is_read_as_a_shell_reads_it() {
        let table = [
            ("ID=bareos\nIMAGE_VERSION=7\n", Some("7")),
            ("IMAGE_VERSION=\"7.1\"\n", Some("7.1")),
            ("IMAGE_VERSION='7.1'\nIMAGE_VERSION=8\n", Some("8")),
            ("ID=bareos\nVERSION_ID=13\n", None),
            ("#IMAGE_VERSION=7\nXIMAGE_VERSION=7\n", None),
            ("IMAGE_VERSION=\"\"\n", None),
        ];
        for (text, version) in table {
            let read = ImageVersion::of_os_release(text).map(|version| version.to_string());
            assert_eq!(read.as_deref(), version, "{text:?}");
        }
    }
}

//! etcd's alarms in words: whose, what it means, and what helps. Pure.
//!
//! Each member shows the alarms of all; only the member that an alarm names is at fault.

use super::change::label;
use super::cluster::View;

/// One alarm, as a member shows it: `memberID:13803658152347727308 alarm:NOSPACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The member that raised it; zero when it does not say.
    pub member: u64,
    /// Which.
    pub kind: Kind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The database has reached its quota: etcd refuses writes, and with them every change of the member list.
    NoSpace,
    /// A member's data differs from the others': etcd refuses everything.
    Corrupt,
    /// One that this program does not know.
    Other(String),
}

impl Alarm {
    /// Reads etcd's words.
    pub fn read(text: &str) -> Self {
        let field = |name: &str| text.split_whitespace().find_map(|word| word.strip_prefix(name));
        let member = field("memberID:").and_then(|id| id.parse().ok()).unwrap_or_default();
        let kind = match field("alarm:") {
            Some("NOSPACE") => Kind::NoSpace,
            Some("CORRUPT") => Kind::Corrupt,
            _ => Kind::Other(text.trim().to_owned()),
        };
        Self { member, kind }
    }

    /// The fact and its remedy. A member is named by the list, where there is one.
    pub fn in_words(&self, view: Option<&View>) -> (String, &'static str) {
        let listed = view.and_then(|view| view.member(self.member));
        let who =
            listed.map_or_else(|| format!("member {:x}", self.member), |listed| format!("member {}", label(listed)));
        match &self.kind {
            Kind::NoSpace => (
                format!("NOSPACE: the database of {who} has reached its quota, and etcd refuses writes"),
                "compact, defragment the members one by one and the leader last, then disarm ('quorate help recovery')",
            ),
            Kind::Corrupt => (
                format!("CORRUPT: the data of {who} differs from that of the others, and etcd refuses everything"),
                "disarm, and replace that member: move its data directory away ('quorate help recovery')",
            ),
            Kind::Other(text) => {
                (format!("etcd has an alarm: {text}"), "'etcdctl alarm list', and etcd's documentation")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_names_its_member_and_what_helps() {
        let nospace = Alarm::read("memberID:13803658152347727308 alarm:NOSPACE ");
        assert_eq!(nospace, Alarm { member: 13_803_658_152_347_727_308, kind: Kind::NoSpace });
        assert!(
            nospace.in_words(None).0.contains("member bf9071f4639c75cc has reached"),
            "{:?}",
            nospace.in_words(None)
        );
        assert_eq!(Alarm::read("memberID:3 alarm:CORRUPT").kind, Kind::Corrupt);
        let unknown = Alarm::read("alarm:HOT memberID:x");
        assert_eq!(unknown, Alarm { member: 0, kind: Kind::Other("alarm:HOT memberID:x".into()) });
    }
}

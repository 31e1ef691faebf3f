//! Why a datagram is discarded, and what is odd about one that is not: each with its words, in the order of the counters.

use serde::{Deserialize, Serialize};

/// Declares the reasons for a discard with what each says in the log; the order is the order of the counters.
macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $case:ident: $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum $name { $($(#[$doc])* $case,)* }

        impl $name {
            /// Every case, in the order of the counters.
            pub const ALL: &'static [$name] = &[$($name::$case,)*];

            /// Its name, for a metric's label.
            pub fn word(self) -> &'static str {
                match self { $($name::$case => stringify!($case),)* }
            }

            /// What happened, for the log.
            pub fn text(self) -> &'static str {
                match self { $($name::$case => $text,)* }
            }
        }
    };
}

reasons! {
    /// Why a datagram is not acted upon: one counter and one rate-limited log line each (R14).
    Discard {
        /// Not a whole IP datagram of our protocol.
        Header: "its IP header is damaged",
        /// R1.
        Ttl: "its TTL is below the accepted minimum, so it may come from another network (RFC 9568 §5.1.1.3)",
        /// R4.
        Length: "its length does not fit its address count (RFC 9568 §7.1)",
        /// R2, R19.
        Version: "it speaks another version of VRRP than this virtual router",
        /// R3.
        Type: "it is not an advertisement (RFC 9568 §5.2.2)",
        /// R6.
        Vrid: "no virtual router with its id is configured on this link",
        /// R7.
        NoAddress: "it carries no address (RFC 9568 §5.2.5, erratum 8299)",
        /// R8.
        ZeroInterval: "its interval is zero (RFC 9568 erratum 8301)",
        /// R18.
        Authentication: "it uses VRRPv2 authentication, which is not configured (RFC 3768 §7.1)",
        /// R5.
        Checksum: "its checksum is wrong in both accepted forms (RFC 9568 §5.2.8)",
        /// R9.
        FirstNotLinkLocal: "its first IPv6 address is not link-local (RFC 9568 §5.2.9, erratum 8300)",
        /// R17.
        Source: "its source is not a listed peer",
        /// R18.
        IntervalMismatch: "its VRRPv2 interval is not the configured one (RFC 3768 §7.1)",
        /// R20.
        Initialize: "the virtual router is not running yet (RFC 9568 §6.4.1)",
    }
}

reasons! {
    /// What is odd about a datagram that is acted upon all the same: counted and logged like a discard.
    Remark {
        /// R5.
        PseudoHeader: "its checksum covers the pseudo-header (RFC 5798 form)",
        /// R11.
        Interval: "its interval is not the configured one, adopting it while in Backup (RFC 9568 §7.1)",
        /// R12.
        Addresses: "its addresses are not the configured ones (RFC 9568 §7.1)",
        /// F15.
        DuplicateSource: "an Active with our own address and priority advertises; two hosts share one address",
        /// R15, D7.
        RivalOwner: "another Active claims to own the addresses, as we do (RFC 9568 §8.3.2)",
    }
}

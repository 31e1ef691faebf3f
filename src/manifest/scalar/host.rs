//! What a host is known by.

use crate::ident::{ClusterId, NodeName};
use crate::manifest::document::Serial;
use crate::manifest::identity::is_placeholder;
use crate::yaml::read::Scalar;

/// A host name as `hostname` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(pub String);

impl Scalar for HostName {
    const WHAT: &'static str = "a host name";
    const EXAMPLE: &'static str = "m1 or m1.example.net";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "localhost" || text.starts_with("localhost.") {
            return Err("a host without a name of its own is called that".to_owned());
        }
        let label = |label: &str| label.to_ascii_lowercase().parse::<NodeName>().is_ok();
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(HostName(text.to_owned()))
        } else {
            Err("it is made of letters, digits and '-', in parts with dots between".to_owned())
        }
    }
}

impl Scalar for Serial {
    const WHAT: &'static str = "a serial number";
    const EXAMPLE: &'static str = "CZ3021XYZ, as /sys/class/dmi/id/product_serial has it";

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if is_placeholder(text) {
            return Err("vendors ship many machines with this text instead of a number".to_owned());
        }
        Ok(Serial(text.to_owned()))
    }
}

/// An SMBIOS system UUID, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUuid(pub String);

impl Scalar for SystemUuid {
    const WHAT: &'static str = "a system UUID";
    const EXAMPLE: &'static str = "4c4c4544-0051-3510-8057-b4c04f4d3232, as /sys/class/dmi/id/product_uuid has it";

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        if text.parse::<ClusterId>().is_err() {
            return Err("it has 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12".to_owned());
        }
        if is_placeholder(&text) {
            return Err("vendors ship many machines with this UUID".to_owned());
        }
        Ok(SystemUuid(text))
    }
}

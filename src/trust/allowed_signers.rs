//! One line of allowed_signers (ssh-keygen(1), "ALLOWED SIGNERS"), read strictly.
//!
//! A line that is not understood completely is not used: a misspelt restriction must not become no restriction. Two rules
//! are stricter than OpenSSH's: times end in `Z`, because a host's time zone is nobody's promise, and certificate
//! authorities are never trusted, because a manifest is signed by a key and not by a certificate.

use super::keyring::Signer;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;

/// Reads one line: principals, options, key type, key, comment.
pub(super) fn signer(line: &str) -> Result<Signer, String> {
    let (name, rest) = field(line)?;
    if name.chars().any(|character| character.is_control() || character == '\u{feff}') {
        return Err("its principals have characters that cannot be seen".into());
    }
    if is_key_type(name) {
        return Err("it begins with the key; a name goes before it: 'ops@site ssh-ed25519 …'".into());
    }
    // As ssh-keygen does: what is not a key type is options.
    let (first, after_first) = field(rest)?;
    let (options, key) = if is_key_type(first) { (None, rest) } else { (Some(first), after_first) };
    let (key_type, blob) = key.trim_start().split_once([' ', '\t']).ok_or("it has no key")?;
    if !is_key_type(key_type) {
        return Err(match options {
            Some(options) => format!("'{}' is neither a key type nor followed by one", options.escape_debug()),
            None => "it has no key".into(),
        });
    }
    let key = PublicKey::from_openssh(&format!("{key_type} {}", blob.trim()))
        .map_err(|error| format!("its key cannot be read ({error})"))?
        .key_data()
        .clone();
    let mut signer = Signer {
        name: name.trim_matches('"').to_owned(),
        key,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    if let Some(options) = options {
        read_options(options, &mut signer)?;
    }
    if let (Some(after), Some(before)) = (signer.valid_after, signer.valid_before)
        && before <= after
    {
        return Err("its 'valid-before' is not after its 'valid-after'".into());
    }
    Ok(signer)
}

/// The first field, where white space inside double quotes does not count, and the rest.
fn field(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start_matches([' ', '\t']);
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return Ok((&text[..at], &text[at..])),
            _ => {}
        }
    }
    if quoted { Err("a quote is not closed".into()) } else { Ok((text, "")) }
}

fn is_key_type(text: &str) -> bool {
    text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") || text.starts_with("sk-")
}

fn read_options(text: &str, signer: &mut Signer) -> Result<(), String> {
    for option in split_options(text) {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let quoted = || {
            value
                .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
                .filter(|value| !value.contains('"'))
                .ok_or_else(|| format!("the value of '{name}' has to stand in double quotes"))
        };
        let once = |taken: bool| if taken { Err(format!("'{name}' is written twice")) } else { Ok(()) };
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                once(signer.namespaces.is_some())?;
                let list = quoted()?.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
                signer.namespaces = Some(list.map(str::to_owned).collect());
            }
            "valid-after" => {
                once(signer.valid_after.is_some())?;
                signer.valid_after = Some(timestamp(quoted()?)?);
            }
            "valid-before" => {
                once(signer.valid_before.is_some())?;
                signer.valid_before = Some(timestamp(quoted()?)?);
            }
            "cert-authority" => return Err("a certificate authority does not sign manifests, only keys do".into()),
            _ => return Err(format!("'{}' is not an option", name.escape_debug())),
        }
    }
    Ok(())
}

/// Options are separated by commas outside of quotes; an empty one is not an option.
fn split_options(text: &str) -> Vec<&str> {
    let (mut options, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                options.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    options.push(&text[start..]);
    options
}

/// `YYYYMMDD[HHMM[SS]]Z`.
fn timestamp(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("'{}' is not a time; write it like 20261122Z or 202611222000Z", text.escape_debug());
    let Some(digits) = text.strip_suffix('Z') else {
        return Err(format!(
            "'{}' has no time zone, so it would mean another time on every host; end it in 'Z'",
            text.escape_debug()
        ));
    };
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(wrong()),
    };
    if !padded.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |range: std::ops::Range<usize>| padded[range].parse::<i8>().map_err(|_| wrong());
    let year: i16 = padded[..4].parse().map_err(|_| wrong())?;
    DateTime::new(year, number(4..6)?, number(6..8)?, number(8..10)?, number(10..12)?, number(12..14)?, 0)
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| wrong())
}

/// A pattern list as OpenSSH reads it: one match allows, one match of a pattern after `!` forbids.
pub(super) fn allows(patterns: &[String], text: &str) -> bool {
    let forbidden = |pattern: &String| pattern.strip_prefix('!').is_some_and(|pattern| matches(pattern, text));
    patterns.iter().any(|pattern| matches(pattern, text)) && !patterns.iter().any(forbidden)
}

/// OpenSSH's pattern: `*` any run, `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Reachable positions in the pattern; no recursion, so that a hostile pattern costs no more than its length.
    let mut reachable = vec![false; pattern.len() + 1];
    reachable[0] = true;
    let spread = |reachable: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if reachable[at] && pattern[at] == '*' {
                reachable[at + 1] = true;
            }
        }
    };
    spread(&mut reachable);
    for character in text {
        let mut next = vec![false; pattern.len() + 1];
        for at in 0..pattern.len() {
            if reachable[at] {
                match pattern[at] {
                    '*' => next[at] = true,
                    '?' => next[at + 1] = true,
                    literal if literal == character => next[at + 1] = true,
                    _ => {}
                }
            }
        }
        reachable = next;
        spread(&mut reachable);
    }
    reachable[pattern.len()]
}

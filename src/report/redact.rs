//! Takes out of a text what looks like a secret. Better one harmless word too many than one key.
//!
//! Four shapes: private keys in PEM (also escaped into one line of JSON, also cut off), the value behind a telling name
//! (`password: …`, `"clientSecret": "…"`, `Authorization: …`), user and password of a URL, and long base64 that no
//! public format explains. Digests stay: without them two masters cannot be compared.

const TAKEN: &str = "[removed]";

/// `text` without its secrets.
pub fn redacted(text: &str) -> String {
    let text = without_private_keys(text);
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out.push_str(&without_base64(&without_users(&without_named(line))));
    }
    out
}

/// Everything from the first line of a private key to its last; without a last line, to the end of the text.
fn without_private_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(BEGIN) {
        let label_at = start + BEGIN.len();
        let label = rest[label_at..].split("-----").next().unwrap_or_default();
        if !label.contains("PRIVATE KEY") {
            out.push_str(&rest[..label_at]);
            rest = &rest[label_at..];
            continue;
        }
        out.push_str(&rest[..start]);
        out.push_str(TAKEN);
        rest = match rest[label_at..].find(END) {
            Some(end) => {
                let tail = &rest[label_at + end + END.len()..];
                tail.find("-----").map_or("", |dashes| &tail[dashes + "-----".len()..])
            }
            None => "",
        };
    }
    out + rest
}

/// Names behind which a secret stands, in lower case.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "bearer",
    "apikey",
    "api_key",
    "privatekey",
    "private_key",
];

/// A line without the values behind telling names.
fn without_named(line: &str) -> String {
    // Same length as the line: only ASCII letters change.
    let lower = line.to_ascii_lowercase();
    let mut out = String::new();
    let mut at = 0;
    while let Some(value) = next_value(&lower, at) {
        out.push_str(&line[at..value.start]);
        out.push_str(TAKEN);
        at = value.end;
    }
    out + &line[at..]
}

/// Where the next secret value lies, from `from` on.
fn next_value(lower: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let mut search = from;
    loop {
        let (start, name) =
            NAMES.iter().filter_map(|name| Some((search + lower[search..].find(name)?, *name))).min()?;
        search = start + name.len();
        if let Some(range) = value_behind(lower, name, search).filter(|range| !range.is_empty()) {
            return Some(range);
        }
    }
}

/// The value behind a name that ends at `at`; none when no value follows, as in prose.
fn value_behind(lower: &str, name: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let part_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let rest =
        lower[at..].trim_start_matches(part_of_name).trim_start_matches(['"', '\'', '\\']).trim_start_matches(' ');
    let rest = match rest.strip_prefix([':', '=']) {
        Some(rest) => rest,
        // "Bearer abc" has no sign between.
        None if name == "bearer" && rest.len() < lower[at..].len() => rest,
        None => return None,
    };
    let rest = rest.trim_start_matches([' ', '\\']);
    let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''));
    let value = quote.map_or(rest, |quote| &rest[quote.len_utf8()..]);
    let end = match (quote, name) {
        (Some(quote), _) => closing(value, quote),
        // "Authorization: Basic abc": two words, one secret.
        (None, "authorization") => value.find(['\n', '"', '\'']).unwrap_or(value.len()),
        (None, _) => value.find([' ', '\t', '\n', ',', '}', '&', '"', '\'', '\\']).unwrap_or(value.len()),
    };
    let start = lower.len() - value.len();
    Some(start..start + end)
}

/// Where a quoted value ends: at its quote, unless that one is escaped.
fn closing(value: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in value.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == quote => return at,
            _ => {}
        }
    }
    value.trim_end_matches('\n').len()
}

/// A line without user and password in its URLs.
fn without_users(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(scheme) = rest.find("://") {
        let (before, after) = rest.split_at(scheme + "://".len());
        out.push_str(before);
        let authority = after.find(['/', ' ', '"', '\'', '\n', '?']).unwrap_or(after.len());
        rest = after;
        if let Some(user) = after[..authority].rfind('@') {
            out.push_str(TAKEN);
            rest = &after[user..];
        }
    }
    out + rest
}

/// Base64 of this length is a key or a part of one, unless it is a public one.
const SUSPICIOUS_LETTERS: usize = 60;

/// A line without long base64. Digests and paths lack one of capitals, small letters and digits; a public SSH key
/// begins with the length of its type, `AAAA`.
fn without_base64(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let coded = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    while let Some(start) = rest.find(coded) {
        let run = &rest[start..];
        let end = run.find(|letter| !coded(letter)).unwrap_or(run.len());
        out.push_str(&rest[..start]);
        let run = &run[..end];
        let has = |kind: fn(&char) -> bool| run.chars().any(|letter| kind(&letter));
        let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
        let suspicious = run.len() >= SUSPICIOUS_LETTERS && mixed && !run.starts_with("AAAA");
        out.push_str(if suspicious { TAKEN } else { run });
        rest = &rest[start + end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::Strategy;

    #[test]
    fn each_shape_of_a_secret_is_taken_out() {
        let key = "MC4CAQAwBQYDK2VwBCIEIJ7f0xk5K2b9yQmS1l8sVwXh3nq0aTzJr5uEoPcDgLhi";
        let table = [
            "password: hunter2zz",
            "Passphrase = hunter2zz",
            "\"clientSecret\": \"hunter2zz\"",
            "{\"token\":\"hunter2zz\",\"phase\":\"genesis\"}",
            "{\"a\":\"{\\\"password\\\": \\\"hunter2zz\\\"}\"}",
            "ETCD_INITIAL_CLUSTER_TOKEN=hunter2zz",
            "secretKeyRef: 'hunter2zz'",
            "password: \"a \\\" hunter2zz\"",
            "Authorization: Basic hunter2zz",
            "header was Bearer hunter2zz, status 403",
            "GET https://admin:hunter2zz@10.0.0.1:6443/livez",
            "GET https://hunter2zz@10.0.0.1/?token=hunter2zz&x=1",
            "password=hunter2zz password=hunter2zz",
            "-----BEGIN PRIVATE KEY-----\nhunter2zz\n-----END PRIVATE KEY-----\n",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2zz",
            "{\"pem\":\"-----BEGIN EC PRIVATE KEY-----\\nhunter2zz\\n-----END EC PRIVATE KEY-----\\n\"}",
        ];
        for text in table {
            let clean = redacted(text);
            assert!(!clean.contains("hunter2zz") && clean.contains(TAKEN), "{text} → {clean}");
        }
        assert!(!redacted(key).contains("MC4CAQ"), "{}", redacted(key));
    }

    #[test]
    fn what_is_needed_to_understand_a_fault_stays() {
        let text = "prod-east generation 4 (sha256 7f83fb2abfd2a6b3c0ffee7f83fb2abfd2a6b3c0ffee7f83fb2abfd2a6b3c0ff)\n\
                    /var/lib/quorate/manifests/4-7f83fb2abfd2a6b3c0ffee7f83fb2abfd2a6b3c0ffee7f83fb2abfd2/manifest.yaml\n\
                    ops ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7f0xk5K2b9yQmS1l8sVwXh3nq0aTzJr5uEoPcDgLhi\n\
                    -----BEGIN CERTIFICATE-----\n\
                    no secret and no token was found on this line\n\
                    read at https://10.20.0.13:2379 did not come back\n";
        assert_eq!(redacted(text), text);
    }

    #[test]
    fn what_stands_behind_a_key_stays_too() {
        let text = "a\n-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\nb\npassword: x, c\n";
        assert_eq!(redacted(text), format!("a\n{TAKEN}\nb\npassword: {TAKEN}, c\n"));
    }

    /// Words that mean something here, in any order.
    fn odd() -> impl proptest::strategy::Strategy<Value = String> {
        let words = [
            "password",
            "token",
            "Authorization",
            "bearer",
            ":",
            "=",
            " ",
            "\"",
            "'",
            "\\",
            "\n",
            "x",
            "é",
            ",",
            "://",
            "@",
            "-----BEGIN ",
            "PRIVATE KEY-----",
            "-----END ",
            "-----",
            TAKEN,
        ];
        proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..20).prop_map(|words| words.concat())
    }

    proptest::proptest! {
        #[test]
        fn nothing_odd_on_the_lines_before_and_after_saves_a_secret(before in odd(), after in odd()) {
            let clean = redacted(&format!("{before}\npassword: hunter2zz\n{after}"));
            proptest::prop_assert!(!clean.contains("hunter2zz"), "{}", clean);
        }
    }
}

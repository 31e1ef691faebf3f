//! What must hold between the fields of a manifest: the rows of the refusal matrix that the file alone decides.
//!
//! Each rule has a name (`rule`), a test, and a row in `spec/manifest.md`. What needs the host (does the label name a
//! link, is the VIP in its subnet, which master is this) or the manifest in force (may these masters follow those) is
//! judged where that is known. A field that could not be read has been reported; rules skip it.

mod address;
mod masters;
mod recovery;
mod router;

use super::document::{Document, Probe, Spec};
use super::{Environment, parse};
use crate::ident::Generation;
use crate::quorum::policy::{self, Verdict};
use crate::yaml::Place;
use crate::yaml::finding::{Finding, Weight};
use crate::yaml::read::Written;

/// Everything that is wrong between the fields of a document, `unread` being what was wrong with the fields themselves.
pub(super) fn document(document: &Document, unread: &[Finding]) -> Vec<Finding> {
    let mut found = Found { unread, list: Vec::new() };
    let generation = document.metadata.as_ref().and_then(|metadata| {
        let metadata = &metadata.value;
        if let (Some(issued), Some(expires)) = (&metadata.issued_at, &metadata.expires_at)
            && expires.value <= issued.value
        {
            found.invalid(
                "expires-before-issued",
                "metadata.expiresAt",
                &expires.place,
                format!("it expires at {}, before it is issued", expires.value),
                "no host would ever accept it",
                "write a time after 'issuedAt', or leave 'expiresAt' out",
            );
        }
        metadata.generation.as_ref().map(|written| Generation(written.value.number))
    });
    let Some(spec) = document.spec.as_ref().map(|spec| &spec.value) else { return found.list };
    count(spec, generation, &mut found);
    if let Some(vip) = &spec.vip {
        address::vip(&vip.value, &mut found);
    }
    masters::masters(spec, &mut found);
    address::networks(spec, &mut found);
    router::vrrp(spec, &mut found);
    for (at, probe) in spec.health.iter().flat_map(|health| health.value.iter().enumerate()) {
        probe_target(at, probe, &mut found);
    }
    if let Some(etcd) = &spec.etcd {
        let issued = document.metadata.as_ref().and_then(|metadata| metadata.value.issued_at.as_ref());
        recovery::check(etcd, spec.masters.as_ref(), issued, &mut found);
    }
    found.list
}

/// Collects findings in the words of this file.
struct Found<'a> {
    unread: &'a [Finding],
    list: Vec<Finding>,
}

impl Found<'_> {
    /// Whether everything written below `field` could be read: a value that was reported is not missing.
    fn all_read(&self, field: &str) -> bool {
        !self.unread.iter().any(|finding| finding.field.starts_with(field))
    }

    fn add(&mut self, weight: Weight, rule: &'static str, field: &str, place: &Place, words: [String; 3]) {
        let [what, why, instead] = words;
        let (field, place, related) = (field.to_owned(), place.clone(), Vec::new());
        self.list.push(Finding { weight, rule, field, place, what, why, instead, related });
    }

    fn invalid(&mut self, rule: &'static str, field: &str, place: &Place, what: String, why: &str, instead: &str) {
        self.add(Weight::Invalid, rule, field, place, [what, why.into(), instead.into()]);
    }

    /// Adds another place to the latest finding.
    fn see(&mut self, place: &Place, what: impl Into<String>) {
        if let Some(finding) = self.list.last_mut() {
            finding.related.push((place.clone(), what.into()));
        }
    }
}

/// The number of masters, as the quorum policy judges it.
fn count(spec: &Spec, generation: Option<Generation>, found: &mut Found<'_>) {
    // Without a readable generation, an acknowledgement is judged as on the first.
    let generation = generation.unwrap_or(Generation(1));
    let Some(masters) = &spec.masters else { return };
    let environment = spec.environment.as_ref().map_or(Environment::Production, |written| written.value);
    let acknowledged =
        spec.acknowledge.as_ref().map_or_else(Default::default, |written| parse::acknowledgements(&written.value));
    let count = masters.value.len();
    let (what, are) = if count == 1 { ("1 master".to_owned(), "is") } else { (format!("{count} masters"), "are") };
    let mut add = |weight, words| found.add(weight, "master-count", "spec.masters", &masters.place, words);
    match policy::judge(count, environment, generation, &acknowledged) {
        Verdict::Accepted => {}
        Verdict::AcceptedWithWarning { why } => {
            add(Weight::Warning, [what, why, "run 'quorate tolerance' for the whole table".into()]);
        }
        Verdict::Refused { why, instead } => add(Weight::Unsafe, [format!("{what} {are} refused"), why, instead]),
    }
}

fn probe_target(at: usize, probe: &Written<Probe>, found: &mut Found<'_>) {
    let Probe { https, http, tcp, interval, .. } = &probe.value;
    let targets = usize::from(https.is_some()) + usize::from(http.is_some()) + usize::from(tcp.is_some());
    if targets != 1 && found.all_read(&format!("spec.health[{at}]")) {
        found.invalid(
            "probe-target",
            &format!("spec.health[{at}]"),
            &probe.place,
            format!("a probe asks one thing, this one {}", if targets == 0 { "nothing" } else { "several" }),
            "its rise and fall count the answers of one target",
            "write one of 'https', 'http' and 'tcp' per probe",
        );
    }
    if let Some(written) = interval
        && !(100..=60_000).contains(&written.value.0)
    {
        found.invalid(
            "probe-interval",
            &format!("spec.health[{at}].interval"),
            &written.place,
            format!("{}ms between probes", written.value.0),
            "faster probes load what they watch, slower ones notice nothing in time",
            "write 100ms to 60s, for example 1s",
        );
    }
}

//! The intake: from everything that was dropped to the one manifest in force, and a reason for everything refused.
//!
//! Discover, verify, parse, judge, keep. The manifest in force is read back from the store and verified again before
//! anything parses it; each candidate takes the same way and is then held against it. The highest acceptable
//! generation wins, wherever it lay. A candidate that is refused changes nothing: the last good manifest stays in force.
//!
//! [`choice`] is the decision, pure; [`rotate`] settles before it whom to trust, and [`mark`] what was accepted so far;
//! [`intake`] reads and, in [`Mode::Store`], keeps what was chosen.

mod choice;
mod mark;
mod rotate;

pub use super::refusal::Class;

use super::Manifest;
use super::parse::{Parsed, parse};
use super::source::pair::PairError;
use super::source::{self, Candidate, Origin, Where};
use crate::durable::DurableError;
use crate::ident::{Digest, Generation};
use crate::journal::chain;
use crate::paths::Paths;
use crate::trust::clock::Clock;
use crate::trust::host::{self, ImageError, Roots};
use crate::trust::keyring::Keyring;
use crate::trust::rollback::Least;
use crate::trust::rotation::Root;
use crate::trust::store::{self, Mark, Record, StoreError, Stored};
use crate::trust::{self, Purpose, Verified};
use crate::yaml::finding::{Findings, Weight};
use choice::{Standing, choose};
use serde::Serialize;

/// Whether an accepted manifest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Accept: store it and put it in force.
    Store,
    /// Say what would be accepted; change nothing.
    DryRun,
}

/// What the intake came to.
#[derive(Debug)]
pub struct Intake {
    /// The manifest that this host keeps to; none before the first was accepted.
    pub in_force: Option<InForce>,
    /// Whether that is new.
    pub change: Change,
    /// Everything that was found and is not in force, with its reason; the order is that of precedence.
    pub refused: Vec<Refused>,
    /// What an administrator should know, such as lines of the signer list that are not used.
    pub notes: Vec<String>,
}

/// The manifest that this host keeps to.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The manifest.
    pub manifest: Verified<Manifest>,
    /// Where it was found when it was accepted.
    pub origin: String,
    /// Whose signatures made it count.
    pub signers: Vec<String>,
    /// Risks that it takes, in one line each.
    pub warnings: Vec<String>,
}

/// What the intake changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Nothing.
    Nothing,
    /// A manifest was put in force; in [`Mode::DryRun`]: would be.
    Accepted {
        /// What was in force before.
        from: Option<Generation>,
        /// What is now.
        to: Generation,
    },
}

/// Something that was found and is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Where it was found.
    pub origin: Origin,
    /// Of which kind the reason is.
    pub class: Class,
    /// What is wrong and what to do, in one line per finding, without source text.
    pub why: String,
}

/// Why the intake as a whole failed. Nothing that was dropped can cause this.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The image does not say whom to trust.
    #[error("nothing can be trusted")]
    Image(#[from] ImageError),
    /// What this host accepted earlier cannot be read or added to.
    #[error("the accepted manifests are out of reach")]
    Store(#[from] StoreError),
    /// An accepted trust file cannot be kept.
    #[error("the trust file cannot be stored")]
    Trust(#[from] DurableError),
}

/// A candidate that is signed and valid, by itself.
#[derive(Debug, Clone)]
struct Offer {
    origin: Origin,
    stored: Stored,
    in_force: InForce,
}

/// Finds, verifies, judges and, in [`Mode::Store`], keeps.
///
/// # Errors
/// When the trust files of the image or this host's own store cannot be read or written. What was dropped never causes
/// one: it is refused.
pub fn intake(paths: &Paths, clock: Clock, mode: Mode) -> Result<Intake, IntakeError> {
    intake_from(Where::Host, paths, clock, mode)
}

/// The same for what lies in one place.
///
/// # Errors
/// As [`intake`].
pub fn intake_from(place: Where<'_>, paths: &Paths, clock: Clock, mode: Mode) -> Result<Intake, IntakeError> {
    let (roots, mut refused) = rotate::rotate(host::roots(paths)?, paths, clock, mode)?;
    let keyring = &roots.current.keyring;
    let mut notes: Vec<String> =
        keyring.spoiled().iter().map(|line| format!("{}: {line}", paths.allowed_signers().display())).collect();

    let kept = kept(paths, &roots, &mut refused)?;
    let accepted = kept.as_ref().map(|kept| kept.in_force.manifest.get());
    let clock = accepted.map_or(clock, |manifest| clock.not_before(manifest.issued_at));
    if !clock.trusted {
        notes.push(format!(
            "nobody vouches for the clock of this host (it says {}); expiry is judged by it until systemd-timesyncd \
             has synchronised it",
            clock.now.strftime("%FT%TZ")
        ));
    }
    let image = host::image_version(paths)?;
    notes.extend(accepted.and_then(|manifest| choice::image_lags(image.as_ref(), manifest)));
    let mut offers = offers(source::look(paths, place), keyring, &clock, accepted, &mut refused);
    let offered: Vec<&Manifest> = offers.iter().map(|offer| offer.in_force.manifest.get()).collect();
    let here = Standing {
        in_force: accepted,
        highest: mark::highest(paths, &roots, kept.as_ref())?,
        least: Least { image: host::least_generation(paths)?, restart: roots.current.restart },
        threshold: keyring.threshold(),
        image: image.as_ref(),
        clock: &clock,
    };
    let choice = choose(&here, &offered);
    refused.extend(choice.refused.iter().map(|(at, class, why)| Refused {
        origin: offers[*at].origin.clone(),
        class: *class,
        why: why.clone(),
    }));
    refused.sort_by(|one, other| one.origin.cmp(&other.origin));

    let keep = |offer: Offer| -> Result<InForce, IntakeError> {
        if mode == Mode::Store {
            let record = Record { origin: offer.origin.to_string(), accepted_at: clock.now };
            let highest = offer.in_force.manifest.get().mark();
            let mark = Mark { highest, trust_version: roots.current.version };
            store::accept(paths, &mark, &Stored { record: Some(record), ..offer.stored })?;
        }
        Ok(offer.in_force)
    };
    if let Some(at) = choice.accepted {
        let change = Change::Accepted { from: accepted.map(|before| before.generation), to: offered[at].generation };
        let in_force = Some(keep(offers.swap_remove(at))?);
        return Ok(Intake { in_force, change, refused, notes });
    }
    let Some(kept) = kept else { return Ok(Intake { in_force: None, change: Change::Nothing, refused, notes }) };
    let mut in_force = kept.in_force;
    if kept.trust_version < roots.current.version {
        // The same manifest, signed again by a key that is trusted now, takes the place of the old signature.
        match offers.iter().position(|offer| offer.in_force.manifest.get().digest == in_force.manifest.get().digest) {
            Some(at) => in_force = keep(offers.swap_remove(at))?,
            None => notes.push(format!(
                "the manifest in force was signed under version {} of the trust, {} is in force; sign it again",
                kept.trust_version, roots.current.version
            )),
        }
    }
    Ok(Intake { in_force: Some(in_force), change: Change::Nothing, refused, notes })
}

/// What was accepted earlier.
struct Kept {
    in_force: InForce,
    /// The newest version of the trust whose keys signed it.
    trust_version: u64,
}

/// Opens what was accepted earlier, with the keys that were trusted then: taking a key away stops new input, and does
/// not take down what it signed.
fn kept(paths: &Paths, roots: &Roots, refused: &mut Vec<Refused>) -> Result<Option<Kept>, IntakeError> {
    let Some(stored) = store::current(paths)? else { return Ok(None) };
    let origin = Origin::Accepted(paths.manifests().join("current").join(source::DROPPED_MANIFEST));
    let found = stored.record.as_ref().map_or_else(|| origin.to_string(), |record| record.origin.clone());
    let open = |root: &Root| {
        open(&origin, found.clone(), &stored, &root.keyring, Purpose::InForce)
            .map(|in_force| Kept { in_force, trust_version: root.version })
    };
    match open(&roots.current) {
        Ok(kept) => Ok(Some(kept)),
        Err((class, why)) => {
            let earlier = roots.earlier.iter().rev().find_map(|root| open(root).ok());
            if earlier.is_none() {
                refused.push(Refused { origin, class, why });
            }
            Ok(earlier)
        }
    }
}

/// Everything that was found, is signed and is valid by itself, in the order of precedence.
fn offers(
    (candidates, broken): (Vec<Candidate>, Vec<source::Broken>),
    keyring: &Keyring,
    clock: &Clock,
    accepted: Option<&Manifest>,
    refused: &mut Vec<Refused>,
) -> Vec<Offer> {
    refused.extend(broken.into_iter().map(|broken| Refused {
        origin: broken.origin,
        class: match broken.error {
            PairError::Awaited(_) | PairError::BeingWritten(_) => Class::Awaited,
            _ => Class::NotTrusted,
        },
        why: chain(&broken.error),
    }));
    let mut offers = Vec::new();
    for Candidate { origin, bytes, signature } in candidates {
        let in_force = accepted.is_some_and(|manifest| manifest.digest == Digest::of(&bytes));
        let stored = Stored { bytes, signature, record: None };
        match open(&origin, origin.to_string(), &stored, keyring, Purpose::NewInput(clock)) {
            Ok(in_force) => offers.push(Offer { origin, stored, in_force }),
            // A copy of what is in force, whose key has expired or was taken away since: nothing to repair.
            Err(_) if in_force => {}
            Err((class, why)) => refused.push(Refused { origin, class, why }),
        }
    }
    offers
}

/// Verifies and then parses; nothing is parsed before.
fn open(
    origin: &Origin,
    found: String,
    stored: &Stored,
    keyring: &Keyring,
    purpose: Purpose<'_>,
) -> Result<InForce, (Class, String)> {
    let file = origin.to_string();
    let signed = trust::verify(stored.bytes.clone(), &stored.signature, keyring, purpose)
        .map_err(|error| (Class::NotTrusted, chain(&error)))?;
    let mut warnings = Vec::new();
    let manifest = signed
        .bytes
        .try_map(|bytes| {
            let Parsed { manifest, warnings: found } = parse(&file, &bytes)?;
            warnings = found.to_string().lines().map(str::to_owned).collect();
            Ok(manifest)
        })
        .map_err(|findings: Findings| match findings.heaviest() {
            Some(Weight::Unsafe) => (Class::Unsafe, findings.to_string()),
            _ => (Class::Invalid, findings.to_string()),
        })?;
    Ok(InForce { manifest, origin: found, signers: signed.signers, warnings })
}

#[cfg(test)]
mod tests;

//! Which of the offers is put in force, and why the others are not.

use crate::manifest::refusal::Class;
use crate::manifest::{Manifest, succession};
use crate::trust::clock::Clock;
use crate::trust::rollback::{self, Admission, HighWater, Least, RollbackError};
use crate::version::ImageVersion;

/// What this host holds every offer against.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    /// The manifest in force.
    pub in_force: Option<&'a Manifest>,
    /// The highest generation that counts.
    pub highest: Option<HighWater>,
    /// Below what nothing is accepted.
    pub least: Least,
    /// How many keys have to sign here.
    pub threshold: usize,
    /// The version of the image that runs here; none when it does not say.
    pub image: Option<&'a ImageVersion>,
    /// What time it is.
    pub clock: &'a Clock,
}

/// What [`choose`] decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Index of the offer that is put in force.
    pub accepted: Option<usize>,
    /// Index and reason of each offer that is not.
    pub refused: Vec<(usize, Class, String)>,
}

/// Which of the offers, in the order of precedence, is put in force.
pub(super) fn choose(here: &Standing<'_>, offers: &[&Manifest]) -> Choice {
    let mut choice = Choice { accepted: None, refused: Vec::new() };
    let mut acceptable: Vec<usize> = Vec::new();
    for (at, offer) in offers.iter().enumerate() {
        match judge(here, offer) {
            Ok(()) => acceptable.push(at),
            Err((class, why)) => choice.refused.push((at, class, why)),
        }
    }
    let Some(top) = acceptable.iter().map(|at| offers[*at].generation).max() else { return choice };
    let digests: std::collections::BTreeSet<_> =
        acceptable.iter().filter(|at| offers[**at].generation == top).map(|at| offers[*at].digest).collect();
    let forked = digests.len() > 1;
    for at in acceptable {
        let offer = offers[at];
        if offer.generation < top {
            choice.refused.push((at, Class::Stale, format!("generation {top} was dropped as well and is newer")));
        } else if forked {
            let why = format!(
                "there are {} different manifests of generation {top}, and other masters may see only one of them; \
                 give one of them a higher 'metadata.generation'",
                digests.len()
            );
            choice.refused.push((at, Class::Unsafe, why));
        } else if choice.accepted.is_none() && here.in_force.is_none_or(|in_force| in_force.digest != offer.digest) {
            choice.accepted = Some(at);
        }
        // What is left is a copy of what is accepted or in force: nothing to say of it.
    }
    choice.refused.sort_by_key(|(at, _, _)| *at);
    choice
}

/// Whether one offer, looked at alone, may be put in force.
fn judge(here: &Standing<'_>, offer: &Manifest) -> Result<(), (Class, String)> {
    let admission = rollback::admit(here.highest.as_ref(), &offer.mark(), here.least, here.threshold);
    let admission = admission.map_err(|error| {
        let class = match error {
            RollbackError::Older { .. } | RollbackError::BelowImage { .. } | RollbackError::BelowRestart { .. } => {
                Class::Stale
            }
            RollbackError::OtherContent { .. } | RollbackError::OtherCluster { .. } | RollbackError::Jump { .. } => {
                Class::Unsafe
            }
        };
        (class, error.to_string())
    })?;
    // The accepted one again. After a restart of the generations something else may be in force: then it counts as new.
    if admission == Admission::Same && here.in_force.is_none_or(|in_force| in_force.digest == offer.digest) {
        return Ok(());
    }
    if let Some(expired) = offer.expires_at.filter(|expires| *expires <= here.clock.now) {
        let why = format!(
            "generation {} expired at {expired}, before it was accepted here; issue a new generation",
            offer.generation
        );
        return Err((Class::Stale, why));
    }
    image_suffices(here.image, offer).map_err(|why| (Class::Unsafe, why))?;
    match here.in_force {
        Some(before) => succession::judge(before, offer).map_err(|error| (Class::Unsafe, error.to_string())),
        None => Ok(()),
    }
}

/// What to say when an older image than the manifest in force demands was booted. It stays in force: a date or a version
/// never takes a control plane down.
pub(super) fn image_lags(image: Option<&ImageVersion>, in_force: &Manifest) -> Option<String> {
    let least = in_force.min_image_version.as_ref().filter(|least| image.is_none_or(|image| image < *least))?;
    let runs = image.map_or_else(|| "one without a version".to_owned(), ImageVersion::to_string);
    Some(format!(
        "the manifest in force demands image version {least}, this host runs {runs}; update the image of this host"
    ))
}

/// Whether the image that runs here is as new as the manifest demands. A version that cannot be told is not new enough:
/// the demand is there because an older image would do something else with the manifest.
fn image_suffices(image: Option<&ImageVersion>, offer: &Manifest) -> Result<(), String> {
    match (&offer.min_image_version, image) {
        (Some(least), None) => Err(format!(
            "'metadata.minImageVersion' demands image version {least}, and this host does not know its own: os-release has \
             no IMAGE_VERSION; build the image with one (mkosi: 'ImageVersion='), or leave 'minImageVersion' out"
        )),
        (Some(least), Some(image)) if image < least => Err(format!(
            "'metadata.minImageVersion' demands image version {least}, this host runs {image}; update the image of this \
             host, the manifest is accepted then by itself"
        )),
        _ => Ok(()),
    }
}

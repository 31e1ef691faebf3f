//! Asking every member how it is, for status. No plan rests on it.

use super::client::Endpoint;
use super::highwater::Mark;
use super::material::Material;
use super::summary::{Answers, Summary, summarise};
use super::{Desired, LocalStatus, Observed, probe};
use futures_util::future::join_all;

/// Asks all members at once, each with the client's deadlines, and joins that with what was observed.
pub async fn survey(desired: &Desired, seen: &Observed) -> Summary {
    let answers = match &seen.material {
        Ok(material) => ask_all(desired, material).await,
        Err(_) => Answers::default(),
    };
    summarise(desired, seen, &answers)
}

async fn ask_all(desired: &Desired, material: &Material) -> Answers {
    let asked = desired.members.iter().map(|(name, address)| async move {
        let endpoint = Endpoint::open(name, *address, material).await.ok()?;
        let status = endpoint.status().await.ok()?;
        Some((name.clone(), endpoint, status))
    });
    let answered: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    let mut answers = Answers::default();
    // This master's own member first: it is the nearest. A learner serves no such read, so others follow.
    let own_first = answered.iter().filter(|(name, ..)| *name == desired.me);
    for (_, endpoint, _) in own_first.chain(answered.iter().filter(|(name, ..)| *name != desired.me)) {
        if let Ok(notices) = endpoint.notices().await {
            answers.notices = notices;
            break;
        }
    }
    if let Ok(tls) = material.client() {
        let clocks = desired.peers().map(|(name, address)| {
            let tls = tls.clone();
            async move { Some((name.clone(), probe::skew_ms(&tls, name, *address).await?)) }
        });
        answers.skew_ms = join_all(clocks).await.into_iter().flatten().collect();
    }
    answers.members = answered.into_iter().map(|(name, _, status)| (name, status)).collect();
    answers
}

/// Puts up this master's notice at its own member, and how far that is. Gives back how that member was before: what it had applied then is on
/// its disk by now, because the notice came after it in the log.
///
/// # Errors
/// Its member does not answer, or has no quorum.
pub async fn publish(
    desired: &Desired,
    material: &Material,
    text: Vec<u8>,
) -> Result<LocalStatus, super::client::ClientError> {
    let endpoint = Endpoint::open(&desired.me, desired.address, material).await?;
    let status = endpoint.status().await?;
    endpoint.put_mark(&desired.me, &Mark::of(&status)).await?;
    endpoint.put_notice(&desired.me, text).await?;
    Ok(status)
}

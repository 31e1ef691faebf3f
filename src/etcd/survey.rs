//! Asking every member how it is, for status. No plan rests on it.

use super::client::Endpoint;
use super::material::Material;
use super::summary::{Summary, summarise};
use super::{Desired, LocalStatus, Observed};
use crate::ident::NodeName;
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Asks all members at once, each with the client's deadlines, and joins that with what was observed.
pub async fn survey(desired: &Desired, seen: &Observed) -> Summary {
    let answers = match &seen.material {
        Ok(material) => ask_all(desired, material).await,
        Err(_) => BTreeMap::new(),
    };
    summarise(desired, seen, &answers)
}

async fn ask_all(desired: &Desired, material: &Material) -> BTreeMap<NodeName, LocalStatus> {
    let asked = desired.members.iter().map(|(name, address)| async move {
        let endpoint = Endpoint::open(name, *address, material).await.ok()?;
        Some((name.clone(), endpoint.status().await.ok()?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

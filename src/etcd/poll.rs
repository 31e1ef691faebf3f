//! Asking the listed members how they are, each at its own endpoint, all at once. [`super::condition`] judges what they say.

use super::LocalStatus;
use super::client::{ClientError, Endpoint};
use super::cluster::{Condition, Listed, Role, View};
use super::condition::{Answer, judge, unhealthy};
use super::material::Material;
use crate::ident::NodeName;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What the listed members said.
#[derive(Debug, Default)]
pub struct Poll {
    /// How each one is, by member id.
    pub conditions: BTreeMap<u64, Condition>,
    /// What those that answered say of themselves.
    pub answers: BTreeMap<u64, LocalStatus>,
}

/// Asks every listed member at its own endpoint, all at once.
pub async fn poll(view: &View, material: &Material) -> Poll {
    let asked = view.members.iter().map(|listed| async move { (listed.id, ask(listed, material).await) });
    let mut poll = Poll::default();
    for (member, answer) in join_all(asked).await {
        let listed = view.member(member);
        let condition = listed.map_or_else(|| unhealthy("it is not listed"), |listed| judge(view, listed, &answer));
        poll.conditions.insert(member, condition);
        poll.answers.extend(answer.ok().map(|answer| (member, answer.status)));
    }
    poll
}

async fn ask(listed: &Listed, material: &Material) -> Result<Answer, String> {
    let (name, address) = endpoint_of(listed).ok_or("it has never started")?;
    let answer = async {
        let endpoint = Endpoint::open(&name, address, material).await?;
        let status = endpoint.status().await?;
        // A learner serves no list.
        let members = if status.role == Role::Voter { Some(endpoint.members().await?) } else { None };
        Ok(Answer { status, members })
    };
    answer.await.map_err(|error: ClientError| error.to_string())
}

/// Where a listed member serves its clients, if it has ever run.
pub fn endpoint_of(listed: &Listed) -> Option<(NodeName, IpAddr)> {
    let authority = listed.client_urls.first()?.strip_prefix("https://")?;
    Some((listed.name.parse().ok()?, authority.parse::<SocketAddr>().ok()?.ip()))
}

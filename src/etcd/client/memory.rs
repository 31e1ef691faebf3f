//! What the cluster remembers of its past beside the genesis: the recovery that it came out of, and how far each member was.
//!
//! Read from the endpoint's own state, after the caller's linearizable read on it.

use super::{ClientError, Endpoint, GENESIS_KEY, READ_DEADLINE, WRITE_DEADLINE};
use crate::etcd::highwater::Mark;
use crate::etcd::recovery::Recovered;
use crate::ident::NodeName;
use etcd_client::{GetOptions, Txn, TxnOp};
use std::collections::BTreeMap;

/// The key under which a cluster remembers the recovery that it came out of.
const RECOVERY_KEY: &str = "/quorate/recovery";

/// Below it, one key per master with how far its member was; without a lease, for it is about those that were away.
const MARKS_KEY: &str = "/quorate/highwater/";

impl Endpoint {
    /// The recovery that the cluster came out of, as far as this member knows.
    pub(super) async fn recovered(&self) -> Result<Option<Recovered>, ClientError> {
        let mut client = self.client.clone();
        let options = GetOptions::new().with_serializable();
        let found = self.call("recovery record", READ_DEADLINE, client.get(RECOVERY_KEY, Some(options))).await?;
        Ok(found.kvs().first().and_then(|pair| serde_json::from_slice(pair.value()).ok()))
    }

    /// How far each master's member was when it last told, as far as this member knows.
    pub(super) async fn marks(&self) -> Result<BTreeMap<NodeName, Mark>, ClientError> {
        let mut client = self.client.clone();
        let options = GetOptions::new().with_serializable().with_prefix();
        let found = self.call("marks", READ_DEADLINE, client.get(MARKS_KEY, Some(options))).await?;
        Ok(found.kvs().iter().filter_map(mark).collect())
    }

    /// Records the recovery that the cluster came out of, and drops the genesis of the one before: what a master had
    /// agreed to then must not start here. One transaction, so that nobody reads half of it.
    ///
    /// # Errors
    /// There is no quorum or no answer.
    pub async fn record_recovery(&self, record: &Recovered) -> Result<(), ClientError> {
        let value = serde_json::to_vec(record).unwrap_or_default();
        let write = Txn::new().and_then([TxnOp::put(RECOVERY_KEY, value, None), TxnOp::delete(GENESIS_KEY, None)]);
        let mut client = self.client.clone();
        self.call("recovery record", WRITE_DEADLINE, client.txn(write)).await.map(drop)
    }

    /// Has the cluster remember how far the member of the master `from` is.
    ///
    /// # Errors
    /// There is no quorum or no answer.
    pub async fn put_mark(&self, from: &NodeName, mark: &Mark) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        let value = serde_json::to_vec(mark).unwrap_or_default();
        self.call("mark", WRITE_DEADLINE, client.put(format!("{MARKS_KEY}{from}"), value, None)).await.map(drop)
    }
}

fn mark(pair: &etcd_client::KeyValue) -> Option<(NodeName, Mark)> {
    let name = pair.key_str().ok()?.strip_prefix(MARKS_KEY)?.parse().ok()?;
    Some((name, serde_json::from_slice(pair.value()).ok()?))
}

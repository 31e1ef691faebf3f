//! etcd's own interface, one endpoint at a time, with a deadline on every call.
//!
//! The client library asks for member lists that are not linearizable and balances over endpoints without health
//! checks (etcd-client#12, #46, #47). So there is one client per endpoint, and [`Endpoint::view`] makes a linearizable
//! read first: what the same endpoint lists afterwards is at least that fresh (M2).

use super::cluster::{Listed, Role, View};
use super::genesis::{Nonce, Round};
use super::material::Material;
use super::recovery::Recovered;
use super::{CLIENT_PORT, LocalStatus, client_url};
use crate::ident::{Generation, NodeName};
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, GetOptions, Identity, LockOptions, PutOptions, TlsOptions,
    Txn, TxnOp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For a TCP connection to a member.
const CONNECT_DEADLINE: Duration = Duration::from_millis(700);
/// For a read. A healthy member answers in milliseconds, one without quorum not at all.
const READ_DEADLINE: Duration = Duration::from_millis(1500);
/// For a change: more than an election (1 s by default, twice when it splits) and a slow disk together.
const WRITE_DEADLINE: Duration = Duration::from_secs(7);

/// The key under which the cluster remembers its genesis.
pub const GENESIS_KEY: &str = "/quorate/genesis";

/// The key under which a cluster remembers the recovery that it came out of.
const RECOVERY_KEY: &str = "/quorate/recovery";

/// Below it, one key per master with what that master last told the others.
pub const NOTICES_KEY: &str = "/quorate/masters/";

/// How long a notice stands without being renewed, in seconds: some periods of the reconcile timer.
const NOTICE_S: i64 = 180;

/// What stands under [`GENESIS_KEY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenesisRecord {
    /// The etcd cluster id, in hexadecimal.
    pub etcd: String,
    /// The round that formed it.
    pub round: Round,
}

/// The key under which the cluster remembers the last change of its member list.
pub const MEMBERS_KEY: &str = "/quorate/members";
/// The lock that serialises such changes.
const TURN_KEY: &str = "/quorate/turn";
/// How long a turn lasts at most: longer than any one change with its deadlines, short enough to wait for.
pub const TURN_S: i64 = 20;

/// What stands under [`MEMBERS_KEY`]. Written before a change as intended and after it as done: after a crash on-call
/// sees what was under way, and a master with an older manifest sees that its list is no longer the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRecord {
    /// The manifest that asks for it.
    pub generation: Generation,
    /// The master that makes it.
    pub by: NodeName,
    /// In words.
    pub change: String,
    /// How far it is.
    pub stage: Stage,
}

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// About to be made; after a crash it may or may not have been.
    Intended,
    /// Made, and seen in the list.
    Done,
}

/// The turn to change the member list.
#[derive(Debug)]
pub struct Turn {
    lease: i64,
}

/// Why a call to etcd gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers at the endpoint.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// The endpoint.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// The deadline passed. For a change this is ambiguous: it may have been made.
    #[error("{call} at {address} was not answered in time")]
    TimedOut {
        /// The call.
        call: &'static str,
        /// The endpoint.
        address: SocketAddr,
    },
    /// etcd said no.
    #[error("{call} at {address} was refused: {message}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The endpoint.
        address: SocketAddr,
        /// etcd's words.
        message: String,
    },
    /// The answer lacks what it must have.
    #[error("{call} at {address} gave an incomplete answer")]
    Incomplete {
        /// The call.
        call: &'static str,
        /// The endpoint.
        address: SocketAddr,
    },
}

/// One member's client endpoint.
#[derive(Clone)]
pub struct Endpoint {
    name: NodeName,
    address: SocketAddr,
    client: Client,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Opens the endpoint of the master `name`.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn open(name: &NodeName, address: IpAddr, material: &Material) -> Result<Self, ClientError> {
        let url = client_url(address);
        let address = SocketAddr::new(address, CLIENT_PORT);
        let unreachable = |why: String| ClientError::Unreachable { address, why };
        // The library connects lazily and then retries in silence, so a dead member would cost a whole read
        // deadline. This says at once what is the matter.
        timeout(CONNECT_DEADLINE, TcpStream::connect(address))
            .await
            .map_err(|_| unreachable("no answer".into()))?
            .map_err(|error| unreachable(error.to_string()))?;
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(material.ca()))
            .identity(Identity::from_pem(material.certificate(), material.key()))
            .domain_name(name.as_str());
        let options = ConnectOptions::new().with_tls(tls).with_connect_timeout(CONNECT_DEADLINE);
        let client = Client::connect([url], Some(options)).await.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { name: name.clone(), address, client })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A stream of this endpoint that broke off, in this file's words.
    pub fn broken(&self, call: &'static str, error: &etcd_client::Error) -> ClientError {
        ClientError::Refused { call, address: self.address, message: error.to_string() }
    }

    /// What the member says of itself. Answered without quorum.
    ///
    /// # Errors
    /// No answer, or an incomplete one.
    pub async fn status(&self) -> Result<LocalStatus, ClientError> {
        let mut client = self.client.clone();
        let status = self.call("status", READ_DEADLINE, client.status()).await?;
        let header = status.header().ok_or(ClientError::Incomplete { call: "status", address: self.address })?;
        Ok(LocalStatus {
            cluster: header.cluster_id(),
            member: header.member_id(),
            version: status.version().to_owned(),
            role: if status.is_learner() { Role::Learner } else { Role::Voter },
            leader: Some(status.leader()).filter(|leader| *leader != 0),
            applied: status.raft_applied_index(),
            alarms: status.errors().iter().filter(|error| error.contains("alarm")).cloned().collect(),
        })
    }

    /// The member list behind a linearizable read of what the cluster records of itself.
    ///
    /// # Errors
    /// There is no quorum, or the endpoint is a learner, or it does not answer.
    pub async fn view(&self) -> Result<View, ClientError> {
        let mut client = self.client.clone();
        let genesis = self.call("quorum read", READ_DEADLINE, client.get(GENESIS_KEY, None)).await?;
        let change = self.call("quorum read", READ_DEADLINE, client.get(MEMBERS_KEY, None)).await?;
        let recovered = self.call("quorum read", READ_DEADLINE, client.get(RECOVERY_KEY, None)).await?;
        let list = self.call("member list", READ_DEADLINE, client.member_list()).await?;
        let status = self.status().await?;
        let cluster = list.header().map(etcd_client::ResponseHeader::cluster_id).unwrap_or_default();
        if cluster == 0 || status.cluster != cluster {
            return Err(ClientError::Incomplete { call: "member list", address: self.address });
        }
        Ok(View {
            cluster,
            members: list.members().iter().map(listed).collect(),
            leader: status.leader.unwrap_or_default(),
            genesis: genesis.kvs().first().and_then(|pair| genesis_nonce(pair.value())),
            generation: change.kvs().first().and_then(|pair| changed_by(pair.value())),
            recovered: recovered.kvs().first().and_then(|pair| serde_json::from_slice(pair.value()).ok()),
            from: self.name.clone(),
        })
    }

    /// Records the genesis, unless a record is there.
    ///
    /// # Errors
    /// There is no quorum or no answer.
    pub async fn record_genesis(&self, record: &GenesisRecord) -> Result<(), ClientError> {
        let value = serde_json::to_vec(record).unwrap_or_default();
        let write = Txn::new()
            .when([Compare::create_revision(GENESIS_KEY, CompareOp::Equal, 0)])
            .and_then([TxnOp::put(GENESIS_KEY, value, None)]);
        let mut client = self.client.clone();
        self.call("genesis record", WRITE_DEADLINE, client.txn(write)).await.map(drop)
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

    /// Adds a learner.
    ///
    /// # Errors
    /// See [`ClientError`]; a time-out is ambiguous.
    pub async fn add_learner(&self, peer_url: &str) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        let learner = etcd_client::MemberAddOptions::new().with_is_learner();
        self.call("member add", WRITE_DEADLINE, client.member_add([peer_url], Some(learner))).await.map(drop)
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    /// See [`ClientError`]; a time-out is ambiguous.
    pub async fn promote(&self, member: u64) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        self.call("member promote", WRITE_DEADLINE, client.member_promote(member)).await.map(drop)
    }

    /// Puts up a notice of the master `from`, for [`NOTICE_S`] seconds.
    ///
    /// # Errors
    /// There is no quorum or no answer.
    pub async fn put_notice(&self, from: &NodeName, text: Vec<u8>) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        let lease = self.call("lease grant", WRITE_DEADLINE, client.lease_grant(NOTICE_S, None)).await?;
        let options = PutOptions::new().with_lease(lease.id());
        let key = format!("{NOTICES_KEY}{from}");
        self.call("notice", WRITE_DEADLINE, client.put(key, text, Some(options))).await.map(drop)
    }

    /// Every notice that this member knows of; answered without quorum.
    ///
    /// # Errors
    /// No answer.
    pub async fn notices(&self) -> Result<BTreeMap<NodeName, Vec<u8>>, ClientError> {
        let mut client = self.client.clone();
        let options = GetOptions::new().with_prefix().with_serializable();
        let found = self.call("notices", READ_DEADLINE, client.get(NOTICES_KEY, Some(options))).await?;
        let named = |pair: &etcd_client::KeyValue| {
            let name = pair.key_str().ok()?.strip_prefix(NOTICES_KEY)?.parse().ok()?;
            Some((name, pair.value().to_vec()))
        };
        Ok(found.kvs().iter().filter_map(named).collect())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// See [`ClientError`]; a time-out is ambiguous.
    pub async fn remove(&self, member: u64) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        self.call("member remove", WRITE_DEADLINE, client.member_remove(member)).await.map(drop)
    }

    /// Hands leadership to another member; only the leader's own endpoint does this.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn move_leader(&self, to: u64) -> Result<(), ClientError> {
        let mut client = self.client.clone();
        self.call("move leader", WRITE_DEADLINE, client.move_leader(to)).await.map(drop)
    }

    /// Opens the stream of a snapshot.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn snapshot(&self) -> Result<etcd_client::SnapshotStreaming, ClientError> {
        let mut client = self.client.clone();
        self.call("snapshot", WRITE_DEADLINE, client.snapshot()).await
    }

    /// Takes the turn to change the member list. It ends by itself after [`TURN_S`], should this process die.
    ///
    /// # Errors
    /// Somebody else has it for longer than a change takes, or see [`ClientError`].
    pub async fn take_turn(&self) -> Result<Turn, ClientError> {
        let mut client = self.client.clone();
        let lease = self.call("lease", WRITE_DEADLINE, client.lease_grant(TURN_S, None)).await?.id();
        let options = LockOptions::new().with_lease(lease);
        let taken = self.call("lock", WRITE_DEADLINE, client.lock(TURN_KEY, Some(options))).await;
        if taken.is_err() {
            // Still queued for the lock: without its lease it leaves the queue.
            let _revoked = self.call("lease", READ_DEADLINE, client.lease_revoke(lease)).await;
        }
        taken.map(|_| Turn { lease })
    }

    /// Gives the turn back. Failing at it costs the others [`TURN_S`] at most.
    pub async fn give_turn(&self, turn: Turn) {
        let mut client = self.client.clone();
        let _revoked = self.call("lease", READ_DEADLINE, client.lease_revoke(turn.lease)).await;
    }

    /// Records what is about to be changed, or that it was.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn record_change(&self, record: &ChangeRecord) -> Result<(), ClientError> {
        let value = serde_json::to_vec(record).unwrap_or_default();
        let mut client = self.client.clone();
        self.call("change record", WRITE_DEADLINE, client.put(MEMBERS_KEY, value, None)).await.map(drop)
    }

    async fn call<T>(
        &self,
        call: &'static str,
        deadline: Duration,
        work: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, ClientError> {
        let address = self.address;
        match timeout(deadline, work).await {
            Err(_) => Err(ClientError::TimedOut { call, address }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(etcd_client::Error::GRpcStatus(status))) => {
                Err(ClientError::Refused { call, address, message: status.message().to_owned() })
            }
            Ok(Err(error)) => Err(ClientError::Refused { call, address, message: error.to_string() }),
        }
    }
}

impl ClientError {
    /// Whether etcd's refusal contains these words (reference: match code and text; the words are stable across 3.4 to 3.6).
    pub fn says(&self, words: &str) -> bool {
        matches!(self, ClientError::Refused { message, .. } if message.contains(words))
    }
}

fn listed(member: &etcd_client::Member) -> Listed {
    Listed {
        id: member.id(),
        name: member.name().to_owned(),
        peer_urls: member.peer_urls().to_vec(),
        client_urls: member.client_urls().to_vec(),
        role: if member.is_learner() { Role::Learner } else { Role::Voter },
    }
}

fn changed_by(value: &[u8]) -> Option<Generation> {
    serde_json::from_slice::<ChangeRecord>(value).ok().map(|record| record.generation)
}

fn genesis_nonce(value: &[u8]) -> Option<Nonce> {
    serde_json::from_slice::<GenesisRecord>(value).ok().map(|record| record.round.nonce)
}

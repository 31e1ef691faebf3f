//! The conversation of genesis over mTLS: the agent that answers, and the loop that asks.
//!
//! The agent listens from its first use until it is dropped, also while etcd is starting, so that a slow master still
//! hears of a commitment. It knows two requests: `GET /attestation`, answered from disk at that moment, and
//! `POST /prepare`. The caller is who its certificate says, and only masters of the manifest are heard.
//!
//! [`Agent::converse`] polls all others and carries out what [`machine::next`] says. It may be dropped at any
//! await point: what was decided is durable by then or was not decided.

use super::machine::{self, Answer, Heard, Move, Prepare};
use super::{Attestation, Nonce, Round, marker};
use crate::durable::DurableError;
use crate::etcd::cluster::{Evidence, PeerSeen, evidence};
use crate::etcd::material::{self, Material, MaterialError};
use crate::etcd::{AGENT_PORT, Desired, EtcdError, observe, probe};
use crate::ident::NodeName;
use crate::paths::Paths;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Between two polls while something moves: every pause is then part of the time to the first write.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How many polls without news count as moving still: about a second.
const BUSY_POLLS: u32 = 20;
/// Between two polls while nothing moves. A poll is one TLS handshake per peer, some milliseconds of work.
const CALM_PAUSE: Duration = Duration::from_millis(300);
/// For one request to be read and answered, from the accepted connection on.
const SERVE_DEADLINE: Duration = Duration::from_secs(3);
/// Connections served at a time: a few per master, so that nobody fills this host's memory.
const CONNECTIONS: usize = 16;

/// How genesis ended for this master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its marker allows the start.
    Committed,
    /// A cluster that has run shows itself: this master joins it.
    ClusterFound,
}

/// This master's side of genesis: its desired state, its disk, and the listener.
#[derive(Debug)]
pub struct Agent {
    core: Arc<Core>,
    listening: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[derive(Debug)]
struct Core {
    desired: Desired,
    paths: Paths,
    tls: Arc<ClientConfig>,
    /// Read, decide and write are one: two requests at a time must not both find nothing and note different rounds.
    turn: Mutex<()>,
}

impl Agent {
    /// Starts listening for `desired`.
    ///
    /// # Errors
    /// The key material is not usable, or the port cannot be opened (yet: the address may still be missing).
    pub async fn listen(desired: &Desired, paths: &Paths, material: &Material) -> Result<Self, EtcdError> {
        let unusable = |source: MaterialError| EtcdError::Material { place: paths.node_pki(), source };
        let server = material.server().map_err(unusable)?;
        let tls = material.client().map_err(unusable)?;
        let address = SocketAddr::new(desired.address, AGENT_PORT);
        let listener = TcpListener::bind(address).await.map_err(|source| EtcdError::Listen { address, source })?;
        let core = Arc::new(Core { desired: desired.clone(), paths: paths.clone(), tls, turn: Mutex::new(()) });
        let listening = tokio::spawn(serve(listener, TlsAcceptor::from(server), core.clone()));
        Ok(Self { core, listening })
    }

    /// Whom this agent speaks for.
    pub fn desired(&self) -> &Desired {
        &self.core.desired
    }

    /// Takes part until this master is committed, a cluster shows itself, or `until` passes. `progress` hears for
    /// whom it waits, whenever that changes.
    ///
    /// # Errors
    /// The deadline, a refusal with its fact, or a marker that could not be written.
    pub async fn converse(&self, until: Instant, progress: &dyn Fn(&str)) -> Result<Outcome, EtcdError> {
        let what = || "the first formation of the etcd cluster".to_owned();
        let mut said = String::new();
        let mut calm_polls = 0;
        loop {
            let (heard, seen) = self.core.poll().await;
            if let Evidence::NoQuorum { .. } = evidence(None, &seen) {
                return Ok(Outcome::ClusterFound);
            }
            let state = match self.core.advance(&heard)? {
                Move::Persist(_) => continue,
                Move::Done => return Ok(Outcome::Committed),
                Move::Refuse { why } => return Err(EtcdError::Refused { what: what(), why }),
                Move::Ask { round, to } => wording(&self.core.ask(&round, &to).await),
                Move::Wait { on } => wording(&on),
            };
            calm_polls = if state == said { calm_polls + 1 } else { 0 };
            if calm_polls == 0 && !state.is_empty() {
                progress(&format!("waiting for {state}"));
            }
            said = state;
            let pause = if calm_polls < BUSY_POLLS { BUSY_PAUSE } else { CALM_PAUSE };
            if Instant::now() + pause >= until {
                return Err(EtcdError::Waiting { what: what(), whom: said });
            }
            sleep(pause).await;
        }
    }
}

impl Core {
    /// What this master holds right now.
    fn attest(&self) -> Attestation {
        Attestation {
            node: self.desired.me.clone(),
            cluster: self.desired.cluster.clone(),
            generation: self.desired.generation,
            digest: self.desired.digest,
            data: observe::data_directory(&self.paths),
            held: marker::read(&self.paths),
            clock_s: unix_s(),
        }
    }

    /// One decision of this master on its own behalf; its durable part is carried out before it is returned.
    fn advance(&self, heard: &BTreeMap<NodeName, Heard>) -> Result<Move, EtcdError> {
        let fresh = nonce()?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let next = machine::next(&self.desired, &self.attest(), heard, fresh);
        if let Move::Persist(marker) = &next {
            marker::write(&self.paths, marker)?;
        }
        Ok(next)
    }

    /// The answer to a peer's request to prepare; durable before it is given.
    fn prepare(&self, from: &NodeName, request: &Prepare) -> Result<Result<(), String>, DurableError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match machine::prepare(&self.desired, &self.attest(), from, request) {
            Answer::Persist(marker) => marker::write(&self.paths, &marker).map(Ok),
            Answer::Held => Ok(Ok(())),
            Answer::Refuse(why) => Ok(Err(why)),
        }
    }

    /// Asks all others at once what they hold, and looks at the peer port of those whose agent does not answer:
    /// a master that is past genesis has no agent any more.
    async fn poll(&self) -> (BTreeMap<NodeName, Heard>, BTreeMap<NodeName, PeerSeen>) {
        let asked = self.desired.peers().map(|(name, address)| async move {
            let heard = match self.attestation(name, SocketAddr::new(*address, AGENT_PORT)).await {
                Ok(attestation) => {
                    return (name.clone(), Heard::Attested(Box::new(attestation)), PeerSeen::NotListening);
                }
                Err(why) => Heard::Silent { why },
            };
            (name.clone(), heard, probe::members(&self.tls, name, *address).await)
        });
        let (mut heard, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for (name, answer, port) in join_all(asked).await {
            heard.insert(name.clone(), answer);
            seen.insert(name, port);
        }
        (heard, seen)
    }

    async fn attestation(&self, name: &NodeName, address: SocketAddr) -> Result<Attestation, String> {
        let request = Request::get("/attestation").header("host", address.to_string()).body(Full::default());
        let request = request.map_err(|error| error.to_string())?;
        let answer = probe::exchange(&self.tls, name, address, request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it does not attest to this master: {}", String::from_utf8_lossy(answer.body())));
        }
        let attestation: Attestation = serde_json::from_slice(answer.body())
            .map_err(|error| format!("it attests in words that this version does not know: {error}"))?;
        if attestation.node != *name {
            return Err(format!("it calls itself {}", attestation.node));
        }
        Ok(attestation)
    }

    /// Asks these masters to note the round; returns those that did not, with their reason.
    async fn ask(&self, round: &Round, to: &[NodeName]) -> BTreeMap<NodeName, String> {
        let request =
            Prepare { generation: self.desired.generation, digest: self.desired.digest, round: round.clone() };
        let body = Bytes::from(serde_json::to_vec(&request).unwrap_or_default());
        let asked =
            to.iter().filter_map(|name| Some((name, *self.desired.members.get(name)?))).map(|(name, address)| {
                let body = body.clone();
                async move {
                    let address = SocketAddr::new(address, AGENT_PORT);
                    let request = Request::post("/prepare").header("host", address.to_string()).body(Full::new(body));
                    let why = match request {
                        Err(error) => error.to_string(),
                        Ok(request) => match probe::exchange(&self.tls, name, address, request).await {
                            Ok(answer) if answer.status() == StatusCode::NO_CONTENT => return None,
                            Ok(answer) => String::from_utf8_lossy(answer.body()).into_owned(),
                            Err(error) => error.to_string(),
                        },
                    };
                    Some((name.clone(), why))
                }
            });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Answers one request of `from`.
    async fn answer(&self, from: &NodeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/attestation") => match serde_json::to_vec(&self.attest()) {
                Ok(body) => reply(StatusCode::OK, body),
                Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            (&Method::POST, "/prepare") => {
                let body = Limited::new(request.into_body(), probe::BODY_LIMIT_BYTES).collect().await;
                let request = match body.map(|body| serde_json::from_slice::<Prepare>(&body.to_bytes())) {
                    Ok(Ok(request)) => request,
                    Ok(Err(error)) => return reply(StatusCode::BAD_REQUEST, error.to_string()),
                    Err(error) => return reply(StatusCode::BAD_REQUEST, error.to_string()),
                };
                match self.prepare(from, &request) {
                    Ok(Ok(())) => reply(StatusCode::NO_CONTENT, Bytes::new()),
                    Ok(Err(why)) => reply(StatusCode::CONFLICT, why),
                    Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                }
            }
            _ => reply(StatusCode::NOT_FOUND, "there is '/attestation' and '/prepare'"),
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, core: Arc<Core>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors or the like: it passes, and spinning on it would not help.
            sleep(CALM_PAUSE).await;
            continue;
        };
        let (acceptor, core) = (acceptor.clone(), core.clone());
        tokio::spawn(async move {
            // A caller that fails in any way is only dropped: it asks again, and there is nobody to tell.
            let _ended = timeout(SERVE_DEADLINE, serve_one(stream, acceptor, core)).await;
            drop(slot);
        });
    }
}

async fn serve_one(stream: TcpStream, acceptor: TlsAcceptor, core: Arc<Core>) -> Option<()> {
    let stream = acceptor.accept(stream).await.ok()?;
    let certificate = stream.get_ref().1.peer_certificates()?.first()?.clone();
    let from = material::names(&certificate).into_iter().find(|name| core.desired.members.contains_key(name));
    let service = service_fn(move |request| {
        let (core, from) = (core.clone(), from.clone());
        async move {
            Ok::<_, std::convert::Infallible>(match from {
                Some(from) => core.answer(&from, request).await,
                None => reply(StatusCode::FORBIDDEN, "this certificate names no master of the manifest"),
            })
        }
    });
    hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok()
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

fn wording(on: &BTreeMap<NodeName, String>) -> String {
    on.iter().map(|(name, why)| format!("{name} ({why})")).collect::<Vec<_>>().join(", ")
}

fn nonce() -> Result<Nonce, EtcdError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| EtcdError::Random(error.to_string()))?;
    Ok(Nonce::of(bytes))
}

#[expect(clippy::disallowed_methods, reason = "a driver: it tells the others what time it is here")]
fn unix_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

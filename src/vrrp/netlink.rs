//! A route netlink socket for requests that wait for their answer. Threads that may wait use it; the VRRP loop does not.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel answers a request in microseconds; one that takes longer than this waits for somebody's bulk change.
const ANSWER_DEADLINE_S: i64 = 5;
/// Dumps come in pieces of at most this size (netlink(7) recommends 8 KiB; the kernel uses up to 32 KiB).
const PIECE: usize = 64 * 1024;

/// Why a request to the kernel failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be made.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// Sending or receiving failed.
    #[error("cannot talk to the kernel over netlink")]
    Talk(#[source] io::Error),
    /// The kernel said no.
    #[error("the kernel refused to {attempt}")]
    Refused {
        /// What was asked.
        attempt: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// What came back is not netlink.
    #[error("the kernel's answer cannot be read: {0}")]
    Answer(String),
}

impl NetlinkError {
    /// Whether the kernel refused with this error number.
    pub fn is(&self, number: i32) -> bool {
        matches!(self, NetlinkError::Refused { source, .. } if source.raw_os_error() == Some(number))
    }
}

/// A socket for requests.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
    sequence: u32,
}

impl Route {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the kernel has no socket for us.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: open(NETLINK_ROUTE, 0).map_err(NetlinkError::Open)?, sequence: 0 })
    }

    /// Sends one change and waits for the kernel's verdict.
    ///
    /// # Errors
    /// When the kernel refuses or does not answer.
    pub fn change(
        &mut self,
        attempt: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.exchange(attempt, message, NLM_F_ACK | flags).map(|_| ())
    }

    /// Asks for everything of one kind.
    ///
    /// # Errors
    /// When the kernel refuses or does not answer.
    pub fn dump(
        &mut self,
        attempt: &'static str,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.exchange(attempt, message, NLM_F_DUMP)
    }

    fn exchange(
        &mut self,
        attempt: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        let request = serialise(request);
        self.socket.send(&request, 0).map_err(NetlinkError::Talk)?;
        let mut found = Vec::new();
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            self.socket.recv(&mut piece, 0).map_err(NetlinkError::Talk)?;
            for answer in messages::<RouteNetlinkMessage>(&piece) {
                let answer = answer?;
                // An answer that came after its deadline belongs to an earlier request.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => found.push(message),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(error) => match error.code {
                        None => return Ok(found),
                        Some(code) => {
                            let source = io::Error::from_raw_os_error(code.get().saturating_abs());
                            return Err(NetlinkError::Refused { attempt, source });
                        }
                    },
                    _ => {}
                }
            }
        }
    }
}

/// Opens a netlink socket of `protocol` that joins `groups`.
pub(super) fn open(protocol: isize, groups: u32) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, groups))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let deadline = TimeVal::seconds(ANSWER_DEADLINE_S);
    setsockopt(&borrow(&socket), sockopt::ReceiveTimeout, &deadline)?;
    Ok(socket)
}

/// The descriptor of a netlink socket in the form that nix takes.
pub(super) fn borrow(socket: &Socket) -> BorrowedFd<'_> {
    super::socket::borrow(socket.as_raw_fd(), socket)
}

/// The bytes of a message.
pub(super) fn serialise<M: NetlinkSerializable>(mut message: NetlinkMessage<M>) -> Vec<u8> {
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The messages in one piece that was received.
pub(super) fn messages<M: NetlinkDeserializable>(
    piece: &[u8],
) -> impl Iterator<Item = Result<NetlinkMessage<M>, NetlinkError>> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match NetlinkMessage::<M>::deserialize(rest) {
            Ok(message) => {
                let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
                rest = rest.get(length.max(16)..).unwrap_or_default();
                Some(Ok(message))
            }
            Err(error) => {
                rest = &[];
                Some(Err(NetlinkError::Answer(error.to_string())))
            }
        }
    })
}

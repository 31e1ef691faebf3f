//! Listens at every port of the switch and keeps what it hears, in order.

use super::clock::Moment;
use super::frame::{Frame, Heard, hear};
use super::lab::Lab;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A packet socket also sees what the switch sends out of a port; that frame was heard when it came in.
const PACKET_OUTGOING: u8 = 4;
/// How often a waiter looks. Nothing is measured by it: every frame has its stamp.
const LOOK: Duration = Duration::from_millis(2);
/// Room for what 255 virtual routers send while the observer is not scheduled.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// A running observer; it ends with this value.
#[derive(Debug)]
pub struct Observer {
    heard: Arc<Mutex<Vec<Frame>>>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    pub fn start(lab: &Lab) -> Self {
        let ports: Vec<usize> = lab.hosts.iter().map(|host| host.port as usize).collect();
        let socket = lab.switch.within(open);
        let (heard, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (Arc::clone(&heard), Arc::clone(&done));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !until.load(Ordering::Relaxed) {
                if let Some(frame) = receive(&socket, &ports, &mut buffer) {
                    into.lock().unwrap().push(frame);
                }
            }
        });
        Self { heard, done, thread: Some(thread) }
    }

    /// Forgets everything heard so far.
    pub fn clear(&self) {
        self.heard.lock().unwrap().clear();
    }

    /// Everything heard since the last [`Observer::clear`].
    pub fn frames(&self) -> Vec<Frame> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits for the first frame, from `since` on, that satisfies `wanted`.
    pub fn wait(&self, since: Moment, limit: Duration, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let deadline = Instant::now() + limit;
        let mut looked = 0;
        loop {
            {
                let heard = self.heard.lock().unwrap();
                let found = heard[looked..].iter().find(|frame| frame.at >= since && wanted(frame)).copied();
                looked = heard.len();
                if found.is_some() {
                    return found;
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits for an advertisement of `host` that is not a resignation.
    pub fn wait_active(&self, host: usize, since: Moment, limit: Duration) -> Option<Frame> {
        self.wait(since, limit, |frame| {
            frame.host == host && matches!(frame.heard, Heard::Advert(advert) if advert.priority > 0)
        })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open() -> OwnedFd {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).unwrap();
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
    socket
}

/// The next frame that came in by a port and says something; nothing if there was none for a while.
fn receive(socket: &OwnedFd, ports: &[usize], buffer: &mut [u8]) -> Option<Frame> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut pieces = [IoSliceMut::new(buffer)];
    let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut pieces, Some(&mut control), MsgFlags::empty()).ok()?;
    let from = message.address?;
    if from.pkttype() == PACKET_OUTGOING {
        return None;
    }
    let host = ports.iter().position(|port| *port == from.ifindex())?;
    let at = message.cmsgs().ok()?.find_map(|item| match item {
        ControlMessageOwned::ScmTimestampns(time) => Some(Moment(time.tv_sec() * 1_000_000_000 + time.tv_nsec())),
        _ => None,
    })?;
    let length = message.bytes;
    Some(Frame { at, host, heard: hear(buffer.get(..length)?)? })
}

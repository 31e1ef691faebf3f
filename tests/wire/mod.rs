//! A measuring bench for VRRP speakers: hosts on a switch, each a network namespace, and an observer that stands on the switch.
//!
//! The interoperation tests and the benchmark include this folder. It shares no code with the daemon, not even the packet format:
//! what judges a speaker must not repeat the speaker's mistakes. All times come from the kernel, which stamps every frame as it
//! enters the switch; the port it enters by says which host sent it, whatever its source address claims.
//!
//! Nothing outlives a run. [`world`] moves the whole program into process, mount and network namespaces of its own, which
//! the kernel takes down with everything in them when the program ends, however it ends. The machine's network is never touched.

#![allow(dead_code, reason = "each program that includes this folder uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot be built has nothing to say but where it broke")]
#![allow(unused_imports, reason = "each program that includes this folder uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "a bench is made of other programs: ip, keepalived, FRR")]

pub mod clock;
pub mod frame;
pub mod frr;
pub mod keepalived;
pub mod lab;
pub mod namespace;
pub mod observer;
pub mod prober;
pub mod process;
pub mod quorate;
pub mod router;
pub mod speaker;
pub mod world;

pub use clock::Moment;
pub use frame::{Advert, Form, Frame, Heard};
pub use lab::{Host, Lab};
pub use observer::Observer;
pub use prober::Prober;
pub use router::{Router, Version};
pub use speaker::{Kind, Speaker};

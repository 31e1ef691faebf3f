//! The sources of a manifest, each with its real carrier: volumes written by the programs that write them everywhere,
//! block devices of the kernel, an HTTPS server.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "mkfs, genisoimage and losetup are the peers of these tests")]

mod carrier;
mod command_line;
mod server;
mod volume;
#[allow(dead_code)]
#[path = "../wire/world.rs"]
mod world;

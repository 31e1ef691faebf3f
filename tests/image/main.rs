//! `make image-test`: the disk image itself, booted by firmware in a virtual machine.
//!
//! What the lab cannot show on containers: firmware, UKI, dm-verity, a first boot that makes its own `/var`, credentials
//! from firmware. One master of a test cluster of one is enough for that; what three masters do together is the lab's.
//! Without KVM a boot takes minutes, so this runs on request and not with `cargo test`.

#![expect(clippy::disallowed_methods, reason = "a test drives real programs by the real clock")]

#[path = "../lab/harness/mod.rs"]
mod harness;
mod machine;
mod scenarios;
mod world;

use harness::runner::scenarios;

fn main() -> anyhow::Result<std::process::ExitCode> {
    harness::runner::main(scenarios![
        scenarios::a_master_without_a_manifest_boots_and_says_on_its_console_what_it_waits_for,
        scenarios::nothing_of_the_image_can_be_written,
        scenarios::a_manifest_from_firmware_credentials_converges,
        scenarios::after_a_power_cut_it_converges_without_any_drop,
        scenarios::a_flipped_byte_of_the_image_stops_the_boot,
    ])
}

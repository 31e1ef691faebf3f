//! `make image-test`: the disk image itself, booted by firmware in a virtual machine, as one master of three.
//!
//! What the lab cannot show on containers: firmware, UKI, dm-verity, a first boot that makes its own `/var`, credentials
//! from firmware, an update and what happens when it is broken. Without KVM a boot takes a minute on an idle machine and
//! several on a busy one, so `tests/run` starts it last and `cargo test` leaves it out.

#![expect(clippy::disallowed_methods, reason = "a test drives real programs by the real clock")]

mod cluster;
mod damage;
#[path = "../lab/harness/mod.rs"]
mod harness;
mod machine;
mod scenarios;
mod serial;
mod update;
#[allow(dead_code, reason = "the bench builds again")]
mod versions;
mod world;

use harness::runner::scenarios;

fn main() -> anyhow::Result<std::process::ExitCode> {
    harness::runner::main(scenarios![
        scenarios::as_a_directory_it_passes_the_gate_and_carries_no_kernel,
        scenarios::a_master_without_a_manifest_boots_and_says_on_its_console_what_it_waits_for,
        scenarios::the_firmware_enforces_the_signature_of_the_image,
        scenarios::nothing_of_the_image_can_be_written,
        scenarios::a_volume_plugged_into_the_waiting_master_makes_three_converge,
        scenarios::after_a_power_cut_of_the_site_it_converges_without_any_drop,
        update::an_update_boots_and_is_blessed,
        update::a_rollback_boots_the_version_before,
        update::a_version_that_never_proves_itself_gives_way_to_the_one_before,
        scenarios::a_reinstalled_master_takes_the_manifest_from_its_firmware_and_rejoins,
        damage::a_flipped_byte_of_the_root_stops_the_kernel_and_starts_the_machine_again,
        damage::a_root_that_cannot_be_opened_starts_the_machine_again,
        damage::a_kernel_that_is_not_as_signed_is_refused_by_the_firmware,
    ])
}

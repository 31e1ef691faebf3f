//! The scenarios by subject. Names are sentences.

mod boot;

use super::harness::Lab;

/// A scenario with its name.
pub type Named = (&'static str, fn(&mut Lab) -> anyhow::Result<()>);

/// All of them, in the order in which they run.
pub const SCENARIOS: &[Named] = &[
    (
        "masters_boot_with_their_own_address_and_no_failed_unit",
        boot::masters_boot_with_their_own_address_and_no_failed_unit,
    ),
    (
        "every_unit_is_found_correct_by_the_systemd_of_the_image",
        boot::every_unit_is_found_correct_by_the_systemd_of_the_image,
    ),
    ("drop_directories_are_for_root_alone", boot::drop_directories_are_for_root_alone),
    ("a_master_after_a_power_cut_is_the_same_machine", boot::a_master_after_a_power_cut_is_the_same_machine),
    ("a_cut_cable_is_a_lost_carrier", boot::a_cut_cable_is_a_lost_carrier),
];

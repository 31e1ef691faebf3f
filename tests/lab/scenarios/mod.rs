//! The scenarios by subject. Names are sentences.

mod boot;
mod builders;
mod converge;
mod faults;
mod leave;
mod oncall;
mod progress;
mod recovery;
mod sources;
mod trial;
mod vip;

use super::harness::Lab;
use super::harness::runner::{Named, scenarios};

/// All of them, in the order in which they run.
pub const SCENARIOS: &[Named<Lab>] = scenarios![
    builders::a_directory_is_installed_into_once_and_then_unchanged,
    builders::the_lines_of_the_container_file_install_and_pass_their_gate,
    boot::masters_boot_with_their_own_address_and_no_failed_unit,
    boot::every_unit_is_found_correct_by_the_systemd_of_the_image,
    boot::no_unit_is_more_exposed_than_two_out_of_ten,
    boot::drop_directories_are_for_root_alone,
    boot::a_master_after_a_power_cut_is_the_same_machine,
    boot::a_cut_cable_is_a_lost_carrier,
    converge::a_drop_brings_one_vip_and_three_healthy_voters,
    converge::masters_that_wait_say_for_whom_and_the_last_one_completes_the_cluster,
    converge::the_vrrp_daemon_runs_in_real_time_with_locked_memory_and_a_fence,
    converge::a_power_cut_of_the_active_master_moves_the_vip,
    converge::a_master_that_lost_power_comes_back_as_a_member_by_itself,
    converge::all_masters_come_back_after_a_power_cut_of_the_site_without_any_drop,
    converge::a_reinstalled_master_rejoins_with_the_manifest_in_force,
    vip::a_killed_vrrp_daemon_leaves_no_second_vip_and_comes_back,
    vip::networkd_restarting_and_reconfiguring_the_link_keeps_the_vip,
    vip::network_manager_leaves_the_vip_alone_and_what_it_takes_comes_back_or_moves,
    sources::masters_get_their_manifest_on_volumes_and_converge,
    sources::masters_get_their_manifest_as_system_credentials_and_converge,
    sources::masters_get_their_manifest_over_https_and_converge,
    sources::a_manifest_is_fetched_once_there_is_a_network,
    faults::a_second_reconcile_waits_for_the_first,
    faults::a_refused_drop_changes_nothing_and_is_reported,
    faults::a_manifest_that_does_not_fit_the_host_is_refused_and_the_vip_stays,
    leave::an_active_master_that_is_named_no_more_gives_the_vip_up_and_leaves,
    recovery::two_destroyed_masters_are_recovered_from_the_third_by_a_signed_directive,
    faults::reconcile_killed_again_and_again_converges_in_the_end,
    trial::a_manifest_on_trial_is_kept_only_when_it_proves_good,
    trial::a_trial_that_nobody_confirms_or_that_is_killed_is_taken_back,
    oncall::status_names_a_dead_master,
    oncall::status_names_a_full_disk,
    oncall::status_names_an_expired_certificate,
    oncall::status_names_a_wrong_interface_and_a_refused_manifest,
    oncall::the_journal_says_what_was_done_and_why,
    oncall::a_report_has_units_journal_and_plan_and_no_secret,
    progress::a_master_that_waits_says_so_to_systemd_and_on_its_console,
];

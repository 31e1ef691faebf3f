use super::*;
use proptest::prelude::*;

fn members(voters: usize, healthy: usize, learners: usize) -> Members {
    Members { voters, healthy, learners }
}

fn word(safety: &Safety) -> &'static str {
    match safety {
        Safety::Safe => "safe",
        Safety::NotNow { .. } => "not now",
        Safety::Never { .. } => "never",
    }
}

#[test]
fn each_change_is_judged_by_what_may_be_lost_afterwards() {
    let dead = Change::Remove { healthy: false };
    let live = Change::Remove { healthy: true };
    let table = [
        // A dead voter of three goes first (E8), then its replacement comes as a learner and is promoted.
        (members(3, 2, 0), Change::AddLearner, "not now"),
        (members(3, 2, 0), dead, "safe"),
        (members(2, 2, 0), Change::AddLearner, "safe"),
        (members(2, 2, 1), Change::Promote, "safe"),
        // Growing 3 to 5.
        (members(3, 3, 0), Change::AddLearner, "safe"),
        (members(3, 3, 1), Change::AddLearner, "not now"),
        (members(3, 3, 1), Change::Promote, "safe"),
        (members(4, 4, 0), Change::AddLearner, "safe"),
        (members(4, 4, 1), Change::Promote, "safe"),
        // A voter died after its replacement had joined: the promotion costs nothing.
        (members(3, 2, 1), Change::Promote, "safe"),
        (members(3, 3, 0), Change::Promote, "not now"),
        // Shrinking 5 to 3.
        (members(5, 5, 0), live, "safe"),
        (members(4, 4, 0), live, "safe"),
        (members(4, 3, 0), live, "safe"),
        (members(5, 4, 0), live, "safe"),
        (members(5, 3, 0), live, "not now"),
        (members(3, 2, 0), live, "not now"),
        // One and two.
        (members(1, 1, 0), Change::AddLearner, "never"),
        (members(1, 1, 1), Change::Promote, "never"),
        (members(2, 2, 0), live, "never"),
        (members(2, 1, 0), dead, "not now"),
        (members(1, 1, 0), live, "never"),
        // Without a majority nothing is changed, not even a learner.
        (members(3, 1, 0), dead, "not now"),
        (members(3, 1, 1), Change::RemoveLearner, "not now"),
        (members(3, 2, 1), Change::RemoveLearner, "safe"),
        (members(0, 0, 0), Change::AddLearner, "not now"),
        // Back from the one voter that a signed recovery left; otherwise like any other learner.
        (members(1, 1, 0), Change::GrowBack, "safe"),
        (members(1, 1, 1), Change::GrowBack, "not now"),
        (members(1, 0, 0), Change::GrowBack, "not now"),
        (members(2, 2, 0), Change::GrowBack, "safe"),
        (members(2, 1, 0), Change::GrowBack, "not now"),
        (members(3, 2, 0), Change::GrowBack, "not now"),
    ];
    for (members, change, expected) in table {
        let safety = judge_change(members, change, &Acknowledgements::default());
        assert_eq!(word(&safety), expected, "{members:?} {change:?}: {safety:?}");
    }
}

proptest! {
    #[test]
    fn a_safe_change_keeps_a_healthy_majority(
        voters in 0usize..9, healthy in 0usize..9, learners in 0usize..3, kind in 0u8..6,
        single_master_remains: bool
    ) {
        let acknowledged = Acknowledgements { single_master_remains, ..Default::default() };
        let healthy = healthy.min(voters);
        let change = match kind {
            0 => Change::AddLearner,
            1 => Change::Promote,
            2 => Change::Remove { healthy: true },
            3 => Change::Remove { healthy: false },
            4 => Change::GrowBack,
            _ => Change::RemoveLearner,
        };
        // A member can only be removed as healthy or dead if there is such a member.
        prop_assume!(change != Change::Remove { healthy: true } || healthy > 0);
        prop_assume!(change != Change::Remove { healthy: false } || healthy < voters);
        if judge_change(members(voters, healthy, learners), change, &acknowledged) == Safety::Safe {
            let (voters_then, healthy_then) = match change {
                Change::AddLearner | Change::GrowBack | Change::RemoveLearner => (voters, healthy),
                Change::Promote => (voters + 1, healthy + 1),
                Change::Remove { healthy: true } => (voters - 1, healthy - 1),
                Change::Remove { healthy: false } => (voters - 1, healthy),
            };
            prop_assert!(healthy_then >= quorum(voters_then));
            // An addition never leaves fewer losses to spare than there were.
            if change == Change::Promote {
                prop_assert!(healthy_then - quorum(voters_then) >= healthy - quorum(voters));
            }
        }
    }
}

/// Seats from `m1@11 m2@12`.
fn seats(text: &str) -> Vec<Seat> {
    text.split_whitespace()
        .map(|seat| {
            let (name, host) = seat.split_once('@').unwrap();
            Seat { name: name.parse().unwrap(), address: format!("10.20.0.{host}").parse().unwrap() }
        })
        .collect()
}

const ONE: &str = "m1@11";
const THREE: &str = "m1@11 m2@12 m3@13";
const FIVE: &str = "m1@11 m2@12 m3@13 m4@14 m5@15";

#[test]
fn the_last_but_one_voter_leaves_only_when_that_was_acknowledged() {
    let acknowledged = Acknowledgements { single_master_remains: true, ..Default::default() };
    let live = Change::Remove { healthy: true };
    assert_eq!(judge_change(members(2, 2, 0), live, &acknowledged), Safety::Safe);
    assert_eq!(word(&judge_change(members(1, 1, 0), live, &acknowledged)), "never");
}

#[test]
fn a_generation_makes_one_replacement_or_one_odd_step() {
    let table = [
        (THREE, THREE, 1, true),
        (THREE, "m3@13 m1@11 m2@12", 1, true),
        (THREE, FIVE, 1, true),
        (FIVE, THREE, 1, true),
        (THREE, "m1@11 m2@12 m4@14", 1, true),
        (THREE, "m1@11 m2@12 m3@23", 1, true),
        ("m1@11 m2@12", THREE, 1, true),
        (THREE, "m1@11 m4@14 m5@15", 1, false),
        (THREE, "m1@11 m4@14 m5@15", 2, true),
        (THREE, "m1@12 m2@11 m3@13", 1, false),
        (THREE, "m1@11 m2@12 m4@14 m5@15 m6@16", 1, false),
        (THREE, "m1@21 m2@12 m3@13 m4@14 m5@15", 1, false),
        (FIVE, "m1@11 m2@12 m6@16", 1, false),
        ("m1@11 m2@12", FIVE, 1, false),
        // Nothing but the same generation may bring nothing new; that is the ratchet's business.
        (THREE, THREE, 0, true),
    ];
    for (before, after, generations, allowed) in table {
        let (before, after) = (seats(before), seats(after));
        let verdict = judge_transition(
            (Generation(7), &before),
            (Generation(7 + generations), &after),
            &Acknowledgements::default(),
        );
        assert_eq!(verdict == Succession::Allowed, allowed, "{before:?} -> {after:?}: {verdict:?}");
    }
}

#[test]
fn a_single_master_never_grows_however_many_generations_pass() {
    let everything = Acknowledgements {
        seven_masters: true,
        even_masters_until: Some(Generation(u64::MAX)),
        single_master_remains: true,
    };
    for after in ["m1@11 m2@12", THREE, FIVE] {
        let verdict = judge_transition((Generation(1), &seats(ONE)), (Generation(100), &seats(after)), &everything);
        assert!(matches!(verdict, Succession::Refused { ref why, .. } if why.contains("never grown")), "{verdict:?}");
    }
}

#[test]
fn shrinking_to_one_needs_its_acknowledgement_and_still_one_step_at_a_time() {
    let judge = |before: &str, single_master_remains| {
        let acknowledged = Acknowledgements { single_master_remains, ..Default::default() };
        judge_transition((Generation(1), &seats(before)), (Generation(2), &seats(ONE)), &acknowledged)
    };
    assert!(matches!(judge(THREE, false), Succession::Refused { .. }));
    assert_eq!(judge(THREE, true), Succession::Allowed);
    assert!(matches!(judge(FIVE, true), Succession::Refused { .. }));
}

#[test]
fn a_refusal_names_the_masters_and_the_way() {
    let verdict = judge_transition(
        (Generation(1), &seats(THREE)),
        (Generation(2), &seats("m1@21 m4@14 m5@15")),
        &Acknowledgements::default(),
    );
    assert_eq!(
        verdict,
        Succession::Refused {
            why: "'m4' and 'm5' are added, 'm2' and 'm3' are removed, 'm1' is moved to another address at once: while \
                  they change, the cluster of 3 could not lose one more"
                .into(),
            instead: "make it 3 manifests, one generation each, with one replacement, or one step between 3 and 5 \
                      masters, in each"
                .into(),
        }
    );
}

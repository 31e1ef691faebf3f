//! What is tried, what verifies, and when it is kept: a row per reason.

use super::super::sim::{self, SimHost};
use super::*;
use crate::reconcile::host::Host;

const S: fn(u64) -> Duration = Duration::from_secs;

/// What is seen: this master's role, and what each other one told at which second.
fn sight(role: VrrpRole, others: &[(&str, Option<(i64, VrrpRole)>)]) -> Sight {
    let told = |told: Option<(i64, VrrpRole)>| told.map(|(at, role)| (Timestamp::from_second(at).unwrap(), role));
    let others = others.iter().map(|(name, said)| (name.parse().unwrap(), told(*said)));
    Sight { open: None, role, others: others.collect(), peers: 2 }
}

/// The judgement once the router stood still for long enough over `before`, and then `after` is seen.
fn judged(before: &Sight, after: &Sight) -> String {
    let mut trial = Trial::default();
    assert!(matches!(trial.see(before, S(1)), Judgement::Open(_)));
    match trial.see(after, S(60)) {
        Judgement::Sound => "sound".into(),
        Judgement::Open(why) => format!("open: {why}"),
        Judgement::Broken(why) => format!("broken: {why}"),
    }
}

#[test]
fn the_word_of_every_other_master_decides() {
    use VrrpRole::{Active, Backup};
    let old = |role| sight(role, &[("m2", Some((10, Active))), ("m3", Some((11, Backup)))]);
    let told = |role, m2: (i64, VrrpRole), m3: (i64, VrrpRole)| sight(role, &[("m2", Some(m2)), ("m3", Some(m3))]);
    let table = [
        (told(Backup, (40, Active), (41, Backup)), "sound"),
        (told(Active, (40, Backup), (41, Backup)), "sound"),
        // On a link of its own a master hears nobody and takes the VIP; the others have it still.
        (
            told(Active, (40, Active), (41, Backup)),
            "broken: this master and m2 both hold the VIP: they do not hear each other",
        ),
        (told(Backup, (40, Active), (41, Active)), "broken: m2 and m3 hold the VIP at the same time"),
        (told(Backup, (40, Backup), (41, Backup)), "open: nobody holds the VIP"),
        // What m2 told before the change says nothing of it.
        (
            told(Active, (10, Active), (41, Backup)),
            "open: m2: not told since what is seen there (each does at the end of a run)",
        ),
        (
            sight(Active, &[("m2", None), ("m3", Some((41, Backup)))]),
            "open: m2: not told since what is seen there (each does at the end of a run)",
        ),
        // A master that does not answer can hold nothing that counts, and is not waited for.
        (sight(Active, &[("m3", Some((41, Backup)))]), "sound"),
        (sight(Active, &[]), "open: no other master's etcd member answers, so none can tell who holds the VIP"),
        (Sight { open: Some("reload is still to be done".into()), ..old(Backup) }, "open: reload is still to be done"),
        (sight(VrrpRole::Initialize, &[]), "open: this master has no part in the virtual router yet"),
    ];
    for (after, expected) in table {
        assert_eq!(judged(&old(after.role), &after), expected, "{after:?}");
    }
}

#[test]
fn a_change_of_role_makes_the_words_before_it_stale() {
    let told = |role, at| sight(role, &[("m2", Some((at, VrrpRole::Active)))]);
    let mut trial = Trial::default();
    trial.see(&told(VrrpRole::Backup, 10), S(0));
    // m2 told of its VIP, then lost it to this master: no contest until it tells again.
    assert!(matches!(trial.see(&told(VrrpRole::Active, 20), S(10)), Judgement::Open(_)));
    assert!(matches!(trial.see(&told(VrrpRole::Active, 20), S(20)), Judgement::Open(_)));
    assert!(matches!(trial.see(&told(VrrpRole::Active, 30), S(30)), Judgement::Broken(_)));
}

#[test]
fn the_only_master_of_a_test_cluster_asks_nobody() {
    let alone = Sight { peers: 0, ..sight(VrrpRole::Active, &[]) };
    assert_eq!(Trial::default().see(&alone, S(0)), Judgement::Sound);
    let nobody = Sight { role: VrrpRole::Backup, ..alone };
    assert!(matches!(Trial::default().see(&nobody, S(9)), Judgement::Open(_)));
}

#[test]
fn it_is_kept_only_when_it_verifies_and_whoever_is_asked_confirms() {
    use Asked::{Nobody, Somebody};
    let (open, broken) = (Judgement::Open("m2 is silent".into()), Judgement::Broken("two hold it".into()));
    let (yes, no) = (Answer::Keep, Answer::TakeBack("no".into()));
    let back = |why: &str| Decision::TakeBack(why.into());
    let wait = |why: &str| Decision::Wait(why.into());
    let confirm = "it verifies; it is kept once it is confirmed";
    let table = [
        (&Judgement::Sound, Nobody, None, 30, Decision::Keep),
        (&Judgement::Sound, Nobody, None, 0, Decision::Keep),
        (&Judgement::Sound, Somebody, None, 30, wait(confirm)),
        (&Judgement::Sound, Somebody, None, 0, back("it verified, and nobody confirmed it")),
        (&Judgement::Sound, Somebody, Some(&yes), 30, Decision::Keep),
        (&Judgement::Sound, Somebody, Some(&no), 30, back("no")),
        (&Judgement::Sound, Nobody, Some(&no), 30, back("no")),
        (&open, Nobody, None, 30, wait("m2 is silent")),
        (&open, Somebody, Some(&yes), 30, wait("m2 is silent")),
        (&open, Somebody, Some(&yes), 0, back("it did not verify in time: m2 is silent")),
        (&open, Nobody, None, 0, back("it did not verify in time: m2 is silent")),
        (&broken, Somebody, Some(&yes), 30, back("two hold it")),
        (&broken, Nobody, None, 30, back("two hold it")),
    ];
    for (judgement, asked, answer, left, expected) in table {
        assert_eq!(decide(judgement, asked, answer, S(left)), expected, "{judgement:?} {asked:?} {answer:?} {left}");
    }
}

#[tokio::test]
async fn only_steps_on_the_virtual_router_are_tried() {
    // A host on which nothing is done yet: keys and etcd are asked for as well.
    let (desired, mut host) = (sim::desired(&[]), SimHost::new());
    let (tried, left_out) = share(crate::reconcile::plan::plan(&desired, &host.observe(&desired).await));
    assert!(!tried.steps.is_empty() && tried.steps.iter().all(|step| step.action.part() == Part::Vrrp));
    assert!(left_out.iter().any(|blocked| blocked.part == Part::Pki), "{left_out:?}");
}

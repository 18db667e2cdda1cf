//! Machines that die at any moment and come back with what was on their disk.

use threshold::dkg::{BadConfig, Change, Session};
use threshold::testkit::{self, Cluster, party};
use threshold::{SessionId, Timestamp};

#[test]
fn killed_after_any_effect_a_party_still_finishes_with_the_same_key() {
    let mut whole = Cluster::new(2, 3, 1);
    whole.run();
    let expected = whole.keys().unwrap();
    let effects = whole.nodes[&party(2)].carried_out;
    for after in 1..=effects {
        let mut cluster = Cluster::new(2, 3, 1);
        cluster.kill_after = Some((party(2), after));
        cluster.run();
        let keys = cluster.keys().unwrap_or_else(|| panic!("killed after effect {after}: {cluster:?}"));
        assert_eq!(keys.public, expected.public, "killed after effect {after}");
        assert_eq!(keys.transcript, expected.transcript, "killed after effect {after}");
        assert_eq!(cluster.rejected, [], "a restart makes no equivocator (killed after {after})");
        for (party, share) in &keys.shares {
            assert_eq!(share.to_bytes(), expected.shares[party].to_bytes());
        }
    }
}

#[test]
fn only_its_own_changes_resume_a_session() {
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.run();
    let disk = &cluster.nodes[&party(1)].disk;
    let resume = |config, changes| Session::resume(config, changes, Timestamp::default()).err();
    let mine = testkit::config(2, 3, party(1));
    assert_eq!(resume(mine.clone(), disk.clone()), None);
    assert_eq!(resume(mine.clone(), vec![]), Some(BadConfig::NoRoundOne));
    assert_eq!(resume(mine, disk[1..].to_vec()), Some(BadConfig::NoRoundOne));
    assert_eq!(resume(testkit::config(2, 3, party(2)), disk.clone()), Some(BadConfig::Change));
}

#[test]
fn secrets_are_not_shown() {
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.run();
    let shown = format!("{:?}", cluster.nodes[&party(1)].disk) + &format!("{cluster:?}");
    for change in &cluster.nodes[&party(1)].disk {
        let secret = match change {
            Change::RoundOne { secret, .. } => secret[..32].to_vec(),
            Change::Share(share) => share.to_bytes()[41..].to_vec(),
            Change::Received(_) => continue,
        };
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&hex) && !shown.contains(&format!("{secret:?}")));
    }
    assert!(SessionId::dkg([1; 32], 1, 1) != SessionId::dkg([1; 32], 1, 2));
}

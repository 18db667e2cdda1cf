use super::*;
use crate::job::{Job, JobId, Payout};
use crate::testkit::{MARKS, gbt};
use bitcoin::Weight;
use crdt::mining::{Payee, Share, Small, Split};
use crdt::testkit::payee;
use serde_json::json;

/// A template of `count` transactions that give a fee of 10 each, in a block of at most `limit`.
fn template(count: u8, weight: u64, sigops: u64) -> Arc<Template> {
    let mut answer = gbt(120, count, 1);
    answer["weightlimit"] = json!(weight);
    answer["sigoplimit"] = json!(sigops);
    answer["coinbasevalue"] = json!(5_000_000_000_u64 + 10 * u64::from(count));
    for transaction in answer["transactions"].as_array_mut().unwrap() {
        transaction["fee"] = json!(10);
        transaction["sigops"] = json!(1);
    }
    Arc::new(Template::read(answer).unwrap())
}

fn split(payees: u8) -> Payout {
    let share = |seed| Share { payee: Payee::Script(payee(seed)), weight: 1 };
    Payout::of(Split::new((1..=payees).map(share).collect(), Small::Treasury).unwrap(), payee(9))
}

/// What bitcoind would check of the block, whatever was left out.
fn checked(job: &Job, limit: u64) -> usize {
    let block = job.draft().unwrap();
    assert!(block.check_merkle_root() && block.check_witness_commitment());
    assert!(block.weight() <= Weight::from_wu(limit), "{}", block.weight());
    let paid: Amount = block.txdata[0].output.iter().map(|output| output.value).sum();
    let kept = block.txdata.len() - 1;
    assert_eq!(paid.to_sat(), 5_000_000_000 + 10 * u64::try_from(kept).unwrap(), "fees of what is in it");
    kept
}

#[test]
fn a_larger_coinbase_leaves_transactions_out_of_a_full_block() {
    let full = Job::new(JobId(1), template(8, 4_000_000, 80_000), &split(1), &MARKS, true).unwrap();
    let limit = full.draft().unwrap().weight().to_wu();
    assert_eq!(checked(&full, limit), 8);
    // (payees, transactions that stay): each payee weighs 172, and each transaction a little more.
    let mut before = 8;
    for payees in 1..=9 {
        let job = Job::new(JobId(1), template(8, limit, 80_000), &split(payees), &MARKS, true).unwrap();
        let kept = checked(&job, limit);
        assert!(kept <= before, "{payees} payees");
        before = kept;
    }
    assert!((1..8).contains(&before), "{before}");
    // Where there is room, nothing is left out, and the template is the same one.
    let roomy = template(8, 4_000_000, 80_000);
    assert!(Arc::ptr_eq(&roomy.clone().beside(Cost { weight: 3_900_000, sigops: 0 }), &roomy));
}

#[test]
fn signature_checks_of_the_coinbase_count() {
    let full = template(8, 4_000_000, 8);
    assert_eq!(full.clone().beside(Cost { weight: 0, sigops: 0 }).transactions.len(), 8);
    assert_eq!(full.clone().beside(Cost { weight: 0, sigops: 3 }).transactions.len(), 5);
    assert_eq!(full.beside(Cost { weight: 0, sigops: 9 }).transactions.len(), 0);
}

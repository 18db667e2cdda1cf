//! Exit codes and their numbers are promised to scripts.

use node::error::{CODES, Code, Failure};
use std::collections::BTreeSet;

#[test]
fn every_code_has_a_number_of_its_own_that_never_changes() {
    let numbers: Vec<u8> = CODES
        .iter()
        .map(|(code, number, _)| {
            assert_eq!(code.exit(), *number);
            *number
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 69, 75, 78]);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
}

#[test]
fn a_failure_survives_json_as_a_problem() {
    let failure = Failure::new(Code::NotEnoughFunds, "too little");
    let json = serde_json::to_value(&failure).unwrap();
    assert_eq!(json["code"], "not-enough-funds");
    assert_eq!(serde_json::from_value::<Failure>(json).unwrap(), failure);
}

//! Whose deposit address is which: every contributor has an own one, so that what arrives is known to be
//! theirs without a word. The order is the charter's, which every node has from the first moment on:
//! nothing is assigned, so nothing can be assigned twice or lost (see the decision record).

use crdt::{Charter, MemberId};

/// The index of the first contributor's receiving address; 0 is mining's.
pub const FIRST: u32 = 1;

/// The index of this contributor's receiving address. None for one who is not on the charter's roll.
#[must_use]
pub fn of_contributor(charter: &Charter, member: &MemberId) -> Option<u32> {
    let place = charter.founders.iter().position(|founder| founder.key == *member)?;
    u32::try_from(place).ok()?.checked_add(FIRST)
}

/// Whose contributions arrive at this index.
#[must_use]
pub fn contributor(charter: &Charter, index: u32) -> Option<MemberId> {
    let place = usize::try_from(index.checked_sub(FIRST)?).ok()?;
    charter.founders.get(place).map(|founder| founder.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::treasury::ADDRESSES;
    use crdt::limits::MEMBERS_MAX;
    use crdt::testkit::{charter, people};

    #[test]
    fn every_founder_has_an_address_of_its_own_and_mining_another() {
        let people = people(5);
        let charter = charter(&people);
        for (place, founder) in (1..).zip(&charter.founders) {
            assert_eq!(of_contributor(&charter, &founder.key), Some(place));
            assert_eq!(contributor(&charter, place), Some(founder.key));
        }
        assert_eq!(contributor(&charter, 0), None);
        assert_eq!(contributor(&charter, 6), None);
        let stranger = crdt::testkit::people(6).pop().map(|person| person.id()).unwrap();
        assert_eq!(of_contributor(&charter, &stranger), None);
        assert!(u32::try_from(MEMBERS_MAX - 1).unwrap() < ADDRESSES, "all but a thousandth are watched");
    }
}

use super::*;
use std::net::Ipv4Addr;

const LIMITS: Limits = Limits { connections: 10, per_address: 3 };

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn no_two_miners_inside_have_one_extranonce() {
    let mut door = Door::new(Limits { connections: 70_000, per_address: 70_000 });
    let mut given = std::collections::HashSet::new();
    while let Ok(number) = door.admit(host(1), at(0)) {
        assert!(given.insert(number), "{number:?} twice");
    }
    assert_eq!(given.len(), 65_536);
    door.leave(host(1), [1, 2]);
    door.leave(host(1), [1, 2]);
    assert_eq!(door.admit(host(1), at(60)), Ok([1, 2]));
    assert_eq!(door.admit(host(1), at(60)), Err(Refused::Full));
}

#[test]
fn an_extranonce_comes_back_as_late_as_can_be() {
    let mut door = Door::new(Limits { connections: 10, per_address: 10 });
    let first = door.admit(host(1), at(0)).unwrap();
    door.leave(host(1), first);
    for second in 1..60_000 {
        let number = door.admit(host(1), at(second)).unwrap();
        assert_ne!(number, first);
        door.leave(host(1), number);
    }
}

#[test]
fn an_address_has_its_share_of_seats_and_no_more() {
    let mut door = Door::new(LIMITS);
    let seats: Vec<_> = (0..3).map(|_| door.admit(host(1), at(0)).unwrap()).collect();
    assert_eq!(door.admit(host(1), at(0)), Err(Refused::Address));
    assert!(door.admit(host(2), at(0)).is_ok());
    door.leave(host(1), seats[0]);
    assert!(door.admit(host(1), at(0)).is_ok());
    // Coming and going at once does not go on for ever.
    door.leave(host(1), seats[1]);
    assert_eq!(door.admit(host(1), at(0)), Err(Refused::Often));
    assert!(door.admit(host(1), at(10)).is_ok());
    for last in 3..=8 {
        assert!(door.admit(host(last), at(10)).is_ok(), "{last}");
    }
    assert_eq!(door.admit(host(9), at(10)), Err(Refused::Full));
}

#[test]
fn what_is_held_against_an_address_wears_off() {
    let mut door = Door::new(LIMITS);
    door.admit(host(1), at(0)).unwrap();
    assert!(!door.blame(host(1), 99, at(0)));
    assert!(!door.blame(host(1), 1, at(60)), "ten points are forgotten by now");
    assert!(door.blame(host(1), 50, at(60)));
    assert_eq!(door.admit(host(1), at(61)), Err(Refused::Banned));
    assert!(door.admit(host(2), at(61)).is_ok(), "nobody else is");
    assert!(door.admit(host(1), at(661)).is_ok());
}

#[test]
fn one_line_of_ipv6_is_one_address() {
    let mut door = Door::new(LIMITS);
    let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
    assert!((1..=3).all(|last| door.admit(host(last), at(0)).is_ok()));
    assert_eq!(door.admit(host(4), at(0)), Err(Refused::Address));
}

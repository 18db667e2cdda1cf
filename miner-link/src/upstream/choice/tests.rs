use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn allowed(pools: usize) -> (Choice, Vec<Effect>) {
    let mut choice = Choice::new(pools);
    let effects = choice.handle(Input::Allowed(true), at(0));
    (choice, effects)
}

#[test]
fn without_a_policy_no_pool_is_called() {
    let mut choice = Choice::new(2);
    assert_eq!(choice.handle(Input::Tick, at(100)), []);
    assert_eq!(choice.handle(Input::Allowed(true), at(100)), [Effect::Dial(0)]);
    assert_eq!(choice.handle(Input::Ready(0), at(101)), [Effect::Use(Some(0))]);
    // The policy is another one now.
    assert_eq!(choice.handle(Input::Allowed(false), at(102)), [Effect::Use(None), Effect::Drain(0)]);
    assert_eq!(choice.handle(Input::Ready(0), at(103)), []);
    assert_eq!(choice.handle(Input::Tick, at(200)), []);
}

#[test]
fn a_lost_pool_gives_way_to_the_next_and_comes_back() {
    let (mut choice, effects) = allowed(3);
    assert_eq!(effects, [Effect::Dial(0)]);
    assert_eq!(choice.handle(Input::Lost(0), at(1)), [Effect::Dial(1)]);
    assert_eq!(choice.handle(Input::Ready(1), at(1)), [Effect::Use(Some(1))]);
    // The first is called again, and used only when it has work; then the second may go.
    assert_eq!(choice.handle(Input::Tick, at(2)), [Effect::Dial(0)]);
    assert_eq!(choice.using(), Some(1));
    assert_eq!(choice.handle(Input::Ready(0), at(3)), [Effect::Use(Some(0)), Effect::Drain(1)]);
    // What was drained ends, which means nothing.
    assert_eq!(choice.handle(Input::Lost(1), at(33)), []);
    assert_eq!(choice.handle(Input::Lost(0), at(40)), [Effect::Use(None), Effect::Dial(1)]);
}

#[test]
fn a_pool_that_does_not_answer_keeps_nobody_waiting() {
    let (mut choice, _) = allowed(2);
    assert_eq!(choice.handle(Input::Tick, at(4)), []);
    assert_eq!(choice.handle(Input::Tick, at(5)), [Effect::Dial(1)]);
    assert_eq!(choice.handle(Input::Ready(1), at(6)), [Effect::Use(Some(1))]);
    assert_eq!(choice.handle(Input::Ready(0), at(7)), [Effect::Use(Some(0)), Effect::Drain(1)]);
}

#[test]
fn pauses_double_up_to_a_minute_and_are_forgotten_when_all_is_well() {
    let (mut choice, _) = allowed(1);
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert_eq!(choice.handle(Input::Lost(0), now), []);
        let lost = now;
        while choice.handle(Input::Tick, now).is_empty() {
            now += Duration::from_millis(500);
        }
        pauses.push((now - lost).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    choice.handle(Input::Ready(0), now);
    now += STABLE;
    choice.handle(Input::Lost(0), now);
    assert_eq!(choice.handle(Input::Tick, now + PAUSE), [Effect::Dial(0)]);
}

/// Whatever happens: what is used is ready, allowed and the first such; a pool is called once at a time.
#[test]
fn the_first_ready_pool_is_used_whatever_happens() {
    use proptest::prelude::*;
    let input = prop_oneof![
        1 => any::<bool>().prop_map(Input::Allowed),
        3 => (0..4_usize).prop_map(Input::Ready),
        3 => (0..4_usize).prop_map(Input::Lost),
        6 => Just(Input::Tick),
    ];
    let run = proptest::collection::vec((input, 0..3_000_u64), 1..200);
    proptest!(ProptestConfig::with_cases(256), |(run in run)| {
        let mut choice = Choice::new(4);
        let (mut now, mut allowed) = (Duration::ZERO, false);
        let (mut called, mut ready) = ([false; 4], [false; 4]);
        for (input, millis) in run {
            now += Duration::from_millis(millis);
            match input {
                Input::Allowed(is) => allowed = is,
                Input::Ready(pool) => ready[pool] |= called[pool],
                Input::Lost(pool) => (called[pool], ready[pool]) = (false, false),
                Input::Tick => {}
            }
            for effect in choice.handle(input, now) {
                match effect {
                    Effect::Dial(pool) => {
                        prop_assert!(allowed && !called[pool]);
                        called[pool] = true;
                    }
                    Effect::Drain(pool) => (called[pool], ready[pool]) = (false, false),
                    Effect::Use(using) => prop_assert!(using.is_none_or(|pool| ready[pool])),
                }
            }
            let first = ready.iter().position(|ready| *ready).filter(|_| allowed);
            prop_assert_eq!(choice.using(), first);
        }
    });
}

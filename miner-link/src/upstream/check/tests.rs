use super::*;
use crate::job::Route;
use crate::testkit::{job, template};
use bitcoin::Target;

fn work(tip: u8, height: u32) -> Work {
    let ours = job(1, tip);
    // A coinbase that begins as ours do: 42 bytes, then the height as a script pushes it.
    let push = bitcoin::script::Builder::new().push_int(i64::from(height)).into_script();
    let coinbase_start = [&[0; 42], push.as_bytes()].concat();
    Work {
        route: Route { pool: 0, connection: 1 },
        name: "1".to_owned(),
        head: ours.head,
        coinbase_start,
        room: 8,
        coinbase_end: Vec::new(),
        branch: Vec::new(),
        share_target: Target::MAX,
        version_mask: 0,
        clean: true,
    }
}

fn judge(work: &Work, view: &View) -> Result<(), Objection> {
    let mut check = Check::default();
    check.work(work);
    check.against(Some(view), Duration::ZERO)
}

#[test]
fn work_on_our_tip_must_say_what_our_node_says() {
    for height in [1, 16, 17, 120, 128, 70_000, 8_400_000] {
        let view = View::of(&template(height, 0, 1), Network::Signet);
        assert_eq!(judge(&work(1, height), &view), Ok(()), "{height}");
        let other = Objection::Height { given: height + 1, ours: height };
        assert_eq!(judge(&work(1, height + 1), &view), Err(other), "{height}");
        let mut easier = work(1, height);
        easier.head.bits = CompactTarget::from_consensus(0x207f_fffe);
        let bits = Objection::Bits { given: 0x207f_fffe, ours: 0x207f_ffff };
        assert_eq!(judge(&easier, &view), Err(bits), "{height}");
        let varying = View::of(&template(height, 0, 1), Network::Testnet4);
        assert_eq!(judge(&easier, &varying), Ok(()), "they prove nothing there");
    }
}

#[test]
fn another_tip_is_borne_with_for_a_minute() {
    let view = |tip| View::of(&template(120, 0, tip), Network::Signet);
    let mut check = Check::default();
    assert_eq!(check.against(Some(&view(1)), Duration::ZERO), Ok(()), "no work yet");
    check.work(&work(2, 121));
    let second = Duration::from_secs(1);
    assert_eq!(check.against(None, second * 500), Ok(()), "no node to ask");
    assert_eq!(check.against(Some(&view(1)), second), Ok(()));
    assert_eq!(check.against(Some(&view(1)), second * 61), Ok(()));
    assert_eq!(check.against(Some(&view(1)), second * 62), Err(Objection::Foreign));
    // Our node hears of the block after all; the time counts from anew.
    check.work(&work(2, 120));
    assert_eq!(check.against(Some(&view(2)), second * 63), Ok(()));
    assert_eq!(check.against(Some(&view(3)), second * 64), Ok(()));
    assert_eq!(check.against(Some(&view(3)), second * 124), Ok(()));
}

//! The validator beside a slow one that was written from Stratum's description: it puts hex together
//! and compares bytes, and shares no line with what it is compared to.

use super::*;
use crate::job::VERSION_MASK;
use bitcoin::hashes::{Hash as _, sha256d};
use hex::FromHex as _;
use std::collections::HashSet;

/// More on demand: `MINER_LINK_SUBMISSIONS=100000000`.
const SUBMISSIONS: u64 = 1_000_000;

struct Reference {
    notify: Value,
    extranonce1: String,
    mask: u32,
    share: [u8; 32],
    network: [u8; 32],
    least_time: u32,
    seen: HashSet<Vec<u8>>,
}

impl Reference {
    fn text(&self, place: usize) -> &str {
        self.notify[place].as_str().unwrap()
    }

    fn number(&self, place: usize) -> u32 {
        u32::from_str_radix(self.text(place), 16).unwrap()
    }

    /// A code, or none for a share, or a block.
    fn judge(&mut self, params: &[Value], stale: bool, unix: u32) -> Result<bool, Reason> {
        if !(5..=6).contains(&params.len()) || !params.iter().all(Value::is_string) {
            return Err(Reason::Malformed);
        }
        let texts: Vec<&str> = params.iter().map(|param| param.as_str().unwrap()).collect();
        for text in &texts[2..] {
            if text.len() != 8 || !text.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(Reason::Malformed);
            }
        }
        let number = |text: &str| u32::from_str_radix(text, 16).unwrap();
        let mut version = self.number(5);
        if let Some(bits) = texts.get(5) {
            if number(bits) & !self.mask != 0 {
                return Err(Reason::Version);
            }
            version = version & !self.mask | number(bits);
        }
        let coinbase = [self.text(2), &self.extranonce1, texts[2], self.text(3)].concat();
        let mut root = sha256d::Hash::hash(&Vec::from_hex(&coinbase).unwrap()).to_byte_array().to_vec();
        for hash in self.notify[4].as_array().unwrap() {
            root.extend(Vec::from_hex(hash.as_str().unwrap()).unwrap());
            root = sha256d::Hash::hash(&root).to_byte_array().to_vec();
        }
        let previous = Vec::from_hex(self.text(1)).unwrap();
        let previous: Vec<u8> = previous.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
        let mut header = version.to_le_bytes().to_vec();
        header.extend(previous);
        header.extend(root);
        for number in [number(texts[3]), self.number(6), number(texts[4])] {
            header.extend(number.to_le_bytes());
        }
        let mut hash = sha256d::Hash::hash(&header).to_byte_array();
        hash.reverse();
        if self.seen.contains(&header) {
            return Err(Reason::Duplicate);
        }
        let time = number(texts[3]);
        let block = hash <= self.network && time >= self.least_time;
        if !block {
            let (first, now) = (i64::from(self.number(7)), i64::from(unix));
            let time = i64::from(time);
            if time < first || time > first && time > 7_000 + first.min(now) {
                return Err(Reason::Time);
            }
            if stale {
                return Err(Reason::Stale);
            }
            if hash > self.share {
                return Err(Reason::LowDifficulty);
            }
        }
        self.seen.insert(header);
        Ok(block)
    }
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*, by Vigna.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn word(&mut self) -> u32 {
        u32::try_from(self.roll(1 << 31)).unwrap() << 1 | u32::try_from(self.roll(2)).unwrap()
    }
}

/// What a miner might send: mostly sense, in few combinations, so that all verdicts are common.
fn submission(dice: &mut Dice) -> Vec<Value> {
    let time = match dice.roll(12) {
        0 => TIME - 1 + u32::try_from(dice.roll(3)).unwrap(),
        1 => TIME + 6_998 + u32::try_from(dice.roll(5)).unwrap(),
        2 => dice.word(),
        _ => TIME + u32::try_from(dice.roll(3)).unwrap(),
    };
    let nonce = if dice.roll(3) == 0 { u32::try_from(dice.roll(64)).unwrap() } else { dice.word() };
    let mut params = vec![
        json!("alice.rig1"),
        json!("ab"),
        json!(format!("{:08x}", dice.roll(3))),
        json!(format!("{time:08x}")),
        json!(format!("{nonce:08x}")),
    ];
    let bits = match dice.roll(8) {
        0..=3 => None,
        4 => Some(dice.word() & VERSION_MASK),
        5 => Some(dice.word()),
        6 => Some(0),
        _ => Some(1 << dice.roll(32)),
    };
    params.extend(bits.map(|bits| json!(format!("{bits:08x}"))));
    if dice.roll(10) == 0 {
        let place = usize::try_from(dice.roll(params.len().try_into().unwrap())).unwrap();
        let text = params[place].as_str().unwrap().to_owned();
        match dice.roll(8) {
            0 => params[place] = json!(text.to_uppercase()),
            1 => params[place] = json!(format!("00{text}")),
            2 => params[place] = json!(text[1..]),
            3 => params[place] = json!(format!("+{}", &text[1..])),
            4 => params[place] = json!(5),
            5 => params.truncate(place),
            6 => params.push(json!("00000000")),
            _ => params[place] = json!(text.replacen('0', "g", 1)),
        }
    }
    params
}

#[test]
fn the_validator_says_what_the_slow_one_says() {
    let count = std::env::var("MINER_LINK_SUBMISSIONS").ok().and_then(|text| text.parse().ok());
    let (count, mut dice) = (count.unwrap_or(SUBMISSIONS), Dice(0x9e37_79b9_7f4a_7c15));
    let mut tally = std::collections::BTreeMap::<String, u64>::new();
    let mut done = 0;
    while done < count {
        // A job, a miner and a mask, for a while: one share in four, one block in thirty-two.
        let mut template = crate::testkit::template(120, u8::try_from(dice.roll(5)).unwrap(), 1);
        template.target = Level::new(-27).target();
        template.least_time = TIME - 1 + u32::try_from(dice.roll(3)).unwrap();
        let payee = crate::job::Payout::all_to(crdt::testkit::payee(9));
        let marks = crate::testkit::MARKS;
        let id = crate::job::JobId(0xab);
        let job = Job::new(id, std::sync::Arc::new(template), &payee, &marks, true).unwrap();
        let mask = [0, VERSION_MASK, 0x0fff_e000, 0x0000_2000][usize::try_from(dice.roll(4)).unwrap()];
        let target = Level::new(-30).target();
        let mut reference = Reference {
            notify: job.notify_params(4, true),
            extranonce1: "0909".to_owned(),
            mask,
            share: target.to_be_bytes(),
            network: job.head.target.to_be_bytes(),
            least_time: job.head.least_time,
            seen: HashSet::new(),
        };
        let mut seen = Seen::default();
        for _ in 0..20_000.min(count - done) {
            let params = submission(&mut dice);
            let stale = dice.roll(6) == 0;
            let unix = TIME - 100 + u32::try_from(dice.roll(200)).unwrap();
            let terms = Terms { target, stale, unix, ..terms(&job, mask) };
            let verdict = match Submission::read(&params, 4) {
                Err(reason) => Verdict::Rejected(reason),
                Ok((_, submission)) => judge(&submission, &terms, &mut seen),
            };
            let ours = match verdict {
                Verdict::Accepted { .. } => Ok(false),
                Verdict::Block(_) => Ok(true),
                Verdict::Rejected(reason) => Err(reason),
            };
            let theirs = reference.judge(&params, stale, unix);
            assert_eq!(ours, theirs, "{params:?}, stale: {stale}, clock {unix}, mask {mask:08x}");
            *tally.entry(format!("{ours:?}")).or_default() += 1;
            done += 1;
        }
    }
    // A comparison that never met a verdict says nothing of it.
    for verdict in ["Ok(false)", "Ok(true)"].into_iter().chain([
        "Err(Malformed)",
        "Err(Version)",
        "Err(Time)",
        "Err(Stale)",
        "Err(Duplicate)",
        "Err(LowDifficulty)",
    ]) {
        let met = tally.get(verdict).copied().unwrap_or(0);
        assert!(met >= count / 2_000, "{verdict} {met} times: {tally:?}");
    }
}

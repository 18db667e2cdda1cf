//! Mutations of bytes, the same in every run: what fuzzers of all crates share.

/// A small generator (splitmix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Another one for each `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.draw() % bound).unwrap_or_default()
    }

    /// One of `items`.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        items.get(self.below(items.len())).expect("something to pick from")
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        let [any, pick, ..] = self.draw().to_le_bytes();
        if pick & 1 == 0 { any } else { TELLING.get(usize::from(any % 8)).copied().unwrap_or_default() }
    }

    /// `bytes` with up to four of: a byte changed, removed, inserted; cut; a piece repeated or moved.
    #[must_use]
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(12) {
                _ if bytes.is_empty() => bytes.push(self.byte()),
                0..=4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
                5 | 6 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
                7 => drop(bytes.remove(at)),
                8 => bytes.insert(at, self.byte()),
                9 => bytes.truncate(at),
                10 => {
                    let piece: Vec<u8> = bytes.iter().skip(at).take(self.below(40)).copied().collect();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let (one, other) = (self.below(bytes.len()), self.below(bytes.len()));
                    bytes.swap(one, other);
                }
            }
        }
        bytes
    }
}

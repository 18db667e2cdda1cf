//! The accounts of the books, and what they are called: as hledger's users call theirs.

use crdt::MemberId;
use crdt::category::Category;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of a member's name that an account carries: room for a key stays below what tools take.
const NAME_MAX: usize = 40;
/// Hexadecimal digits of its key that a member's account carries if another's would be called the same.
const KEY_DIGITS: [usize; 3] = [0, 8, 64];

/// Where money is, came from or went to. A posting to it is positive for money that goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The coins of the group key.
    Treasury,
    /// What there was before the time that a report is about.
    Opening,
    /// What a member, or somebody, paid in.
    Contributions(Party),
    /// What members took out.
    Distributions(Party),
    /// Coins for other money.
    Sales,
    /// Mistakes set right.
    Corrections,
    /// What left by the recovery leaf.
    Recovery,
    /// Blocks that the guild mined.
    Blocks,
    /// What pools paid.
    Pools,
    /// Hash rate rented to others.
    RentedOut,
    /// What came in for nothing that is known here.
    OtherIncome,
    /// A cost of this kind.
    Cost(Cost),
    /// What was decided without saying what for.
    OtherExpense,
    /// What left by no decision that is known here.
    Undecided,
}

/// The kinds of cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// See [`Category::Hosting`].
    Hosting,
    /// See [`Category::Power`].
    Power,
    /// See [`Category::Hardware`].
    Hardware,
    /// See [`Category::Repair`].
    Repair,
    /// Hash rate rented from others.
    RentedHashRate,
    /// See [`Category::NetworkFee`].
    NetworkFee,
}

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A member.
    Member(MemberId),
    /// Whoever uses the deposit address of this index.
    Deposit(u32),
    /// Somebody else.
    Other,
}

/// The part of the books that an account belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What there is.
    Assets,
    /// What came in.
    Income,
    /// What it cost.
    Expenses,
    /// What belongs to whom.
    Equity,
}

impl Account {
    /// The account of what came in for `category`.
    #[must_use]
    pub const fn incoming(category: Category, party: Party) -> Self {
        match category {
            Category::BlockReward => Self::Blocks,
            Category::PoolPayout => Self::Pools,
            Category::RentedHashRate => Self::RentedOut,
            _ => Self::outgoing(category, party), // a refund lessens a cost
        }
    }

    /// The account of what went out for `category`.
    #[must_use]
    pub const fn outgoing(category: Category, party: Party) -> Self {
        match category {
            Category::Contribution => Self::Contributions(party),
            Category::BlockReward => Self::Blocks,
            Category::PoolPayout => Self::Pools,
            Category::Hosting => Self::Cost(Cost::Hosting),
            Category::Power => Self::Cost(Cost::Power),
            Category::Hardware => Self::Cost(Cost::Hardware),
            Category::Repair => Self::Cost(Cost::Repair),
            Category::RentedHashRate => Self::Cost(Cost::RentedHashRate),
            Category::Sale => Self::Sales,
            Category::Distribution => Self::Distributions(party),
            Category::NetworkFee => Self::Cost(Cost::NetworkFee),
            Category::Correction => Self::Corrections,
        }
    }

    /// Which part of the books it is in.
    #[must_use]
    pub const fn part(self) -> Part {
        match self {
            Self::Treasury => Part::Assets,
            Self::Blocks | Self::Pools | Self::RentedOut | Self::OtherIncome => Part::Income,
            Self::Cost(_) | Self::OtherExpense | Self::Undecided => Part::Expenses,
            Self::Opening
            | Self::Contributions(_)
            | Self::Distributions(_)
            | Self::Sales
            | Self::Corrections
            | Self::Recovery => Part::Equity,
        }
    }

    /// Its whole name, such as `expenses:fees:network`.
    #[must_use]
    pub fn name(self, names: &Names) -> String {
        let fixed = match self {
            Self::Contributions(party) => return format!("equity:contributions:{}", names.of(party)),
            Self::Distributions(party) => return format!("equity:distributions:{}", names.of(party)),
            Self::Treasury => "assets:treasury",
            Self::Opening => "equity:opening-balances",
            Self::Sales => "equity:conversion:sales",
            Self::Corrections => "equity:corrections",
            Self::Recovery => "equity:recovery",
            Self::Blocks => "income:mining:blocks",
            Self::Pools => "income:mining:pools",
            Self::RentedOut => "income:mining:rented-out",
            Self::OtherIncome => "income:uncategorised",
            Self::Cost(Cost::Hosting) => "expenses:hosting",
            Self::Cost(Cost::Power) => "expenses:power",
            Self::Cost(Cost::Hardware) => "expenses:hardware",
            Self::Cost(Cost::Repair) => "expenses:repair",
            Self::Cost(Cost::RentedHashRate) => "expenses:rented-hash-rate",
            Self::Cost(Cost::NetworkFee) => "expenses:fees:network",
            Self::OtherExpense => "expenses:uncategorised",
            Self::Undecided => "expenses:undecided",
        };
        fixed.to_owned()
    }
}

/// What members' accounts are called: letters, digits and dashes, so that any tool takes them, and no two
/// members' the same, whatever the case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<MemberId, String>);

impl Names {
    /// Names for these members.
    #[must_use]
    pub fn of_members<'a>(members: impl IntoIterator<Item = (MemberId, &'a str)>) -> Self {
        let plain: BTreeMap<MemberId, String> =
            members.into_iter().map(|(id, name)| (id, plain(name))).collect();
        let names = KEY_DIGITS.into_iter().map(|digits| with_keys(&plain, digits));
        let distinct = |names: &BTreeMap<MemberId, String>| {
            let different: BTreeSet<String> = names.values().map(|name| name.to_lowercase()).collect();
            different.len() == names.len()
        };
        // a whole key at the end is nobody else's
        Self(names.into_iter().find(distinct).unwrap_or_else(|| with_keys(&plain, usize::MAX)))
    }

    fn of(&self, party: Party) -> String {
        match party {
            Party::Member(id) => self.0.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            Party::Deposit(index) => format!("address-{index}"),
            Party::Other => "others".to_owned(),
        }
    }
}

/// Names, those that several members share with some digits of the key.
fn with_keys(plain: &BTreeMap<MemberId, String>, digits: usize) -> BTreeMap<MemberId, String> {
    let mut count = BTreeMap::<String, usize>::new();
    plain.values().for_each(|name| *count.entry(name.to_lowercase()).or_default() += 1);
    let shared = |name: &str| count.get(&name.to_lowercase()).is_some_and(|count| *count > 1);
    let all = digits == usize::MAX;
    let name = |(id, name): (&MemberId, &String)| {
        let key: String = id.to_string().chars().take(digits).collect();
        let full = if digits > 0 && (all || shared(name)) { format!("{name}-{key}") } else { name.clone() };
        (*id, full)
    };
    plain.iter().map(name).collect()
}

/// A name as one word of letters and digits.
fn plain(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let plain: String = words.collect::<Vec<_>>().join("-").chars().take(NAME_MAX).collect();
    let plain = plain.trim_end_matches('-').to_owned();
    if plain.is_empty() { "member".to_owned() } else { plain }
}

//! What all histories share: a treasury's scripts under two keys, and decisions of every kind, certified
//! once and for all.

use crate::Path;
use crate::anchor::{Anchored as _, Line};
use crate::spend::{Bill, Order};
use crate::testkit::{Secret, transaction};
use crate::treasury::{CHANGE, Treasury};
use crate::view::First;
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use crdt::certificate::{Certified, Decidable};
use crdt::governance::{Basis, Budget, Disburse, Distribute, Exit, Output, Spend, Work, exit_id};
use crdt::{Charter, Digest, EntryId, GuildId, MemberId, ProposalId};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The limit of each budget for a period.
pub(super) const LIMIT: Amount = Amount::from_sat(70_000);
/// Blocks of a period.
pub(super) const PERIOD: u32 = 12;

/// A script of the treasury and how its key lies.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) path: Path,
    pub(super) merkle_root: [u8; 32],
}

/// A decision of some kind.
pub(super) enum Decided {
    Spend(Certified<Spend>),
    Distribute(Certified<Distribute>),
    Exit(Certified<Exit>),
    Budget(Certified<Budget>, Vec<(EntryId, Disburse)>),
}

pub(super) struct Scene {
    pub(super) guild: GuildId,
    pub(super) charter: Charter,
    pub(super) author: MemberId,
    pub(super) own: BTreeMap<ScriptBuf, Own>,
    /// 1/0 of the first and of the second key.
    pub(super) change: [ScriptBuf; 2],
    pub(super) seal: ScriptBuf,
    pub(super) deposits: Vec<Transaction>,
    /// The order of their block.
    pub(super) first: Arc<First>,
    pub(super) decided: Vec<Decided>,
}

pub(super) static SCENE: LazyLock<Scene> = LazyLock::new(Scene::make);

impl Decided {
    pub(super) fn id(&self) -> ProposalId {
        match self {
            Self::Spend(decided) => decided.decision(),
            Self::Distribute(decided) => decided.decision(),
            Self::Exit(decided) => decided.decision(),
            Self::Budget(decided, _) => decided.decision(),
        }
    }

    /// Its lineage, given the guild anchor.
    pub(super) fn line(&self, guild: OutPoint) -> Line {
        match self {
            Self::Spend(decided) => decided.effect().line(),
            Self::Distribute(decided) => decided.effect().line(),
            Self::Exit(_) => Line::Once { anchor: guild },
            Self::Budget(decided, _) => decided.effect().line(),
        }
    }

    /// What pays it whole, if one transaction does.
    pub(super) fn order(&self, guild: OutPoint) -> Option<Order<'_>> {
        match self {
            Self::Spend(decided) => Some(decided.into()),
            Self::Distribute(decided) => Some(decided.into()),
            Self::Exit(decided) => Some(Order::exit(decided, guild)),
            Self::Budget(..) => None,
        }
    }
}

impl Scene {
    /// One of the bills of a budget.
    pub(super) fn bill<'a>(&self, bills: &'a [(EntryId, Disburse)], choice: usize) -> Option<Bill<'a>> {
        let (id, disburse) = bills.get(choice % bills.len().max(1))?;
        Some(Bill { id: *id, author: self.author, height: 1, disburse })
    }

    fn make() -> Self {
        let charter = crdt::testkit::charter(&crdt::testkit::people(3));
        let author = charter.co_signers.first().copied().expect("three people");
        let treasuries =
            [1, 2].map(|seed| Treasury::create(&charter, Secret::new(seed).key()).expect("a fine charter"));
        let mut own = BTreeMap::new();
        for treasury in &treasuries {
            for path in [[0, 1], [0, 2], [0, 3], [0, 4], CHANGE] {
                let script = treasury.script(path).expect("watched");
                let merkle_root = treasury.merkle_root(path).expect("watched");
                own.insert(script, Own { path, merkle_root });
            }
        }
        let first = treasuries.first().expect("two");
        let deposits: Vec<_> = (1..=4_u32).map(|index| deposit(first, index)).collect();
        let anchors: Vec<_> =
            deposits.iter().map(|paid| OutPoint { txid: paid.compute_txid(), vout: 0 }).collect();
        let first = First { height: 1, txids: anchors.iter().map(|anchor| anchor.txid).collect() };
        let guild = charter.id();
        let change = treasuries.each_ref().map(|treasury| treasury.script(CHANGE).expect("watched"));
        let decided = decisions(&charter, author, &anchors);
        let seal = crdt::testkit::payee(0x5e);
        Self { guild, charter, author, own, change, seal, deposits, first: Arc::new(first), decided }
    }
}

fn deposit(treasury: &Treasury, index: u32) -> Transaction {
    let script = treasury.script([0, index]).expect("watched");
    let source = OutPoint { txid: Txid::from_byte_array([0xdd; 32]), vout: index };
    transaction(source, script, Amount::from_sat(90_000 + 10_000 * u64::from(index)))
}

fn certify<E: Decidable>(charter: &Charter, proposal: ProposalId, effect: E) -> Certified<E> {
    Secret::new(1).certify(charter, proposal, effect)
}

/// Several of each kind: equal bills, shared anchors, an exit at two amounts, rivals for one number.
fn decisions(charter: &Charter, author: MemberId, anchors: &[OutPoint]) -> Vec<Decided> {
    let id = |seed: u8| ProposalId(Digest([seed; 32]));
    let pay = |seed: u8, sat: u64| {
        vec![Output { script: crdt::testkit::payee(seed), amount: Amount::from_sat(sat) }]
    };
    let spend = |seed: u8, to: u8, sat: u64, coin: usize| {
        let effect = Spend { outputs: pay(to, sat), anchor: anchors[coin] };
        Decided::Spend(certify(charter, id(seed), effect))
    };
    let distribute = |seed: u8, number: Option<u32>, sat: u64| {
        let basis =
            number.map_or(Basis::Shares, |number| Basis::Work(Work { number, heads: BTreeMap::new() }));
        let outputs = [pay(seed, sat), pay(seed + 1, sat)].concat();
        let effect = Distribute { total: Amount::from_sat(2 * sat), outputs, anchor: anchors[0], basis };
        Decided::Distribute(certify(charter, id(seed), effect))
    };
    let exit = |sat: u64| {
        let exit = Exit::new(author, &crdt::testkit::payee(9), Amount::from_sat(sat)).expect("above dust");
        Decided::Exit(certify(charter, exit_id(charter.id(), &author), exit))
    };
    let mut all = vec![spend(1, 1, 20_000, 0), spend(2, 1, 20_000, 0), spend(3, 2, 30_000, 1)];
    all.extend([spend(4, 3, 150_000, 1), spend(5, 1, 20_000, 2), exit(25_000), exit(26_000)]);
    all.extend([distribute(20, Some(1), 12_000), distribute(30, Some(1), 13_000)]);
    all.extend([distribute(40, Some(2), 12_000), distribute(50, None, 11_000)]);
    // two budgets share a coin with each other and with payments, one has its own
    all.extend([(60, 1), (70, 3), (80, 1)].map(|(seed, coin)| budget(charter, author, seed, anchors[coin])));
    all
}

fn budget(charter: &Charter, author: MemberId, seed: u8, anchor: OutPoint) -> Decided {
    let payee = crdt::testkit::payee(seed);
    let id = ProposalId(Digest([seed; 32]));
    let effect = Budget {
        limit: LIMIT,
        period: PERIOD,
        payees: vec![payee.clone()],
        drawers: vec![author],
        purpose: "power".to_owned().try_into().expect("a line"),
        end: 1_000,
        anchor,
    };
    let bill = |number: u8| {
        let amount = Amount::from_sat(20_000 + 4_000 * u64::from(number));
        let outputs = vec![Output { script: payee.clone(), amount }];
        let reason = String::new().try_into().expect("a note");
        (EntryId(Digest([seed + number; 32])), Disburse { budget: id, outputs, reason })
    };
    Decided::Budget(certify(charter, id, effect), (1..=5).map(bill).collect())
}

use super::verify::{Place, treasury};
use super::*;
use crate::policy;
use crate::spend::{self, Params};
use crate::testkit::{Secret, transaction};
use crate::view::View;
use bitcoin::block::{Header, Version};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, CompactTarget, Network, OutPoint, ScriptBuf, Transaction, TxMerkleNode, TxOut, Txid,
    Witness,
};
use crdt::certificate::{Body, Certificate, Certified, key_test_digest};
use crdt::entry::KeyReady;
use crdt::governance::{Choice, Effect, Output, Proposal, Spend};
use crdt::testkit::{Person, ballot, charter, payee, people};
use crdt::{Charter, Digest, Document, Payload, ProposalId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A chain with work, commitments and roots, as real ones have them.
struct Chain {
    blocks: Vec<Block>,
    shown: BTreeMap<Height, Block>,
}

impl Chain {
    fn tip(&self) -> Height {
        Height::try_from(self.blocks.len()).unwrap()
    }

    fn mine(&mut self, reward: ScriptBuf, transactions: Vec<Transaction>, shown: bool) {
        let genesis = genesis_block(Network::Regtest).block_hash();
        let before = self.blocks.last().map_or(genesis, Block::block_hash);
        let mut coinbase = transaction(OutPoint::null(), reward, Amount::from_int_btc(50));
        coinbase.lock_time = bitcoin::absolute::LockTime::from_consensus(self.tip() + 1);
        coinbase.input[0].witness = Witness::from_slice(&[[0; 32]]);
        let header = Header {
            version: Version::TWO,
            prev_blockhash: before,
            merkle_root: TxMerkleNode::all_zeros(),
            time: 1_700_000_000 + self.tip(),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut block = Block { header, txdata: [vec![coinbase], transactions].concat() };
        let root = block.witness_root().unwrap();
        let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
        let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], commitment.as_byte_array().as_slice()].concat();
        block.txdata[0].output.push(TxOut { value: Amount::ZERO, script_pubkey: script.into() });
        block.header.merkle_root = block.compute_merkle_root().unwrap();
        while block.header.validate_pow(block.header.target()).is_err() {
            block.header.nonce += 1;
        }
        self.blocks.push(block.clone());
        if shown {
            self.shown.insert(self.tip(), block);
        }
    }

    fn idle(&mut self, count: usize) {
        (0..count).for_each(|_| self.mine(payee(0xee), Vec::new(), false));
    }

    fn view(&self, charter: &Charter, secret: Secret) -> View {
        let place = |(height, block): (&Height, &Block)| Place {
            height: *height,
            hash: block.block_hash(),
            time: block.header.time,
            transactions: block.txdata.clone(),
        };
        let tip = (self.tip(), self.blocks.last().unwrap().block_hash());
        treasury(charter, secret.key(), self.shown.iter().map(place), tip).unwrap()
    }
}

fn labels(_: &Document) -> Vec<LabelLine> {
    vec![LabelLine { kind: "tx".to_owned(), reference: "ab".repeat(32), label: "power".to_owned() }]
}

/// A key, shown to work.
fn keyed(people: &[Person], charter: &Charter, secret: Secret, document: &mut Document) {
    let (guild, transcript) = (charter.id(), Digest([7; 32]));
    for person in people {
        person.say(document, 1, Payload::Accept);
        let ready = KeyReady { epoch: 1, attempt: 1, group_key: secret.key(), transcript };
        person.say(document, 1, Payload::KeyReady(ready));
    }
    let signature = secret.sign(key_test_digest(guild, 1, transcript).0).into();
    people[0].say(document, 1, Payload::KeyTest { epoch: 1, signature });
    certify(&people[0], Body::founding(charter), secret, document);
}

fn certify(person: &Person, body: Body, secret: Secret, document: &mut Document) -> Certificate {
    let certificate = Certificate { signature: secret.sign(body.digest().0).into(), body };
    person.say(document, 8, Payload::Certificate(certificate.clone()));
    certificate
}

fn deposit(script: ScriptBuf, value: Amount, seed: u8) -> Transaction {
    let source = OutPoint { txid: Txid::from_byte_array([seed; 32]), vout: 0 };
    let mut deposit = transaction(source, script, value);
    deposit.input[0].witness = Witness::from_slice(&[[seed; 64]]);
    deposit
}

/// A guild that got a deposit and a block reward, decided to pay a bill, and paid it; and its file.
fn file() -> File {
    let (people, secret) = (people(3), Secret::new(1));
    let mut chain = Chain { blocks: Vec::new(), shown: BTreeMap::new() };
    chain.idle(1);
    let mut charter = charter(&people);
    charter.birth = crdt::charter::Birth { height: 1, hash: chain.blocks[0].block_hash() };
    let mut document = Document::new(&charter);
    keyed(&people, &charter, secret, &mut document);
    let script = |path| crate::Treasury::create(&charter, secret.key()).unwrap().script(path).unwrap();
    let aside = |seed| deposit(payee(seed), Amount::from_sat(5_000), seed);
    let paid_in = deposit(script([0, 1]), Amount::from_sat(500_000), 1);
    let anchor = OutPoint { txid: paid_in.compute_txid(), vout: 0 };
    chain.mine(payee(0xee), vec![aside(2), paid_in, aside(3)], true);
    chain.mine(script([0, 0]), vec![], true);
    chain.idle(6);
    let output = Output { script: payee(9), amount: Amount::from_sat(70_000) };
    let spend = Spend { outputs: vec![output], anchor };
    let title = "Pay the host".to_owned().try_into().unwrap();
    let proposal =
        Proposal { title, text: crdt::text::Note::default(), effect: Effect::Spend(spend.clone()) };
    let id = ProposalId::from(people[0].say(&mut document, 8, Payload::Propose(proposal)).id());
    for voter in &people[..2] {
        voter.say(&mut document, 8, ballot(id, Choice::Yes, true));
    }
    let facts = crdt::testkit::facts(8);
    let body = crdt::fold(&charter, &document, &facts).state.proposals[&id].body(charter.id(), id);
    let certificate = certify(&people[1], body, secret, &mut document);
    let decided = Certified::verify(spend, certificate, charter.id(), secret.key()).unwrap();
    let (view, cap) = (chain.view(&charter, secret), charter.fee_cap.clone());
    let params = Params {
        lock_height: chain.tip(),
        fee_rate: None,
        cap: cap.clone(),
        bump: 0,
        avoid: BTreeSet::new(),
        apart: BTreeSet::new(),
    };
    let built = spend::build(&decided, &view, &params).unwrap();
    let checked = policy::check(&built.transaction, &decided, &view, &cap).unwrap();
    let payment = secret.complete(&checked);
    chain.mine(payee(0xee), vec![aside(4), payment.clone()], true);
    chain.idle(6);
    let rewarded = chain.blocks[2].txdata[0].compute_txid();
    File::of(Material {
        charter: &charter,
        document: &document,
        labels: labels(&document),
        headers: chain.blocks.iter().map(|block| block.header).collect(),
        blocks: chain.shown.clone(),
        transactions: [anchor.txid, payment.compute_txid(), rewarded].into(),
    })
    .unwrap()
}

#[test]
fn what_is_written_is_verified_and_adds_up() {
    let file = file();
    let text = serde_json::to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<File>(&text).unwrap(), file, "a file survives being written");
    let audited = verify(&file, labels).unwrap();
    assert_eq!((audited.entries, audited.certificates, audited.transactions), (12, 2, 3));
    assert_eq!(audited.decisions.len(), 1);
    assert_eq!(audited.decisions[0].status, "paid");
    assert_eq!(usize::try_from(audited.height).unwrap(), audited.headers);
    let fee = 5_000_500_000 - 70_000 - audited.treasury_sat;
    assert!((100..2_000).contains(&fee), "{fee}");
}

/// Every place of `value` where something stands, as a path of JSON.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(all) => {
            found.push(path.to_owned());
            (0..)
                .zip(all)
                .for_each(|(index, value): (usize, _)| places(value, &format!("{path}/{index}"), found));
        }
        Value::Object(all) => {
            all.iter().for_each(|(key, value)| places(value, &format!("{path}/{key}"), found))
        }
        _ => found.push(path.to_owned()),
    }
}

/// Every value beside `value`: a digit changed, a number raised, a part left out, a part twice.
fn tampered(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            let middle = text.len() / 2;
            let other = |at: usize, digit: &str| format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            let changed = if text.as_bytes()[middle] == b'0' { "1" } else { "0" };
            vec![other(middle, changed).into(), format!("{text}00").into()]
        }
        Value::Number(number) => vec![(number.as_u64().unwrap() + 1).into()],
        Value::Array(all) => (0..all.len())
            .flat_map(|index| {
                let (mut less, mut more) = (all.clone(), all.clone());
                less.remove(index);
                more.insert(index, all[index].clone());
                [less.into(), more.into()]
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_part_can_be_changed_left_out_or_doubled() {
    let whole = serde_json::to_value(file()).unwrap();
    let mut found = Vec::new();
    places(&whole, "", &mut found);
    let mut tried = 0;
    for path in &found {
        for other in tampered(whole.pointer(path).unwrap()) {
            let mut tampered = whole.clone();
            *tampered.pointer_mut(path).unwrap() = other;
            let Ok(file) = serde_json::from_value::<File>(tampered) else { continue };
            let fault = verify(&file, labels).expect_err(path);
            assert!(!fault.to_string().contains('\n'), "one line: {fault}");
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn the_part_that_does_not_stand_is_named() {
    /// (what is done to the file, how the line begins)
    type Case = (fn(&mut File), &'static str);
    let table: [Case; 14] = [
        (|file| file.version = 2, "format: expected hashguild-audit 1"),
        (|file| file.charter.replace_range(40..41, "z"), "charter: expected"),
        (|file| drop(file.entries.remove(0)), "entries: expected 11 entries that follow one another"),
        (|file| file.entries[0].replace_range(9..10, "0"), "entry 0: expected a signed entry of this guild"),
        (|file| file.certificates[0].close += 1, "certificate of "),
        (|file| drop(file.certificates.pop()), "certificates: expected the 2 certificates"),
        (|file| file.headers[4] = file.headers[3].clone(), "header at height 5: expected a child of"),
        (|file| drop(file.headers.pop()), "summary, height: expected 15, found 16"),
        (
            |file| file.blocks[1].height += 1,
            "block at height 4: expected the first transaction of this block",
        ),
        (
            |file| file.blocks[0].transactions[0].branch[0] = "00".repeat(32),
            "transaction 2 of the block at height 2: expected a branch to this block's merkle root",
        ),
        (
            |file| file.blocks[2].transactions[0].witness_branch[0] = "00".repeat(32),
            "transaction 2 of the block at height 10: expected the witness that the block commits to",
        ),
        (|file| file.labels[0].label.push('!'), "labels: expected the 1 labels that follow from the entries"),
        (|file| drop(file.blocks.remove(0)), "summary, state_hash: expected"),
        (|file| drop(file.blocks.remove(1)), "summary, treasury_sat: expected"),
    ];
    let whole = file();
    for (tamper, line) in table {
        let mut file = whole.clone();
        tamper(&mut file);
        let fault = verify(&file, labels).unwrap_err().to_string();
        assert!(fault.starts_with(line), "{fault}, not {line}");
    }
}

#[test]
fn a_payment_with_another_witness_is_not_believed() {
    // Without a proof of its witness a payment could be made to look like a recovery by the leaf.
    let mut file = file();
    let shown = &mut file.blocks[2].transactions[0];
    let bytes: Vec<u8> = bitcoin::hex::FromHex::from_hex(&shown.transaction).unwrap();
    let mut payment: Transaction = bitcoin::consensus::deserialize(&bytes).unwrap();
    payment.input[0].witness = Witness::from_slice(&[vec![1; 64], vec![2; 100], vec![0xc0; 33]]);
    shown.transaction = bitcoin::consensus::encode::serialize_hex(&payment);
    let fault = verify(&file, labels).unwrap_err();
    assert_eq!(fault.part, Part::Transaction(10, 2));
}

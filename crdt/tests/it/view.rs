//! The record view: equal documents give equal Automerge documents, which stock Automerge reads.

use crate::harness::{Guild, TIP, branch, certificate, entry, group, guild, with_charter};
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc, Value};
use bitcoin::bip32::{Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use crdt::charter::{Founder, Recovery};
use crdt::testkit::{Person, ballot, payee, spend};
use crdt::text::Line;
use crdt::view::{SHARD, record, to_json};
use crdt::*;
use ed25519_dalek::SigningKey;

fn view(guild: &Guild) -> AutoCommit {
    record(&guild.charter, &guild.document, &guild.fold()).expect("a record")
}

/// A guild that did something of everything.
fn busy() -> Guild {
    let mut guild = guild(3);
    guild.ready(&group(1));
    let proposal = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 0..3 {
        guild.say(who, ballot(proposal, Choice::Yes, true));
    }
    let body = guild.body(proposal);
    guild.say(1, certificate(body, &group(1)));
    let stored = guild.document.chain(&guild.id(2)).and_then(|chain| chain.id_at(0));
    let twin = entry(guild.person(2), guild.charter.id(), (1, stored, TIP), 3, Payload::Accept);
    guild.document.insert(twin, TIP);
    guild
}

#[test]
fn equal_documents_give_equal_heads_bytes_and_json() {
    let guild = busy();
    let mut entries: Vec<Signed> =
        guild.document.chains().flat_map(|(_, chain)| chain.all().cloned()).collect();
    let mut one = view(&guild);
    for turn in 1..6 {
        entries.rotate_left(turn);
        entries.reverse();
        let mut document = guild.empty();
        entries.iter().for_each(|signed| drop(document.insert(signed.clone(), TIP)));
        let mut other = view(&Guild { document, ..busy() });
        assert_eq!(one.get_heads(), other.get_heads());
        assert_eq!(one.save(), other.save());
        assert_eq!(to_json(&one).unwrap(), to_json(&other).unwrap());
    }
    let mut more = busy();
    more.say(0, Payload::Accept);
    assert_ne!(one.get_heads(), view(&more).get_heads());
}

#[test]
fn stock_automerge_reads_what_was_exported() {
    let guild = busy();
    let state = guild.fold().state;
    let mut exported = view(&guild);
    let mut loaded = AutoCommit::load(&exported.save()).expect("stock Automerge loads it");
    assert_eq!(loaded.get_heads(), exported.get_heads());
    let json = to_json(&loaded).unwrap();
    assert_eq!(json["guild"]["state_hash"], state.hash().to_string());
    assert_eq!(json["guild"]["id"], guild.charter.id().to_string());
    let (id, proposal) = state.proposals.iter().next().unwrap();
    let shown = &json["proposals"][0][id.to_string()];
    assert_eq!(shown["outputs"][0]["amount_sat"], 70_000);
    assert_eq!(shown["close"], proposal.close);
    assert_eq!(shown["ballots"][0]["alice"]["choice"], "yes");
    assert!(shown["certificate"].as_str().is_some_and(|signature| signature.len() == 128));
    assert_eq!(json["members"][0][guild.id(1).to_string()]["name"], "bob");
}

#[test]
fn the_record_holds_every_entry_with_its_verdict() {
    let guild = busy();
    let json = to_json(&view(&guild)).unwrap();
    let folded = guild.fold();
    for (author, chain) in guild.document.chains() {
        let shards = json["entries"].as_array().unwrap();
        let own = shards.iter().find_map(|shard| shard.get(author.to_string())).unwrap().as_array().unwrap();
        for signed in chain.all() {
            let shown = own.iter().find_map(|shard| shard.get(signed.id().to_string())).unwrap();
            assert_eq!(shown["kind"], signed.entry().payload.kind());
            assert_eq!(shown["verdict"], folded.verdicts[&signed.id()].to_string());
        }
    }
}

fn many(count: u8) -> Guild {
    let person =
        |number: u8| Person { key: SigningKey::from_bytes(&[number; 32]), name: format!("member {number}") };
    let people: Vec<Person> = (1..=count).map(person).collect();
    let founders = people.iter().map(|person| Founder {
        key: person.id(),
        name: Line::try_from(person.name.clone()).expect("plain"),
        weight: Weight::try_from(1).expect("a weight"),
        claim: Weight::default(),
        payout: payee(1),
    });
    let founders: Vec<Founder> = founders.collect();
    let secp = Secp256k1::new();
    let keys = people.iter().map(|person| {
        let root = Xpriv::new_master(bitcoin::Network::Regtest, &person.key.to_bytes()).expect("a seed");
        Xpub::from_priv(&secp, &root)
    });
    let recovery = Recovery { keys: keys.collect(), least: 2, delay: 52_560 };
    let co_signers = people.iter().take(7).map(Person::id).collect();
    let mut guild = with_charter(crdt::testkit::people(2), |_| {});
    guild.charter = Charter { founders, co_signers, recovery, ..guild.charter };
    guild.charter.check().expect("a sound charter");
    guild.document = Document::new(&guild.charter);
    guild.people = people;
    guild
}

/// The largest map in `document`, with the names that lead to it.
fn largest(document: &AutoCommit, object: &ObjId, name: &str) -> (usize, String) {
    let mut most = (0, name.to_owned());
    let keys: Vec<String> = document.keys(object).collect();
    if document.object_type(object).expect("an object") == ObjType::Map {
        most.0 = keys.len();
        for key in keys {
            if let Ok(Some((Value::Object(_), child))) = document.get(object, key.as_str()) {
                most = most.max(largest(document, &child, &format!("{name}/{key}")));
            }
        }
    } else {
        for index in 0..document.length(object) {
            if let Ok(Some((Value::Object(_), child))) = document.get(object, index) {
                most = most.max(largest(document, &child, &format!("{name}/{index}")));
            }
        }
    }
    most
}

#[test]
fn no_map_has_more_keys_than_a_shard() {
    let mut guild = many(40);
    let proposal = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 0..39 {
        guild.say(who, ballot(proposal, Choice::Yes, true));
    }
    for sat in 0..40 {
        guild.say(1, spend(71_000 + sat));
    }
    let long = branch(&guild.people[39], guild.charter.id(), None, 1_100, |seq| {
        (seq / 200 * limits::QUOTA_BLOCKS, 1, Payload::Accept)
    });
    long.into_iter().for_each(|signed| assert!(matches!(guild.document.insert(signed, TIP), Insert::New(_))));
    let (keys, place) = largest(&view(&guild), &ROOT, "");
    assert_eq!(keys, SHARD, "{place} has {keys} keys");
}

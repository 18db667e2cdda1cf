use super::*;
use bitcoin::hex::DisplayHex as _;
use crdt::testkit::{charter, facts, people, spend};
use wallet::testkit::Secret;

/// The certificate of a spend, or of the founding policy, as a node gives it.
fn file(founding: bool) -> CertificateFile {
    let (people, secret) = (people(3), Secret::new(1));
    let charter = charter(&people);
    let mut document = crdt::Document::new(&charter);
    let signed = people[0].say(&mut document, 1, spend(70_000));
    let id = ProposalId::from(signed.id());
    let body = match founding {
        true => Body::founding(&charter),
        false => crdt::fold(&charter, &document, &facts(1)).state.proposals[&id].body(charter.id(), id),
    };
    CertificateFile {
        v: 1,
        charter: charter.to_bytes().to_lower_hex_string(),
        group_key: secret.key().to_string(),
        epoch: body.epoch,
        proposal: (!founding).then(|| signed.to_bytes().to_lower_hex_string()),
        option: body.option,
        close: body.close,
        signature: secret.sign(body.digest().0).to_lower_hex_string(),
    }
}

#[test]
fn a_certificate_proves_its_decision_with_nothing_but_its_file() {
    let verified = verify(&file(false)).unwrap();
    assert_eq!((verified.title.as_deref(), verified.class.as_str()), (Some("Pay the host"), "spend"));
    assert_eq!(verify(&file(true)).unwrap().title, None, "the charter's own policy");
}

#[test]
fn whatever_is_changed_in_a_certificate_is_named_in_one_line() {
    /// (what is changed, how the line begins)
    type Case = (fn(&mut CertificateFile), &'static str);
    let other = |text: &mut String| text.replace_range(60..61, if &text[60..61] == "0" { "1" } else { "0" });
    let table: [Case; 10] = [
        (|file| file.charter.push('0'), "charter: "),
        (|file| file.charter.replace_range(20..22, "ff"), ""),
        (|file| file.group_key = Secret::new(2).key().to_string(), "signature: it is not one of this key"),
        (|file| file.group_key.truncate(60), "group key: "),
        (|file| file.epoch += 1, "signature: it is not one of this key over this decision"),
        (|file| file.option = 1, "proposal: it has no such option"),
        (|file| file.close += 1, "signature: it is not one of this key over this decision"),
        (|file| file.proposal = None, "signature: "),
        (|file| file.proposal = Some("00".repeat(40_000)), "proposal: longer than an entry"),
        (|file| file.signature.truncate(126), "signature: "),
    ];
    for (change, line) in table {
        let mut file = file(false);
        change(&mut file);
        let failure = verify(&file).unwrap_err();
        assert_eq!(failure.code, Code::Refused, "{}", failure.detail);
        assert!(failure.detail.starts_with(line) && !failure.detail.contains('\n'), "{}", failure.detail);
    }
    type Field = fn(&mut CertificateFile) -> &mut String;
    let fields: [Field; 2] = [|file| file.proposal.as_mut().unwrap(), |file| &mut file.signature];
    for field in fields {
        let mut file = file(false);
        other(field(&mut file));
        assert_eq!(verify(&file).unwrap_err().code, Code::Refused);
    }
}

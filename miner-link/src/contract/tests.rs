use super::*;
use crate::testkit::Guild;
use crdt::certificate::Body;

#[test]
fn a_pairing_survives_its_code_and_hides_its_token() {
    let pairing = Guild::new(3).pairing();
    let code = pairing.to_string();
    assert!(code.starts_with("guildlink1"), "{code}");
    assert_eq!(code.parse::<Pairing>().unwrap(), pairing);
    assert_eq!(format!(" {}\n", code.to_uppercase()).parse::<Pairing>().unwrap(), pairing);
    assert!(!format!("{pairing:?}").contains("secret"));
}

#[test]
fn a_code_with_an_error_pairs_with_nobody() {
    let code = Guild::new(3).pairing().to_string();
    let mut typo = code.clone().into_bytes();
    let last = typo.len() - 1;
    typo[last] = if typo[last] == b'q' { b'p' } else { b'q' };
    let typo = String::from_utf8(typo).unwrap();
    let cut = &code[..code.len() - 1];
    let other = code.replacen("guildlink", "guildcard", 1);
    for bad in ["", "guildlink1", &typo, cut, &other, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"] {
        assert_eq!(bad.parse::<Pairing>(), Err(PairingError::Text), "{bad}");
    }
    let pairing = Guild::new(3).pairing();
    for url in ["", "ftp://x", "http://", "http://a b"] {
        let bad = Pairing { node_url: url.to_owned(), ..pairing.clone() };
        assert_eq!(bad.to_string().parse::<Pairing>(), Err(PairingError::Url), "{url}");
    }
    for token in ["", "a b", "a\r\nX: y", &"x".repeat(129)] {
        let bad = Pairing { token: token.to_owned(), ..pairing.clone() };
        assert_eq!(bad.to_string().parse::<Pairing>(), Err(PairingError::Token), "{token:?}");
    }
}

#[test]
fn an_answer_survives_json_and_has_one_spelling() {
    let guild = Guild::new(3);
    let certificate = guild.sign(Body::founding(&guild.charter));
    let answer = guild.answer(&certificate);
    let json = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<PolicyAnswer>(&json).unwrap(), answer);
    assert_eq!(answer.charter().unwrap(), guild.charter);
    let mut certified = answer.certified.unwrap();
    assert_eq!(certified.read().unwrap(), (guild.charter.mining, certificate));
    certified.certificate_hex.push_str("00");
    assert_eq!(certified.read(), Err(AnswerError::Malformed("certificate_hex")));
}

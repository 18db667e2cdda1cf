use super::*;

fn subscribe(agent: &str) -> Request {
    Request::Subscribe { agent: agent.to_owned() }
}

/// Lines as firmware writes them.
#[test]
fn the_liberties_of_firmware_are_understood() {
    let configure = |extensions: &[&str], mask, least| Request::Configure {
        extensions: extensions.iter().map(|name| (*name).to_owned()).collect(),
        mask,
        least,
    };
    let authorize = |name: &str| Request::Authorize { name: name.to_owned(), difficulty: None };
    let submit = |params: Value| Request::Submit(params.as_array().unwrap().clone());
    let cases = [
        (
            "cpuminer subscribes",
            r#"{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}"#,
            json!(1),
            subscribe("cpuminer/2.5.1"),
        ),
        ("nothing said", r#"{"id":1,"method":"mining.subscribe","params":[]}"#, json!(1), subscribe("")),
        ("parameters missing", r#"{"id":1,"method":"mining.subscribe"}"#, json!(1), subscribe("")),
        (
            "a session to resume",
            r#"{"id":1,"method":"mining.subscribe","params":["ua","01"]}"#,
            json!(1),
            subscribe("ua"),
        ),
        (
            "four parameters",
            r#"{"id":1,"method":"mining.subscribe","params":["ua",null,"host",3333]}"#,
            json!(1),
            subscribe("ua"),
        ),
        (
            "no password",
            r#"{"id":2,"method":"mining.authorize","params":["alice.rig1"]}"#,
            json!(2),
            authorize("alice.rig1"),
        ),
        (
            "an empty password",
            r#"{"params":["alice.rig1",""],"id":"two","method":"mining.authorize"}"#,
            json!("two"),
            authorize("alice.rig1"),
        ),
        (
            "a difficulty in the password",
            r#"{"params":["alice.rig1","x, d=2048"],"id":2,"method":"mining.authorize"}"#,
            json!(2),
            Request::Authorize { name: "alice.rig1".to_owned(), difficulty: Some(2048.0) },
        ),
        ("id null", r#"{"id":null,"method":"mining.ping","params":[]}"#, json!(null), Request::Ping),
        ("id missing", r#"{"method":"mining.ping"}"#, json!(null), Request::Ping),
        ("id of another kind", r#"{"id":{"a":1},"method":"mining.ping"}"#, json!(null), Request::Ping),
        (
            "cpuminer submits, id last",
            r#"{"method": "mining.submit", "params": ["a.b", "1", "00000001", "654d6a80", "b2957c02"], "id":4}"#,
            json!(4),
            submit(json!(["a.b", "1", "00000001", "654d6a80", "b2957c02"])),
        ),
        (
            "BIP310",
            r#"{"id":1,"method":"mining.configure","params":[["version-rolling","minimum-difficulty"],
            {"version-rolling.mask":"ffffffff","version-rolling.min-bit-count":2,"minimum-difficulty.value":2048}]}"#,
            json!(1),
            configure(&["version-rolling", "minimum-difficulty"], u32::MAX, Some(2048.0)),
        ),
        (
            "BIP310 without a mask",
            r#"{"id":1,"method":"mining.configure","params":[["version-rolling"]]}"#,
            json!(1),
            configure(&["version-rolling"], u32::MAX, None),
        ),
        (
            "a suggestion",
            r#"{"id":1,"method":"mining.suggest_difficulty","params":[0.001]}"#,
            json!(1),
            Request::SuggestDifficulty(0.001),
        ),
        (
            "a suggestion in text",
            r#"{"id":1,"method":"mining.suggest_difficulty","params":["1000"]}"#,
            json!(1),
            Request::SuggestDifficulty(1000.0),
        ),
        (
            "a target",
            r#"{"id":1,"method":"mining.suggest_target","params":["00ff"]}"#,
            json!(1),
            Request::Noted,
        ),
        (
            "a target in full",
            r#"{"id":1,"method":"mining.suggest_target","params":["00000000ffff0000000000000000000000000000000000000000000000000000"]}"#,
            json!(1),
            Request::SuggestDifficulty(1.0),
        ),
        (
            "extranonce",
            r#"{"id":5,"method":"mining.extranonce.subscribe","params":[]}"#,
            json!(5),
            Request::Noted,
        ),
        ("the version", r#"{"id":6,"method":"client.get_version","params":[]}"#, json!(6), Request::Version),
        (
            "params an object",
            r#"{"id":6,"method":"mining.x","params":{"a":1},"jsonrpc":"2.0"}"#,
            json!(6),
            Request::Unknown("mining.x".to_owned()),
        ),
    ];
    for (name, line, id, request) in cases {
        let line = line.replace('\n', " ");
        assert_eq!(read(line.as_bytes()), Line::Request { id, request }, "{name}");
        let with_return = format!("{line}\r");
        assert!(matches!(read(with_return.as_bytes()), Line::Request { .. }), "{name}, with a return");
    }
}

#[test]
fn what_means_nothing_is_malformed() {
    assert_eq!(read(br#"{"id":1,"result":"x/1","error":null}"#), Line::Reply);
    let deep = "[".repeat(4_000);
    for bad in ["", "{", "[]", "1", "GET / HTTP/1.1", r#"{"id":1,"method":5}"#, &deep] {
        assert_eq!(read(bad.as_bytes()), Line::Malformed, "{bad}");
    }
    assert_eq!(read(b"\xff\xfe"), Line::Malformed);
}

#[test]
fn every_reply_has_all_three_parts() {
    let replies = [
        result(&json!(1), &json!(true)),
        refusal(&json!("x"), Reason::LowDifficulty),
        unknown_method(&Value::Null),
        accepted(&json!(7)),
    ];
    for reply in &replies {
        let value: Value = serde_json::from_str(reply).unwrap();
        assert!(["id", "result", "error"].iter().all(|key| value.get(key).is_some()), "{reply}");
    }
    assert!(replies[1].contains(r#"[23,"low difficulty share",null]"#), "{}", replies[1]);
    assert!(replies[2].contains("[-3,"), "{}", replies[2]);
}

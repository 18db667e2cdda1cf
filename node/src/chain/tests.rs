//! Which source a configuration means, and how long one that fails is left alone.

use super::*;

const HEAD: &str = "network = \"regtest\"\nlisten = \"/ip4/127.0.0.1/tcp/1\"\napi = \"127.0.0.1:2\"\n";

fn named(sources: &str) -> (String, bool) {
    let config: Config = toml::from_str(&format!("{HEAD}{sources}")).unwrap();
    let charter = crdt::testkit::charter(&crdt::testkit::people(3));
    let source = source(&config, Some(&charter));
    (source.name(), source.decides())
}

#[test]
fn block_filters_are_the_source_where_none_is_named_and_a_server_never_decides_alone() {
    let bitcoind = "[bitcoind]\nurl = \"http://127.0.0.1:1\"\ncookie = \"c\"\n";
    let electrum = "[electrum]\nurl = \"tcp://e:1\"\n";
    let esplora = "[esplora]\nurl = \"https://e/api/\"\n";
    for (sources, name, decides) in [
        (String::new(), "block filters of the regtest network", true),
        (bitcoind.to_owned(), "bitcoind at http://127.0.0.1:1", true),
        (electrum.to_owned(), "electrum at tcp://e:1", false),
        (esplora.to_owned(), "esplora at https://e/api", false),
        (
            format!("{electrum}{bitcoind}"),
            "bitcoind at http://127.0.0.1:1, checked by electrum at tcp://e:1",
            true,
        ),
        (format!("{esplora}{electrum}"), "electrum at tcp://e:1, checked by esplora at https://e/api", true),
    ] {
        assert_eq!(named(&sources), (name.to_owned(), decides), "{sources}");
    }
}

#[test]
fn a_source_that_fails_is_asked_later_each_time_and_never_more_than_half_a_minute_later() {
    let config: Config = toml::from_str(&format!("{HEAD}[electrum]\nurl = \"tcp://127.0.0.1:1\"\n")).unwrap();
    let mut thread = Thread { source: source(&config, None), polls: 0, fee_rate: None, lost: None };
    let mut waits = Vec::new();
    for _ in 0..9 {
        let lost = thread.poll_in_time(None, false);
        assert!(
            matches!(&lost, News::Lost(why) if why.contains("electrum at tcp://127.0.0.1:1")),
            "{lost:?}"
        );
        let lost = thread.lost.as_mut().unwrap();
        waits.push(lost.wait.as_millis());
        let again = lost.until;
        thread.poll_in_time(None, false);
        let lost = thread.lost.as_mut().unwrap();
        assert_eq!(lost.until, again, "not asked before its time");
        lost.until = now();
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
}

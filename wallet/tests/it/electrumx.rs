//! A real Electrum server (ElectrumX, `e-x` on PyPI, which `.ci/electrumx.sh` installs) on a real bitcoind.

use regtest::{Keeper, Kept};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long it may take to answer.
const READY_LIMIT: u32 = 300;
const READY_TICK: Duration = Duration::from_millis(100);

pub(crate) struct ElectrumX {
    _kept: Kept,
    _folder: tempfile::TempDir,
    pub(crate) url: String,
}

/// Where the program is: `ELECTRUMX_EXE`, or where the script puts it.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("ELECTRUMX_EXE").map(PathBuf::from);
    let cached = || Some(PathBuf::from(std::env::var_os("HOME")?).join(PLACE));
    named.or_else(cached).filter(|path| path.exists())
}

const PLACE: &str = ".cache/hashguild/electrumx/bin/electrumx_server";

/// Start it; none, loudly, where it is not installed.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub(crate) fn start(node: &regtest::Bitcoind) -> Option<ElectrumX> {
    let Some(program) = program() else {
        eprintln!("SKIPPED: no Electrum server here; .ci/electrumx.sh installs one");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (port, rpc) = (free(), free());
    let cookie = std::fs::read_to_string(node.cookie_file()).unwrap();
    let daemon = node.rpc_url().replace("http://", &format!("http://{}@", cookie.trim()));
    let mut command = Keeper::find().unwrap().command(program);
    command.env("COIN", "Bitcoin").env("NET", "regtest").env("DB_DIRECTORY", folder.path());
    command.env("DAEMON_URL", daemon).env("ALLOW_ROOT", "1").env("DB_ENGINE", "leveldb");
    command.env("SERVICES", format!("tcp://127.0.0.1:{port},rpc://127.0.0.1:{rpc}"));
    command.env("PEER_DISCOVERY", "off").env("PEER_ANNOUNCE", "");
    command.env("COST_SOFT_LIMIT", "0").env("COST_HARD_LIMIT", "0").env("INITIAL_CONCURRENT", "100");
    command.env("DAEMON_POLL_INTERVAL_BLOCKS", "100").env("DAEMON_POLL_INTERVAL_MEMPOOL", "100");
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut kept = Kept::spawn(command).unwrap();
    for _ in 0..READY_LIMIT {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some(ElectrumX { _kept: kept, _folder: folder, url: format!("tcp://127.0.0.1:{port}") });
        }
        let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(kept.try_wait().unwrap().is_none(), "ElectrumX ended: {}", said());
        std::thread::sleep(READY_TICK);
    }
    panic!("ElectrumX does not listen: {}", std::fs::read_to_string(folder.path().join("log")).unwrap());
}

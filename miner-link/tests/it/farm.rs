//! A folder with a bitcoind, a node and a link in it.

use crate::node::Node;
use miner_link::contract::{LinkStatus, Pairing, PolicyAnswer, PoolStatus};
use miner_link::testkit::Guild;
use regtest::{Bitcoind, Keeper, Kept, Options, Provide, provide, to_stderr};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// No wait in these tests is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

pub(crate) struct Farm {
    pub(crate) bitcoind: Option<Bitcoind>,
    pub(crate) node: Node,
    pub(crate) guild: Guild,
    link: Option<Kept>,
    dir: tempfile::TempDir,
    rpc_port: u16,
    /// Where its miners connect; any free port unless it must stay the same over a restart.
    pub(crate) listen: String,
}

/// One more link on the farm's bitcoind, with a guild and a node of its own.
pub(crate) struct Link {
    pub(crate) guild: Guild,
    _node: Node,
    kept: Kept,
    dir: PathBuf,
}

impl Link {
    pub(crate) fn stratum(&self) -> String {
        miner_link::home::addresses(&self.dir).unwrap().stratum.to_string()
    }

    pub(crate) fn status(&self) -> LinkStatus {
        serde_json::from_str(&miner_link::client::status(&self.dir, true).unwrap()).unwrap()
    }

    pub(crate) fn pools(&self) -> Vec<PoolStatus> {
        let answer = miner_link::client::pools(&self.dir, true).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        serde_json::from_value(answer["pools"].clone()).unwrap()
    }

    /// A page of its API.
    pub(crate) fn page(&self, path: &str) -> String {
        let api = miner_link::home::addresses(&self.dir).unwrap().api;
        let mut stream = std::net::TcpStream::connect(api).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// A sudden end.
    pub(crate) fn kill(self) {
        drop(self.kept);
    }
}

/// A port that nobody listens on, to be listened on soon.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Farm {
    /// All three, with a node that gives the answer made by `answer`.
    pub(crate) fn start(answer: impl FnOnce(&Guild) -> PolicyAnswer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guild = Guild::new(3);
        let node = Node::start("secret", answer(&guild));
        let bitcoind = Bitcoind::start(keeper(), bitcoind_exe(), &Options::new(dir.path().join("bitcoind")));
        let bitcoind = bitcoind.unwrap();
        let rpc_port = bitcoind.rpc_url().rsplit(':').next().unwrap().parse().unwrap();
        let listen = "127.0.0.1:0".to_owned();
        let mut farm = Self { bitcoind: Some(bitcoind), node, guild, link: None, dir, rpc_port, listen };
        farm.start_link();
        farm
    }

    /// Start another link beside the first one, with this configuration file.
    pub(crate) fn another_link(&self, name: &str, guild: Guild, settings: &str) -> Link {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("miner-link.toml"), settings).unwrap();
        let node = Node::start("secret", guild.founding());
        let pairing = Pairing { node_url: node.url().to_owned(), ..guild.pairing() };
        let cookie = self.dir.path().join("bitcoind/regtest/.cookie");
        let mut command = keeper().command(LINK);
        command.args(["run", "--api", "127.0.0.1:0"]).stdout(Stdio::null());
        command.arg("--data-dir").arg(&dir).args(["--pairing", &pairing.to_string()]);
        if !settings.contains("bitcoind = ") {
            command.args(["--bitcoind", &format!("http://127.0.0.1:{}", self.rpc_port)]);
            command.arg("--cookie").arg(cookie);
        }
        if !settings.starts_with("listen = ") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // A link that was killed leaves its addresses.
        let _none = std::fs::remove_file(dir.join("addresses.json"));
        let kept = Kept::spawn(command).unwrap();
        wait_for("the link listens", || miner_link::home::addresses(&dir).is_ok());
        Link { guild, _node: node, kept, dir }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("link")
    }

    pub(crate) fn cookie(&self) -> PathBuf {
        self.dir.path().join("bitcoind/regtest/.cookie")
    }

    pub(crate) fn rpc_port(&self) -> u16 {
        self.rpc_port
    }

    /// One more bitcoind, which knows nothing of the first.
    pub(crate) fn another_bitcoind(&self) -> Bitcoind {
        Bitcoind::start(keeper(), bitcoind_exe(), &Options::new(self.dir.path().join("other"))).unwrap()
    }

    fn pairing(&self) -> Pairing {
        Pairing { node_url: self.node.url().to_owned(), ..self.guild.pairing() }
    }

    /// `miner-link COMMAND` with all that it needs.
    pub(crate) fn arguments(&self, command: &str) -> Vec<String> {
        let cookie = self.dir.path().join("bitcoind/regtest/.cookie");
        let (data_dir, pairing) = (self.data_dir(), self.pairing());
        let port = self.rpc_port;
        format!(
            "{command} --data-dir {} --pairing {pairing} --bitcoind http://127.0.0.1:{port} --cookie {} \
             --listen {} --api 127.0.0.1:0",
            data_dir.display(),
            cookie.display(),
            self.listen
        )
        .split(' ')
        .map(str::to_owned)
        .collect()
    }

    pub(crate) fn start_link(&mut self) {
        let mut command = keeper().command(LINK);
        command.args(self.arguments("run")).stdout(Stdio::null());
        self.link = Some(Kept::spawn(command).unwrap());
        wait_for("the link listens", || miner_link::home::addresses(&self.data_dir()).is_ok());
    }

    /// An orderly end.
    pub(crate) fn stop_link(&mut self) {
        let mut link = self.link.take().unwrap();
        link.terminate().unwrap();
        let status = link.wait_for(LIMIT).unwrap().expect("it ends");
        assert!(status.success(), "{status}");
    }

    /// A sudden one.
    pub(crate) fn kill_link(&mut self) {
        drop(self.link.take());
        std::fs::remove_file(self.data_dir().join("addresses.json")).unwrap();
    }

    pub(crate) fn stop_bitcoind(&mut self) {
        self.bitcoind.take().unwrap().stop().unwrap();
    }

    pub(crate) fn start_bitcoind(&mut self) {
        let mut options = Options::new(self.dir.path().join("bitcoind"));
        options.rpc_port = Some(self.rpc_port);
        self.bitcoind = Some(Bitcoind::start(keeper(), bitcoind_exe(), &options).unwrap());
    }

    pub(crate) fn bitcoind(&self) -> &Bitcoind {
        self.bitcoind.as_ref().unwrap()
    }

    pub(crate) fn stratum(&self) -> String {
        miner_link::home::addresses(&self.data_dir()).unwrap().stratum.to_string()
    }

    pub(crate) fn status(&self) -> LinkStatus {
        serde_json::from_str(&miner_link::client::status(&self.data_dir(), true).unwrap()).unwrap()
    }

    pub(crate) fn wait_for_height(&self, height: u64) {
        wait_for(&format!("height {height}"), || self.bitcoind().height().unwrap() >= height);
    }
}

pub(crate) const LINK: &str = env!("CARGO_BIN_EXE_miner-link");

/// Wait until `comes_true`.
pub(crate) fn wait_for(what: &str, mut comes_true: impl FnMut() -> bool) {
    let ticks = LIMIT.as_millis() / TICK.as_millis();
    assert!(
        (0..ticks).any(|_| comes_true() || {
            thread::sleep(TICK);
            false
        }),
        "{what}: not within {LIMIT:?}"
    );
}

fn bitcoind_exe() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| provide(&Provide { install: true, progress: &to_stderr }).unwrap().bitcoind)
}

/// The keeper, which a build of this package alone does not make.
fn keeper() -> &'static Keeper {
    static FOUND: OnceLock<Keeper> = OnceLock::new();
    FOUND.get_or_init(|| {
        let target = Path::new(LINK).ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", "regtest", "--bin", "keeper", "--target-dir"])
            .arg(target);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        Keeper::find().unwrap_or_else(|_| {
            assert!(build.status().unwrap().success(), "the keeper does not build");
            Keeper::find().unwrap()
        })
    })
}

#!/usr/bin/env bash
# Fails when a crate imports one it must not, or when something but custody gives shares of the key.
# The graph is drawn in docs/ARCHITECTURE.md.
set -euo pipefail
cd "$(dirname "$0")/.."

tree() { # what $1 links, directly or not; not what its tests link
    cargo tree --locked --edges normal,build --package "$1" --prefix none --format '{p}' "${@:2}"
}

allow() { # $1 may depend on exactly these crates of ours: $2
    local found
    found=$(tree "$1" --all-features | sed -n "s|^\([a-z-]*\) v.*($PWD.*|\1|p" | sort -u | grep -vx "$1" | tr '\n' ' ' || true)
    if [ "$found" != "$2" ]; then
        echo "layers: $1 imports '$found', may import '$2'" >&2
        exit 1
    fi
}

forbid() { # $1 must not link the crate $2
    if tree "$1" --all-features | grep -q "^$2 v"; then
        echo "layers: $1 must not link $2" >&2
        exit 1
    fi
}

only() { # the words $1 stand in no file of ours but $2 (tests aside)
    local found
    found=$(git ls-files '*.rs' | grep -vE '(^|/)tests(/|\.rs$)|testkit' | xargs grep -lE "$1" | grep -vxF "$2" || true)
    if [ -n "$found" ]; then
        echo "layers: '$1' belongs to $2 alone, and stands in: $found" >&2
        exit 1
    fi
}

allow threshold ''
allow crdt ''
allow wallet 'crdt '
allow miner-link 'crdt '
allow node 'crdt miner-link threshold wallet '
allow regtest ''
for crate in threshold crdt; do
    for io in tokio libp2p axum reqwest ureq hyper sled; do forbid "$crate" "$io"; done
done
for io in libp2p axum; do forbid wallet "$io"; done
forbid miner-link libp2p

# The custody chain: only custody hands a request to the signer.
for call in '\.sign\(&?package' 'signer\s*\.commit\('; do
    found=$(git ls-files 'node/src/*.rs' | xargs grep -nE "$call" | grep -v '^node/src/core/custody.rs:' || true)
    [ -z "$found" ] || { echo "layers: shares of the key leave node/src/core/custody.rs: $found" >&2; exit 1; }
done
# No function takes a digest to sign, and Automerge reads nothing outside tests.
only 'Automerge::load|AutoCommit::load|load_incremental|receive_sync_message|apply_changes' none
# Cores read no clock and await nothing.
found=$(git ls-files 'crdt/src/*.rs' 'threshold/src/*.rs' 'node/src/core.rs' 'node/src/core/*.rs' |
    xargs grep -nE 'async fn|\.await|Instant::now|SystemTime::now|OsRng' || true)
[ -z "$found" ] || { echo "layers: a core awaits, reads a clock or draws randomness: $found" >&2; exit 1; }
echo "layers: ok"

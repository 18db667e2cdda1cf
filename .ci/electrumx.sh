#!/usr/bin/env bash
# Installs ElectrumX (MIT), a real Electrum server, once, for the tests of the chain sources.
# Without it those tests say loudly that they are skipped.
set -euo pipefail
place="$HOME/.cache/hashguild/electrumx"
[ -e "$place/complete" ] && exit 0
rm -rf "$place"
python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check e-x==2.0.0 plyvel==1.5.1
touch "$place/complete"

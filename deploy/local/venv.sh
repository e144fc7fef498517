#!/bin/sh
# Make .venv from requirements.lock, or finish what a broken run left; called by make when a stamp is older.
set -eu
cd "$(dirname "$0")/../.."

fail() {
	echo "churnwatch: $1" >&2
	exit 1
}

fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'

choose_python() {
	for candidate in ${PYTHON:-python3 python3.11 python3.12}; do
		if "$candidate" -c "$fits" 2>/dev/null; then
			echo "$candidate"
			return
		fi
	done
	fail "Python 3.11 or 3.12 is missing: install one (apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.12"
}

# a venv without a working pip is the rest of a broken run, or of a Python that went away
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! .venv/bin/python -c "$fits"; then
	python=$(choose_python)
	rm -rf .venv
	"$python" -m venv .venv >.venv.log 2>&1 || {
		cat .venv.log >&2
		rm -rf .venv .venv.log
		fail "this Python has no venv: install it (apt install python3-venv)"
	}
	rm -f .venv.log
fi

# pip skips what is there already, so this also repairs; the project itself is built with the lock's setuptools
want=$(cksum requirements.lock)
if [ "$(cat .venv/.lock 2>/dev/null)" != "$want" ]; then
	echo "installing the dependencies of requirements.lock into .venv" >&2
	# with bars for whoever looks on, silent elsewhere
	quiet=-q
	[ -t 1 ] && quiet=
	.venv/bin/python -m pip install $quiet --require-hashes --no-deps -r requirements.lock ||
		fail "dependencies can't be installed: is the Python package index reachable? (pip config list shows where pip looks)"
	echo "$want" >.venv/.lock
fi
.venv/bin/python -m pip install -q --no-deps --no-build-isolation --no-index -e . ||
	fail "the project itself can't be installed into .venv; make clean and run it again"
touch .venv/.installed

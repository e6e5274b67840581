"""
Install the measured tools into their own environment, one by one.

    python benchmarks/install_peers.py

What cannot be installed is named and left out: `bench` skips it. The product's own environment
is not touched.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-bench"


def install_peers() -> None:
    """Create the environment if need be and install what is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    wanted = (HERE / "requirements.txt").read_text()
    # Names what was tried last, installed or not, so that nothing is asked of an index twice.
    tried = ENVIRONMENT / ".requirements-tried"
    if tried.exists() and tried.read_text() == wanted:
        return
    lines = wanted.splitlines()
    for requirement in (line for line in lines if line and not line.startswith("#")):
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            why = done.stderr.strip().splitlines()[-1:] or ["pip failed"]
            print(f"{requirement}: not installed, will not be measured: {why[0]}", file=sys.stderr)
    tried.write_text(wanted)


if __name__ == "__main__":
    install_peers()

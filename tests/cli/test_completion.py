"""
Completion in a real bash.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import PROGRAM
from tests.support.patience import PATIENCE_S

SCRIPT = """
fleetctl() { %s "$@"; }
source <(fleetctl completion bash)
complete -p fleetctl
while IFS=$'\\t' read -r COMP_LINE word; do
    COMP_POINT=${#COMP_LINE}
    _fleetctl_completion fleetctl "$word"
    echo "${COMPREPLY[@]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_gets_what_it_asks_for(tmp_path):
    """
    The printed script registers itself and answers with commands, hosts and values.
    """
    (tmp_path / "hosts.yml").write_text("all: {children: {web: {hosts: {'web[1:2]': , db1: }}}}\n")
    asked = {
        "fleetctl comp": ("comp", "completion"),
        "fleetctl hosts -i hosts.yml w": ("w", "web web1 web2"),
        "fleetctl hosts -i hosts.yml web:d": ("d", "db1"),
        "fleetctl hosts -i hosts.yml 'web:&@w": ("web:&@w", "web:&@web"),
        "fleetctl run -o batchmode=": ("", "yes no"),
        "fleetctl run -o HostKeyAli": ("HostKeyAli", "HostKeyAlias="),
        "fleetctl hosts -i nothing.yml ": ("", ""),
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT % shlex.join(PROGRAM)],
        input="".join(f"{line}\t{word}\n" for line, (word, _) in asked.items()),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    registered, *answers = done.stdout.splitlines()
    assert registered == "complete -o nosort -F _fleetctl_completion fleetctl"
    assert answers == [answer for _, answer in asked.values()]
    assert done.stderr == ""

"""
Options of keys, made up at random, and judged by a real sshd.
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import time

import pytest

from fleetctl.keys.authorized_keys import ServerVersion, liveness, parse
from fleetctl.keys.options import parse_expiry_time
from tests.support.key_cases import log_in
from tests.support.keys import keygen
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

_PIECES = (
    *("restrict", "no-pty", "pty", "X11-forwarding", "no-restrict", "frobnicate", "cert-authority"),
    *("no-touch-required", "verify-required", "user-rc", "NO-USER-RC", "ptyx", "no-", ""),
    *('command="echo asked"', 'command="echo \\"asked\\""', 'command="echo asked\\\\"', "command"),
    *('command="echo asked', "command=echo", "command='x'", 'command="a"b', 'Command="echo asked"'),
    *('from="127.*"', 'from="192.0.2.0/24"', 'from="127.0.0.1/8"', 'from="*,!127.0.0.1"'),
    *('from="!10.0.0.1,127.0.0.0/8"', 'from="localhost"', 'from="127.0.0.?"', 'from="*:*,127.*"'),
    *('expiry-time="20990101"', 'expiry-time="20990101Z"', 'expiry-time="2099010112"'),
    *('expiry-time="209901011260"', 'expiry-time="20990101125961"', 'expiry-time="20990101 Z"'),
    *('expiry-time="19690101"', 'expiry-time="20000101Z"', 'expiry-time="+1d"', "expiry-time"),
    *('expiry-time=" 2099101"', 'expiry-time="2099+1+1"', 'expiry-time="20990100"'),
    *('environment="A=1"', 'environment="=1"', 'environment="A="', 'environment="A-B=1"'),
    *('permitopen="a:1"', 'permitopen=":1"', 'permitopen="[::1]:1"', 'permitopen="::1:1"'),
    *('permitopen="a/1"', 'permitopen="[a:1"', 'permitopen="a:+1"', 'permitopen="a: 1"'),
    *('permitopen="*:*"', 'permitopen="a:01"', 'permitopen="a:65536"', 'permitopen="a:ssh"'),
    *('permitopen="a:1:2"', 'permitopen=""', 'permitopen="a:"'),
    *('permitlisten="1"', 'permitlisten="a:*"', 'permitlisten="*"', 'permitlisten=""'),
    *('permitlisten="[::1]"', 'permitlisten="ssh"', 'permitlisten="/1"'),
    *('tunnel="0"', 'tunnel="ANY"', 'tunnel="-1"', 'tunnel=" 1"', 'tunnel="2147483647"'),
    *('tunnel="2147483645"', 'tunnel="2147483644"', 'tunnel="any:any"', 'tunnel="1x"'),
    *('principals="root"', 'principals=""', "=", '"', "\\", '\\"', "a=b=c", 'pty="x"'),
)


def _counts(data, *, utc_offset=0, now=None):
    [state] = liveness(
        parse(data),
        at=int(time.time()) if now is None else now,
        utc_offset=utc_offset,
        server=ServerVersion.parse("OpenSSH_9.2p1"),
        client_address="127.0.0.1",
    )
    return state.state == "live", state


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return keygen(tmp_path_factory.mktemp("oracle") / "id", "-t", "ed25519")


@pytest.mark.parametrize("batch", range(4))
def test_F66_sshd_reads_options_as_we_do(fleet, key, batch, is_full_size):
    """
    Every piece alone, and random lists of them, let the key in exactly when we say so.
    """
    host, public = fleet.sshd("options-judge", {}), key.with_suffix(".pub").read_text()
    file, dice = host.home / ".ssh" / "authorized_keys", random.Random(batch)
    lists = [[piece] for piece in _PIECES[batch::4]]
    count = 200 if is_full_size else 4
    lists += [dice.choices(_PIECES, k=dice.randint(2, 3)) for _ in range(count)]
    wrong = []
    for pieces in lists:
        line = f"{','.join(pieces)} {public}"
        file.write_text(line)
        ours, state = _counts(line.encode())
        if (log_in(fleet, host, key) is not None) != ours:
            wrong.append((line.partition(" ssh-")[0], ours, state.why))
    assert wrong == []


@pytest.mark.parametrize(
    ("zone", "offset"), [("UTC", 0), ("Asia/Tokyo", 9 * 3600), ("Etc/GMT+8", -8 * 3600)]
)
def test_sshd_takes_times_for_those_of_its_zone(fleet, key, zone, offset):
    """
    A local time that is over in Tokyo is still to come in California; one in UTC is the same.
    """
    host, public = fleet.sshd("zone-judge", {}), key.with_suffix(".pub").read_text()
    file, now = host.home / ".ssh" / "authorized_keys", time.time()
    sshd = shlex.join([str(fleet.sshd_installed.path), "-i", "-f", str(host.config)])
    argv = [
        *("ssh", "-F", "/dev/null", "-i", str(key), "-o", "BatchMode=yes"),
        *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", f"ProxyCommand=env TZ={zone} {sshd}", "-l", fleet.user, "judge", "true"),
    ]
    for hours in (-11, -4, 4, 11):
        for suffix in ("", "Z"):
            stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now + hours * 3600)) + suffix
            line = f'expiry-time="{stamp}" {public}'
            file.write_text(line)
            done = subprocess.run(argv, capture_output=True, timeout=PATIENCE_S, check=False)
            expected = parse_expiry_time(stamp).at(offset) >= now
            assert (done.returncode == 0) == expected, (stamp, done.stderr)
            assert _counts(line.encode(), utc_offset=offset)[0] == expected
    assert os.environ.get("TZ", "UTC") != "Asia/Tokyo"

"""
Deploying a key and taking it away again: the bytes are those of before.
"""

from __future__ import annotations

import getpass

import pytest

from fleetctl.keys.guarded import Guarding, Way
from fleetctl.keys.place import Target
from fleetctl.keys.revoke import Doomed, RevokeKeys
from tests.fleet.keys.deploying import OTHER_LINE, deploy, make_new_key, make_place, perform

pytestmark = pytest.mark.fleet


@pytest.mark.parametrize(
    "data",
    [
        OTHER_LINE,
        b"",
        b"# no newline at the end",
        b"# one\r\n# two\r\n",
        b"# one\r\n# torn",
        b"\xef\xbb\xbf# a mark\n\n\n",
        b"garbage \0 and more\n" * 3,
    ],
    ids=["plain", "empty", "torn", "crlf", "crlf-torn", "bom", "garbage"],
)
def test_F66_deploy_then_revoke_gives_the_original_bytes(accounts, tmp_path, data):
    """
    Byte for byte, whatever stood there.
    """
    place = make_place(accounts, "u-ksh", make_new_key(tmp_path))
    place.write(data)
    assert deploy(place).status == "ok"
    assert place.lets_in()
    doomed = Doomed((place.public.blob,), private_files={place.public.fingerprint: str(place.key)})
    revoke = RevokeKeys(
        doomed, Way("test", Target()), Guarding(local_user=getpass.getuser(), dead_man_s=None)
    )
    outcome = perform(place, revoke)
    assert outcome.status == "ok", outcome.failure
    assert place.file.read_bytes() == data
    assert not place.lets_in()

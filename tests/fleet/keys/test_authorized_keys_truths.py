"""
Files of tests/cases/authorized_keys on real servers: who is let in, and what runs.
"""

from __future__ import annotations

import time

import pytest

from tests.support.key_cases import CaseKeys, load_cases, log_in

pytestmark = pytest.mark.fleet

CASES = load_cases()
DROPBEAR_CASES = [case for case in CASES if case.dropbear]


@pytest.fixture(scope="module")
def case_keys(tmp_path_factory, fleet):
    return CaseKeys(tmp_path_factory.mktemp("case-keys"), fleet.user)


@pytest.fixture(scope="module")
def judge(fleet):
    return fleet.sshd("key-judge", {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_F66_sshd_lets_in_whom_our_reading_of_the_file_says(fleet, judge, case_keys, case):
    """
    Each file of the cases is judged by a real sshd: it lets in who the case says, runs what the
    options force, and that is what we predict.
    """
    data = case_keys.fill(case.text)
    (judge.home / ".ssh" / "authorized_keys").write_bytes(data)
    truth = {name: log_in(fleet, judge, case_keys.folder / name) for name in case.logins}
    assert truth == case.logins
    server, now = "OpenSSH_9.2p1", int(time.time())
    assert case.logins == {n: case_keys.predict(data, n, server, at=now) for n in case.logins}


@pytest.mark.parametrize("case", DROPBEAR_CASES, ids=lambda case: case.name)
def test_F66_dropbear_lets_in_whom_our_reading_of_the_file_says(fleet, accounts, case_keys, case):
    """
    Dropbear reads the same files otherwise, and we know how.
    """
    host = accounts.dropbear("keys-dropbear")
    user = accounts.users[0]
    file = host.home / user / ".ssh" / "authorized_keys"
    before, data = file.read_bytes(), case_keys.fill(case.text)
    try:
        file.write_bytes(data)
        truth = {
            name: log_in(fleet, host, case_keys.folder / name, user=user) for name in case.dropbear
        }
    finally:
        file.write_bytes(before)
    assert truth == case.dropbear
    server, now = "dropbear_2022.83", int(time.time())
    predicted = {n: case_keys.predict(data, n, server, at=now) for n in case.dropbear}
    assert predicted == case.dropbear

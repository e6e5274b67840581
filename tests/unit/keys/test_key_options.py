"""
Options of keys: what people ask for, what sshd reads, what a server of some version knows.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest

from fleetctl.keys.options import (
    BadOptions,
    KeyOption,
    OptionFlags,
    ServerVersion,
    adapt_options,
    build_options,
    check_options,
    describe_moment,
    moment_of,
    parse_expiry_time,
    parse_options,
    render_options,
    same_options,
)
from fleetctl.model.errors import UsageError
from tests.support.keys import keygen

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC
NEWEST = ServerVersion()


def server(text):
    return ServerVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "product", "numbers"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u3", "OpenSSH", (9, 2)),
        ("SSH-2.0-OpenSSH_7.4", "OpenSSH", (7, 4)),
        ("OpenSSH_10.0p2", "OpenSSH", (10, 0)),
        ("OpenSSH_for_Windows_9.5", "OpenSSH", (9, 5)),
        ("dropbear_2022.83", "dropbear", (2022, 83)),
        ("SSH-2.0-dropbear", "dropbear", ()),
        ("AsyncSSH_2.14.2", "", ()),
        ("", "", ()),
    ],
)
def test_a_server_is_known_by_what_it_says(text, product, numbers):
    """
    Product and version come from the introduction; what says nothing counts as the newest.
    """
    found = server(text)
    assert (found.product, found.numbers, found.text) == (product, numbers, text)
    assert found.is_at_least(9999) == (not numbers)


def test_all_flags_become_options():
    """
    Every flag of the command line is an option of the file, readable in this order.
    """
    flags = OptionFlags(
        restrict=True,
        cert_authority=True,
        principals=("ops", "dev"),
        sources=("10.0.0.0/8", "!10.0.0.1"),
        command='echo "a b"',
        expires="2h",
        environment=("A=1", "B="),
        permitopen=("db:5432",),
        permitlisten=("8080", "localhost:*"),
        tunnel="3",
        no_touch_required=True,
        verify_required=True,
        allowed=("pty",),
        forbidden=("user-rc",),
        literal=("no-pty,X11-forwarding",),
    )
    assert render_options(build_options(flags, now=NOW)) == (
        "cert-authority,restrict,no-touch-required,verify-required,pty,no-user-rc,"
        'principals="ops,dev",from="10.0.0.0/8,!10.0.0.1",command="echo \\"a b\\"",'
        'environment="A=1",environment="B=",permitopen="db:5432",permitlisten="8080",'
        'permitlisten="localhost:*",tunnel="3",expiry-time="20270115100000Z",no-pty,x11-forwarding'
    )
    assert build_options(OptionFlags(), now=NOW) == ()
    assert OptionFlags().is_empty


def test_everything_that_is_wrong_is_said_at_once():
    """
    Each mistake names the flag it was made with.
    """
    flags = OptionFlags(
        principals=("ops",),
        sources=("10.0.0.1/8",),
        command="x\ny",
        expires="yesterday",
        environment=("A-B=1",),
        permitopen=("db",),
        literal=("frobnicate", 'command="unclosed'),
    )
    with pytest.raises(UsageError) as caught:
        build_options(flags, now=NOW)
    assert sorted(str(problem.file) for problem in caught.value.problems) == [
        "--command",
        "--env",
        "--expires",
        "--from",
        "--option",
        "--option",
        "--permitopen",
        "--principals",
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", "2027-01-15T10:00:00+00:00"),
        ("1d12h", "2027-01-16T20:00:00+00:00"),
        ("90m", "2027-01-15T09:30:00+00:00"),
        ("2W", "2027-01-29T08:00:00+00:00"),
        ("2027-12-31T18:00:00Z", "2027-12-31T18:00:00+00:00"),
        ("2027-12-31T18:00+02:00", "2027-12-31T16:00:00+00:00"),
        ("20271231Z", "2027-12-31T00:00:00+00:00"),
        ("202712311800utc", "2027-12-31T18:00:00+00:00"),
    ],
)
def test_a_time_may_be_a_span_or_a_moment(text, moment):
    """
    As people write them: 2h, 30d, RFC 3339, and what the file itself has.
    """
    assert moment_of(text, NOW) == int(datetime.fromisoformat(moment).timestamp())


def test_a_time_without_zone_is_this_machines():
    """
    As ssh-keygen has it for certificates.
    """
    local = datetime(2027, 12, 31, 18, 0).astimezone().timestamp()
    assert moment_of("2027-12-31T18:00", NOW) == moment_of("202712311800", NOW) == local


@pytest.mark.parametrize(
    "text", ["", "2x", "-2h", "0h", "2020-01-01", "soon", "9999999w", "20271301"]
)
def test_what_is_no_time_to_come_is_refused(text):
    """
    A key that is over at once, or never, is nobody's wish.
    """
    with pytest.raises(ValueError, match=r"time|future|far"):
        moment_of(text, NOW)


def test_older_servers_are_told_their_local_time():
    """
    Before 9.1 sshd knows no UTC: the same moment is written in the host's own time.
    """
    [option] = build_options(OptionFlags(expires="2h"), now=NOW)
    old, new = server("OpenSSH_8.4"), server("OpenSSH_9.1")
    assert adapt_options([option], old, utc_offset=3600)[0].value == "20270115110000"
    assert adapt_options([option], new, utc_offset=3600) == (option,)
    assert adapt_options([KeyOption("expiry-time", "20270115")], old, utc_offset=3600)[0] == (
        KeyOption("expiry-time", "20270115")
    )
    assert check_options([option], old)
    assert not check_options(adapt_options([option], old, utc_offset=0), old)


@pytest.mark.parametrize(
    ("option", "told", "problem"),
    [
        (
            "restrict",
            "OpenSSH_7.1",
            "restrict: OpenSSH knows it since 7.2, but this is OpenSSH_7.1",
        ),
        ('expiry-time="20990101"', "OpenSSH_7.6p1", "expiry-time: OpenSSH knows it since 7.7"),
        (
            'expiry-time="20990101Z"',
            "OpenSSH_9.0",
            "expiry-time in UTC: OpenSSH knows it since 9.1",
        ),
        ('permitlisten="1"', "OpenSSH_7.7", "permitlisten: OpenSSH knows it since 7.8"),
        ("verify-required", "OpenSSH_8.3", "verify-required: OpenSSH knows it since 8.4"),
        ("no-touch-required", "OpenSSH_8.1", "no-touch-required: OpenSSH knows it since 8.2"),
        ('from="*"', "dropbear_2022.83", "from: dropbear does not know the option"),
        ("user-rc", "dropbear_2026.92", "user-rc: dropbear does not know the option"),
        ("restrict", "dropbear_2020.81", "restrict: dropbear knows it since 2022.82"),
        (
            'permitopen="a:http"',
            "dropbear_2022.83",
            "permitopen: dropbear takes a port as a number",
        ),
        ('permitlisten="a:1"', "dropbear_2026.90", "permitlisten: dropbear takes a port only"),
        ('command="a \\"b\\""', "dropbear_2022.83", "command: dropbear reads one with quotes"),
        ('principals="a"', "OpenSSH_9.2", "principals: only a key with cert-authority"),
    ],
)
def test_an_option_that_would_kill_the_line_is_found_before(option, told, problem):
    """
    Whatever the server would not read is said, with the version that would.
    """
    [found] = check_options(parse_options(option), server(told))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("restrict,pty", "OpenSSH_7.2"),
        ('expiry-time="20990101"', "OpenSSH_7.7"),
        ('expiry-time="20990101Z",from="*"', "unheard_1.0"),
        ("no-pty,no-X11-forwarding", "OpenSSH_3.9"),
        ('restrict,command="date"', "dropbear_2022.83"),
        ('cert-authority,principals="a"', "OpenSSH_5.6"),
    ],
)
def test_an_option_that_the_server_knows_is_fine(option, told):
    """
    Nothing is refused without a reason.
    """
    assert check_options(parse_options(option), server(told)) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("frobnicate", "frobnicate: no option"),
        ("no-restrict", "no-restrict: no option"),
        ("permit-pty", "permit-pty: no option"),
        ("command", "command: a value is missing"),
        ("command=date", "command: a quote is missing"),
        ('command="date', "command: the quotes are not closed"),
        ('command="a"b', "command: something follows the quotes"),
        ('restrict="yes"', "restrict: the option takes no value"),
        ('expiry-time="tomorrow"', "expiry-time: 'tomorrow' is no time"),
        ('environment="A B=1"', "environment: 'A B=1' is not NAME=VALUE"),
        ('permitopen="db"', "permitopen: 'db' is not HOST:PORT"),
        ('permitlisten="db:0"', "permitlisten: 'db:0' is not [HOST:]PORT"),
        ('tunnel="x"', "tunnel: 'x' is no number"),
        ('from="a",from="b"', "from: the option may stand once only"),
    ],
)
def test_what_sshd_would_not_read_is_refused_with_the_reason(text, problem):
    """
    The same options that kill a line in a file are refused on the command line.
    """
    with pytest.raises(BadOptions) as caught:
        parse_options(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("key_type", "too_old", "new_enough"),
    [
        ("ssh-ed25519", "OpenSSH_6.4", "OpenSSH_6.5"),
        ("ecdsa-sha2-nistp256", "OpenSSH_5.6", "OpenSSH_5.7"),
        ("sk-ssh-ed25519@openssh.com", "OpenSSH_8.1", "OpenSSH_8.2"),
        ("ssh-dss", "OpenSSH_10.0", "OpenSSH_9.9"),
        ("ssh-ed25519", "dropbear_2019.78", "dropbear_2020.79"),
        ("ecdsa-sha2-nistp521", "dropbear_2013.60", "dropbear_2013.61"),
        ("sk-ecdsa-sha2-nistp256@openssh.com", "dropbear_2020.81", "dropbear_2022.82"),
        ("ssh-rsa", None, "OpenSSH_3.9"),
        ("ssh-rsa", None, "dropbear_0.52"),
        ("sk-ssh-ed25519@openssh.com", None, "unheard_1.0"),
    ],
)
def test_a_kind_of_key_is_known_since_a_version(key_type, too_old, new_enough):
    """
    An older server takes such a key for nonsense.
    """
    if too_old is not None:
        assert str(server(too_old).why_not_key_type(key_type)).startswith(key_type)
    assert server(new_enough).why_not_key_type(key_type) is None


@pytest.mark.parametrize(
    ("option", "too_old", "new_enough"),
    [
        ("tunnel", "OpenSSH_4.2", "OpenSSH_4.3"),
        ("no-user-rc", "OpenSSH_4.8", "OpenSSH_4.9"),
        ("cert-authority", "OpenSSH_5.3", "OpenSSH_5.4"),
        ("principals", "OpenSSH_5.5", "OpenSSH_5.6"),
        ("restrict", "OpenSSH_7.1", "OpenSSH_7.2"),
        ("user-rc", "OpenSSH_7.1", "OpenSSH_7.2"),
        ("expiry-time", "OpenSSH_7.6", "OpenSSH_7.7"),
        ("permitlisten", "OpenSSH_7.7", "OpenSSH_7.8"),
        ("touch-required", "OpenSSH_8.1", "OpenSSH_8.2"),
        ("verify-required", "OpenSSH_8.3", "OpenSSH_8.4"),
        ("restrict", "dropbear_2020.81", "dropbear_2022.82"),
        ("permitopen", "dropbear_2022.82", "dropbear_2022.83"),
        ("verify-required", "dropbear_2022.82", "dropbear_2022.83"),
        ("permitlisten", "dropbear_2025.89", "dropbear_2026.90"),
        ("environment", "dropbear_2026.94", "OpenSSH_3.9"),
        ("touch-required", "dropbear_2026.94", "OpenSSH_8.2"),
    ],
)
def test_an_option_is_known_since_a_version(option, too_old, new_enough):
    """
    To the minor version: an older server skips the line.
    """
    assert str(server(too_old).why_not_option(option)).startswith(f"{option}: ")
    assert server(new_enough).why_not_option(option) is None
    assert server("unheard_1.0").why_not_option(option) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19700101000001Z", 1),
        ("19700102Z", 86400),
        ("202701150800Z", NOW),
        ("20270115080060Z", NOW + 60),
        ("20270231Z", 1_804_032_000),
        ("99991231235959Z", 253_402_300_799),
    ],
)
def test_a_time_of_the_file_is_a_moment(text, seconds):
    """
    From 1970 on, with leap seconds and days beyond the month as mktime(3) has them.
    """
    assert parse_expiry_time(text).at(12345) == seconds
    assert parse_expiry_time(text[:-1]).at(3600) == seconds - 3600


def test_a_moment_is_shown_in_utc():
    """
    However far away.
    """
    assert describe_moment(NOW) == "2027-01-15 08:00:00 UTC"
    assert describe_moment(2**63) == f"second {2**63} since 1970"


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ('permitopen="a:65535"', True),
        ('permitopen="a:65536"', False),
        ('permitopen="a:1"', True),
        ('tunnel="2147483645"', True),
        ('tunnel="2147483646"', False),
        (",".join(f'permitopen="a:{n}"' for n in range(1, 4098)), True),
        (",".join(f'permitopen="a:{n}"' for n in range(1, 4099)), False),
        (",".join(f'environment="A{n}="' for n in range(1025)), True),
        (",".join(f'environment="A{n}="' for n in range(1026)), False),
    ],
)
def test_numbers_are_right_up_to_their_limits(text, is_right):
    """
    Ports, devices, and how many of one option there may be.
    """
    if is_right:
        assert parse_options(text)
    else:
        with pytest.raises(BadOptions):
            parse_options(text)


def test_the_case_of_names_and_the_order_do_not_matter():
    """
    Two ways to write the same options are the same options; a value is not.
    """
    one, other = parse_options('NO-PTY,Command="Date"'), parse_options('command="Date",no-pty')
    assert same_options(one, other)
    assert not same_options(one, parse_options('no-pty,command="date"'))


def test_ssh_keygen_finds_the_key_behind_our_options(tmp_path):
    """
    OpenSSH's own tool on this machine agrees where the options end and the key begins.
    """
    public = keygen(tmp_path / "id", "-t", "ed25519").with_suffix(".pub").read_text()
    plain = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "id.pub"], capture_output=True, check=True, text=True
    ).stdout
    flags = OptionFlags(
        restrict=True,
        command='sh -c "echo \\"a, b\\" # \'x\'"',
        sources=("10.0.0.0/8", "*.example.org"),
        environment=('A="x y"',),
        permitopen=("[::1]:80",),
        expires="2h",
    )
    options = render_options(build_options(flags, now=NOW))
    (tmp_path / "line").write_text(f"{options} {public}")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "line"], capture_output=True, check=True, text=True
    ).stdout
    assert shown == plain
    assert datetime.fromtimestamp(NOW, UTC).year == 2027

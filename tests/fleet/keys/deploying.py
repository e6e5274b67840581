"""
Homes in every state that ssh-copy-id has met, and what deploying a key there has to come to.

A `Fault` is one thing that is wrong, or odd, on a host; two of them make a pair.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetctl.keys.authorized_keys import AuthorizedKey, KeyOption
from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.deploy_plan import Wanted
from fleetctl.keys.guarded import Way
from fleetctl.keys.place import Target
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import status_of
from fleetctl.model.operation import Operation
from fleetctl.model.result import Outcome
from fleetctl.ssh.key_line import read_key
from tests.support.accounts import Accounts
from tests.support.drive import Secrets, run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

OTHER_LINE = b"# a line of somebody else's, \xff and all\n"


@dataclass(frozen=True)
class Place:
    """One user's home on one host, and the key that is to log in there."""

    accounts: Accounts
    host: LabHost
    user: str
    key: Path

    @property
    def home(self) -> Path:
        return self.host.home / self.user

    @property
    def folder(self) -> Path:
        return self.home / ".ssh"

    @property
    def file(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def uid(self) -> int:
        return self.accounts.uid(self.user)

    @property
    def public(self) -> AuthorizedKey:
        key_type, blob, comment = read_key(self.line.strip())
        return AuthorizedKey(key_type, blob, comment.decode())

    @property
    def line(self) -> bytes:
        """The public key as it stands in its file, with its end."""
        return self.key.with_suffix(".pub").read_bytes()

    def reset(self) -> None:
        """Make the home as it should be: one line of somebody else's in the file."""
        for path in (*self.home.glob(".ssh*"), self.home / "elsewhere"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.home.chmod(0o700)
        self.folder.mkdir(mode=0o700)
        self.write(OTHER_LINE)
        self.own()

    def write(self, data: bytes, mode: int = 0o600) -> None:
        self.file.write_bytes(data)
        self.file.chmod(mode)
        self.own()

    def own(self) -> None:
        """Give everything in the home to the user."""
        gid = self.home.stat().st_gid
        for path in (self.home, *self.home.rglob(".ssh*"), *self.home.rglob(".ssh*/*")):
            os.chown(path, self.uid, gid, follow_symlinks=False)

    def bytes_of_all(self) -> dict[str, tuple[bytes | None, int]]:
        """Return what authorized_keys and what it leads to have in them, and their modes."""
        found: dict[str, tuple[bytes | None, int]] = {}
        for path in sorted(self.home.rglob("*")):
            if path.is_file() and "fleetctl" not in path.name and ".lock" not in path.name:
                found[str(path)] = path.read_bytes(), path.stat().st_mode
        for path in (self.home, self.folder):
            if path.exists():
                found[str(path)] = None, path.stat().st_mode
        return found

    def lets_in(self) -> bool:
        """Tell whether OpenSSH's client gets in with the key and nothing else."""
        argv = self.accounts.ssh_argv(self.user, "-o", "LogLevel=ERROR", host=self.host)
        place = argv.index("-i") + 1
        argv = [*argv[:place], str(self.key), *argv[place + 1 :], "echo", "in"]
        done = subprocess.run(
            argv, capture_output=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
        return done.returncode != 255


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong or odd.

    Attributes:
        name: Unique.
        words: What the message must say, if this is the only thing that is wrong: one of these.
        arrange: Makes the home so.
        options: Lines of sshd_config.
        mends: ``--fix-modes`` mends it.
        harmless: The key logs in all the same.
        key_options: Before the key that is wanted.
    """

    name: str
    words: Sequence[str] = ()
    arrange: Callable[[Place], None] = lambda _place: None
    options: Mapping[str, str | None] = field(default_factory=dict)
    mends: bool = False
    harmless: bool = False
    key_options: tuple[KeyOption, ...] = ()

    @property
    def is_of_server(self) -> bool:
        return bool(self.options)


def _mode(of: Callable[[Place], Path], mode: int) -> Callable[[Place], None]:
    return lambda place: of(place).chmod(mode)


def _text(make: Callable[[Place], bytes]) -> Callable[[Place], None]:
    return lambda place: place.write(make(place))


def _link_file(place: Place) -> None:
    other = place.home / "elsewhere"
    other.write_bytes(place.file.read_bytes())
    place.file.unlink()
    place.file.symlink_to("../elsewhere")
    os.chown(other, place.uid, -1)
    place.own()


def _link_folder(place: Place) -> None:
    place.folder.rename(place.home / ".ssh-real")
    place.folder.symlink_to(".ssh-real")
    place.own()


def _hard_link(place: Place) -> None:
    os.link(place.file, place.home / ".ssh-other-name")


def _foreign_file(place: Place) -> None:
    os.chown(place.file, place.accounts.uid("nosudo"), -1)


def _foreign_folder(place: Place) -> None:
    os.chown(place.folder, place.accounts.uid("nosudo"), -1)
    place.folder.chmod(0o755)


def _no_folder(place: Place) -> None:
    shutil.rmtree(place.folder)


def _folder_is_file(place: Place) -> None:
    shutil.rmtree(place.folder)
    place.folder.write_text("")
    place.own()


#: Faults of the home: modes, owners, links.
HOME_FAULTS = (
    Fault("home-775", ["(mode 0775"], _mode(lambda p: p.home, 0o775), mends=True),
    Fault("home-707", ["(mode 0707"], _mode(lambda p: p.home, 0o707), mends=True),
    Fault("ssh-777", [".ssh (mode 0777"], _mode(lambda p: p.folder, 0o777), mends=True),
    Fault("file-664", ["(mode 0664"], _mode(lambda p: p.file, 0o664), mends=True),
    Fault("file-666", ["(mode 0666"], _mode(lambda p: p.file, 0o666), mends=True),
    Fault("link", ["link"], _link_file),
    Fault("folder-link", ["link"], _link_folder),
    Fault("hard-link", ["hard link", "links"], _hard_link),
    Fault("foreign-file", ["owner", "belongs"], _foreign_file),
    Fault("foreign-folder", ["owner", "belongs"], _foreign_folder),
    Fault("folder-is-file", ["neither a file nor a folder"], _folder_is_file),
    Fault("no-folder", arrange=_no_folder, harmless=True),
    Fault("no-file", arrange=lambda place: place.file.unlink(), harmless=True),
)

#: Faults of the text, or of what is asked for.
TEXT_FAULTS = (
    Fault(
        "present-forced",
        ["other options"],
        _text(lambda p: b'command="/bin/false" ' + p.line),
    ),
    Fault(
        "present-expired",
        ["other options"],
        _text(lambda p: b'expiry-time="20200101" ' + p.line),
    ),
    Fault("shadowed", ["other options"], _text(lambda p: b"restrict " + p.line + p.line)),
    Fault(
        "from-elsewhere",
        ["only from 192.0.2.0/24"],
        key_options=(KeyOption("from", "192.0.2.0/24"),),
    ),
    Fault("expired", ["expired"], key_options=(KeyOption("expiry-time", "20200101000000Z"),)),
    Fault("empty", arrange=_text(lambda _: b""), harmless=True),
    Fault("torn", arrange=_text(lambda _: OTHER_LINE + b"# no newline"), harmless=True),
    Fault("crlf", arrange=_text(lambda _: b"# one\r\n# two\r\n"), harmless=True),
    Fault("bom", arrange=_text(lambda _: b"\xef\xbb\xbf# one\n"), harmless=True),
    Fault("commented", arrange=_text(lambda p: b"#" + p.line), harmless=True),
    Fault("present", arrange=_text(lambda p: p.line), harmless=True),
    Fault(
        "present-dead", arrange=_text(lambda p: p.line.replace(b"ssh-", b"SSH-", 1)), harmless=True
    ),
    Fault("unknown-option-elsewhere", arrange=_text(lambda _: b"no-such x y z\n"), harmless=True),
)

#: Faults of the server; each is a host of its own.
SERVER_FAULTS = (
    Fault(
        "elsewhere",
        ["AuthorizedKeysFile"],
        options={"AuthorizedKeysFile": ".ssh2/keys"},
    ),
    Fault(
        "two-files",
        options={"AuthorizedKeysFile": ".ssh/authorized_keys .ssh/more"},
        harmless=True,
    ),
    Fault("no-file-at-all", ["AuthorizedKeysFile none"], options={"AuthorizedKeysFile": "none"}),
    Fault("no-keys", ["PubkeyAuthentication no"], options={"PubkeyAuthentication": "no"}),
    Fault(
        "no-ed25519",
        ["PubkeyAcceptedAlgorithms"],
        options={"PubkeyAcceptedAlgorithms": "rsa-sha2-512,rsa-sha2-256"},
    ),
    Fault(
        "two-factors",
        ["another factor"],
        options={"AuthenticationMethods": "publickey,password password"},
    ),
    Fault("loose", options={"StrictModes": "no"}, harmless=True),
    Fault("one-try", options={"MaxAuthTries": "1"}, harmless=True),
    Fault(
        "takes-all",
        ["made this moment"],
        options={
            "AuthorizedKeysCommand": "/bin/echo %t %k",
            "AuthorizedKeysCommandUser": "nobody",
        },
    ),
)

FAULTS = (*HOME_FAULTS, *TEXT_FAULTS, *SERVER_FAULTS)


def deploy(place: Place, *faults: Fault, check: bool = False, **changes: object) -> Outcome:
    """Deploy the key as the user who logs in by password, as for the first time."""
    options = tuple(option for fault in faults for option in fault.key_options)
    operation = DeployKeys(
        (Wanted(replace(place.public, options=options), str(place.key)),),
        Way("test", Target()),
    )
    operation = replace(operation, **changes)  # type: ignore[arg-type]  # named by tests
    return perform(place, operation, check=check)


def perform(
    place: Place, operation: Operation, *, login: str | None = None, check: bool = False
) -> Outcome:
    """
    Run the operation, logged in by password.

    Args:
        login: Who logs in; None for the user. Anybody else has the fleet's key as well.
    """
    accounts = place.accounts
    host = accounts.model_host(login or place.user, place.host)
    if login is None:
        # Only the password: the fleet's key may not be in the file.
        host = accounts.model_host(
            place.user, place.host, identity_files=(str(place.key) + "-none",)
        )
    secrets = Secrets(login=accounts.password(login or place.user))

    async def main() -> Outcome:
        async with operating_on(host, secrets=secrets) as remote:
            try:
                return await operation.run(remote, check=check)
            except FleetError as error:
                return Outcome(status_of(error.kind), failure=error.failure)

    return run_async(main)


def make_place(accounts: Accounts, user: str, key: Path, *faults: Fault) -> Place:
    """Return a home with these faults, on a host with theirs."""
    options: dict[str, str | None] = {"PasswordAuthentication": "yes"}
    for fault in faults:
        options |= fault.options
    name = "-".join(["deploy", *(fault.name for fault in faults if fault.is_of_server)])
    place = Place(accounts, accounts.host(name, **options), user, key)
    place.reset()
    for fault in faults:
        fault.arrange(place)
    return place


def make_new_key(folder: Path) -> Path:
    """Make a key pair, with OpenSSH's own tool."""
    return keygen(folder / "new_key", "-t", "ed25519")

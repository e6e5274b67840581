"""
A look at the account one has logged in to: what makes sshd refuse its keys, seen from inside.

A script of POSIX sh reads and changes nothing; what it prints is turned into findings here.

Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT; sshd_config(5), StrictModes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleetctl.model.excerpt import beginning
from fleetctl.model.finding import Finding

#: Its first line shows that it was this script that ran, and no forced command.
SCRIPT = r"""
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin; export PATH
say() { printf '%s\t%s\n' "$1" "$2"; }
say marker MARKER
say user "$(id -un 2>/dev/null)"
say uid "$(id -u 2>/dev/null)"
say home "$HOME"
for f in "$HOME" "$HOME/.ssh" "$HOME/.ssh/authorized_keys"; do
    if [ -e "$f" ]; then
        set -- $(ls -lLdn "$f" 2>/dev/null)
        printf 'file\t%s\t%s\t%s\n' "$1" "$3" "$f"
    else
        say missing "$f"
    fi
done
[ -e /etc/nologin ] && say nologin /etc/nologin
if command -v ssh-keygen >/dev/null 2>&1; then
    say keygen yes
    ssh-keygen -l -f "$HOME/.ssh/authorized_keys" 2>/dev/null | while read -r bits key rest; do
        say key "$key"
    done
fi
if [ "$(id -u)" = 0 ] && command -v sshd >/dev/null 2>&1; then
    sshd -T 2>/dev/null | while read -r name value; do
        case $name in
            pubkeyauthentication | authorizedkeysfile | strictmodes | maxauthtries | maxsessions | \
                maxstartups | allowusers | denyusers | permitrootlogin | usepam)
                say "sshd $name" "$value" ;;
        esac
    done
fi
exit 0
"""


def script(marker: str) -> bytes:
    """Return the script, for ``sh -s``; ``marker`` is a word that no host can know before."""
    return SCRIPT.replace("MARKER", marker).encode()


def read_account(output: bytes, marker: str, refused: Sequence[str]) -> Iterator[Finding]:
    """
    Yield what the script found.

    Args:
        output: What it wrote.
        marker: The word given to `script`.
        refused: Fingerprints of keys the server did not take.
    """
    lines = [
        line.split("\t") for line in output.decode("utf-8", "replace").splitlines() if "\t" in line
    ]
    if ["marker", marker] not in lines:
        first = output.decode("utf-8", "replace").strip().splitlines()[:1]
        yield Finding(
            "account",
            "failed",
            "another command ran than the one that was sent",
            details=tuple(f"it wrote: {beginning(line, 200)}" for line in first),
            fix="see ForceCommand in its sshd_config and command= in its authorized_keys",
        )
        return
    facts = {line[0]: line[1] for line in lines}
    yield from _permissions(lines, facts.get("uid", ""))
    yield from _keys(lines, facts, refused)
    yield from _server(facts)


def _permissions(lines: Sequence[Sequence[str]], uid: str) -> Iterator[Finding]:
    good: list[str] = []
    for kind, *rest in lines:
        if kind != "file" or len(rest) != 3:
            continue
        mode, owner, path = rest
        if owner not in (uid, "0"):
            yield Finding(
                "account",
                "failed",
                f"{path} belongs to user {owner}: sshd refuses every key (StrictModes)",
                fix=f"on the host: chown {uid} {path}",
            )
        elif _is_writable_by_others(mode):
            yield Finding(
                "account",
                "failed",
                f"{path} ({mode}) can be written by others: sshd refuses every key (StrictModes)",
                fix=f"on the host: chmod go-w {path}",
            )
        else:
            good.append(f"{path} {mode}")
    if good:
        yield Finding("account", "ok", "owners and modes are what sshd wants", tuple(good))


def _is_writable_by_others(mode: str) -> bool:
    return mode[5:6] == "w" or mode[8:9] == "w"


def _keys(
    lines: Sequence[Sequence[str]], facts: Mapping[str, str], refused: Sequence[str]
) -> Iterator[Finding]:
    missing = [line[1] for line in lines if line[0] == "missing"]
    if any(path.endswith("/authorized_keys") for path in missing):
        yield Finding(
            "account",
            "warning",
            f"{missing[-1]} is not there: no key can log in, if AuthorizedKeysFile is the usual",
            fix="ssh-copy-id puts a key there",
        )
        return
    if "keygen" not in facts:
        return
    known = {line[1] for line in lines if line[0] == "key"}
    yield Finding("account", "ok", f"{len(known)} keys in authorized_keys", tuple(sorted(known)))
    for key in refused:
        if key in known:
            summary = f"{key} is in authorized_keys, and was refused nevertheless"
            fix = "see from=, cert-authority and expiry-time in front of it, and the server's log"
        else:
            summary = f"{key}, which was refused, is not in authorized_keys"
            fix = "add it: ssh-copy-id -i KEY.pub"
        yield Finding("account", "warning", summary, fix=fix)


def _server(facts: Mapping[str, str]) -> Iterator[Finding]:
    settings = {
        name.removeprefix("sshd "): value
        for name, value in facts.items()
        if name.startswith("sshd ")
    }
    if settings.get("pubkeyauthentication") == "no":
        yield Finding(
            "account",
            "warning",
            "its sshd_config turns keys off: PubkeyAuthentication no",
            fix="on the host: PubkeyAuthentication yes in sshd_config, then reload sshd",
        )
    if "nologin" in facts:
        yield Finding(
            "account",
            "warning",
            f"{facts['nologin']} is there: nobody but root can log in",
            fix=f"on the host: rm {facts['nologin']}",
        )
    if settings:
        lines = tuple(f"{name} {value}" for name, value in settings.items())
        yield Finding("account", "ok", "its sshd_config, as far as logins go", lines)

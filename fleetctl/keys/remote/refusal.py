"""
What it means that a program on a host did not go on: its words as a `FleetError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleetctl.keys.place import MAX_FILE_BYTES
from fleetctl.keys.remote.answer import Answer
from fleetctl.keys.remote.encoding import quote
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import end

#: What tools say -> what it is called, and what to do. Source: POSIX.1-2017, errno.h; strerror of
#: glibc and musl.
_REASONS: Sequence[tuple[str, str, str]] = (
    ("No space left", "the disk is full (ENOSPC)", "make room there: df -h {0}; df -i {0}"),
    ("uota exceeded", "the quota is used up (EDQUOT)", "make room there: quota"),
    ("Read-only file system", "the file system is read-only (EROFS)", "on the host: mount"),
    ("Operation not permitted", "not permitted (EPERM)", "on the host: lsattr -d {0}"),
    ("Permission denied", "permission denied (EACCES)", "on the host: ls -ld {0}"),
)
_SHOWN_CHARACTERS = 300


def refusal_of(answer: Answer) -> FleetError | None:
    """Return why the program did not go on, or None if it did."""
    part = answer.find("fail")
    if part is None:
        return None
    reason, *words = part.lines or ["?"]
    make = _REFUSALS.get(reason)
    words += [""] * 4
    if make is None:
        return FleetError("keys.protocol", f"the shell answered with something else: {reason}")
    return make(words)


def _become(words: Sequence[str]) -> FleetError:
    user, me = words[0], words[1]
    if me == "0":
        why = f"root cannot become {user}: none of setpriv, runuser, su, sudo, doas does it"
        return FleetError("become.unavailable", why, hint="install util-linux or sudo there")
    return FleetError(
        "become.unavailable",
        f"the keys of {user} are another user's business: uid {me} may not touch them",
        hint="become root for it: --become",
    )


def _no_user(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.no_home", f"there is no user {words[0]} on the host", hint=f"getent passwd {words[0]}"
    )


def _no_home(words: Sequence[str]) -> FleetError:
    user, home, *said = words
    if not home:
        return FleetError(
            "keys.no_home",
            f"{user} has no home in the password database",
            hint=f"on the host: getent passwd {user}",
        )
    return FleetError(
        "keys.no_home",
        f"{home}, the home of {user}, cannot be entered: {_reason(said)}",
        hint=f"on the host: mkdir -m 700 {quote(home)}; chown {quote(user)} {quote(home)}",
    )


def _odd_path(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.unsafe_path",
        f"{words[0]} is no path for keys: it has '..', an empty part or an unknown % token",
        hint="see AuthorizedKeysFile in its sshd_config, or --target-path",
    )


def _none(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.unsafe_path",
        f"sshd takes keys of {words[0]} from no file: AuthorizedKeysFile is none",
        hint="set AuthorizedKeysFile in its sshd_config, or name the file with --target-path",
    )


def _link(words: Sequence[str]) -> FleetError:
    path, target = words[0], words[1]
    return FleetError(
        "keys.unsafe_path",
        f"{path} is a symbolic link" + (f" to {target}" if target else ""),
        hint=f"on the host: ls -ld {quote(path)}; if it is meant to be one: --follow-links",
    )


def _owner(words: Sequence[str]) -> FleetError:
    path, owner, wanted = words[:3]
    return FleetError(
        "keys.unsafe_path",
        f"{path} belongs to uid {owner}, not to uid {wanted}",
        hint=f"on the host: chown {wanted} {quote(path)}",
    )


def _open(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.unsafe_path",
        f"others may write to {words[0]}, and it is not in the user's home",
        hint=f"on the host: chmod go-w {quote(words[0])}",
    )


def _other(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.unsafe_path",
        f"{words[0]} is neither a file nor a folder where one is needed",
        hint=f"on the host: ls -ld {quote(words[0])}",
    )


def _links(words: Sequence[str]) -> FleetError:
    path, links = words[0], words[1]
    return FleetError(
        "keys.unsafe_path",
        f"{path} has {links} hard links: it is another file, too",
        hint=f"on the host: find / -xdev -samefile {quote(path)}",
    )


def _large(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.too_large",
        f"{words[0]} has {words[1]} bytes, and {MAX_FILE_BYTES} are the most",
        hint=f"on the host: sort {quote(words[0])} | uniq -c | sort -n | tail",
    )


def _read(words: Sequence[str]) -> FleetError:
    path, *said = words
    return FleetError(
        "keys.read", f"{path} cannot be read: {_reason(said)}", hint=_hint(said, path)
    )


def _write(words: Sequence[str]) -> FleetError:
    path, *said = words
    attributes = next((a for a in (_attributes(line) for line in said) if a), "")
    if attributes:
        name = {"i": "immutable", "a": "append-only"}[attributes]
        return FleetError(
            "keys.write",
            f"{path} cannot be replaced: it or its folder is {name} ({_reason(said)})",
            hint=f"on the host: chattr -{attributes} {quote(path)}",
        )
    return FleetError(
        "keys.write", f"{path} cannot be written: {_reason(said)}", hint=_hint(said, path)
    )


def _kept(words: Sequence[str]) -> FleetError:
    path, old, new = words[:3]
    return FleetError(
        "keys.write",
        f"mode, owner or ACL of {path} cannot be kept: it has {old}, the new file gets {new}",
        hint="where the mode ends in + it is an ACL: install getfacl and setfacl there",
    )


def _damaged(words: Sequence[str]) -> FleetError:
    path, got, wanted = words[:3]
    return FleetError(
        "keys.write",
        f"{path} stays as it is: of the new one {got} of {wanted} bytes arrived, or others",
        hint="try again",
        retryable=True,
    )


def _lost(words: Sequence[str]) -> FleetError:
    path, holder = words[0], words[1]
    by = f" by run {holder.split()[2]}" if len(holder.split()) > 2 else ""
    return FleetError(
        "keys.changed",
        f"the lock of {path} was taken over{by}: it had grown old",
        hint="look again: the same command once more",
        retryable=True,
    )


def _changed(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.changed",
        f"somebody else wrote to {words[0]} meanwhile",
        hint="look again: the same command once more",
        retryable=True,
    )


def _guard(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.no_guard",
        f"the guard that would put the old {words[0]} back did not outlive the session it was "
        "started in",
        hint="the host ends what a session has started (KillUserProcesses of logind, or its SSH "
        "server): loginctl enable-linger, or install at; or do without: --no-dead-man",
    )


def _no_way(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.no_guard",
        f"no guard can be left on the host: it has none of {', '.join(words[0].split())}",
        hint="install util-linux (setsid) there; or do without: --no-dead-man",
    )


def _no_tool(words: Sequence[str]) -> FleetError:
    return FleetError(
        "keys.protocol",
        "the host has neither cmp nor cksum: nobody could see whether a file has changed",
        hint="install diffutils there; or do without a shell: --sftp",
    )


def _reason(said: Sequence[str]) -> str:
    text = " ".join(word for word in said if word and not _attributes(word))
    for words, name, _ in _REASONS:
        if words in text:
            return name
    return end(text, _SHOWN_CHARACTERS) or "no reason was given"


def _hint(said: Sequence[str], path: str) -> str | None:
    text = " ".join(said)
    folder = quote(path.rpartition("/")[0] or "/")
    return next((hint.format(folder) for words, _, hint in _REASONS if words in text), None)


def _attributes(line: str) -> str:
    """Return ``i`` or ``a`` if a line of lsattr has that attribute. Source: lsattr(1)."""
    flags = line.partition(" ")[0]
    if len(flags) < 10 or set(flags) - set("-aAcCdDeEFhiIjmNPsStTuVxX"):
        return ""
    return "i" if "i" in flags else "a" if "a" in flags else ""


_REFUSALS: Mapping[str, Callable[[Sequence[str]], FleetError]] = {
    "become": _become,
    "no_user": _no_user,
    "no_home": _no_home,
    "odd_path": _odd_path,
    "none": _none,
    "link": _link,
    "owner": _owner,
    "open": _open,
    "other": _other,
    "links": _links,
    "large": _large,
    "read": _read,
    "write": _write,
    "kept": _kept,
    "damaged": _damaged,
    "lost": _lost,
    "changed": _changed,
    "guard": _guard,
    "no_way": _no_way,
    "no_tool": _no_tool,
}

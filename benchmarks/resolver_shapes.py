"""
Configurations of about 2 000 lines for many hosts, each written the way some people do.

A shape says what it expects of a host, so that a fast but wrong answer is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

LINES = 2_000
DATA_CENTRES = 10
GENERAL = """
Host *.example.com !bastion.example.com
    ProxyJump bastion.example.com
Host *
    User deploy
    IdentityFile ~/.ssh/fleet_%r
    ControlPath ~/.ssh/cm-%C
    UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/known_hosts.d/%k
    Ciphers -*cbc
    SendEnv LANG LC_*
"""


def host(n: int) -> str:
    return f"host{n:05}.dc{n % DATA_CENTRES}.example.com"


@dataclass(frozen=True)
class Shape:
    """
    One way to write a configuration.

    Attributes:
        name: For the table.
        config: The main file.
        port: What is expected of a host, by its number.
        files: Further files, by path relative to ``~/.ssh``.
        options: Per host, as behind ``-o``: what an inventory says about it.
    """

    name: str
    config: str
    port: Callable[[int], int]
    files: Mapping[str, str] = field(default_factory=dict)
    options: Callable[[int], Sequence[str]] = lambda _: ()


def own_port(blocks: int) -> Callable[[int], int]:
    return lambda n: 2000 + n if n < blocks else 22


def blocks(head: Callable[[int], str], count: int = LINES // 2) -> str:
    return "".join(f"{head(n)}\n    Port {2000 + n}\n" for n in range(count))


def one_per_host(name: str, head: Callable[[int], str], before: str = "") -> Shape:
    """Blocks of one line, of which block n applies to host n."""
    return Shape(name, before + blocks(head) + GENERAL, own_port(LINES // 2))


def per_centre_and_user() -> Shape:
    """Users by name, then blocks that ask for both the data centre and the user."""
    users = "".join(f"Host host{n:03}*\n    User user{n}\n" for n in range(100))
    matches = "".join(
        f"Match host *.dc{centre}.example.com user user{n}\n    Port {2000 + 10 * n + centre}\n"
        for n in range(100)
        for centre in range(DATA_CENTRES)
    )
    return Shape(
        "Match host *.x user y",
        users + matches + GENERAL,
        lambda n: 2000 + 10 * (n // 100) + n % DATA_CENTRES if n < 10_000 else 22,
    )


def mixed() -> Shape:
    heads = (
        lambda n: f"Host {host(n)}",
        lambda n: f"Match host {host(n)}",
        lambda n: f"Host host{n:05}* !*.other",
        lambda n: f"Match originalhost host{n:05}*,!*.other user deploy,root",
    )
    text = "User deploy\n" + blocks(lambda n: heads[n % len(heads)](n))
    return Shape("Host and Match mixed", text + GENERAL, own_port(LINES // 2))


def overlapping() -> Shape:
    """Blocks of ten lines, some thirty of which apply to a host."""
    lines = "".join(
        f"    {line}\n"
        for line in (
            "Compression yes",
            "ConnectTimeout 20",
            "IdentityFile ~/.ssh/block_{n}",
            "SendEnv BLOCK_{n}",
            "ServerAliveInterval 30",
            "LogLevel ERROR",
            "StrictHostKeyChecking yes",
            "PreferredAuthentications publickey",
        )
    )
    heads = (
        "Host host*{n}.dc*.example.com !host*00{n}.*",
        "Host *.dc{n}.example.com *.dc{n}.example.org !host000*",
        "Host host{n:03}* !*.dc7.*",
        "Host *{n}.dc?.example.com !host0*.dc9.*",
    )
    text = "".join(
        f"{heads[n % len(heads)].format(n=n // len(heads))}\n{lines.format(n=n)}    Port 22\n"
        for n in range(LINES // 10)
    )
    return Shape("Host, ten lines each, overlapping", text + GENERAL, lambda _: 22)


def included() -> Shape:
    """A file for every group of hosts, half of them included by a block."""
    files = {}
    main = []
    for part in range(50):
        numbers = range(part, LINES // 2, 50)
        files[f"part{part}"] = "".join(f"Host {host(n)}\n    Port {2000 + n}\n" for n in numbers)
        main.append(f"Host *.example.com\nInclude part{part}\nHost *\n" * (part % 2))
        main.append(f"Include part{part}\n" * (1 - part % 2))
    text = "".join(main) + GENERAL
    return Shape("Include, 50 files", text, own_port(LINES // 2), files)


def general() -> Shape:
    """Everything in blocks that always apply."""
    text = "".join(
        f"Host *\n    IdentityFile ~/.ssh/id_{n}\n    SendEnv BLOCK_{n}\n    Port {2000 + n}\n"
        + "    ServerAliveInterval 30\n    Compression yes\n" * 18
        for n in range(50)
    )
    return Shape("50 blocks Host *", text + GENERAL, lambda _: 2000)


def jumps() -> Shape:
    text = "".join(
        f"Host host{n:05}*\n    ProxyJump ops@jump{n % 7}.example.com:{2000 + n}\n"
        for n in range(LINES // 2)
    )
    return Shape("ProxyJump in every block", text + GENERAL, lambda _: 22)


def canonical() -> Shape:
    """Names are made canonical, so that all is gone through twice."""
    heads = (
        lambda n: f"Match final host {host(n)}",
        lambda n: f"Match canonical host {host(n)} user deploy",
        lambda n: f"Match final originalhost {host(n)}",
    )
    before = "CanonicalizeHostname always\nCanonicalDomains example.com\nUser deploy\n"
    text = before + blocks(lambda n: heads[n % len(heads)](n))
    return Shape("Match final and canonical", text + GENERAL, own_port(LINES // 2))


def own_blocks(name: str, count: int) -> Shape:
    """What programs write that know every host: its address and how to log in."""
    text = "".join(
        f"Host {host(n)} h{n}\n    HostName 10.{n // 250 % 250}.{n % 250}.7\n    Port {2000 + n}\n"
        f"    User user{n % 9}\n    IdentityFile ~/.ssh/id_{n}\n"
        for n in range(count)
    )
    return Shape(name, text + GENERAL, own_port(count))


def tags() -> Shape:
    tagged = "".join(f"Host host{n:03}*\n    Tag tag{n}\n" for n in range(100))
    matches = "".join(f"Match tagged tag{n},other{n}\n    Port {2000 + n}\n" for n in range(900))
    return Shape("Match tagged", tagged + matches + GENERAL, lambda n: 2000 + n // 100)


def users() -> Shape:
    named = "".join(f"Host host{n:03}*\n    User user{n}\n" for n in range(100))
    matches = "".join(f"Match user user{n}\n    Port {2000 + n}\n" for n in range(900))
    return Shape("Match user", named + matches + GENERAL, lambda n: 2000 + n // 100)


def long_lists() -> Shape:
    """Few blocks, each with the names of a hundred hosts."""
    groups = [",".join(host(n) for n in range(100 * g, 100 * g + 100)) for g in range(100)]
    text = "".join(
        f"Host {names.replace(',', ' ')}\n    Compression yes\n"
        f"Match host {names}\n    Port {2000 + g}\n"
        for g, names in enumerate(groups)
    )
    return Shape("a hundred names a line", text + GENERAL, lambda n: 2000 + n // 100)


def networks() -> Shape:
    text = "".join(
        f"Match localnetwork 10.{n}.0.0/16,192.168.{n}.0/24 host {host(n)}\n    Port 1\n"
        for n in range(200)
    )
    return Shape(
        "Match localnetwork",
        text + blocks(lambda n: f"Match host {host(n)}", 800) + GENERAL,
        own_port(800),
    )


def with_inventory() -> Shape:
    """The mixed file, and an inventory that knows address and port of every host."""
    shape = mixed()
    return Shape(
        "mixed, address from an inventory",
        shape.config.replace("Match host ", "Match originalhost "),
        lambda n: 3000 + n,
        options=lambda n: (f"HostName=10.{n // 250}.{n % 250}.9", f"Port={3000 + n}"),
    )


def all_shapes() -> tuple[Shape, ...]:
    return (
        one_per_host("Host, whole names", lambda n: f"Host {host(n)} h{n:05}"),
        one_per_host("Host, name*", lambda n: f"Host host{n:05}* !host{n:05}.other"),
        one_per_host("Host, *name*", lambda n: f"Host *t{n:05}*"),
        one_per_host("Match originalhost", lambda n: f"Match originalhost {host(n)}"),
        one_per_host("Match host", lambda n: f"Match host {host(n)}.net", "HostName %h.net\n"),
        one_per_host("Match !host", lambda n: f"Match host host{n:05}* !host *.other !user nobody"),
        per_centre_and_user(),
        users(),
        tags(),
        mixed(),
        with_inventory(),
        overlapping(),
        included(),
        general(),
        Shape("1 000 blocks Host *", blocks(lambda _: "Host *") + GENERAL, lambda _: 2000),
        Shape(
            "Match !user, ten lines each, all apply",
            "".join(
                f"Match !user user{n}\n    Port {2000 + n}\n" + "    Compression yes\n" * 8
                for n in range(LINES // 10)
            )
            + GENERAL,
            lambda _: 2000,
        ),
        jumps(),
        canonical(),
        long_lists(),
        networks(),
        own_blocks("all of a host in its block, 400", LINES // 5),
        own_blocks("all of a host in its block, 10 000", 10_000),
    )

"""
The question about an unknown host key, asked as ssh asks it.
"""

from __future__ import annotations

from fleetctl.cli.invocation import UnknownHostKey
from fleetctl.cli.terminal import Person
from fleetctl.wiring import one_visible_line


class HostKeyPrompt:
    """Asks a person whether to trust a host key; only a whole ``yes`` means yes."""

    def __init__(self, person: Person) -> None:
        self._person = person

    async def ask(self, key: UnknownHostKey) -> bool:
        """Show the fingerprint and wait for yes, no or the fingerprint itself."""
        question = render_question(key) + "Connect and remember the key (yes/no/fingerprint)? "
        while True:
            answer = await self._person.ask(question)
            if answer is None or answer.strip().lower() in ("no", "n"):
                return False
            if answer.strip().lower() == "yes" or answer.strip() == key.fingerprint:
                return True
            question = "Type yes, no or the fingerprint: "


def render_question(key: UnknownHostKey) -> str:
    """Return the lines above the question; ends with a newline."""
    name = one_visible_line(key.host.name)
    lines = [
        f"The key of {name} ({one_visible_line(key.address)}) is not known.",
        f"{one_visible_line(key.key_type)} {one_visible_line(key.fingerprint)}",
    ]
    if key.known_elsewhere:
        lines.append("Other keys of this host are known: " + ", ".join(key.known_elsewhere))
    return "\n".join(lines) + "\n"

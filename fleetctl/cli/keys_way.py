"""
What the command line says about whose authorized_keys is changed.
"""

from __future__ import annotations

from fleetctl.cli.keys_options import KeyPlaceOptions
from fleetctl.wiring.key_changes import Way, make_way


def way_of(place: KeyPlaceOptions, run_id: str) -> Way:
    """Return whose file it is, and how to get at it."""
    return make_way(
        run_id,
        user=place.for_user,
        path=place.target_path,
        follow_links=place.follow_links,
        sftp=place.sftp,
        non_atomic=place.non_atomic,
    )

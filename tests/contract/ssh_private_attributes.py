"""
The contract with Paramiko: attributes that `fleetctl.ssh` reads, sets or replaces.
"""

from __future__ import annotations

import threading

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.packet import Packetizer
from paramiko.transport import ChannelMap

from tests.contract.ssh_private_names import Attribute

TRANSPORT, PACKETIZER = paramiko.Transport, Packetizer

_HOST = "loop_transport.py"
_RUN = ("Transport.run",)

ATTRIBUTES = (
    Attribute(
        TRANSPORT,
        "_handler_table",
        f"{_HOST}: gets an entry for MSG_UNIMPLEMENTED",
        dict,
        _RUN,
    ),
    Attribute(
        TRANSPORT,
        "_channel_handler_table",
        f"{_HOST}: replaced by one that calls methods, so that overrides count (ADR 0004)",
        dict,
        _RUN,
    ),
    Attribute(
        TRANSPORT,
        "_expected_packet",
        f"{_HOST} LoopPacketizer.read_message: during key exchange unknown numbers are fatal",
        tuple,
        _RUN,
        (),
    ),
    Attribute(
        TRANSPORT,
        "_channels",
        f"{_HOST}: channels are put, found and deleted",
        ChannelMap,
        (*_RUN, "Transport.open_channel", "Transport._parse_channel_open_success"),
    ),
    Attribute(
        TRANSPORT,
        "channel_events",
        f"{_HOST}: holds look-alikes of events (rule 4)",
        dict,
        (*_RUN, "Transport._parse_channel_open_success"),
        {},
    ),
    Attribute(
        TRANSPORT,
        "channels_seen",
        f"{_HOST}: messages for channels that were closed are not fatal",
        dict,
        _RUN,
        {},
    ),
    *(
        Attribute(
            TRANSPORT,
            f"_preferred_{what}",
            f"{_HOST} use_algorithms: set, to be offered through preferred_{what}",
            tuple,
        )
        for what in ("kex", "ciphers", "macs", "keys", "pubkeys", "compression")
    ),
    Attribute(
        TRANSPORT,
        "_compression_info",
        f"{_HOST}: overridden, what a packet expands to is bounded",
        dict,
        ("Transport._activate_inbound", "Transport._auth_trigger"),
    ),
    Attribute(
        TRANSPORT,
        "_kex_info",
        f"{_HOST}: gets curve25519-sha256 under its RFC name",
        dict,
        ("Transport._parse_kex_init",),
    ),
    Attribute(
        TRANSPORT,
        "server_mode",
        f"{_HOST}: everything overridden is the client's side",
        bool,
        _RUN,
        False,
    ),
    Attribute(
        TRANSPORT,
        "clear_to_send",
        f"{_HOST}: says whether channel data may be sent",
        threading.Event,
        ("Transport._send_kex_init", "Transport._negotiate_keys", "Transport._parse_newkeys"),
    ),
    Attribute(
        TRANSPORT,
        "clear_to_send_lock",
        f"{_HOST} _send_message: held over check and send (rule 1)",
        type(threading.Lock()),
        ("Transport._send_kex_init", "Transport._negotiate_keys", "Transport._parse_newkeys"),
    ),
    Attribute(
        TRANSPORT,
        "lock",
        f"{_HOST}: protects the channels",
        type(threading.Lock()),
        ("Transport.open_channel", "Transport._parse_channel_open_success"),
    ),
    Attribute(
        TRANSPORT,
        "in_kex",
        f"{_HOST}: no second KEXINIT while one is under way",
        bool,
        (*_RUN, "Transport._send_kex_init", "Transport._parse_newkeys"),
        False,
    ),
    Attribute(
        TRANSPORT,
        "initial_kex_done",
        f"{_HOST}: before it nothing is held back",
        bool,
        ("Transport._parse_newkeys",),
        False,
    ),
    Attribute(
        TRANSPORT,
        "authenticated",
        f"{_HOST}: limits before login (rule 9)",
        bool,
        ("Transport._auth_trigger",),
        False,
    ),
    Attribute(
        TRANSPORT, "active", f"{_HOST}, connection.py: is the transport usable", bool, _RUN, False
    ),
    Attribute(
        TRANSPORT,
        "auth_handler",
        "auth.py AuthDialog: takes its place, with _handler_table, abort, is_authenticated",
        type(None),
        _RUN,
    ),
    Attribute(
        TRANSPORT,
        "completion_event",
        f"{_HOST} negotiate: set when keys are agreed on, or at the end",
        type(None),
        (*_RUN, "Transport._parse_newkeys", "Transport.start_client"),
    ),
    Attribute(
        TRANSPORT, "saved_exception", "translate.py: why the transport ended", type(None), _RUN
    ),
    Attribute(
        TRANSPORT,
        "session_id",
        "auth.py: signed by publickey login",
        type(None),
        ("Transport._set_K_H",),
    ),
    Attribute(
        TRANSPORT,
        "server_extensions",
        "auth.py: server-sig-algs",
        dict,
        ("Transport._parse_ext_info",),
        {},
    ),
    Attribute(
        TRANSPORT,
        "remote_version",
        f"{_HOST} _check_banner: set",
        str,
        # Both versions are hashed into the session id.
        ("KexCurve25519._parse_kexecdh_reply",),
        "",
    ),
    Attribute(
        TRANSPORT,
        "local_version",
        f"{_HOST}: set",
        str,
        (*_RUN, "KexCurve25519._parse_kexecdh_reply"),
    ),
    Attribute(
        PACKETIZER,
        "REKEY_BYTES",
        f"{_HOST} set_rekey_limit: set on the instance",
        int,
        ("Packetizer.send_message", "Packetizer.read_message"),
    ),
    Attribute(
        AuthHandler,
        "_handler_table",
        "auth.py AuthDialog: `run` looks messages up in it",
        dict,
        _RUN,
    ),
)

#: Set by methods only, so they have no first value: name -> what for, and who sets them.
SET_LATER = {
    "_latest_kex_init": (
        f"{_HOST} _send_kex_init: set, as Paramiko does",
        ("Transport._send_kex_init", "Transport._get_latest_kex_init"),
    ),
    "_remote_ext_info": (f"{_HOST} AGREED_ATTRIBUTES", ("Transport._parse_kex_init",)),
    "_remote_strict_kex": (f"{_HOST} AGREED_ATTRIBUTES", ("Transport._parse_kex_init",)),
}

#: Names of the module, not of a class: what they are used for, and their type.
MODULE_NAMES = {
    "_active_threads": (f"{_HOST} _hosted: left when `run` is cut short", list),
}

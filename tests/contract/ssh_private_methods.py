"""
The contract with Paramiko: methods that `fleetctl.ssh` overrides or calls.
"""

from __future__ import annotations

import paramiko
from paramiko.packet import Packetizer
from paramiko.transport import ChannelMap

from tests.contract.ssh_private_names import Method

TRANSPORT, CHANNEL, PACKETIZER = paramiko.Transport, paramiko.Channel, Packetizer

_HOST = "loop_transport.py"
_CHAN = "loop_channel.py"
_RUN = ("Transport.run",)

METHODS = (
    # -- hosting `run` without a thread
    Method(TRANSPORT, "run", f"{_HOST}: hosted in a greenlet, unmodified", "(self)"),
    Method(
        TRANSPORT,
        "start_client",
        f"{_HOST} negotiate: calls start() and returns at once when given an event",
        "(self, event=None, timeout=None)",
    ),
    Method(
        TRANSPORT,
        "stop_thread",
        f"{_HOST}: overridden, ends by EOF",
        "(self)",
        ("Transport.close", "_join_lingering_threads"),
    ),
    Method(TRANSPORT, "close", f"{_HOST}: overridden, safe from any thread", "(self)"),
    Method(
        TRANSPORT,
        "_log",
        f"{_HOST}: overridden, formats only what is logged",
        "(self, level, msg, *args)",
        _RUN,
    ),
    # -- identification and key exchange
    Method(
        TRANSPORT,
        "_check_banner",
        f"{_HOST}: overridden, sends KEXINIT first and keeps the lines before the version",
        "(self)",
        _RUN,
    ),
    Method(
        TRANSPORT,
        "_send_kex_init",
        f"{_HOST}: overridden, does not send the early KEXINIT twice",
        "(self)",
        (*_RUN, "Transport._negotiate_keys"),
    ),
    Method(
        TRANSPORT,
        "_parse_kex_init",
        f"{_HOST}: overridden, keeps the peer's offer when nothing is in common",
        "(self, m)",
        ("Transport._negotiate_keys",),
    ),
    Method(
        TRANSPORT,
        "_really_parse_kex_init",
        f"{_HOST} _parse_kex_init: called, its keys are named in translate.py",
        "(self, m, ignore_first_byte=False)",
        ("Transport._parse_kex_init",),
    ),
    Method(
        TRANSPORT,
        "_filter_algorithm",
        f"{_HOST}: overridden, what was set is what is offered",
        "(self, type_)",
        ("Transport.preferred_kex", "Transport.preferred_ciphers", "Transport.preferred_macs"),
    ),
    Method(
        TRANSPORT,
        "_compute_key",
        f"{_HOST}: overridden, the same keys with less work",
        "(self, id, nbytes)",
        ("Transport._activate_inbound", "Transport._activate_outbound"),
    ),
    Method(TRANSPORT, "_add_K", f"{_HOST} _compute_key: called", "(self, m)"),
    Method(
        TRANSPORT,
        "_verify_key",
        f"{_HOST}: overridden, keeps the host key as it came and refuses another one later",
        "(self, host_key, sig)",
    ),
    Method(
        TRANSPORT,
        "_parse_newkeys",
        f"{_HOST}: overridden, sends what was held back during the key exchange",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_auth_trigger",
        f"{_HOST} authentication_succeeded: called, begins delayed compression",
        "(self)",
    ),
    Method(
        TRANSPORT,
        "_parse_ext_info",
        f"{_HOST}: overridden, refuses a count that no packet holds",
        "(self, msg)",
    ),
    Method(
        TRANSPORT,
        "_parse_disconnect",
        f"{_HOST}: overridden, keeps the peer's code and words",
        "(self, m)",
        _RUN,
    ),
    Method(
        TRANSPORT,
        "_parse_debug",
        f"{_HOST}: overridden, notes that a key runs one command only",
        "(self, m)",
        _RUN,
    ),
    # -- sending
    Method(
        TRANSPORT,
        "_send_message",
        f"{_HOST}: overridden, holds back channel data during a key exchange (rule 1)",
        "(self, data)",
        (*_RUN, "Transport._send_kex_init", "Transport._activate_outbound"),
    ),
    Method(
        TRANSPORT,
        "_send_user_message",
        f"{_HOST}: overridden, never waits (rule 1)",
        "(self, data)",
        (
            "Transport.open_channel",
            "Transport.global_request",
            "Channel._send",
            "Channel._handle_close",
            "Channel.close",
            "Channel.recv",
        ),
    ),
    # -- global requests and channels
    Method(
        TRANSPORT,
        "_parse_global_request",
        f"{_HOST}: overridden, takes the announcement of host keys",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_parse_request_success",
        f"{_HOST}: overridden, answers our own global requests in order",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_parse_request_failure",
        f"{_HOST}: overridden, answers our own global requests in order",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_parse_channel_open_success",
        f"{_HOST}: overridden, closes channels nobody waits for any more",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_parse_channel_open",
        f"{_HOST}: overridden, lets the server open what was agreed to",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_parse_channel_open_failure",
        f"{_HOST}: overridden, keeps the reason with its channel",
        "(self, m)",
        ("Transport.__init__",),
    ),
    Method(
        TRANSPORT,
        "_next_channel",
        f"{_HOST} open_loop_channel: called with the lock held",
        "(self)",
        ("Transport.open_channel",),
    ),
    Method(
        TRANSPORT,
        "_unlink_channel",
        f"{_HOST} unlink_channel: called",
        "(self, chanid)",
        ("Channel._handle_close", "Channel._unlink"),
    ),
    Method(
        TRANSPORT,
        "open_channel",
        f"{_HOST}: overridden, refuses to block the loop (rule 7)",
        "(self, kind, dest_addr=None, src_addr=None, window_size=None, max_packet_size=None,"
        " timeout=None)",
        ("Transport.open_session",),
    ),
    Method(
        TRANSPORT,
        "global_request",
        f"{_HOST}: overridden, refuses to block the loop (rule 7)",
        "(self, kind, data=None, wait=True)",
        ("Transport.request_port_forward",),
    ),
    # -- what `run` calls on a channel
    Method(
        CHANNEL,
        "_set_transport",
        f"{_CHAN}: overridden; {_HOST} open_loop_channel: called",
        "(self, transport)",
        ("Transport.open_channel",),
    ),
    Method(
        CHANNEL,
        "_set_window",
        f"{_CHAN}: overridden; {_HOST} open_loop_channel: called",
        "(self, window_size, max_packet_size)",
        ("Transport.open_channel",),
    ),
    Method(
        CHANNEL,
        "_set_remote_channel",
        f"{_CHAN}: overridden, the channel is open",
        "(self, chanid, window_size, max_packet_size)",
        ("Transport._parse_channel_open_success",),
    ),
    Method(
        CHANNEL,
        "_unlink",
        f"{_CHAN}: overridden, the transport has ended; {_HOST} _hosted: called",
        "(self)",
        ("Transport.run", "Transport.close"),
    ),
    *(
        Method(
            CHANNEL,
            name,
            f"{_CHAN}: overridden; {_HOST} _channel_handler_table: called for both kinds",
            "(self, m)",
        )
        for name in (
            "_request_success",
            "_request_failed",
            "_feed",
            "_feed_extended",
            "_window_adjust",
            "_handle_request",
            "_handle_eof",
            "_handle_close",
        )
    ),
    Method(
        CHANNEL,
        "_wait_for_event",
        f"{_HOST} ThreadChannel: overridden, refuses to block the loop (rule 7)",
        "(self)",
        ("Channel.exec_command", "Channel.invoke_subsystem", "Channel.get_pty"),
    ),
    Method(
        CHANNEL,
        "_wait_for_send_window",
        f"{_HOST} ThreadChannel: overridden, refuses to block the loop (rule 7)",
        "(self, size)",
        ("Channel._send",),
    ),
    # -- packets
    Method(
        PACKETIZER,
        "read_all",
        f"{_HOST} LoopPacketizer: overridden, takes bytes from the loop's buffer",
        "(self, n, check_rekey=False)",
        ("Packetizer.read_message",),
    ),
    Method(
        PACKETIZER,
        "readline",
        f"{_HOST} LoopPacketizer: overridden, bounded; {_HOST} _check_banner: called",
        "(self, timeout)",
    ),
    Method(
        PACKETIZER,
        "read_message",
        f"{_HOST} LoopPacketizer: overridden, limits and unknown numbers (rules 9, 10)",
        "(self)",
        _RUN,
    ),
    Method(
        PACKETIZER,
        "write_all",
        f"{_HOST} LoopPacketizer: overridden, queues for the loop (rule 3)",
        "(self, out)",
        (*_RUN, "Packetizer.send_message"),
    ),
    Method(
        PACKETIZER,
        "send_message",
        f"{_HOST}: called; encrypts and writes under one lock, so the order is kept (rule 3)",
        "(self, data)",
        ("Transport._send_message",),
    ),
    Method(
        PACKETIZER,
        "start_handshake",
        f"{_HOST} LoopPacketizer: overridden, no timer thread",
        "(self, timeout)",
        _RUN,
    ),
    Method(
        PACKETIZER,
        "need_rekey",
        f"{_HOST} LoopPacketizer.read_all: called",
        "(self)",
        (*_RUN, "Transport._parse_newkeys", "Transport._activate_outbound"),
    ),
    Method(
        PACKETIZER,
        "_trigger_rekey",
        f"{_HOST} LoopPacketizer: overridden, wakes the reader (rule 1)",
        "(self)",
        ("Packetizer.send_message", "Packetizer.read_message"),
    ),
    Method(PACKETIZER, "close", f"{_HOST} _hosted: called", "(self)", _RUN),
    # -- the map of channels
    Method(ChannelMap, "put", f"{_HOST} open_loop_channel: called", "(self, chanid, chan)"),
    Method(ChannelMap, "get", f"{_HOST} _parse_channel_open_failure: called", "(self, chanid)"),
    Method(ChannelMap, "delete", f"{_HOST} forget_channel: called", "(self, chanid)"),
    Method(ChannelMap, "values", f"{_HOST} _hosted: called", "(self)"),
)

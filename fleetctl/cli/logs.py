"""
Log records: to stderr as far as asked for, else nowhere.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TextIO

from fleetctl.wiring import visible_text


def set_up_logging(
    verbosity: int,
    *,
    debug: bool,
    stderr: TextIO,
    redact: Callable[[str], str] = lambda text: text,
) -> None:
    """
    Send log records to stderr as far as asked for.

    Args:
        verbosity: 0 nothing, 1 INFO, 2 DEBUG, 3 Paramiko's own log as well.
        debug: At least errors, with their tracebacks.
        redact: Takes secrets out of them.
    """
    for name, is_wanted in (("fleetctl", verbosity > 0 or debug), ("paramiko", verbosity >= 3)):
        logger = logging.getLogger(name)
        if not is_wanted:
            # Without any handler, warnings would go to stderr by logging's last resort.
            logger.addHandler(logging.NullHandler())
            continue
        handler = logging.StreamHandler(stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(lambda record: _make_visible(record, redact))
        logger.addHandler(handler)
        logger.setLevel({0: logging.ERROR, 1: logging.INFO}.get(verbosity, logging.DEBUG))


def _make_visible(record: logging.LogRecord, redact: Callable[[str], str]) -> bool:
    """Take secrets out of a record, and escape what hosts may have put into it."""
    record.msg, record.args = visible_text(redact(record.getMessage())), None
    if record.exc_info and record.exc_info[1] is not None:
        text = "".join(traceback.format_exception(record.exc_info[1]))
        record.exc_text = visible_text(redact(text))
    return True

"""
ssh_config as ssh reads it: files are parsed once, then any number of hosts is resolved.

Agrees with ``ssh -G`` of OpenSSH 9.2, except where ``docs/reference/deviations.md`` says. Knows
nothing of inventories, and of what fleetctl does with a setting.

::

    load.py      files -> Config        lexer, parse, keywords and the modules of values;
                                        blocks, routes and index make it quick to search
    resolve.py   Config, host -> Resolved   walk: which lines count (match, tokens, canonical);
                                        outcome, finish, shared: what they add up to, once for
                                        all hosts for which the same lines count
    dump.py      Resolved -> the text of ``ssh -G``
"""

"""
Which files may run commands, read secrets or weaken checks: the user's own, and those trusted.

What such a line looks like is known where each kind of file is read. Here is only whether a file
may have it.

::

    permissions.py   who else can change a file
    content.py       what a file, or all files of a folder, hold: SHA-256
    store.py         what was trusted, when, with which content
    judge.py         own or trusted, and if neither, why
"""

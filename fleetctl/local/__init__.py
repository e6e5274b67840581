"""
Commands on this machine itself, without SSH: for hosts whose connection is ``local``.

The same promises as `fleetctl.ssh` makes about output, deadlines and endings. Imported only when a
run has such a host.
"""

"""
A throw-away fleet on loopback: real sshd processes, or an embedded SSH server where there is none.

For trying fleetctl out, for demos, and for tests of playbooks. `fleetctl.lab.fleet` starts and
stops one; nothing here logs in to it.
"""

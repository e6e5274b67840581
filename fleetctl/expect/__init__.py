"""
Scripts that talk to programs: read from YAML, played on a host, recorded, and replayed offline.

Independent of SSH: everything here talks to a `fleetctl.model.dialogue.Conversation`.
"""

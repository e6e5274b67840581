"""
The user's terminal at one end of a session: its modes, raw input and output, and escapes typed.

Nothing here knows SSH; what a program on a host is told goes through a
`fleetctl.model.dialogue.Conversation`.
"""

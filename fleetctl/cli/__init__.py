"""
The command line: words to values, values to `fleetctl.wiring`, endings to exit codes.

One file per group of commands, loaded when the command is typed. Nothing here names a concrete
engine, sink or connector, and nothing decides concurrency.
"""

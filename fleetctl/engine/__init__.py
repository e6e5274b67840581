"""
The only place that decides concurrency: who runs when, on which connection, and how a run ends.
"""

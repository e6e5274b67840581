"""
Keys over a fleet: what runs on hosts and what is decided from it, as plain values.

How to reach a host is behind `Remote`; files of this machine and people are the caller's business.
"""

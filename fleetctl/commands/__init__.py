"""
Operations that run something on a host: one module each, plain frozen data with a `run`.

No terminal, no options, no concurrency in here; how to reach a host is behind `Remote`.
"""

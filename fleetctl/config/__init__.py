"""
The settings file, ``fleetctl.yml``: what the command line means when it does not say.

How to reach and log in to hosts is not a matter of this file but of inventories and ssh_config.

::

    find.py     which files there are
    read.py     YAML -> values with their places
    schema.py   values -> checked values (pydantic; imported only if there is a file)
    load.py     files -> defaults of options, with their origin
"""

#!/bin/sh
# A program that prints an inventory: run with --list, and never by a file nobody trusts.
cat <<'END'
{
  "web": {"hosts": ["web1", "web2"], "vars": {"tier": "front"}},
  "eu": {"children": ["web"], "hosts": ["gw"]},
  "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.3.1"}, "gw": {"ansible_port": 2222}}}
}
END

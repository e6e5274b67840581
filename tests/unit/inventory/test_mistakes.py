"""
Every mistake in an inventory is one line with its place, and a hint.
"""

from __future__ import annotations

import pytest

# What is wrong | the lines the user reads, without the name of the file.
MISTAKES = {
    "a key of a group": (
        """
        all:
          chidren:
          User: deploy
          tz: Europe/Berlin
          web:
            hosts:
        """,
        """
        2:3: "chidren" is not a key of a group (group "all")
        hint: did you mean children?
        3:3: "User" is not a key of a group (group "all")
        hint: put it under `ssh:`: User
        4:3: "tz" is not a key of a group (group "all")
        hint: put it under `vars:`: tz
        5:3: "web" is not a key of a group (group "all")
        hint: a host goes under `hosts:`, a group under `children:`
        """,
    ),
    "a key of a host": (
        """
        all:
          hosts:
            web1: {ssh: {Port: 22}, weight: 2, var: {x: 1}, Port: 3}
            web2: {shh: {Port: 22}}
            web3: {HostName: 10.0.0.1, Tag: blue}
        """,
        """
        3:29: "weight" is not a key of a host, beside vars and ssh
        hint: put it under `vars:`: weight
        3:40: "var" is not a key of a host, beside vars and ssh
        hint: did you mean vars?
        3:53: "Port" is not a key of a host, beside vars and ssh
        hint: put it under `ssh:`: Port
        4:12: "shh" is not a key of a host
        hint: did you mean ssh? a variable of that name goes under `vars:`
        5:12: HostName is a setting of the connection
        hint: write `ssh: {HostName: …}`; or `vars: {HostName: …}` if it is a variable
        """,
    ),
    "keywords": (
        """
        all:
          ssh:
            Prot: 22
            Wurzel: 1
            GSSAPIAuthentication: yes
            SessionType: none
            Port: 22
            port: 23
          hosts: {web1: {ssh: {HostbasedAuthentication: yes}}}
        """,
        """
        3:5: "Prot" is not a keyword of ssh_config
        hint: did you mean Port?
        4:5: "Wurzel" is not a keyword of ssh_config
        hint: ssh_config(5) lists the keywords
        5:5: GSSAPIAuthentication cannot be used: there is no GSSAPI; log in with a key
        6:5: SessionType cannot be used: give the command to `fleetctl run`
        8:5: Port is there twice; the first is in line 7
        hint: keep one of them
        9:24: HostbasedAuthentication cannot be used: log in with a key
        """,
    ),
    "values": (
        r"""
        all:
          ssh:
            Port: 99999
            Compression: maybe
            User:
            HostName: ""
            IdentityFile: {a: b}
            UserKnownHostsFile: '"~/a b'
            Ciphers: []
            BindAddress: [10.0.0.1, 10.0.0.2]
            IdentityAgent: "a\tb"
            HostKeyAlias: "{{ name }}"
            SetEnv: {LANG: [C]}
            ConnectTimeout: 0
        """,
        r"""
        3:11: Port: a number from 1 to 65535 is expected, not "99999"
        4:18: Compression: "yes" or "no" is expected, not "maybe"
        5:10: User has no value
        6:15: HostName: the value is empty
        7:19: IdentityFile takes text, not a mapping
        8:25: UserKnownHostsFile: a double quote is not closed: "~/a b
        9:14: Ciphers has no value
        10:18: BindAddress: one value is expected, not 2: 10.0.0.1 10.0.0.2
        11:20: IdentityAgent: control characters are not allowed: 'a\tb'
        12:19: HostKeyAlias: templates are not allowed in settings: {{ name }}
        13:13: SetEnv takes text, not a list
        14:21: ConnectTimeout: a time above 0 is expected: every phase has a deadline here
        """,
    ),
    "what stands below": (
        """
        all:
          hosts: [web1, web2]
          children:
            - web
          vars: 5
          ssh: deploy
        web: web1
        db:
          hosts:
            db1: 10.0.4.1
            db2: [x]
        """,
        """
        2:10: the hosts of a group are a mapping, not a list
        hint: write a colon after each name, and no dash: `web1:`
        4:5: the children of group "all" are a mapping, not a list
        hint: write a colon after each name, and no dash: `web:`
        5:9: vars: a mapping is expected, not the text "5"
        hint: write `name: value` below it
        6:8: ssh: a mapping is expected, not the text "deploy"
        hint: write `Keyword: value` below it, as in ssh_config
        7:6: group "web": a mapping is expected, not the text "web1"
        hint: write `hosts:` below it, and the hosts below that
        10:10: host "db1": a mapping is expected, not the text "10.0.4.1"
        hint: db1: {ssh: {HostName: 10.0.4.1}}
        11:10: host "db2": a mapping is expected, not a list
        """,
    ),
    "names": (
        """
        all:
          hosts:
            web[3-1]:
            w[3:1]:
            web 7:
            -web8:
            ~web9:
            web*:
            deploy@web10:
            web11:ssh:
            a:b:c:
            "":
            "a\\x07":
            hosts:
          children:
            all: {hosts: {x: }}
            x/y: {hosts: {z: }}
            a:b:
            vars: {x: 1}
            web: {hosts: {all: , ungrouped: }}
        """,
        """
        3:5: this is not a range of hosts: "web[3-1]": "3-1" counts down
        4:5: this is not a range of hosts: "w[3:1]": "3:1" counts down
        5:5: this cannot be the name of a host: "web 7" contains a space
        6:5: this cannot be the name of a host: "-web8" begins with "-"
        7:5: this cannot be the name of a host: "~web9" begins with "~"
        8:5: this cannot be the name of a host: "web*" contains "*"
        9:5: a user does not belong in the name of a host
        hint: web10: {ssh: {User: deploy}}
        10:5: Port: a number from 1 to 65535 is expected, not "ssh"
        11:5: this cannot be the name of a host: "a:b:c" has a colon but is not an IPv6 address
        12:5: this cannot be the name of a host: it is empty
        13:5: this cannot be the name of a host: "a\\x07" contains the character U+0007
        14:5: "hosts" stands where the name of a host is expected
        hint: check the indentation
        16:5: "all" cannot be a child of "all": it has every group in it
        17:5: this cannot be the name of a group: "x/y" contains "/"
        18:5: this cannot be the name of a group: ":" is not allowed in "a:b"
        19:5: "vars" stands where the name of a group is expected
        hint: check the indentation
        20:19: this cannot be the name of a host: "all" is a group that every inventory has
        20:26: this cannot be the name of a host: "ungrouped" is a group that every inventory has
        """,
    ),
    "Ansible's variables": (
        """
        all:
          vars:
            ansible_ssh_private_key: BEGIN
            ansible_private_key_passphrase: secret
            ansible_ssh_common_args: -W x -o Prot=1
            ansible_ssh_extra_args: -o Prot=1 -oPort=0
            ansible_host_key_checking: maybe
            ansible_ssh_retries: many
            ansible_shell_type: powershell
            ansible_password: "{{ vaulted }}"
          hosts:
            web1: {ansible_connection: winrm, ansible_port: ssh}
            web2: {ansible_host: "{{ ip }}", ansible_user: [a]}
            web3: {ansible_host: 10.0.0.3, vars: {}}
            web4: {vars: {ansible_port: 22}, ssh: {Port: 2222}}
            web5:2200: {ansible_port: 2200}
            web6:2200: {ssh: {Port: 22}}
            web7: {ansible_host: "10.0.0.7:22"}
            web8: {ansible_user: a, ansible_ssh_user: b}
          children:
            g: {vars: {ansible_group_priority: high, ansible_user: a}, ssh: {User: b}}
            h: {hosts: {web5:2201: , web1:2202: }}
        """,
        """
        3:5: ansible_ssh_private_key is not supported
        hint: write the key to a file, and name it with ansible_ssh_private_key_file
        4:5: ansible_private_key_passphrase is not supported
        hint: add the key to the agent, or give --identity-passphrase-file
        5:30: ansible_ssh_common_args: "-W" is not supported here
        hint: write the options as ssh_config keywords under `ssh:`
        6:29: "Prot" is not a keyword of ssh_config
        hint: did you mean Port?
        6:29: Port: a number from 1 to 65535 is expected, not "0"
        7:32: ansible_host_key_checking: "yes" or "no" is expected, not "maybe"
        8:26: ansible_ssh_retries: a number is expected, not "many"
        9:25: ansible_shell_type: powershell is not supported: hosts need a POSIX shell
        10:5: ansible_password: templates are not allowed in passwords
        hint: write the value here, vaulted: ansible-vault encrypt_string
        12:32: ansible_connection: "winrm" is not supported
        hint: hosts are reached over SSH: write ssh, or leave it out; local is this machine
        12:53: Port: a number from 1 to 65535 is expected, not "ssh"
        13:26: HostName: templates are not allowed in settings: {{ ip }}
        13:52: ansible_user: text or a number is expected
        14:12: "ansible_host" is not a key of a host, beside vars and ssh
        hint: put it under `vars:`: ansible_host
        15:19: web4: Port is 22 here, but 2222 under `ssh:` (hosts.yml:15)
        hint: keep one of them
        17:5: web6: Port is 2200 here, but 22 under `ssh:` (hosts.yml:17)
        hint: keep one of them
        18:12: HostName: "10.0.0.7:22" has a colon but is not an IPv6 address
        hint: the port has a keyword of its own: Port
        19:29: ansible_ssh_user says User b, but ansible_user says a (hosts.yml:19)
        hint: keep one of them
        21:40: ansible_group_priority: a number is expected, not "high"
        21:46: group "g": User is a here, but b under `ssh:` (hosts.yml:21)
        hint: keep one of them
        22:17: web5 was mentioned before without port 2201
        hint: write web5:2201 where it is first, or ansible_port here
        22:30: web1 was mentioned before without port 2202
        hint: write web1:2202 where it is first, or ansible_port here
        """,
    ),
    "tokens": (
        """
        all:
          ssh: {HostName: "%n.example.com"}
          hosts:
            web1: {ssh: {IdentityFile: "~no_such_user/id", UserKnownHostsFile: "%q"}}
            web2: {ssh: {HostName: fe80::1%eth0, IdentityFile: "${HOME}/id"}}
            web3: {ssh: {HostName: -oProxyCommand=id}}
        """,
        """
        2:9: HostName: "%n" is none of the tokens %h %%
        4:18: IdentityFile: "~no_such_user/id" names a user who does not exist here
        4:52: UserKnownHostsFile: "%q" is none of the tokens %C %L %d %h %i %j %k %l %n %p %r %u %%
        5:18: HostName: "%e" is none of the tokens %h %%
        6:18: HostName: "-oProxyCommand=id" begins with "-"
        """,
    ),
    "a cycle through files parts": (
        """
        all:
          children:
            web: {children: {eu: {children: {rack: }}}}
        rack:
          children:
            web:
        """,
        """
        6:5: groups form a cycle: web -> eu -> rack -> web
        hint: take "web" out of the children of "rack"
        """,
    ),
    "a group in itself": (
        """
        web: {hosts: {web1: }, children: {web: }}
        """,
        """
        1:35: groups form a cycle: web -> web
        hint: take "web" out of the children of "web"
        """,
    ),
    "duplicate keys beside other mistakes": (
        """
        all:
          hosts: {web1: }
          hosts: {web2: }
          ssh: {Prot: 1}
        """,
        """
        3:3: "hosts" is there twice; the first is in line 2
        hint: keep one of them
        4:9: "Prot" is not a keyword of ssh_config
        hint: did you mean Port?
        """,
    ),
    "a mistake that an alias repeats": (
        """
        a: {ssh: &ours {Prot: 1}, hosts: {x: }}
        b: {ssh: *ours}
        c: {ssh: {<<: *ours}}
        """,
        """
        1:17: "Prot" is not a keyword of ssh_config
        hint: did you mean Port?
        """,
    ),
    "groups without all": (
        """
        hosts:
          web1:
        """,
        """
        1:1: "hosts" stands outside every group
        hint: indent it under `all:`, as in `all: {hosts: …}`
        """,
    ),
    "a playbook": (
        """
        - hosts: web
          tasks: []
        """,
        """
        1:1: this is a playbook, not an inventory
        hint: give the inventory the playbook is for
        """,
    ),
    "a list": (
        """
        - web1
        - web2
        """,
        """
        1:1: an inventory is a mapping of groups, not a list
        hint: the shortest inventory is `all: {hosts: {web1: }}`
        """,
    ),
    "text": (
        """
        web1
        web2
        """,
        """
        1:1: an inventory is a mapping of groups, not the text "web1 web2"
        hint: the shortest inventory is `all: {hosts: {web1: }}`
        """,
    ),
    "what is not read yet": (
        """
        plugin: amazon.aws.aws_ec2
        ssh_config: {}
        _meta: {hostvars: {}}
        """,
        """
        1:1: the configuration of an Ansible inventory plugin is not read
        hint: ansible-inventory --list --yaml > hosts.yml, and give that file
        2:13: ssh_config: the name of a file is expected, not a mapping
        hint: ssh_config: ./ssh_config
        3:1: what a program prints for --list is not read from a file
        hint: give the program itself, or write the hosts as `all: {hosts: {web1: }}`
        """,
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_all_mistakes_are_shown_at_once_each_with_its_place(what, mistakes):
    """
    Whoever mends a file sees everything that is wrong with it, in its order.
    """
    text, expected = MISTAKES[what]
    lines = [line.strip() for line in expected.strip().splitlines()]
    shown = [line if line.startswith("hint: ") else f"hosts.yml:{line}" for line in lines]
    assert mistakes(text) == shown


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_an_error(text, mistakes):
    """
    An inventory emptied by accident is not an inventory without hosts.
    """
    assert mistakes(text) == [
        "hosts.yml: the file is empty",
        "hint: the shortest inventory is `all: {hosts: {web1: }}`",
    ]

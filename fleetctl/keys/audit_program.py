"""
The program that looks at the keys of a whole host in one go, and the framing of what it answers.

What it finds means nothing here: `fleetctl.keys.audit_read` makes sense of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleetctl.keys.place import MAX_FILE_BYTES
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning

#: Most accounts that are looked at.
MAX_USERS = 10_000
#: Bytes of all files together; what is beyond is left out, and said to be.
MAX_ALL_BYTES = 48 * 1024 * 1024
#: Bytes of an answer; more is no audit.
MAX_ANSWER_BYTES = 96 * 1024 * 1024
#: Of a log that is searched for logins, from its end.
MAX_LOG_BYTES = 16 * 1024 * 1024

#: How reading a file can end, besides with 0. Source: the program.
STATUS_NO_FILE = 66
STATUS_LEFT_OUT = 75
STATUS_NOBODY = 77

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")

# Everything is in one function that is called in the last line: a transfer that is cut runs
# nothing. Each answer begins with the mark, which nobody on the host can know before.
# A user's files are read as that user, so that a link of his leads root nowhere.
_PROGRAM = r"""
fleetctl_audit() {
mark=$1 server=$2 log=$3
shift 3
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL
unset CDPATH ENV BASH_ENV
umask 077
set -f
nl='
'
answer() { printf '\n%s %s\n' "$mark" "$*"; }
me=$(id -u)
answer who "$me" "$(id -un)"
answer clock "$(date +%s)" "$(date +%z)"
passwd_of() { getent passwd "$@" 2>/dev/null || while [ $# -gt 0 ]; do
  awk -F: -v "u=$1" '$1 == u' /etc/passwd; shift; done; }
if [ $# -gt 0 ]; then list=$(passwd_of "$@")
elif [ "$me" = 0 ]; then list=$(getent passwd 2>/dev/null || cat /etc/passwd)
else list=$(passwd_of "$(id -un)")
fi
list=$(printf '%s\n' "$list" | head -n @USERS@)
answer users; printf '%s' "$list"
answer groups; getent group 2>/dev/null || cat /etc/group 2>/dev/null
[ "$me" = 0 ] && [ -r /etc/shadow ] && { answer shadow
  awk -F: '{print $1 ":" substr($2, 1, 1) ":" $8}' /etc/shadow; }
config=
if [ "$me" = 0 ] && [ "$server" != dropbear ] && command -v sshd >/dev/null 2>&1; then
  p=$$ i=0
  while [ "$p" -gt 1 ] && [ "$i" -lt 64 ]; do
    [ -O "/proc/$p" ] && c=$(tr '\0\n' '  ' <"/proc/$p/cmdline" 2>/dev/null) && case $c in
      sshd:*'[listener]'*|*/sshd\ *) case $c in
        *\ -f\ *) c=${c#* -f }; config=${c%% *};;
        *\ -f/*) c=${c#* -f}; config=${c%% *};;
      esac;;
    esac
    p=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$p/status" 2>/dev/null) || break
    [ -n "$p" ] || break
    i=$((i + 1))
  done
  config=${config:-/etc/ssh/sshd_config}
  each= have='^[[:space:]]*"?match'
  # What an included file includes is not looked for: it is taken to tell users apart.
  more=$(sed -n 's/^[[:space:]]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee][[:space:]=]*//p' "$config" 2>/dev/null)
  cd /etc/ssh 2>/dev/null
  set +f
  grep -Eiq "$have" "$config" 2>/dev/null && each=1
  [ -n "$more" ] && grep -Eiqs "$have|^[[:space:]]*\"?include" $more && each=1
  set -f
  answer sshd "$config"
fi
addr=${SSH_CONNECTION:-127.0.0.1 0 127.0.0.1 22}
laddr=${addr#* * }
addr=${addr%% *} lport=${laddr#* } laddr=${laddr%% *}
wanted='authorized|trustedusercakeys|revokedkeys|allow(users|groups) |deny(users|groups) |pubkey'
wanted="$wanted|permitrootlogin |strictmodes |usepam |authenticationmethods "
wanted="$wanted|passwordauthentication |kbdinteractiveauthentication "
ask_sshd() {
  sshd -T -f "$config" -C "user=$1,host=$addr,addr=$addr,laddr=$laddr,lport=$lport" 2>/dev/null |
  grep -E "^($wanted)"
}
how=
if [ "$me" = 0 ]; then
  if setpriv --reuid 0 --regid 0 --init-groups true 2>/dev/null; then how=setpriv
  elif runuser -u root -- true 2>/dev/null; then how=runuser
  elif su -s /bin/sh -c true root >/dev/null 2>&1; then how=su
  fi
fi
as_user() {
  if [ "$uid" = "$me" ]; then sh -c "$1" sh "$2"
  else case $how in
    setpriv) setpriv --reuid "$uid" --regid "$gid" --init-groups sh -c "$1" sh "$2";;
    runuser) runuser -u "$u" -- sh -c "$1" sh "$2";;
    su) FLEETCTL_FILE=$2 su -s /bin/sh -c "set -- \"\$FLEETCTL_FILE\"; $1" "$u";;
    *) return 77;;
  esac; fi
}
expand() {
  rest=$1 path=
  while :; do
    case $rest in
      *%*) path=$path${rest%%\%*} rest=${rest#*%}
        case $rest in
          %*) path=$path%;; h*) path=$path$home;; u*) path=$path$u;; U*) path=$path$uid;;
          *) path=$path%${rest%"${rest#?}"};;
        esac
        rest=${rest#?};;
      *) path=$path$rest; break;;
    esac
  done
  case $path in /*) ;; *) path=$home/$path;; esac
}
# -q shows what is no letter as ?; busybox does not know it.
list_as=-ldn
ls -ldnq / >/dev/null 2>&1 && list_as=-ldnq
parts() {
  all= p=$1
  while [ -n "$p" ] && [ "$p" != / ]; do all=$p$nl$all p=${p%/*}; done
  old=$IFS; IFS=$nl
  ls "$list_as" -- / $all 2>/dev/null
  IFS=$old
}
# What was a file may be a pipe by now, which nobody writes to.
limit=
timeout 9 true 2>/dev/null && limit='timeout 30 '
budget=@ALL@
read_file() {
  real=$(readlink -f -- "$path" 2>/dev/null) || real=
  case $real in ''|*"$nl"*) real=$path;; esac
  answer path "$path"; parts "$path"
  [ "$real" = "$path" ] || { answer real "$real"; parts "$real"; }
  size=$(ls -ldnL "$real" 2>/dev/null | awk '{print $5 + 0; exit}')
  [ "${size:-0}" -gt @FILE@ ] && size=@FILE@
  budget=$((budget - ${size:-0}))
  answer data
  if [ "$budget" -lt 0 ]; then answer end 75; return; fi
  "$1" "[ -f \"\$1\" ] || exit 66; exec ${limit}head -c @MORE@ \"\$1\"" "$path" 2>/dev/null
  answer end $?
}
as_root() { sh -c "$1" sh "$2"; }
cas=$nl last=none common=
[ -n "$config" ] && [ -z "$each" ] && common=$(ask_sshd root)
printf '%s\n' "$list" | { while IFS=: read -r u _ uid gid _ home _; do
  case $uid$gid in *[!0-9]*|'') continue;; esac
  case $u in ''|-*) continue;; esac
  conf=$common
  [ -n "$each" ] && conf=$(ask_sshd "$u")
  if [ "$conf" != "$last" ]; then answer settings; printf '%s' "$conf"; last=$conf
    files=$(printf '%s\n' "$conf" | sed -n 's/^authorizedkeysfile //p')
    principals=$(printf '%s\n' "$conf" | sed -n 's/^authorizedprincipalsfile //p')
    ca=$(printf '%s\n' "$conf" | sed -n 's/^trustedusercakeys //p')
    [ -n "$files" ] || files='.ssh/authorized_keys .ssh/authorized_keys2'
    [ "$server" != dropbear ] || files=.ssh/authorized_keys
    [ "$server" != dropbear ] || [ ! -e /etc/openwrt_release ] || [ "$uid" != 0 ] ||
      files=/etc/dropbear/authorized_keys
  fi
  answer user "$u"
  found=
  for word in $files; do
    [ "$word" = none ] && continue
    expand "$word"
    [ -e "$path" ] || [ -L "$path" ] || continue
    answer file authorizedkeysfile
    read_file as_user
    found=1
  done
  case ${principals:-none} in none) ;; *)
    expand "$principals"
    if [ -e "$path" ] || [ -L "$path" ]; then answer file authorizedprincipalsfile
      read_file as_user
    fi;;
  esac
  case ${ca:-none} in none) ;; *)
    case $cas in *"$nl$ca$nl"*) ;; *)
      cas=$cas$ca$nl path=$ca; answer file trustedusercakeys; read_file as_root;;
    esac;;
  esac
  if [ -n "$found" ] && [ "$me" = 0 ] && [ "$uid" != 0 ] && command -v sudo >/dev/null 2>&1; then
    answer sudo; COLUMNS=9999 sudo -n -l -U "$u" 2>&1 | head -c 8192
  fi
done
if [ "$log" = log ]; then
  answer logins
  { for f in /var/log/auth.log /var/log/secure /var/log/messages; do
      [ -r "$f" ] && [ -f "$f" ] && tail -c @LOG@ "$f"
    done
    command -v journalctl >/dev/null 2>&1 &&
      journalctl -q -n 100000 -o short-iso -t sshd -t sshd-session 2>/dev/null
  } 2>/dev/null | awk '/sshd.*: Accepted publickey for / {
      k = $0; sub(/.*: Accepted publickey for /, "", k)
      n = split(k, w, " "); f = w[n]; if (n > 4 && f ~ /^SHA256:/) last[w[1] " " f] = $0
    } END { for (k in last) if (i++ < 20000) print last[k] }'
fi
answer done; }
}
fleetctl_audit @ARGUMENTS@ </dev/null; exit
"""


@dataclass(frozen=True, slots=True)
class Record:
    """
    One answer of the program.

    Attributes:
        kind: ``who``, ``users``, ``user``, ``file`` …
        text: The rest of its line.
        body: What came between its line and the next answer, to the byte.
    """

    kind: str
    text: str
    body: bytes


def make_program(
    mark: str, *, users: Sequence[str] = (), log: bool = False, is_dropbear: bool = False
) -> bytes:
    """
    Return the program, for the standard input of ``sh -s``.

    Args:
        mark: Begins each answer; letters and digits that nobody on the host knows before.
        users: Look at these only; none for everybody, or for a user without rights himself.
        log: Search the logs for when keys were used last.
        is_dropbear: Its server is, which has no settings to ask for, and one place of keys.

    Raises:
        ValueError: A name is none that a system has.
    """
    for user in users:
        if _WORD.fullmatch(user) is None:
            raise ValueError(f'"{user}" is no name of a user')
    values = {
        "@USERS@": str(MAX_USERS),
        "@ALL@": str(MAX_ALL_BYTES),
        "@FILE@": str(MAX_FILE_BYTES),
        "@MORE@": str(MAX_FILE_BYTES + 1),
        "@LOG@": str(MAX_LOG_BYTES),
        "@ARGUMENTS@": " ".join(
            (
                mark,
                "dropbear" if is_dropbear else "openssh",
                "log" if log else "-",
                *(f"'{user}'" for user in users),
            )
        ),
    }
    program = _PROGRAM.lstrip()
    for name, value in values.items():
        program = program.replace(name, value)
    return program.encode("ascii")


def read_records(answer: bytes, mark: str) -> Iterator[Record]:
    """
    Yield the answers of the program; what was said before its first is left out.

    Raises:
        FleetError: ``session.no_shell``: there is none; ``keys.protocol``: the last is missing.
    """
    begin = f"\n{mark} ".encode("ascii")
    first, *pieces = answer.split(begin)
    if not pieces:
        said = beginning(first.decode("utf-8", "replace").strip(), 200)
        raise FleetError(
            "session.no_shell",
            f"the program that looks at keys did not run: {said or 'no answer'}",
            hint="does the login shell of this user run commands? fleetctl doctor HOST",
        )
    last = None
    for piece in pieces:
        line, _, body = piece.partition(b"\n")
        kind, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
        last = Record(kind, text, body)
        yield last
    if last is None or last.kind != "done":
        raise FleetError(
            "keys.protocol",
            "the answer of the program that looks at keys is cut off",
            hint="look at fewer users at a time: --user NAME",
        )

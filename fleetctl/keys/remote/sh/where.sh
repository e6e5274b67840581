# shellcheck shell=sh
# Where the files are. Sets: sshd (its settings, or nothing), paths (absolute, a line each).
expand() {
  r=$1 o=
  while :; do
    case $r in *%*) ;; *) break ;; esac
    o=$o${r%%\%*} r=${r#*\%}
    case $r in
    h*) o=$o$home ;; u*) o=$o$user ;; U*) o=$o$uid ;; %*) o=$o% ;;
    *) return 1 ;;
    esac
    r=${r#?}
  done
  o=$o$r
  case $o in '~/'*) o=${home%/}/${o#??} ;; /*) ;; *) o=${home%/}/$o ;; esac
  case $o/ in */../* | */./* | *//*) return 1 ;; esac
}
# The daemon that serves us may have other settings than the usual: see how it was started.
daemon() {
  p=$$ n=0 last=
  while [ "$p" -gt 1 ] && [ "$n" -lt 50 ] && read -r stat <"/proc/$p/stat"; do
    case $stat in *"(sshd"*) last=$p ;; esac
    [ "$connection" ] ||
      connection=$(tr '\0' '\n' <"/proc/$p/environ" | sed -n 's/^SSH_CONNECTION=//p')
    # shellcheck disable=SC2086
    set -- ${stat##*\) }
    p=$2 n=$((n + 1))
  done
  c=
  [ ! "$last" ] || c=$(tr '\0' ' ' <"/proc/$last/cmdline")
  case $c in
  *' [listener]'*) c=${c%% \[listener\]*} c=${c#sshd: } ;;
  sshd:*) c= ;;
  esac
  case $c in /*) ;; *) c=sshd ;; esac
  printf '%s\n' "$c" "$connection"
}
ask_sshd() {
  connection=${SSH_CONNECTION-}
  found=$(daemon 2>/dev/null)
  # shellcheck disable=SC2086
  set -- ${found#*"$nl"} 127.0.0.1 0 127.0.0.1 22
  spec="user=$user,host=$1,addr=$1,laddr=$3,lport=$4"
  # shellcheck disable=SC2086
  set -- ${found%%"$nl"*}
  "$@" -T -C "$spec" 2>/dev/null
}
setting() {
  value=${sshd#*"$nl$1 "}
  [ "$value" != "$sshd" ] || return
  value=${value%%"$nl"*}
  [ "$value" != none ]
}
paths= sshd= principals=
haiku=/boot/system/settings
if [ "$server" != dropbear ] && [ ! -d "$haiku" ]; then sshd=$(ask_sshd); fi
if [ "$sshd" ]; then
  put sshd
  printf '%s\n' "$sshd"
  if setting authorizedkeysfile; then
    for f in $value; do
      expand "$f" || fail odd_path "$f"
      paths=$paths$o$nl
    done
  else
    paths=none$nl
  fi
  ! setting authorizedprincipalsfile || ! expand "$value" || principals=$o
  ! setting trustedusercakeys || source_of trustedusercakeys "$value"
elif [ "$server" = dropbear ] && [ "$uid" = 0 ] && [ -f /etc/openwrt_release ]; then
  paths=/etc/dropbear/authorized_keys$nl
elif [ -d "$haiku" ]; then
  paths=$home/config/settings/ssh/authorized_keys$nl
else
  paths=${home%/}/.ssh/authorized_keys$nl
fi
if [ "$given" ]; then
  expand "$given" || fail odd_path "$given"
  given=$o
fi

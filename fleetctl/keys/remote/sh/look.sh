# shellcheck shell=sh
# What there is: the file, its place, what waits beside it, and other sources.
siblings() {
  # A second name that is our own is no stranger's: a change was cut short between two steps.
  i=$(ls -di "./$name") own=1
  i=${i%% *}
  set +f
  for b in "./$name".fleetctl-[0-9]* "./$name".fleetctl-guard-*/was; do
    [ -f "$b" ] && [ ! -L "$b" ] || continue
    j=$(ls -di "$b")
    j=${j%"$b"}
    [ "${j% }" = "$i" ] && own=$((own + 1)) || continue
    case $b in */was) ;; *) [ ! "$token" ] || rm -f "$b" ;; esac
  done
  set -f
  [ "$links" -le "$own" ]
}
waiting() {
  set +f
  for g in "./$name".fleetctl-guard-*; do
    [ -d "$g" ] || continue
    p= info=
    { read -r p <"$g/pid" && read -r info <"$g/info"; } 2>/dev/null
    if [ "$p" ] && [ "${info%% *}" = "$h" ] && alive "$p"; then
      [ -d "$g/decided" ] || { put waiting && cat "$g/token"; }
    elif [ "$token" ]; then
      rm -rf "$g"
    fi
  done
  set -f
}
put inner
kind=absent
walk
lock=./$name.fleetctl-lock gone=./$name.fleetctl-gone-$token
path=${dir%/}/$name
put path
printf '%s\n' "$path" "${stay:+0}"
if [ ! "$absent" ]; then
  host
  [ ! "$token" ] || take
  waiting
  if [ -f "./$name" ]; then
    part "./$name" "$path"
    kind=file
    case $owner in
    0) [ "$uid" = 0 ] || [ "$stay" ] || [ ! "$token" ] || fail owner "$path" 0 "$uid" ;;
    "$uid") [ ! "$stay" ] || fail owner "$path" "$owner" 0 ;;
    *) fail owner "$path" "$owner" "$uid" ;;
    esac
    [ "$links" = 1 ] || siblings || fail links "$path" "$links"
    [ ! "$outside" ] || ! is_open || fail open "$path"
    [ "$size" -le "$most" ] || fail large "$path" "$size"
  elif [ -e "./$name" ]; then
    fail other "$path"
  fi
fi
if [ "$kind" = file ]; then
  from=./$name
  if [ "$token" ]; then
    from=$lock/was
    e=$(cp -p "./$name" "$from" 2>&1) || fail write "$path" "$e"
  fi
  put data
  cat "$from" || fail read "$path" "$(cat "$from" 2>&1 >/dev/null)"
fi
IFS=$nl
for f in $others; do source_of authorizedkeysfile "$f"; done
unset IFS
[ "$known" ] || [ "$path" != "$home/.ssh/authorized_keys" ] || [ ! -f "${path}2" ] ||
  source_of authorized_keys2 "${path}2"
[ ! "$principals" ] || source_of authorizedprincipalsfile "$principals"
put clock
date -u '+%Y-%m-%d %H:%M:%S'
date '+%Y-%m-%d %H:%M:%S'
put tools
for t in $wanted; do ! has "$t" || echo "$t"; done
if [ "$held" ]; then
  echo - >"$lock/pid"
  held= keep=1
fi
put end
exit 0

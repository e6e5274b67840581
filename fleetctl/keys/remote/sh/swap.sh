# shellcheck shell=sh
# The new bytes in the place of those that were looked at.
flush() { sync "$1" 2>/dev/null || sync 2>/dev/null; }
facts() {
  # shellcheck disable=SC2046
  set -- "$1" $(ls -ldn -- "$1")
  echo "${2%.} $4"
  ! has getfacl || getfacl -cnp -- "$1" 2>/dev/null
}
undo() {
  [ "$settled" ] && keep=1 && return
  [ ! "$guard_id" ] || dismiss "$g"
  [ ! "$backup" ] || rm -f "$backup"
  modes_back 2>/dev/null
}
guarded() {
  [ "$guard_id" ] && ! is_guarded "$g" || return 0
  e=$(why "$lock")
  [ ! "$e" ] || fail write "$path" "$e"
  # There may be another way to leave one: the lock is kept for that.
  rm -rf "$g" "$new" "$lock/pid"
  held=
  fail guard "$path"
}
unchanged() {
  [ ! -L "./$name" ] || return 1
  if [ -f "$lock/was" ]; then same "./$name" "$lock/was"; else [ ! -e "./$name" ]; fi
}
fill() {
  locked=
  if [ -f "$lock/was" ]; then
    cp -p "./$name" "$new" || return
    [ -w "$new" ] || { chmod u+w "$new" && locked=1; } || return
  fi
  data | cat >"$new" || return
  [ ! "$locked" ] || chmod u-w "$new" || return
  [ -f "$lock/was" ] || [ ! "$stay" ] || chmod 644 "$new"
}
place() {
  if [ "$removing" ]; then
    [ ! -f "$lock/was" ] || mv -f "./$name" "$new"
  else
    # Without -T a folder of that name would swallow it.
    mv -fT "$new" "./$name" 2>/dev/null || { [ ! -d "./$name" ] && mv -f "$new" "./$name"; }
  fi
}
# Who had the old file open may have written to it after we looked: that must not be lost.
late() { [ "$linked" ] && ! same "$backup" "$lock/was"; }
late_is_back() {
  mv -f "$backup" "./$name"
  settled= backup=
  fail changed "$path"
}
backup= settled= linked= new=$lock/new g=./$name.fleetctl-guard-$guard_id
mine
host
# The age of the lock counts anew, if it is far gone.
if [ "$(($(now) - ${note##* }))" -gt "$((limit / 2))" ]; then
  printf '%s\n' "$token $h $run_id $(now)" >"$lock/note.new" && mv -f "$lock/note.new" "$lock/note"
fi
printf '%s\n' "$$" >"$lock/pid"
unchanged || fail changed "$path"
guarded
e=$(modes 2>&1) || fail write "$path" "$e"
if [ ! "$removing" ]; then
  e=$(fill 2>&1) || fail write "$path" "$e"
  if ! got=$(cksum <"$new" 2>/dev/null); then
    got=$(wc -c <"$new")
    ! data | cmp -s - "$new" || got="$sum $bytes"
  fi
  # shellcheck disable=SC2086
  set -- $got
  [ "$1 $2" = "$sum $bytes" ] || fail damaged "$path" "${2:-$1}" "$bytes"
  if [ -f "$lock/was" ] && [ "$(facts "./$name")" != "$(facts "$new")" ]; then
    getfacl -p "./$name" 2>/dev/null | setfacl --set-file=- "$new" 2>/dev/null
    [ "$(facts "./$name")" = "$(facts "$new")" ] || fail kept "$path" "$(facts "./$name" | tr '\n' ' ')" "$(facts "$new" | tr '\n' ' ')"
  fi
  flush "$new"
fi
if [ -f "$lock/was" ]; then
  b=./$name.fleetctl-$(date -u +%Y%m%dT%H%M%SZ)-$run_id
  set +f
  for f in "$b" "$b+"*; do [ ! -e "$f" ] || b=$f+; done
  set -f
  backup=$b linked=1
  ln "./$name" "$b" 2>/dev/null || {
    linked=
    e=$(cp -p "./$name" "$b" 2>&1) || fail write "$path" "$e"
  }
fi
guarded
# From here on it is done to the end.
trap '' HUP INT TERM PIPE
unchanged || fail changed "$path"
e=$(place 2>&1) || fail write "$path" "$e" "$(lsattr -d "./$name" . 2>/dev/null)"
settled=1
! late || late_is_back
[ "$removing" ] || ! has restorecon || restorecon -F "$dir" "$path" >/dev/null 2>&1
flush .
! late || late_is_back
if [ -f "./$name" ]; then
  put data
  cat "./$name"
fi
[ ! "$forget" ] || [ ! "$backup" ] || { rm -f "$backup" && backup=; }
[ ! "$extra" ] || rm -f "./$extra"
put backup
[ ! "$backup" ] || printf '%s\n' "${dir%/}/${backup#./}"
set +f
set -- "./$name".fleetctl-[0-9]*
while [ $# -gt "$most_backups" ]; do rm -f "$1" && shift; done
set -f
put end
exit 0

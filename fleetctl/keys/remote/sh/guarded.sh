# shellcheck shell=sh
# Guards, as those see them who have left one.
# Waits a moment, and returns whether there is patience left; n counts tenths of seconds.
pause() {
  n=$((n + 1))
  [ "$n" -le "$((patience * 10))" ] || return
  sleep 0.1 2>/dev/null || { sleep 1 && n=$((n + 9)); }
}
# Whether it is alive after the session that has left it is over, and what it had started with it.
is_guarded() {
  n=0 p= list=
  read -r list <"$1/session"
  for p in $list; do while alive "$p" && pause; do :; done; done
  until [ -s "$1/pid" ]; do [ -d "$1" ] && pause || return; done
  p=
  read -r p <"$1/pid"
  alive "$p" && [ ! -d "$1/decided" ]
} 2>/dev/null
# Out of its sight first: it must not find its folder half removed, and decide anew.
dismiss() {
  mkdir "$1/decided" || return
  p=
  read -r p <"$1/pid"
  mv "$1" "./$name.fleetctl-gone-${1##*-}"
  [ ! "$p" ] || kill "$p"
  rm -rf "./$name.fleetctl-gone-${1##*-}"
} 2>/dev/null

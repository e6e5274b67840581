# shellcheck shell=sh
# The guard itself; it runs alone. Whoever makes the folder "decided" first decides.
# Told to end without that, as when the host is shut down, it puts the old file back at once.
cd "$dir" || exit
g=./$name.fleetctl-guard-$guard_id
lock=./$name.fleetctl-lock
is_ours() { [ ! -L "./$name" ] && same "./$name" "$g/wrote"; }
restore() {
  is_ours || return
  if [ -f "$g/was" ]; then
    mv -fT "$g/was" "./$name" || { [ ! -d "./$name" ] && mv -f "$g/was" "./$name"; } || return
  else
    rm -f "./$name" || return
  fi
  mkdir "$g/restored"
  ! has restorecon || restorecon -F "$dir/$name"
  sync
}
act() {
  trap '' HUP INT TERM
  kill "$pause"
  mkdir "$g/decided" || exit 0
  host
  n=0
  # Who has the lock may be about to put there what we are here for, and if not there is no hurry.
  until mkdir "$lock" && held=1; do
    n=$((n + 1))
    [ "$n" -le 2 ] || { is_ours && [ "$n" -le "$patience" ]; } || break
    sleep 1
  done
  [ ! "$held" ] || printf '%s\n' "$guard_id $h $run_id $(now)" >"$lock/note"
  restore
  [ ! "$held" ] || mv "$lock" "$g/lock"
  [ -d "$g/restored" ] || rm -rf "$g"
  exit 0
}
held=
exec >/dev/null 2>&1
trap act HUP INT TERM
printf '%s\n' "$$" >"$g/pid.new" && mv "$g/pid.new" "$g/pid" || exit
sleep "$seconds" &
pause=$!
wait "$pause"
act

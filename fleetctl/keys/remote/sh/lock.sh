# shellcheck shell=sh
# The lock: a folder beside the file, with a note of who made it and when. What a change needs lies
# in it, so that nothing is left when it is gone.
busy() {
  put busy
  printf '%s\n' "$dir/$name" "$note" "$(now)"
  exit 1
}
discard() { mv "$lock" "$gone" && rm -rf "$gone"; } 2>/dev/null
# The reason in the words of a tool: a shell may know no better one than an I/O error.
why() { { echo | cat >"$1/why"; } 2>&1; }
undo() { :; }
release() {
  undo
  if [ "$held" ]; then
    [ "$keep" ] || made=$made$(cat "$lock/made" 2>/dev/null)
    discard
    held=
  fi
  cd /
  IFS=$nl
  [ "$keep" ] || for d in $made; do rmdir "$d" 2>/dev/null; done
  unset IFS
}
take() {
  has cmp || cksum >/dev/null 2>&1 || fail no_tool
  host
  # No other program between the folder and its note: there one could be stopped.
  at=$(now) n=0
  until e=$(mkdir "$lock" 2>&1); do
    # One that is gone by now was freed in between.
    if [ -d "$lock" ]; then
      [ "$n" = 0 ] || busy
      takeover
    fi
    n=$((n + 1))
    [ "$n" -lt 5 ] || fail write "$dir" "$e"
  done
  held=1
  printf '%s\n' "$$" >"$lock/pid"
  if ! e=$( (set -C && printf '%s\n' "$token $h $run_id $at" >"$lock/note") 2>&1); then
    [ ! -s "$lock/note" ] || { held= && busy; }
    fail write "$dir" "$e" "$(why "$lock")"
  fi
  [ ! "$made" ] || printf '%s' "$made" >"$lock/made"
  set +f
  for g in "./$name".fleetctl-gone-*; do [ ! -d "$g" ] || rm -rf "$g"; done
  set -f
}
takeover() {
  note= p= was=
  read -r note <"$lock/note"
  # Its maker was stopped before the note was written: from now on it grows old, and fast.
  [ "$note" ] || { printf '%s\n' "- - - $(now)" >>"$lock/note" && busy; }
  # shellcheck disable=SC2086
  set -- $note
  case $4 in '' | *[!0-9]*) age=$limit ;; *) age=$(($(now) - $4)) ;; esac
  [ "$1" != - ] || limit=$noteless
  read -r p <"$lock/pid"
  case $p in '' | *[!0-9]*) p=$$ ;; esac
  if [ "$age" -lt "$limit" ] && [ "$age" -gt "-$limit" ]; then
    [ "$2" = "$h" ] && ! alive "$p" || busy
  fi
  # Of all who come to this end one goes on, and only with the lock that he has judged.
  # Who took one and was stopped there is cleared away when it is twice as old, for the next to come.
  mkdir "$lock/taken" || {
    [ "$age" -lt "$((2 * limit))" ] || rmdir "$lock/taken"
    busy
  }
  read -r was <"$lock/note"
  [ "$was" = "$note" ] || { rmdir "$lock/taken" && busy; }
  discard
} 2>/dev/null
mine() {
  note=
  read -r note <"$lock/note"
  [ "${note%% *}" = "$token" ] || fail lost "$dir/$name" "$note"
  held=1
} 2>/dev/null
held= keep= note= made=${made-}
lock=./$name.fleetctl-lock gone=./$name.fleetctl-gone-$token
trap release 0
trap 'exit 1' HUP INT TERM PIPE

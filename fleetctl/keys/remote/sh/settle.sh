# shellcheck shell=sh
# The end of a guard: it is told that all is well, or to put the old file back now.
set +f
g=
for f in "./$name".fleetctl-guard-*; do
  [ ! -f "$f/token" ] || [ "$(cat "$f/token")" != "$guard" ] || g=$f
done
set -f
put guard
if [ ! "$g" ]; then
  echo gone
else
  if [ "$action" = confirm ] && dismiss "$g"; then
    echo confirmed
  else
    # A guard that is dead cannot be told; one that acts is waited for.
    p=
    read -r p <"$g/pid"
    alive "$p" && kill "$p" 2>/dev/null || mkdir "$g/decided" 2>/dev/null
    n=0
    until [ -d "$g/restored" ] || [ ! -d "$g" ] || ! alive "$p"; do pause || break; done
    if [ -d "$g/restored" ]; then echo restored; else echo kept; fi
    rm -rf "$g"
  fi
fi
if [ -f "./$name" ]; then
  put data
  cat "./$name"
fi
put end
exit 0

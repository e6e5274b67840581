# shellcheck shell=sh
# The old versions beside the file, or what one of them has in it.
if [ "$wanted" ]; then
  [ -f "./$wanted" ] && [ ! -L "./$wanted" ] || fail read "${dir%/}/$wanted" 'it is not there'
  put data
  cat "./$wanted" || fail read "${dir%/}/$wanted" "$(cat "./$wanted" 2>&1 >/dev/null)"
else
  put backups
  set +f
  for b in "./$name".fleetctl-[0-9]*; do
    [ ! -f "$b" ] || [ -L "$b" ] || echo "$(($(wc -c <"$b"))) ${b#./}"
  done
fi
put end
exit 0

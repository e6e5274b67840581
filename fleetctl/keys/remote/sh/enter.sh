# shellcheck shell=sh
# Into the folder that a look has found, and no other.
cd -P "$dir" 2>/dev/null || fail read "$dir" "$(cd "$dir" 2>&1)"
[ "$(pwd -P)" = "$dir" ] || fail link "$dir" "$(pwd -P)"
lock=./$name.fleetctl-lock

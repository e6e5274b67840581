# shellcheck shell=sh
# Nobody else can do it.
[ "$me" = "$uid" ] || fail become "$user" "$me"

# shellcheck shell=sh
# The account, from the password database and not from the environment.
[ "$user" ] || user=$(id -un)
entry=$(getent passwd "$user" 2>/dev/null) || while read -r entry; do
  case $entry in "$user":*) break ;; esac
done </etc/passwd
home=
case $entry in
"$user":*:*:*:*:*:*)
  shell=${entry##*:} home=${entry%:*} uid=${entry#*:*:}
  home=${home##*:} uid=${uid%%:*}
  ;;
*)
  uid=$(id -u "$user" 2>/dev/null) || fail no_user "$user"
  case $user in *[!A-Za-z0-9._-]*) ;; *) eval "home=~$user" ;; esac
  case $home in /*) ;; *) fail no_home "$user" '' '' ;; esac
  ;;
esac
case $home in /*) ;; *) fail no_home "$user" "$home" '' ;; esac
put account
printf '%s\n' "$user" "$uid" "$me" "$home" "$shell"

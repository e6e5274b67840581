# shellcheck shell=sh
# Who is meant, and how to become that user. Sets: me, user, uid, home, shell.
# The kernel, and not we, must keep root away from files that a user's link leads to.
as_user() {
  case $how in
  setpriv) setpriv --reuid="$uid" --regid="$(id -g "$user")" --init-groups sh -s ;;
  runuser) runuser -u "$user" -- sh -s ;;
  su) su -s /bin/sh -c 'exec sh -s' -- "$user" ;;
  sudo) sudo -n -u "$user" -- sh -s ;;
  doas) doas -n -u "$user" sh -s ;;
  esac
}
become() {
  [ "$me" = 0 ] || fail become "$user" "$me"
  cd /
  for how in setpriv runuser su sudo doas; do
    has "$how" || continue
    case $(echo 'id -u' | as_user 2>/dev/null) in "$uid" | *"$nl$uid") return ;; esac
  done
  fail become "$user" 0
}
me=$(id -u)

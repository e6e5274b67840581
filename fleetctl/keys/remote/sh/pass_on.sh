# shellcheck shell=sh
# The rest is done by that user, or here and now.
if [ "$me" = "$uid" ] || { [ "$stay" ] && [ "$me" = 0 ]; }; then
  eval "$(rest)"
else
  [ "$how" ] || become
  {
    for v in path_list m1 m2 user uid home path others stay known principals; do
      printf '%s=' "$v"
      eval "q \"\$$v\""
      echo
    done
    rest
  } | as_user
fi
exit

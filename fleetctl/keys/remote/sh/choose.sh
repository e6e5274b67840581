# shellcheck shell=sh
# Which of the files, and who works on it. Sets: path, others, stay; becomes the user where it must.
inside() { case $1 in "$home"/*) [ "$home" != / ] ;; *) false ;; esac }
contains() {
  if [ "$me" != "$uid" ] && inside "$1"; then
    [ "$how" ] || become
    printf 'grep -qsF -e %s -- %s\n' "$(q "$hints")" "$(q "$1")" | as_user
  else
    grep -qsF -e "$hints" -- "$1"
  fi
}
how= path=$given others= stay=
IFS=$nl
if [ "$hints" ] && [ ! "$path" ] && [ "${paths#*"$nl"}" ]; then
  for f in $paths; do
    ! contains "$f" || { path=$f && break; }
  done
fi
path=${path:-${paths%%"$nl"*}}
for f in $paths; do [ "$f" = "$path" ] || [ "$f" = none ] || others=$others$f$nl; done
unset IFS
[ "$path" != none ] || fail none "$user"
# What is root's and lies elsewhere is root's business.
if [ "$me" = 0 ] && [ "$uid" != 0 ] && ! inside "$path"; then
  d=${path%/*}
  while [ "$d" ] && [ ! -e "$d" ]; do d=${d%/*}; done
  # shellcheck disable=SC2046
  set -- $(ls -ldn -- "${d:-/}")
  [ "$3" != 0 ] || stay=1
fi
known=${sshd:+1}

# shellcheck shell=sh
# To the folder of the file, looking at each part of the way. Sets: dir, name, absent.
# From then on only names in the current folder are used: nobody can put another one in its place.
part() {
  at_path=$2 at_name=$1
  line=$(ls -ldn -- "$at_name" 2>&1) || fail read "$at_path" "$line"
  # shellcheck disable=SC2086
  set -- $line
  perms=$1 links=$2 owner=$3 size=$5
  put part
  printf '%s\n%s\n' "$at_path" "$line"
  case $owner in 0 | "$uid") ;; *) ls -ld -- "$at_name" ;; esac
}
is_open() {
  case $perms in
  ?????????[tT]*) false ;;
  ?????w* | ????????w*) ;;
  *) false ;;
  esac
}
folder() {
  at=$(pwd -P)
  [ "$at" = "$1" ] || fail link "$1" "$at"
  part . "$at"
  case $owner in
  0) ;;
  "$uid") [ ! "$stay" ] || fail owner "$at" "$owner" 0 ;;
  *) fail owner "$at" "$owner" "$uid" ;;
  esac
  [ ! "$outside" ] || ! is_open || fail open "$at"
}
missing() {
  [ "$token" ] || return 1
  e=$(mkdir "./$1" 2>&1) || fail write "$2" "$e"
  made=$2$nl$made
  [ ! "$stay" ] || chmod 755 "./$1"
}
leads_to() {
  l=$(readlink "./$2" 2>/dev/null) || l=
  [ "$follow" ] && [ ! "$followed" ] && [ "$l" ] || fail link "$1" "$l"
  followed=1
  case $l in /*) ;; *) l=$at/$l ;; esac
  path=$l$3
  d=$(cd -P "${path%/*}/" 2>/dev/null && pwd -P) || fail link "$1" "$l"
  path=${d%/}/${path##*/}
  walk
}
walk() {
  dir=${path%/*} name=${path##*/} outside=1 base=/ absent=
  case $dir/ in "$home"/*) outside= base=$home ;; esac
  cd -P "$base" 2>/dev/null || fail no_home "$user" "$base" "$(cd "$base" 2>&1)"
  at=$(pwd -P)
  rest=${dir#"$base"}
  folder "$at"
  while rest=${rest#/} && [ "$rest" ]; do
    c=${rest%%/*}
    rest=${rest#"$c"} next=${at%/}/$c
    if [ -L "./$c" ]; then leads_to "$next" "$c" "$rest/$name" && return; fi
    if [ ! -e "./$c" ] && ! missing "$c" "$next"; then
      absent=$next dir=$next$rest
      return
    fi
    [ -d "./$c" ] || fail other "$next"
    cd -P "./$c" 2>/dev/null || fail read "$next" "$(cd -P "./$c" 2>&1)"
    folder "$next"
  done
  dir=$at
  if [ -L "./$name" ]; then leads_to "${at%/}/$name" "$name" '' && return; fi
}
made= followed=

# shellcheck shell=sh
# How every program answers. m1 and m2 are the halves of the mark.
put() { printf '%s%s%s\n' "$m1" "$m2" "$1"; }
fail() {
  put fail
  printf '%s\n' "$@"
  exit 1
}
q() {
  r=$1 o=
  while :; do
    case $r in *\'*) o=$o${r%%\'*}"'\\''" r=${r#*\'} ;; *) break ;; esac
  done
  printf "'%s'" "$o$r"
}
put begin

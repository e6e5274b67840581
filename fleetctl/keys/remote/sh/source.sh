# shellcheck shell=sh
# Another place of keys.
source_of() {
  put source
  printf '%s\n' "$1" "$2"
  [ -f "$2" ] && [ -r "$2" ] && [ "$(wc -c <"$2")" -le "$most" ] || return 0
  put bytes
  cat "$2"
}

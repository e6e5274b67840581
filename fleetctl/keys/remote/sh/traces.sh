# shellcheck shell=sh
# Telling hosts, processes and files apart.
host() { read -r h </proc/sys/kernel/hostname || h=$(uname -n); } 2>/dev/null
alive() { kill -0 "$1" || [ -d "/proc/$1" ]; } 2>/dev/null
same() {
  if has cmp; then
    cmp -s "$1" "$2"
  else
    a=$(cksum <"$1") && b=$(cksum <"$2") && [ "$a" = "$b" ]
  fi
}

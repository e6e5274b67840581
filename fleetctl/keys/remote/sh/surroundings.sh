# shellcheck shell=sh
# Surroundings that are the same on all hosts, and what POSIX leaves out.
# csh leaves its own descriptors open: what outlives the session would hold it.
exec </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
PATH=$path_list LC_ALL=C
export PATH LC_ALL
unset CDPATH ENV BASH_ENV
umask 077
set -f
nl='
'
has() { command -v "$1" >/dev/null 2>&1; }
# %s of date is not POSIX.
now() {
  # shellcheck disable=SC2046
  set -- $(date -u '+%Y %j %H %M %S')
  d=$((($1 - 1970) * 365 + ($1 - 1969) / 4 + 1$2 - 1001))
  echo $(((d * 24 + 1$3 - 100) * 3600 + (1$4 - 100) * 60 + 1$5 - 100))
}

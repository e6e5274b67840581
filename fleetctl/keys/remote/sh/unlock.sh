# shellcheck shell=sh
# The lock is given back, and nothing has changed.
mine
release
put end
exit 0

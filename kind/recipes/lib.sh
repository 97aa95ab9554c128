# What all recipes share: source it first. go.sh and image.sh hold the rest, for those that name them as inputs.
# kind/README.md states the contract that a recipe keeps.
# shellcheck shell=bash
set -euo pipefail
umask 022
export LC_ALL=C

: "${OUT:?the empty directory to fill}" "${WORK:?the scratch directory}" "${REPO:?the root of the repository}"
RECIPE_DIR="$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)"
RECIPE="$(basename "$RECIPE_DIR")"

say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need_tools NAME...: stops with one sentence that names all which are missing.
need_tools() {
  local tool missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ "${#missing[@]}" -eq 0 ] || die "recipe $RECIPE needs on PATH: ${missing[*]}" \
    "(on Debian and Ubuntu, kind/engine tools installs what is missing, but not Go and Rust)"
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "recipe $RECIPE makes a Debian root, which takes root; run the build with sudo"
}

# Building programs from Go modules. For recipes which name this file under inputs; source lib.sh first.
# shellcheck shell=bash

# go_start MODULE VERSION: begins a throw-away main module in $WORK/module that requires this one module.
go_start() {
  need_tools go jq
  rm -rf "$WORK/module"
  mkdir -p "$WORK/module"
  cd "$WORK/module" || return
  printf 'module meshproof.local/%s\n\ngo %s\n\nrequire %s %s\n' \
    "$RECIPE" "$(go env GOVERSION | tr -dc 0-9.)" "$1" "$2" >go.mod
}

# go_replace MODULE VERSION: builds with this version of a module, whatever the requirements say.
go_replace() {
  printf 'replace %s => %s %s\n' "$1" "$1" "$2" >>go.mod
}

# go_build LDFLAGS PACKAGE...: builds every package with one call, so that what they share is compiled once, into
# $OUT/bin, and leaves the module's own folder in GO_SRC. "go build: N packages" tells a progress display what to
# expect: -v then prints a line for each package that has to be compiled.
go_build() {
  local ldflags="$1"
  shift
  # A main package cannot be imported, but naming it here keeps its requirements for whoever runs `go mod tidy`.
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    printf '\t_ "%s"\n' "$@"
    printf ')\n'
  } >tools.go
  export CGO_ENABLED=0
  say "go list: reading modules"
  # Where the module's (read-only) files are. Asked by package, not with `go mod download`, which wants version
  # metadata on top, and a proxy may not serve that for every commit.
  GO_SRC="$(go list -mod=mod -f '{{.Module.Dir}}' "$1")"
  # The main module's Go version picks the defaults of GODEBUG, so it is that of the program's own module.
  go mod edit -go "$(awk '$1 == "go" { print $2; exit }' "$GO_SRC/go.mod")"
  local count
  count="$(go list -mod=mod -deps "$@" | wc -l)"
  say "go build: $count packages"
  mkdir -p "$OUT/bin"
  go build -mod=mod -v -trimpath -ldflags "-s -w $ldflags" -o "$OUT/bin/" "$@"
}

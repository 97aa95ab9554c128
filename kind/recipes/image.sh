# Layers, image archives and images. For recipes which name this file under inputs; source lib.sh first.
# shellcheck shell=bash

# The machine's architecture as Go, Docker and Debian call it.
arch() {
  case "$(uname -m)" in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) die "no local images for $(uname -m): only x86_64 and aarch64" ;;
  esac
}

# layer FILE DIRECTORY: an uncompressed layer with the same bytes for the same content, owned by root unless
# further tar options say otherwise.
layer() {
  local file="$1" directory="$2"
  shift 2
  tar --create --file "$file" --directory "$directory" --sort=name --mtime=@0 --numeric-owner "$@" .
}

# binary_layer FILE PATH SOURCE [PATH SOURCE...]: a layer that holds just these programs.
binary_layer() {
  local file="$1" root="$WORK/layer"
  shift
  rm -rf "$root"
  mkdir -p "$root"
  while [ $# -gt 0 ]; do
    install -D -m 755 "$2" "$root/$1"
    shift 2
  done
  layer "$file" "$root" --owner=0 --group=0
  rm -rf "$root"
}

# --- Image archives ----------------------------------------------------------------------------------------
# Written as `docker save` writes them, so that the names in them never show up in the user's own engine.

# archive_start: begins an archive of any number of images in $WORK/archive.
archive_start() {
  need_tools jq tar sha256sum
  ARCHIVE="$WORK/archive"
  rm -rf "$ARCHIVE"
  mkdir -p "$ARCHIVE"
  echo '[]' >"$ARCHIVE/manifest.json"
}

# archive_image NAME CONFIG LAYER...: adds one image. CONFIG is the JSON of what Docker calls the image's config
# (Entrypoint, User...); PATH is set unless it says otherwise, and an image for the engine gets the labels that mark
# it as this recipe's. Layers that images share are stored once.
archive_image() {
  local name="$1" config="$2" file digest
  shift 2
  local -a digests=()
  for file in "$@"; do
    digest="$(sha256sum "$file" | cut -d' ' -f1)"
    digests+=("$digest")
    [ -e "$ARCHIVE/$digest.tar" ] || ln "$file" "$ARCHIVE/$digest.tar" 2>/dev/null || cp "$file" "$ARCHIVE/$digest.tar"
  done
  # A fixed time of creation: the same content gives the same image id.
  jq -nc --arg arch "$(arch)" --argjson config "$config" --arg recipe "$RECIPE" --arg image "${IMAGE:-}" '{
    architecture: $arch, os: "linux", created: "1970-01-01T00:00:00Z",
    config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]} + $config
      + if $image == "" then {} else
        {Labels: {"io.meshproof.recipe": $recipe, "io.meshproof.hash": ($image | split(":") | last)}} end),
    rootfs: {type: "layers", diff_ids: ($ARGS.positional | map("sha256:" + .))},
    history: ($ARGS.positional | map({created: "1970-01-01T00:00:00Z", created_by: "meshproof"}))
  }' --args "${digests[@]}" >"$ARCHIVE/config"
  digest="$(sha256sum "$ARCHIVE/config" | cut -d' ' -f1)"
  mv "$ARCHIVE/config" "$ARCHIVE/$digest.json"
  jq -c --arg name "$name" --arg config "$digest.json" \
    '. + [{Config: $config, RepoTags: [$name], Layers: ($ARGS.positional | map(. + ".tar"))}]' \
    "$ARCHIVE/manifest.json" --args "${digests[@]}" >"$ARCHIVE/manifest.new"
  mv "$ARCHIVE/manifest.new" "$ARCHIVE/manifest.json"
  say "image: $name"
}

# archive_end FILE: writes the archive and removes the scratch files.
archive_end() {
  tar --create --file "$1" --directory "$ARCHIVE" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --transform='s,^\./,,' --exclude=./manifest.new .
  rm -rf "$ARCHIVE"
}

# --- Images in the Docker engine ----------------------------------------------------------------------------

# image_done: notes in the recipe's output which image belongs to it, for the recipes that build on it.
image_done() {
  printf '%s\n' "$IMAGE" >"$OUT/image"
  say "image: $IMAGE"
}

# node_with_images BASE ARCHIVE...: starts BASE, a node image, with nothing but containerd running in it, imports the
# archives, and commits the result as $IMAGE. Unpacking here once is what makes pods start at once later. A recipe that
# defines `prepare_node CONTAINER` may change the node before containerd starts.
node_with_images() {
  need_tools docker
  local base="$1" archive
  shift
  container="meshproof-build-${IMAGE##*:}"
  docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  trap 'docker rm --force --volumes "$container" >/dev/null 2>&1 || true' EXIT
  say "docker: starting $base"
  docker run --detach --privileged --network none --name "$container" --label "io.meshproof.build=$RECIPE" \
    --entrypoint /bin/sleep "$base" 3600 >/dev/null
  if declare -F prepare_node >/dev/null; then
    prepare_node "$container"
  fi
  docker exec --detach "$container" sh -c 'exec containerd >/tmp/containerd.log 2>&1'
  local tries=0
  until docker exec "$container" ctr version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
      docker exec "$container" tail -n 20 /tmp/containerd.log >&2 || true
      die "containerd did not start in the build container; its last lines are above"
    fi
    sleep 0.5
  done
  for archive in "$@"; do
    say "containerd: importing $(basename "$archive")"
    docker exec --interactive "$container" \
      ctr --namespace k8s.io images import --local --digests=false - <"$archive"
  done
  # The packed layers are dead weight once unpacked: every node starts with a copy of all this.
  docker exec "$container" ctr --namespace k8s.io content prune references
  # What was imported stays; the running state of this containerd does not belong into an image.
  docker exec "$container" sh -c 'pkill -x containerd; while pgrep -x containerd >/dev/null; do sleep 0.1; done
    rm -rf /run/containerd /tmp/containerd.log; sync'
  say "docker: committing $IMAGE"
  docker commit --change "LABEL io.meshproof.recipe=$RECIPE" --change "LABEL io.meshproof.hash=${IMAGE##*:}" \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change 'CMD []' "$container" "$IMAGE" >/dev/null
  docker rm --force --volumes "$container" >/dev/null
  image_done
}

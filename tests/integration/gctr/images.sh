# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# gctr images import, beyond the cases of ctr, beside what ctr 2.4.2 makes of the same archive.

collect_in() { ctr -n "$1" leases rm --sync "$(ctr -n "$1" leases create)" >/dev/null; } # NAMESPACE

stored_by() { # CLIENT FLAG... -- FILE: records, blobs and labels that an import into a fresh namespace makes
  local client=$1 flags=() other=$ns-import text
  shift
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  "$client" -a $socket -n "$other" images import "${flags[@]}" "$2" >/dev/null
  collect_in "$other"
  text=$(
    ctr -n "$other" images ls
    ctr -n "$other" content ls --format json | jq -S '.[] | {digest, size, labels: (.labels | del(."containerd.io/distribution.source.docker.io"))}'
    ctr -n "$other" snapshots ls
  )
  ctr -n "$other" images ls -q | xargs -r "$ctr_binary" -a $socket -n "$other" images rm --sync >/dev/null
  ctr namespaces rm "$other" >/dev/null
  echo "$text"
}

same_import() { # FLAG... -- FILE
  stored_by "$real_ctr" --local "$@" >$work/real.txt
  stored_by "$ctr_binary" "$@" >$work/ours.txt
  diff $work/real.txt $work/ours.txt || fail "imports differ for: $*"
}

test_import_is_that_of_ctr() {
  same_import -- $image_tar
  same_import --no-unpack -- $image_tar
  same_import --digests --skip-digest-for-named -- $image_tar
  same_import --index-name example.org/index:1 -- $image_tar
  same_import --label a=b --all-platforms -- $image_tar
  same_import --snapshotter native -- $image_tar
}

# As through the Transfer service; ctr's own import keeps full names whatever the base name is.
test_import_with_a_base_name() {
  local other=$ns-base
  ctr -n "$other" images import --base-name example.org/base --digests $image_tar
  prints "example.org/base@$(cat $work/image.digest)" ctr -n "$other" images ls -q
  ctr -n "$other" images import --base-name docker.io/library/busybox $image_tar
  prints $image ctr -n "$other" images ls -q "name==$image"
  ctr -n "$other" images rm --sync $image "example.org/base@$(cat $work/image.digest)"
  refuses 'no image with a name' ctr -n "$other" images import --base-name example.org/base $image_tar
  collect_in "$other"
  ctr namespaces rm "$other"
}

test_import_of_a_docker_archive() {
  "$lib/make-image" --ref short:1 --docker $work/docker.tar
  ctr images import $work/docker.tar
  matches 'docker.io/library/short:1 .*distribution.manifest.v2\+json' "$(ctr images ls)"
  prints 'second layer' ctr run --rm docker.io/library/short:1 docker cat /etc/layer2
  ctr images rm --sync docker.io/library/short:1
  ctr images import --compress-blobs $work/docker.tar
  matches 'rootfs.diff.tar.gzip' "$(ctr images inspect docker.io/library/short:1)"
  prints 'second layer' ctr run --rm docker.io/library/short:1 docker cat /etc/layer2
  ctr images rm --sync docker.io/library/short:1
}

test_import_of_a_compressed_archive_from_standard_input() {
  "$lib/make-image" --ref example.org/piped:1 --oci $work/piped.tar
  gzip -c $work/piped.tar | ctr images import -
  prints 'second layer' ctr run --rm example.org/piped:1 piped cat /etc/layer2
  ctr images rm --sync example.org/piped:1
}

test_import_that_discards_layers() {
  local other=$ns-discard
  ctr -n "$other" images import --discard-unpacked-layers $image_tar
  collect_in "$other"
  matches 'incomplete \(1/3\)' "$(ctr -n "$other" images check)"
  prints 'second layer' ctr -n "$other" run --rm $image discard cat /etc/layer2
  ctr -n "$other" images rm --sync $image
  ctr namespaces rm "$other"
}

test_import_errors() {
  local layer
  refuses 'No such file' ctr images import $work/absent.tar
  echo text >$work/text.tar
  refuses 'tar' ctr images import $work/text.tar
  tar -C $work -cf $work/other.tar text.tar
  refuses 'unrecognized image format' ctr images import $work/other.tar
  # A layer that is not what the image says is not applied.
  "$lib/make-image" --ref example.org/forged:1 --compression none --payload 3 --oci $work/good.tar
  mkdir -p $work/forged
  tar -C $work/forged -xf $work/good.tar
  layer=$(find $work/forged/blobs/sha256 -type f -printf "%s %f\n" | sort -nr | awk 'NR == 1 {print $2}')
  printf x | dd of="$work/forged/blobs/sha256/$layer" bs=1 seek=2000 conv=notrunc status=none
  tar -C $work/forged -cf $work/forged.tar oci-layout index.json blobs
  refuses 'not found' ctr images import $work/forged.tar
  ctr images rm --sync example.org/forged:1 >/dev/null 2>&1
  lacks ' (Active|View)' "$(ctr snapshots ls)"
  rm -r $work/forged
}

# Where the daemon mounts, its mount is given; it goes with the lease that keeps it.
test_images_mount_without_a_target() {
  local at
  at=$(ctr images mount $image | tail -n 1)
  same 'second layer' "$(cat $at/etc/layer2)"
  ctr leases ls -q | xargs "$ctr_binary" -a $socket -n "$ns" leases rm --sync
  within 5 test ! -e $at/etc/layer2
  lacks gctr-images-mount "$(ctr snapshots ls)"
}

test_images_prune() {
  ctr images tag $image example.org/unused:1
  ctr images prune
  matches unused "$(ctr images ls -q)"
  ctr run -d $image user sleep 100
  ctr images prune --all
  prints $image ctr images ls -q
  remove_container user
}

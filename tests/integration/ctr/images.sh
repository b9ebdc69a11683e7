# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr images: from an archive, from and to a registry, and what is done with them here.

image_digest() { ctr images ls "name==$1" | awk 'NR == 2 {print $3}'; } # NAME

remove_images() { ctr images rm --sync "$@" >/dev/null; }

test_images_ls() {
  local text
  text=$(ctr images ls)
  matches '^REF +TYPE +DIGEST +SIZE +PLATFORMS +LABELS' "$text"
  matches "$image +application/vnd.oci.image.manifest.v1\+json +$(cat $work/image.digest) .*linux/amd64" "$text"
  same $image "$(ctr images ls -q "name==$image")"
  prints '' ctr images ls -q name==other
  same $image "$(ctr images ls -q 'name~=busybox')"
}

test_images_check() {
  matches "$image .*complete \(3/3\) .*true" "$(ctr images check)"
  same $image "$(ctr images check -q)"
}

test_images_import_docker_archive() {
  "$lib/make-image" --ref example.org/docker:1 --docker $work/docker.tar
  ctr images import "${local_flag[@]}" $work/docker.tar
  prints "second layer" ctr run --rm example.org/docker:1 docker cat /etc/layer2
  remove_images example.org/docker:1
  ctr images import "${local_flag[@]}" --base-name example.org/docker --digests $work/docker.tar
  matches 'example.org/docker@sha256:' "$(ctr images ls -q)"
  remove_images "$(ctr images ls -q | grep docker@)" example.org/docker:1
}

test_images_import_zstd_and_uncompressed() {
  local method
  for method in zstd none; do
    "$lib/make-image" --ref example.org/$method:1 --compression $method --oci $work/$method.tar
    ctr images import "${local_flag[@]}" $work/$method.tar
    prints "second layer" ctr run --rm example.org/$method:1 $method cat /etc/layer2
    remove_images example.org/$method:1
  done
}

test_images_import_without_unpacking() {
  "$lib/make-image" --ref example.org/packed:1 --payload 1 --oci $work/packed.tar
  ctr images import "${local_flag[@]}" --no-unpack $work/packed.tar
  matches 'example.org/packed:1 .*complete.* false' "$(ctr images check name==example.org/packed:1)"
  same 2 "$(ctr snapshots ls | tail -n +2 | wc -l)"
  remove_images example.org/packed:1
}

test_images_tag() {
  ctr images tag "${local_flag[@]}" $image example.org/tagged:1
  same "$(cat $work/image.digest)" "$(image_digest example.org/tagged:1)"
  refuses 'already exists' ctr images tag "${local_flag[@]}" $image example.org/tagged:1
  ctr images tag "${local_flag[@]}" --force $image example.org/tagged:1
  refuses 'not found' ctr images tag "${local_flag[@]}" example.org/absent:1 example.org/other:1
  remove_images example.org/tagged:1
}

test_images_label() {
  ctr images label $image colour=blue shape=round
  matches 'colour=blue' "$(ctr images ls name==$image)"
  same $image "$(ctr images ls -q labels.colour==blue)"
  ctr images label $image colour= shape=
  lacks 'colour' "$(ctr images ls name==$image)"
  refuses 'not found' ctr images label example.org/absent:1 a=b
}

test_images_pull() {
  local text
  text=$(ctr images pull "${local_flag[@]}" --plain-http --label source=registry $remote)
  matches 'done|saved|elapsed' "$text"
  same "$(manifest_digest busybox 1)" "$(image_digest $remote)"
  matches 'source=registry' "$(ctr images ls name==$remote)"
  matches 'complete \(3/3\) .*true' "$(ctr images check name==$remote)"
  prints "second layer" ctr run --rm $remote pulled cat /etc/layer2
  matches 'containerd.io/distribution.source.127.0.0.1=busybox' "$(ctr content ls)"
  remove_images $remote
}

test_images_pull_into_an_empty_namespace() {
  local other=$ns-pull
  ctr -n "$other" images pull "${local_flag[@]}" --plain-http --snapshotter native $remote >/dev/null
  matches 'complete \(3/3\)' "$(ctr -n "$other" images check)"
  same 0 "$(ctr -n "$other" snapshots ls | tail -n +2 | wc -l)"
  same 2 "$(ctr -n "$other" snapshots --snapshotter native ls | tail -n +2 | wc -l)"
  ctr -n "$other" images rm --sync $remote >/dev/null
  same 0 "$(ctr -n "$other" content ls -q | wc -l)"
  same 0 "$(ctr -n "$other" snapshots --snapshotter native ls | tail -n +2 | wc -l)"
  ctr namespaces rm "$other"
}

test_images_pull_of_an_absent_image() {
  refuses 'not found' ctr images pull "${local_flag[@]}" --plain-http $registry/absent:1
  refuses 'not found' ctr images pull "${local_flag[@]}" --plain-http $registry/busybox:absent
  refuses 'refused' ctr images pull "${local_flag[@]}" --plain-http 127.0.0.1:1/busybox:1
}

test_images_pull_checks_what_it_gets() {
  "$lib/make-image" --ref $registry/forged:1 --payload 2 --push
  local blob digest
  blob=$(find $work/registry -name data -size +2000k | head -n 1)
  digest=sha256:$(sha256sum <"$blob" | cut -d ' ' -f 1)
  printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
  refuses 'unexpected commit digest' ctr images pull "${local_flag[@]}" --plain-http $registry/forged:1
  lacks forged "$(ctr images ls -q)"
  lacks "$digest" "$(ctr content ls -q)"
  ctr content ingest "layer-$digest" <"$blob" # takes up a rest that the pull may have left, for the check at the end
  ctr content rm "sha256:$(sha256sum <"$blob" | cut -d ' ' -f 1)" >/dev/null
}

test_images_push() {
  ctr images tag "${local_flag[@]}" $image $registry/pushed:2 >/dev/null
  ctr images push "${local_flag[@]}" --plain-http $registry/pushed:2
  same "$(cat $work/image.digest)" "$(manifest_digest pushed 2)"
  ctr images push "${local_flag[@]}" --plain-http $registry/pushed:3 $image
  same "$(cat $work/image.digest)" "$(manifest_digest pushed 3)"
  refuses 'not found' ctr images push "${local_flag[@]}" --plain-http $registry/absent:1
  remove_images $registry/pushed:2
}

test_images_export() {
  ctr images export "${local_flag[@]}" $work/export.tar $image
  tar -xOf $work/export.tar index.json | jq -e --arg d "$(cat $work/image.digest)" '.manifests[0].digest == $d'
  tar -tf $work/export.tar | file_has /dev/stdin '^manifest.json$'
  same 3 "$(tar -tf $work/export.tar | grep -c 'blobs/sha256/.' | awk '{print $1 - 1}')"
  ctr -n "$ns-again" images import "${local_flag[@]}" $work/export.tar
  same $image "$(ctr -n "$ns-again" images ls -q)"
  ctr -n "$ns-again" images rm --sync $image >/dev/null
  ctr namespaces rm "$ns-again"
  refuses 'not found' ctr images export "${local_flag[@]}" $work/none.tar example.org/absent:1
}

# What both layers come to, as docker's and OCI's rules for whiteouts say.
test_images_mount() {
  local at=$work/mounted
  mkdir -p $at
  ctr images mount $image $at
  prints 'second layer' cat $at/etc/layer2
  same new "$(ls $at/hidden)"
  [ ! -e $at/etc/removed ]
  same "$(stat -c %i $at/etc/layer2)" "$(stat -c %i $at/etc/layer2-link)"
  same '600 1000 1000 1700000000' "$(stat -c '%a %u %g %Y' $at/etc/owned)"
  same 1777 "$(stat -c %a $at/tmp)"
  refuses 'Read-only' touch $at/new
  ctr images unmount --rm $at
  lacks "$at" "$(ctr snapshots ls)"
}

test_images_mount_for_writing() {
  local at=$work/mounted-rw
  mkdir -p $at
  ctr images mount --rw $image $at
  touch $at/new
  rm $at/etc/layer2
  ctr images unmount $at
  ctr snapshots rm $at
}

test_images_convert() {
  ctr images convert --uncompress $image example.org/plain:1
  prints "second layer" ctr run --rm example.org/plain:1 converted cat /etc/layer2
  lacks 'tar\+gzip' "$(ctr content get "$(image_digest example.org/plain:1)")"
  remove_images example.org/plain:1
}

test_images_inspect_and_usage() {
  [ "$CTR" = 2.4 ] || skip "ctr 1.6 has no such commands"
  matches "$(cat $work/image.digest)" "$(ctr images inspect $image)"
  matches 'linux/amd64|busybox|[0-9]' "$(ctr images usage $image)"
}

test_images_rm() {
  ctr images tag "${local_flag[@]}" $image example.org/gone:1 >/dev/null
  prints example.org/gone:1 ctr images rm example.org/gone:1
  same $image "$(ctr images ls -q)"
  same '' "$(ctr images rm example.org/gone:1)" # a warning at most
}

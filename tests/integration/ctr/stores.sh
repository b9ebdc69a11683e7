# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr snapshots, content, leases, containers and namespaces.

top_snapshot() { ctr snapshots ls | awk '$1 ~ /^sha256:/ && $3 == "Committed" {print $1}'; } # the one with a parent

test_snapshots_life() {
  local parent at=$work/snapshot
  parent=$(top_snapshot)
  collect
  ctr snapshots view seen "$parent" >/dev/null
  same View "$(ctr snapshots info seen | jq -r .Kind)"
  refuses 'cannot remove|failed precondition|has children' ctr snapshots rm "$parent"
  ctr snapshots rm seen
  matches '^KEY +PARENT +KIND' "$(ctr snapshots ls)"
  ctr snapshots prepare stage "$parent" >/dev/null
  matches '^mount -t overlay .*lowerdir=' "$(ctr snapshots mounts $at stage)"
  mkdir -p $at
  eval "$(ctr snapshots mounts $at stage)"
  head -c 1048576 /dev/zero >$at/megabyte
  umount $at
  matches 'stage +1\.[0-9] ?Mi?B' "$(ctr snapshots usage stage)"
  ctr snapshots commit fixed stage
  same Committed "$(ctr snapshots info fixed | jq -r .Kind)"
  same "$parent" "$(ctr snapshots info fixed | jq -r .Parent)"
  refuses 'not found' ctr snapshots info stage
  matches 'fixed' "$(ctr snapshots tree)"
  ctr snapshots label fixed colour=red
  same red "$(ctr snapshots info fixed | jq -r .Labels.colour)"
  ctr snapshots rm fixed
}

test_snapshots_errors() {
  local parent
  parent=$(top_snapshot)
  refuses 'not found|does not exist' ctr snapshots prepare orphan absent
  ctr snapshots prepare taken "$parent"
  refuses 'already exists' ctr snapshots prepare taken "$parent"
  refuses 'already exists' ctr snapshots commit "$parent" taken
  refuses 'not found|not exist' ctr snapshots rm absent
  refuses 'not loaded|not found' ctr snapshots --snapshotter absent ls
  ctr snapshots rm taken
}

test_snapshots_diff() {
  local at=$work/diffed
  mkdir -p $at
  ctr snapshots prepare diffed "$(top_snapshot)" >/dev/null
  eval "$(ctr snapshots mounts $at diffed)"
  echo new >$at/etc/added
  rm $at/etc/layer2
  umount $at
  ctr snapshots diff --media-type application/vnd.oci.image.layer.v1.tar diffed >$work/diff.tar
  same 'etc/ etc/.wh.layer2 etc/added' "$(tar -tf $work/diff.tar | grep -v '^hidden' | sort | tr '\n' ' ' | sed 's/ $//')"
  same new "$(tar -xOf $work/diff.tar etc/added)"
  ctr snapshots diff diffed | gzip -t
  ctr snapshots rm diffed
  collect
}

test_content_life() {
  local digest
  head -c 300000 /dev/urandom >$work/blob
  digest=sha256:$(sha256sum <$work/blob | cut -d ' ' -f 1)
  collect
  ctr content ingest --expected-digest "$digest" --expected-size 300000 blob-1 <$work/blob
  ctr content get "$digest" | cmp - $work/blob
  matches "$digest"$'\t'"300kB" "$(ctr content ls)"
  ctr content label "$digest" containerd.io/gc.root=yes
  matches 'gc.root=yes' "$(ctr content ls | grep "$digest")"
  collect
  same "$digest" "$(ctr content ls -q | grep "$digest")"
  refuses 'not found' ctr content get sha256:0000000000000000000000000000000000000000000000000000000000000000
  ctr content rm "$digest"
  refuses 'not found' ctr content get "$digest"
}

test_content_of_another_digest_is_refused() {
  local digest
  digest=sha256:$(echo right | sha256sum | cut -d ' ' -f 1)
  echo wrong >$work/wrong
  refuse_digest() { "$ctr_binary" -a $socket -n "$ns" content ingest --expected-digest "$digest" blob-2 <$work/wrong; }
  refuses 'unexpected commit digest' refuse_digest
  lacks "$digest" "$(ctr content ls -q)"
  ctr content ingest blob-2 <$work/wrong # takes up what may be left, for the check at the end
  ctr content rm "sha256:$(sha256sum <$work/wrong | cut -d ' ' -f 1)"
  same '' "$(ctr content active | tail -n +2)"
}

test_content_unreferenced_is_collected() {
  echo loose | ctr content ingest loose
  local digest
  digest=sha256:$(echo loose | sha256sum | cut -d ' ' -f 1)
  collect
  lacks "$digest" "$(ctr content ls -q)"
}

test_content_edit() {
  collect
  echo before | ctr content ingest --expected-size 7 edit-1
  local digest editor=$work/bin/editor
  digest=sha256:$(echo before | sha256sum | cut -d ' ' -f 1)
  printf '#!/bin/sh\necho after >"$1"\n' >$editor
  chmod 755 $editor
  EDITOR=$editor ctr content edit "$digest" >$work/edited
  prints after ctr content get "$(tail -n 1 $work/edited)"
  collect
}

test_content_fetch_and_push() {
  local other=$ns-fetch manifest
  manifest=$(manifest_digest busybox 1)
  ctr -n "$other" content fetch --plain-http $remote >/dev/null
  same 4 "$(ctr -n "$other" content ls -q | wc -l)"
  same 0 "$(ctr -n "$other" snapshots ls | tail -n +2 | wc -l)"
  ctr -n "$other" content get "$manifest" | jq -e '.layers | length == 2'
  ctr -n "$other" content fetch-object --plain-http $remote "$manifest" | sha256sum | grep "${manifest#sha256:}"
  ctr -n "$other" images rm --sync "$(ctr -n "$other" images ls -q)" >/dev/null
  ctr namespaces rm "$other"
}

# Once unpacked, an image runs from its snapshots; this drops the layers' blobs.
test_content_prune() {
  local other=$ns-prune
  ctr -n "$other" images import "${local_flag[@]}" $image_tar
  ctr -n "$other" content prune references --dry
  matches 'complete \(3/3\)' "$(ctr -n "$other" images check)"
  ctr -n "$other" content prune references
  matches 'incomplete \(1/3\)' "$(ctr -n "$other" images check)"
  ctr -n "$other" images rm --sync $image
  ctr namespaces rm "$other"
}

test_leases() {
  prints lasting ctr leases create --id lasting colour=blue
  prints brief ctr leases create --id brief --expires 1h
  matches '^ID +CREATED AT +LABELS' "$(ctr leases ls)"
  matches 'lasting.*colour=blue' "$(ctr leases ls)"
  prints lasting ctr leases ls -q 'labels.colour==blue'
  refuses 'already exists' ctr leases create --id lasting
  matches '.' "$(ctr leases create)" # the daemon chooses an id
  ctr leases rm lasting brief >/dev/null
  refuses 'not found' ctr leases rm lasting
  ctr leases ls -q | xargs -r -n 1 "$ctr_binary" -a $socket -n "$ns" leases rm >/dev/null
  prints '' ctr leases ls -q
}

test_leases_expire() {
  ctr leases create --id expired --expires 1s
  collected() { collect; lacks expired "$(ctr leases ls -q)"; }
  within 10 collected
}

test_containers() {
  ctr containers create --label colour=green $image stored sleep 1
  matches '^CONTAINER +IMAGE +RUNTIME' "$(ctr containers ls)"
  matches "^stored +$image +io.containerd.runc.v2" "$(ctr containers ls | tail -n +2)"
  prints stored ctr containers ls -q labels.colour==green
  prints '' ctr containers ls -q labels.colour==red
  same sleep "$(ctr containers info stored | jq -r '.Spec.process.args[0]')"
  same stored "$(ctr containers info stored | jq -r .SnapshotKey)"
  ctr containers label stored colour=red
  prints stored ctr containers ls -q labels.colour==red
  refuses 'already exists' ctr containers create $image stored true
  ctr containers rm stored
  lacks stored "$(ctr snapshots ls)"
  refuses 'not found' ctr containers rm stored
}

test_containers_keep_a_snapshot() {
  ctr containers create $image keeper true
  ctr snapshots label keeper containerd.io/gc.root=yes
  ctr containers rm --keep-snapshot keeper
  same keeper "$(ctr snapshots info keeper | jq -r .Name)"
  ctr snapshots rm keeper
}

# Without the task, which needs criu: the image, and a layer of what the container changed.
test_containers_checkpoint() {
  local index layer
  ctr run -d $image original sh -c 'echo changed >/etc/layer2; sleep 1000'
  changed() { [ "$(ctr tasks exec --exec-id look original cat /etc/layer2)" = changed ]; }
  within 5 changed
  ctr containers checkpoint --image --rw original example.org/checkpoint:1
  remove_container original
  index=$(ctr images ls name==example.org/checkpoint:1 | awk 'NR == 2 {print $3}')
  layer=$(ctr content get "$index" | jq -r '.manifests[] | select(.mediaType | contains("layer")).digest')
  same changed "$(ctr content get "$layer" | tar -xzOf - etc/layer2)"
  ctr images rm --sync example.org/checkpoint:1
}

test_namespaces() {
  local name=$ns-made
  ctr namespaces create "$name" colour=blue
  matches "$name +colour=blue" "$(ctr namespaces ls)"
  refuses 'already exists' ctr namespaces create "$name"
  ctr namespaces label "$name" colour= shape=round
  matches "$name +shape=round" "$(ctr namespaces ls)"
  ctr -n "$name" containers create --snapshotter native --rootfs / inside
  refuses 'must be empty' ctr namespaces rm "$name"
  ctr -n "$name" containers rm inside
  ctr namespaces rm "$name"
  lacks "$name" "$(ctr namespaces ls -q)"
  refuses 'invalid|must match' ctr namespaces create 'a/b'
}

# The same names in two namespaces do not meet; blobs are shared all the same.
test_namespaces_are_apart() {
  local name=$ns-apart
  ctr -n "$name" images import "${local_flag[@]}" $image_tar
  prints apart ctr -n "$name" run --rm $image first echo apart
  ctr -n "$name" images rm --sync $image >/dev/null
  ctr namespaces rm "$name"
  prints here ctr run --rm $image first echo here
}

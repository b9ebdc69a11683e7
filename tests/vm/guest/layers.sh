# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A kernel whose overlay takes its lower layers in one option of at most a page.

many=docker.io/library/many-layers:1

test_overlay_of_120_layers() {
  "$lib/make-image" --ref $many --oci $work/many.tar --layers 120 >/dev/null
  ctr images import "${local_flag[@]}" $work/many.tar
  prints '1 120' ctr run --rm $many many-layers sh -c 'echo $(cat /layers/1 /layers/120)'
  prints 120 ctr run --rm $many many-layers-count sh -c 'ls /layers | wc -l'
  ctr run -d $many many-layers-exec sleep 1000
  prints 60 ctr tasks exec --exec-id e many-layers-exec cat /layers/60
  remove_container many-layers-exec
  ctr images rm --sync $many
}

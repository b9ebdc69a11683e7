# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A kernel that CRIU works on: what a process had in memory is there again after a restore. Debian's crun has no CRIU in it.

dump_image=example.org/checkpoint:1

needs_checkpoints() { runtime_checkpoints || skip "this crun is built without CRIU"; }

# A container that tells, again and again, a word that only its shell's memory has.
keeper() { # ID
  ctr run -d $image "$1" sh -c 'word=$(cat /proc/sys/kernel/random/uuid); while :; do echo $word >/word; sleep 0.2; done'
}

word_of() { in_task "$1" cat /word; } # ID

tells_word() { [ -n "$(word_of "$1")" ]; } # ID

tells_anew() { # ID WORD: what it wrote before is taken away first
  in_task "$1" rm -f /word
  again() { [ "$(word_of "$1")" = "$2" ]; }
  within 10 again "$@"
}

restore_in_background() { # ID
  ctr containers restore --rw --live "$1" $dump_image &
  within 60 task_is "$1" RUNNING
}

test_checkpoint_goes_on_and_is_restored() {
  needs_checkpoints
  local word
  keeper original
  within 10 tells_word original
  word=$(word_of original)
  checkpointed original ctr containers checkpoint --image --rw --task original $dump_image
  task_is original RUNNING
  tells_anew original "$word"
  remove_container original
  restore_in_background copy
  tells_anew copy "$word"
  ctr tasks kill -s KILL copy
  wait
  remove_container copy
  ctr images rm --sync $dump_image
}

test_checkpoint_with_exit() {
  needs_checkpoints
  keeper leaving
  within 10 tells_word leaving
  checkpointed leaving ctr tasks checkpoint --exit --image-path $work/dump --work-path $work/dump-log leaving
  within 10 task_is leaving STOPPED
  [ -n "$(ls $work/dump)" ] || fail "there is no dump"
  rm -rf $work/dump $work/dump-log
  remove_container leaving
}

test_checkpoint_that_the_runtime_cannot_make() {
  keeper stays
  within 10 tells_word stays
  echo >$work/a-file
  refuses 'checkpoint|criu|CRIU|directory' ctr tasks checkpoint --image-path $work/a-file/below stays
  task_is stays RUNNING
  tells_anew stays "$(word_of stays)"
  remove_container stays
}

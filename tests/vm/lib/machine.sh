# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One QEMU machine without KVM. It ends with whoever started it, however that ends.

# run_machine FOLDER KERNEL ROOT-IMAGE SECONDS [WORD...]: the words go to the kernel's command line. FOLDER holds initramfs
# and payload and gets console.log. Prints what the guest's suite says as it comes, and a failed case when the guest does not
# switch itself off in time. On a busy host the kernel's check of its own timer fails, hence no_timer_check.
run_machine() {
  local folder=$1 kernel=$2 image=$3 seconds=$4 status=0
  shift 4
  TMPDIR=$folder setpriv --pdeathsig KILL timeout --kill-after=5 "$seconds" setpriv --pdeathsig KILL \
    nice -n "${VM_NICE:-0}" qemu-system-x86_64 -accel tcg,thread=multi -machine pc -cpu max -smp 2 -m 2048 \
    -nodefaults -no-user-config -display none -no-reboot -monitor none \
    -kernel "$(echo "$kernel"/boot/vmlinuz-*)" -initrd "$folder/initramfs" \
    -append "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 $*" \
    -drive file="$image",format=raw,if=virtio,snapshot=on -drive file="$folder/payload",format=raw,if=virtio,cache=unsafe \
    -device virtio-rng-pci -serial file:"$folder/console.log" -serial stdio </dev/null 2>"$folder/qemu.log" || status=$?
  case $status in
    0) return ;;
    124 | 137) echo "not ok vm: the guest had not ended after $seconds s" ;;
    *) echo "not ok vm: qemu ended with status $status: $(head -n 1 "$folder/qemu.log")" ;;
  esac
}

console() { tail -n 30 "$1/console.log" | tr -d '\r' | sed 's/^/#   /'; } # FOLDER: what the guest said last

# read_results PAYLOAD FOLDER: without mounting anything.
read_results() { debugfs -R "rdump /results $2" "$1" >/dev/null 2>&1; }

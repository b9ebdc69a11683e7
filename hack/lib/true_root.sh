# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# In a chroot the kernel makes no user namespace, and whoever joins a container's mount namespace stands in the machine's root
# instead of the container's. A mount namespace of our own can have the chroot's folder for its true root.

in_chroot() { # joining our own mount namespace leads to its root
  local root
  root=$(nsenter --mount=/proc/self/ns/mnt stat -c %d:%i / 2>/dev/null) && [ "$root" != "$(stat -c %d:%i /)" ]
}

# take_true_root COMMAND...: if in a chroot, goes on as COMMAND outside of it, with the same files. The chroot's folder must be
# a mount point; what stands between nsenter and exec runs the machine's programs.
take_true_root() {
  if ! in_chroot; then return 0; fi
  # shellcheck disable=SC2016 # the inner shells expand these
  exec unshare --mount --propagation private sh -c '
    cwd=$PWD; export cwd
    exec 3</
    exec nsenter --mount=/proc/self/ns/mnt sh -c '\''
      cd -P /proc/self/fd/3 && pivot_root . . && umount -l . && exec 3<&- && cd "$cwd" && exec "$@"'\'' sh "$@"' sh "$@"
}

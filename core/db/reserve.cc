// SPDX-License-Identifier: Apache-2.0
#include "core/db/reserve.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gantry::db {
namespace {

// A deletion touches tens of pages; this is good for some hundred of them in a row.
constexpr uint64_t kReserveBytes = uint64_t{1} << 20;
// Pages that a small write needs besides its own bytes: the ways down to them, and the free list.
constexpr uint64_t kOverheadBytes = uint64_t{64} << 10;

constexpr uint64_t kNoteBytes = 1024;

int FileOf(MDB_env* env) {
  int fd = -1;
  ::mdb_env_get_fd(env, &fd);
  return fd;
}

// What this process can still write on the file system of `fd`.
uint64_t DiskRoom(int fd) {
  struct statvfs info {};
  if (::fstatvfs(fd, &info) != 0) return UINT64_MAX;  // the write itself will tell
  // Some blocks are for root alone, and root is what a daemon usually is.
  const uint64_t blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
  return blocks * info.f_frsize;
}

}  // namespace

Reserve::Reserve(MDB_env* env, uint64_t map_size_bytes)
    : env_(env),
      map_size_bytes_(map_size_bytes),
      size_bytes_(std::min(kReserveBytes, map_size_bytes / 8)) {
  Refill();
}

uint64_t Reserve::UsedBytes() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  ::mdb_env_info(env_, &info);
  ::mdb_env_stat(env_, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

// The pages that are in the file and in no use, as the last commit left them.
uint64_t Reserve::FreeBytes() const {
  constexpr MDB_dbi kFreeList = 0;  // key: transaction; value: number of pages, then these
  MDB_txn* txn = nullptr;
  if (::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != MDB_SUCCESS) return 0;
  uint64_t pages = 0;
  MDB_cursor* cursor = nullptr;
  if (::mdb_cursor_open(txn, kFreeList, &cursor) == MDB_SUCCESS) {
    MDB_val key{};
    MDB_val list{};
    while (::mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == MDB_SUCCESS) {
      size_t count = 0;
      std::memcpy(&count, list.mv_data, sizeof(count));
      pages += count;
    }
    ::mdb_cursor_close(cursor);
  }
  MDB_stat stat{};
  ::mdb_env_stat(env_, &stat);
  ::mdb_txn_abort(txn);
  return pages * stat.ms_psize;
}

uint64_t Reserve::Needed(uint64_t bytes) const {
  // Half of a page may stay empty.
  return 2 * bytes + std::min(kOverheadBytes, size_bytes_);
}

// What is kept back behind the file's end.
uint64_t Reserve::Held() const {
  const uint64_t used = UsedBytes();
  const uint64_t end = can_allocate_ ? std::min(allocated_end_, map_size_bytes_) : map_size_bytes_;
  return end <= used ? 0 : std::min(end - used, size_bytes_);
}

bool Reserve::DiskLacks(uint64_t bytes) const { return DiskRoom(FileOf(env_)) < Needed(bytes); }

bool Reserve::HasRoomFor(uint64_t bytes) {
  if (Held() < size_bytes_ / 2) Refill();
  const uint64_t needed = Needed(bytes);
  const bool may_grow = Held() >= size_bytes_ / 2 &&
                        UsedBytes() + needed + size_bytes_ <= map_size_bytes_ && !DiskLacks(bytes);
  if (may_grow) return true;
  // Whoever is about to clean up may have something to note first, such as a lease.
  if (bytes <= kNoteBytes && Held() >= size_bytes_ / 4 * 3) return true;
  // Pages in the file serve as well, and what is left of them is a reserve too. Not each fits: a
  // large value needs pages in a row.
  const uint64_t free = FreeBytes();
  return free >= 2 * needed && free + Held() >= 2 * needed + size_bytes_ / 2;
}

void Reserve::Refill() {
  const uint64_t used = UsedBytes();
  if (!can_allocate_ || used + size_bytes_ / 2 <= allocated_end_) return;
  if (!Allocate(used + size_bytes_)) Allocate(used + size_bytes_ / 2);
}

bool Reserve::Allocate(uint64_t end) {
  const uint64_t start = std::max(UsedBytes(), allocated_end_);
  if (end <= start) return true;
  if (::fallocate(FileOf(env_), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(start),
                  static_cast<off_t>(end - start)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) can_allocate_ = false;
    return false;
  }
  allocated_end_ = end;
  return true;
}

}  // namespace gantry::db

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lmdb.h>

#include <cstdint>

namespace gantry::db {

// Room for the writes that make room. LMDB never overwrites a page in place, so that even a
// deletion needs new ones; on a disk, or in a map, that is full to the last byte nothing could be
// deleted any more, which is what a user would do then.
//
// So a stretch behind the file's end is kept allocated, and whoever wants to store more than it
// removes is refused before it would reach into that, unless pages that earlier deletions left are
// enough. Where the file system cannot allocate ahead, only the refusal is left.
//
// Threads: the writer's alone.
class Reserve {
 public:
  // `env` is open and outlives the object.
  Reserve(MDB_env* env, uint64_t map_size_bytes);

  // Whether this much more can be stored. Quick unless there is hardly any room.
  bool HasRoomFor(uint64_t bytes);

  // Whether the disk is too full for the file to grow by this much.
  bool DiskLacks(uint64_t bytes) const;

  // After a commit: allocates anew what that has used. What fails is tried again the next time.
  void Refill();

 private:
  uint64_t UsedBytes() const;
  uint64_t FreeBytes() const;
  uint64_t Held() const;
  uint64_t Needed(uint64_t bytes) const;
  bool Allocate(uint64_t end);

  MDB_env* const env_;
  const uint64_t map_size_bytes_;
  const uint64_t size_bytes_;
  bool can_allocate_ = true;
  uint64_t allocated_end_ = 0;  // offset in the file
};

}  // namespace gantry::db

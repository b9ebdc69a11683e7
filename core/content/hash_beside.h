// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "core/base/worker_pool.h"
#include "core/digest/digest.h"

namespace gantry::content {

// Hashes bytes on another thread while the caller does something else with them; both cost about
// the same for what is written to a file. The destructor waits until all bytes are hashed, and
// hashes them itself if the pool has not begun.
//
// Ownership: borrows hasher and bytes, neither of which may be touched meanwhile.
class HashBeside {
 public:
  HashBeside(base::WorkerPool& pool, Hasher& hasher, std::string_view bytes);
  HashBeside(const HashBeside&) = delete;
  HashBeside& operator=(const HashBeside&) = delete;
  ~HashBeside();

 private:
  struct Job;
  // Shared with the pool, which may get to it when all is over.
  const std::shared_ptr<Job> job_;
};

}  // namespace gantry::content

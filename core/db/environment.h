// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lmdb.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/db/reserve.h"
#include "core/db/txn.h"

namespace gantry::db {

struct Options {
  std::filesystem::path path;  // a folder of the database's own, made if missing (0700)
  uint64_t map_size_bytes = uint64_t{64} << 30;  // address space; the file grows as it is used
  bool no_sync = false;  // faster, and may lose or damage everything on power loss
  unsigned max_readers = 4096;
};

struct TxnAborter {
  void operator()(MDB_txn* txn) const { ::mdb_txn_abort(txn); }
};
using OwnedTxn = std::unique_ptr<MDB_txn, TxnAborter>;

// An open LMDB environment. After a write of one of its two root pages failed, LMDB refuses
// whatever comes, reads too, until the environment is opened anew; it must be closed before.
//
// Threads: any, but Settle() and reserve() are the writer thread's.
class Environment {
 public:
  // Makes the folder and the tables that are missing; `tables` receives their handles in the order
  // of `names`.
  static absl::StatusOr<std::shared_ptr<Environment>> Open(const Options& options,
                                                           std::span<const char* const> names,
                                                           std::vector<Table>* tables);
  // Opens what Open() made once. The handles are the same again. Writes nothing, so that a disk
  // that only fails writes can still be read.
  static absl::StatusOr<std::shared_ptr<Environment>> Reopen(const Options& options,
                                                             std::span<const char* const> names,
                                                             const std::vector<Table>& tables);

  absl::StatusOr<OwnedTxn> Begin(MDB_txn* parent, unsigned flags);
  // Whether Begin() met LMDB's refusal.
  bool failed() const { return failed_; }

  // Before the first write: forces the root pages to disk as they are read now. After a failed
  // write the disk may hold another one, whose pages are about to be used again.
  absl::Status Settle();

  Reserve& reserve() { return reserve_; }

 private:
  struct Closer {
    void operator()(MDB_env* env) const { ::mdb_env_close(env); }
  };
  using OwnedEnv = std::unique_ptr<MDB_env, Closer>;

  Environment(OwnedEnv env, const Options& options)
      : env_(std::move(env)),
        no_sync_(options.no_sync),
        reserve_(env_.get(), options.map_size_bytes) {}

  static absl::StatusOr<std::shared_ptr<Environment>> OpenFile(const Options& options,
                                                               size_t tables);
  absl::StatusOr<std::vector<Table>> OpenTables(std::span<const char* const> names,
                                                unsigned txn_flags, unsigned table_flags);

  const OwnedEnv env_;
  const bool no_sync_;
  Reserve reserve_;
  bool settled_ = false;
  std::atomic<bool> failed_ = false;
};

absl::Status Commit(OwnedTxn txn);

}  // namespace gantry::db

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
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

// One LMDB environment and its writer thread.
//
// All writing goes through Write(): closures run on the writer thread, each in a nested transaction
// of a shared batch, so a failing one aborts alone and one flush serves many. The caller gets the
// answer once the batch is on disk. Readers see a snapshot and are never blocked.
//
// Threads: all methods from any thread, but Write() neither from a closure nor from an AfterCommit
// hook.
// Errors:  ResourceExhausted (map, disk or queue full), DataLoss, Internal; the store stays usable
// after each. Where there is no room, a closure that stores no more than it removes still succeeds.
class Database {
 public:
  // Opens or creates the environment with exactly these tables; `tables` receives their handles in
  // the order of `names`. One process at a time: the daemon's lock on its root sees to that.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const Options& options,
                                                        std::span<const char* const> names,
                                                        std::vector<Table>* tables);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::StatusOr<ReadTxn> Read() const;

  // Runs `closure`, which returns absl::Status or absl::StatusOr<T>, and returns its result once it
  // is durable. The closure does no IO, takes no lock and calls no Write. It does not run if `ctx`
  // ended first; once it runs, it is not cancelled.
  template <typename Closure>
  auto Write(const Context& ctx, Closure&& closure) -> std::invoke_result_t<Closure, WriteTxn&> {
    using Result = std::invoke_result_t<Closure, WriteTxn&>;
    if constexpr (std::is_same_v<Result, absl::Status>) {
      return RunWrite(ctx, closure);
    } else {
      std::optional<Result> result;
      const absl::Status status = RunWrite(ctx, [&](WriteTxn& txn) -> absl::Status {
        result.emplace(closure(txn));
        return result->status();
      });
      if (!status.ok()) return status;
      return *std::move(result);
    }
  }

  struct Stats {
    uint64_t batches = 0;  // flushes since the start
    uint64_t writes = 0;   // closures that were committed
    uint64_t failed = 0;   // closures that returned an error or were lost with their batch
  };
  Stats stats() const;

 private:
  struct Pending;
  struct EnvCloser {
    void operator()(MDB_env* env) const { ::mdb_env_close(env); }
  };

  Database(std::unique_ptr<MDB_env, EnvCloser> env, uint64_t map_size_bytes);

  absl::Status RunWrite(const Context& ctx, absl::FunctionRef<absl::Status(WriteTxn&)> closure);
  void WriterLoop();
  void RunBatch(std::span<Pending*> batch);
  absl::Status RunNested(MDB_txn* parent, Pending& pending, uint64_t* growth_bytes);

  std::unique_ptr<MDB_env, EnvCloser> env_;
  Reserve reserve_;  // the writer thread's
  mutable base::Mutex mutex_;
  base::CondVar queued_;
  base::CondVar finished_;
  std::deque<Pending*> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread writer_;
};

}  // namespace gantry::db

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
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
#include "core/db/environment.h"
#include "core/db/txn.h"

namespace gantry::db {

// An LMDB environment and its writer thread.
//
// All writing goes through Write(): closures run on the writer thread, each in a nested transaction
// of a shared batch, so a failing one aborts alone and one flush serves many. The caller gets the
// answer once the batch is on disk. Readers see a snapshot and are never blocked.
//
// Threads: all methods from any thread, but Write() neither from a closure nor from an AfterCommit
// hook.
// Errors:  ResourceExhausted (map, disk or queue full), DataLoss, Internal; the store stays usable
// after each. Where there is no room, a closure that stores no more than it removes still succeeds.
// After some failures of the disk the environment is opened anew: Unavailable while transactions
// that began before are still open.
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
  struct Begun {
    std::shared_ptr<Environment> env;
    OwnedTxn txn;
  };

  Database(Options options, std::span<const char* const> names);

  // The environment, opened anew if the last one failed and nobody holds it any more.
  absl::StatusOr<std::shared_ptr<Environment>> Env() const;
  absl::StatusOr<Begun> Begin(unsigned flags) const;
  absl::Status RunWrite(const Context& ctx, absl::FunctionRef<absl::Status(WriteTxn&)> closure);
  void WriterLoop();
  void RunBatch(std::span<Pending*> batch);
  absl::Status RunNested(Environment& env, MDB_txn* parent, Pending& pending,
                         uint64_t* growth_bytes);

  const Options options_;
  const std::vector<const char*> names_;
  std::vector<Table> tables_;  // constant once open
  mutable base::Mutex env_mutex_;
  // Null if the last attempt to open it anew failed.
  mutable std::shared_ptr<Environment> env_ ABSL_GUARDED_BY(env_mutex_);
  mutable base::Mutex mutex_;
  base::CondVar queued_;
  base::CondVar finished_;
  std::deque<Pending*> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread writer_;
};

}  // namespace gantry::db

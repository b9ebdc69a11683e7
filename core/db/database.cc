// SPDX-License-Identifier: Apache-2.0
#include "core/db/database.h"

#include <pthread.h>

namespace gantry::db {
namespace {

// Closures that wait at most; each belongs to a call that was admitted elsewhere, so this is a last
// line.
constexpr size_t kMaxQueuedWrites = 8192;
// Closures that share a flush: enough for any burst, few enough to answer the first one soon.
constexpr size_t kMaxBatch = 256;

std::string_view Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace

struct Database::Pending {
  const Context& ctx;
  absl::FunctionRef<absl::Status(WriteTxn&)> closure;
  absl::Status result = absl::OkStatus();
  std::vector<WriteTxn::Hook> hooks = {};
  bool done = false;  // guarded by the database's mutex
};

Database::Database(Options options, std::span<const char* const> names)
    : options_(std::move(options)), names_(names.begin(), names.end()) {}

Database::~Database() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  queued_.NotifyAll();
  if (writer_.joinable()) writer_.join();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options,
                                                         std::span<const char* const> names,
                                                         std::vector<Table>* tables) {
  std::unique_ptr<Database> database(new Database(options, names));
  {
    base::MutexLock lock(database->env_mutex_);
    ASSIGN_OR_RETURN(database->env_, Environment::Open(options, names, &database->tables_));
  }
  *tables = database->tables_;
  database->writer_ = std::thread([db = database.get()] {
    ::pthread_setname_np(::pthread_self(), "db-writer");
    db->WriterLoop();
  });
  return database;
}

absl::StatusOr<std::shared_ptr<Environment>> Database::Env() const {
  base::MutexLock lock(env_mutex_);
  if (env_ != nullptr && env_->failed()) {
    // Copies are made under this lock alone, so that there are none once there are none.
    if (env_.use_count() > 1)
      return Unavailable("database is opened anew once whoever reads it has ended");
    env_.reset();
  }
  if (env_ == nullptr) {
    ASSIGN_OR_RETURN(env_, Environment::Reopen(options_, names_, tables_));
  }
  return env_;
}

absl::StatusOr<Database::Begun> Database::Begin(unsigned flags) const {
  for (bool again = true;; again = false) {
    ASSIGN_OR_RETURN(std::shared_ptr<Environment> env, Env());
    absl::StatusOr<OwnedTxn> txn = env->Begin(nullptr, flags);
    if (txn.ok()) return Begun{std::move(env), *std::move(txn)};
    if (!env->failed() || !again) return txn.status();
  }
}

absl::StatusOr<ReadTxn> Database::Read() const {
  ASSIGN_OR_RETURN(Begun begun, Begin(MDB_RDONLY));
  return ReadTxn(std::move(begun.env), begun.txn.release());
}

Database::Stats Database::stats() const {
  base::MutexLock lock(mutex_);
  return stats_;
}

absl::Status Database::RunWrite(const Context& ctx,
                                absl::FunctionRef<absl::Status(WriteTxn&)> closure) {
  if (std::this_thread::get_id() == writer_.get_id())
    return Internal("database write from inside a write");
  RETURN_IF_ERROR(ctx.Check());
  Pending pending{.ctx = ctx, .closure = closure};
  base::MutexLock lock(mutex_);
  if (stopping_) return Unavailable("database is closing");
  if (queue_.size() >= kMaxQueuedWrites) return ResourceExhausted("database write queue is full");
  queue_.push_back(&pending);
  queued_.NotifyOne();
  while (!pending.done) finished_.Wait(mutex_);
  return pending.result;
}

void Database::WriterLoop() {
  for (;;) {
    std::vector<Pending*> batch;
    {
      base::MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) queued_.Wait(mutex_);
      if (queue_.empty()) return;
      while (!queue_.empty() && batch.size() < kMaxBatch) {
        batch.push_back(queue_.front());
        queue_.pop_front();
      }
    }
    RunBatch(batch);
    for (Pending* pending : batch) {
      if (!pending->result.ok()) continue;
      for (WriteTxn::Hook& hook : pending->hooks) std::move(hook)();
    }
    {
      base::MutexLock lock(mutex_);
      ++stats_.batches;
      for (Pending* pending : batch) {
        ++(pending->result.ok() ? stats_.writes : stats_.failed);
        pending->done = true;
      }
    }
    finished_.NotifyAll();
  }
}

void Database::RunBatch(std::span<Pending*> batch) {
  absl::StatusOr<Begun> begun = Begin(0);
  const absl::Status ready = begun.ok() ? begun->env->Settle() : begun.status();
  if (!ready.ok()) {
    for (Pending* pending : batch) pending->result = ready;
    return;
  }
  Environment& env = *begun->env;
  OwnedTxn txn = std::move(begun->txn);
  bool wrote = false;
  uint64_t growth_bytes = 0;
  for (Pending* pending : batch) {
    pending->result = pending->ctx.Check();
    if (pending->result.ok()) pending->result = RunNested(env, txn.get(), *pending, &growth_bytes);
    wrote = wrote || pending->result.ok();
  }
  if (!wrote) return;
  absl::Status committed = Commit(std::move(txn));
  if (committed.ok()) return env.reserve().Refill();
  // Finds out at once whether the environment is of any use still.
  env.Begin(nullptr, MDB_RDONLY).IgnoreError();
  // LMDB takes a write that a full disk cut short for an input error.
  if (absl::IsInternal(committed) && env.reserve().DiskLacks(growth_bytes))
    committed = ResourceExhausted("{}", Text(committed));
  for (Pending* pending : batch) {
    if (pending->result.ok()) pending->result = committed;
  }
}

absl::Status Database::RunNested(Environment& env, MDB_txn* parent, Pending& pending,
                                 uint64_t* growth_bytes) {
  ASSIGN_OR_RETURN(OwnedTxn nested, env.Begin(parent, 0));
  WriteTxn txn(nested.get());
  RETURN_IF_ERROR(pending.closure(txn));
  if (txn.growth_bytes() > 0) {
    const uint64_t growth = *growth_bytes + static_cast<uint64_t>(txn.growth_bytes());
    if (!env.reserve().HasRoomFor(growth)) {
      return ResourceExhausted("write database: no space left for {} bytes", txn.growth_bytes());
    }
    *growth_bytes = growth;
  }
  RETURN_IF_ERROR(Commit(std::move(nested)));
  pending.hooks = txn.TakeHooks();
  return absl::OkStatus();
}

}  // namespace gantry::db

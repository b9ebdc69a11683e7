// SPDX-License-Identifier: Apache-2.0
#include "core/db/database.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/db/errors.h"

namespace gantry::db {
namespace {

// Closures that wait at most; each belongs to a call that was admitted elsewhere, so this is a last
// line.
constexpr size_t kMaxQueuedWrites = 8192;
// Closures that share a flush: enough for any burst, few enough to answer the first one soon.
constexpr size_t kMaxBatch = 256;

struct TxnAborter {
  void operator()(MDB_txn* txn) const { ::mdb_txn_abort(txn); }
};
using OwnedTxn = std::unique_ptr<MDB_txn, TxnAborter>;

absl::StatusOr<OwnedTxn> Begin(MDB_env* env, MDB_txn* parent, unsigned flags) {
  MDB_txn* txn = nullptr;
  if (const int code = ::mdb_txn_begin(env, parent, flags, &txn); code != MDB_SUCCESS) {
    return FromLmdb(code, "begin database transaction");
  }
  return OwnedTxn(txn);
}

std::string_view Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

absl::Status Commit(OwnedTxn txn) {
  const int code = ::mdb_txn_commit(txn.release());  // Frees the transaction in every case.
  return code == MDB_SUCCESS ? absl::OkStatus() : FromLmdb(code, "commit database transaction");
}

}  // namespace

absl::Status FromLmdb(int code, std::string_view what) {
  const std::string text = fmt::format("{}: {}", what, ::mdb_strerror(code));
  switch (code) {
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return ResourceExhausted("{}", text);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      return DataLoss("{}", text);
    default:
      return Internal("{}", text);
  }
}

struct Database::Pending {
  const Context& ctx;
  absl::FunctionRef<absl::Status(WriteTxn&)> closure;
  absl::Status result = absl::OkStatus();
  std::vector<WriteTxn::Hook> hooks = {};
  bool done = false;  // guarded by the database's mutex
};

Database::Database(std::unique_ptr<MDB_env, EnvCloser> env, uint64_t map_size_bytes)
    : env_(std::move(env)), reserve_(env_.get(), map_size_bytes) {
  writer_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "db-writer");
    WriterLoop();
  });
}

Database::~Database() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  queued_.NotifyAll();
  writer_.join();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options,
                                                         std::span<const char* const> names,
                                                         std::vector<Table>* tables) {
  if (::mkdir(options.path.c_str(), 0700) != 0 && errno != EEXIST) {
    return FromErrno(errno, fmt::format("create {}", options.path.string()));
  }
  MDB_env* raw = nullptr;
  if (const int code = ::mdb_env_create(&raw); code != MDB_SUCCESS)
    return FromLmdb(code, "create database environment");
  std::unique_ptr<MDB_env, EnvCloser> env(raw);
  ::mdb_env_set_mapsize(env.get(), options.map_size_bytes);
  ::mdb_env_set_maxreaders(env.get(), options.max_readers);
  ::mdb_env_set_maxdbs(env.get(), static_cast<MDB_dbi>(names.size()));
  const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (options.no_sync ? MDB_NOSYNC : 0U);
  if (const int code = ::mdb_env_open(env.get(), options.path.c_str(), flags, 0600);
      code != MDB_SUCCESS) {
    return FromLmdb(code, fmt::format("open database {}", options.path.string()));
  }
  int dead = 0;
  ::mdb_reader_check(env.get(), &dead);  // Slots of a daemon that was killed.

  ASSIGN_OR_RETURN(OwnedTxn txn, Begin(env.get(), nullptr, 0));
  for (const char* name : names) {
    Table table;
    if (const int code = ::mdb_dbi_open(txn.get(), name, MDB_CREATE, &table.handle);
        code != MDB_SUCCESS) {
      return FromLmdb(code, fmt::format("open database table {}", name));
    }
    tables->push_back(table);
  }
  RETURN_IF_ERROR(Commit(std::move(txn)));
  return std::unique_ptr<Database>(new Database(std::move(env), options.map_size_bytes));
}

absl::StatusOr<ReadTxn> Database::Read() const {
  MDB_txn* txn = nullptr;
  if (const int code = ::mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &txn);
      code != MDB_SUCCESS) {
    return FromLmdb(code, "begin database read");
  }
  return ReadTxn(txn);
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
  absl::StatusOr<OwnedTxn> txn = Begin(env_.get(), nullptr, 0);
  if (!txn.ok()) {
    for (Pending* pending : batch) pending->result = txn.status();
    return;
  }
  bool wrote = false;
  uint64_t growth_bytes = 0;
  for (Pending* pending : batch) {
    pending->result = pending->ctx.Check();
    if (pending->result.ok()) pending->result = RunNested(txn->get(), *pending, &growth_bytes);
    wrote = wrote || pending->result.ok();
  }
  if (!wrote) return;
  absl::Status committed = Commit(*std::move(txn));
  if (committed.ok()) return reserve_.Refill();
  // LMDB takes a write that a full disk cut short for an input error.
  if (absl::IsInternal(committed) && reserve_.DiskLacks(growth_bytes))
    committed = ResourceExhausted("{}", Text(committed));
  for (Pending* pending : batch) {
    if (pending->result.ok()) pending->result = committed;
  }
}

absl::Status Database::RunNested(MDB_txn* parent, Pending& pending, uint64_t* growth_bytes) {
  ASSIGN_OR_RETURN(OwnedTxn nested, Begin(env_.get(), parent, 0));
  WriteTxn txn(nested.get());
  RETURN_IF_ERROR(pending.closure(txn));
  if (txn.growth_bytes() > 0) {
    const uint64_t growth = *growth_bytes + static_cast<uint64_t>(txn.growth_bytes());
    if (!reserve_.HasRoomFor(growth)) {
      return ResourceExhausted("write database: no space left for {} bytes", txn.growth_bytes());
    }
    *growth_bytes = growth;
  }
  RETURN_IF_ERROR(Commit(std::move(nested)));
  pending.hooks = txn.TakeHooks();
  return absl::OkStatus();
}

}  // namespace gantry::db

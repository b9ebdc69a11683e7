// SPDX-License-Identifier: Apache-2.0
// Views of the database inside one transaction.
#pragma once

#include <lmdb.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gantry::db {

// A named table of the environment; made by Database::Open, valid as long as the database.
struct Table {
  MDB_dbi handle = 0;
  bool operator==(const Table&) const = default;
};

// Where to stop a scan.
enum class Scan { kContinue, kStop };

// Reading. Returned views point into the map and die with the transaction (in a write transaction:
// with the next write).
//
// Threads: one at a time.
// Errors:  DataLoss for a record that is not framed as this database writes it, Internal for LMDB's
// own.
class Txn {
 public:
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  absl::StatusOr<std::optional<std::string_view>> Get(Table table, std::string_view key) const;
  absl::StatusOr<bool> Has(Table table, std::string_view key) const;

  // Calls `row` with key and value of each row whose key starts with `prefix` and is greater than
  // `after`, in key order, until it returns kStop or an error. Rows whose keys share their first
  // 460 bytes come in no useful order.
  absl::Status ForEach(
      Table table, std::string_view prefix, std::string_view after,
      absl::FunctionRef<absl::StatusOr<Scan>(std::string_view key, std::string_view value)> row)
      const;
  absl::Status ForEach(
      Table table, std::string_view prefix,
      absl::FunctionRef<absl::StatusOr<Scan>(std::string_view key, std::string_view value)> row)
      const {
    return ForEach(table, prefix, {}, row);
  }

  // True if any row starts with `prefix`.
  absl::StatusOr<bool> Any(Table table, std::string_view prefix) const;

 protected:
  explicit Txn(MDB_txn* txn) : txn_(txn) {}
  ~Txn() = default;
  MDB_txn* txn_;
};

// A snapshot of the database as of its start. Keep it short: pages that it can see are not reused
// meanwhile.
class ReadTxn final : public Txn {
 public:
  // `environment` is kept open as long as this lives.
  ReadTxn(std::shared_ptr<const void> environment, MDB_txn* txn)
      : Txn(txn), environment_(std::move(environment)) {}
  ReadTxn(ReadTxn&& other) noexcept
      : Txn(std::exchange(other.txn_, nullptr)), environment_(std::move(other.environment_)) {}
  ReadTxn& operator=(ReadTxn&&) = delete;
  ~ReadTxn();

 private:
  std::shared_ptr<const void> environment_;
};

// Writing; handed to the closure of Database::Write.
class WriteTxn final : public Txn {
 public:
  using Hook = absl::AnyInvocable<void()>;

  explicit WriteTxn(MDB_txn* txn) : Txn(txn) {}

  absl::Status Put(Table table, std::string_view key, std::string_view value);
  // Whether there was such a row.
  absl::StatusOr<bool> Delete(Table table, std::string_view key);

  // Runs after this transaction is on disk, on the writer thread and before the caller is answered:
  // short, no IO, no lock that is held across a write. Not run if the transaction fails.
  void AfterCommit(Hook hook) { hooks_.push_back(std::move(hook)); }

  std::vector<Hook> TakeHooks() { return std::move(hooks_); }

  // By how much the rows that were stored outweigh those that were replaced or deleted.
  int64_t growth_bytes() const { return growth_bytes_; }

 private:
  absl::Status Forget(Table table, MDB_val key);
  int64_t growth_bytes_ = 0;
  std::vector<Hook> hooks_;
};

}  // namespace gantry::db

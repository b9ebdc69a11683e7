// SPDX-License-Identifier: Apache-2.0
#include "core/db/txn.h"

#include <memory>

#include "core/base/status.h"
#include "core/db/errors.h"
#include "core/db/key.h"

namespace gantry::db {
namespace {

// A value starts with one byte: plain, or followed by the whole key with its length in four bytes.
constexpr char kPlain = 0;
constexpr char kWithKey = 1;
constexpr size_t kLengthBytes = 4;

MDB_val ToVal(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};  // LMDB does not write through it.
}

std::string_view ToView(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

struct Row {
  std::string_view key;
  std::string_view value;
};

absl::StatusOr<Row> Unframe(std::string_view stored_key, std::string_view framed) {
  if (!framed.empty() && framed.front() == kPlain) return Row{stored_key, framed.substr(1)};
  if (framed.size() < 1 + kLengthBytes || framed.front() != kWithKey) {
    return DataLoss("database record with an unknown frame");
  }
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    length = length << 8 | static_cast<unsigned char>(framed[1 + i]);
  framed.remove_prefix(1 + kLengthBytes);
  if (length > framed.size()) return DataLoss("database record shorter than its key");
  return Row{framed.substr(0, length), framed.substr(length)};
}

std::string Frame(std::string_view key, std::string_view value) {
  std::string framed;
  if (!IsSpilled(key)) {
    framed.reserve(1 + value.size());
    framed += kPlain;
  } else {
    framed.reserve(1 + kLengthBytes + key.size() + value.size());
    framed += kWithKey;
    for (size_t i = 0; i < kLengthBytes; ++i)
      framed += static_cast<char>(key.size() >> (8 * (kLengthBytes - 1 - i)));
    framed += key;
  }
  framed += value;
  return framed;
}

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { ::mdb_cursor_close(cursor); }
};

}  // namespace

ReadTxn::~ReadTxn() {
  if (txn_ != nullptr) ::mdb_txn_abort(txn_);
}

absl::StatusOr<std::optional<std::string_view>> Txn::Get(Table table, std::string_view key) const {
  if (key.empty()) return std::nullopt;
  const std::string stored = StoredKey(key);
  MDB_val wanted = ToVal(stored);
  MDB_val found{};
  const int code = ::mdb_get(txn_, table.handle, &wanted, &found);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return FromLmdb(code, "read database");
  ASSIGN_OR_RETURN(const Row row, Unframe(key, ToView(found)));
  if (row.key != key) return DataLoss("database record belongs to another key");
  return row.value;
}

absl::StatusOr<bool> Txn::Has(Table table, std::string_view key) const {
  ASSIGN_OR_RETURN(const auto value, Get(table, key));
  return value.has_value();
}

absl::Status Txn::ForEach(
    Table table, std::string_view prefix, std::string_view after,
    absl::FunctionRef<absl::StatusOr<Scan>(std::string_view, std::string_view)> row_fn) const {
  MDB_cursor* raw = nullptr;
  if (const int code = ::mdb_cursor_open(txn_, table.handle, &raw); code != MDB_SUCCESS) {
    return FromLmdb(code, "open database cursor");
  }
  const std::unique_ptr<MDB_cursor, CursorCloser> cursor(raw);
  // A prefix beyond the plain length narrows no further than its start; each row is compared with
  // all of it.
  const std::string_view stored_prefix = prefix.substr(0, kMaxPlainKeyBytes);
  const std::string stored_after = StoredKey(after);
  const std::string start = after.empty() ? std::string(stored_prefix) : stored_after;
  MDB_val key = ToVal(start);
  MDB_val value{};
  int code =
      ::mdb_cursor_get(cursor.get(), &key, &value, start.empty() ? MDB_FIRST : MDB_SET_RANGE);
  for (; code == MDB_SUCCESS; code = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    if (!ToView(key).starts_with(stored_prefix)) return absl::OkStatus();
    if (!after.empty() && ToView(key) <= stored_after) continue;
    ASSIGN_OR_RETURN(const Row row, Unframe(ToView(key), ToView(value)));
    if (!row.key.starts_with(prefix)) continue;
    ASSIGN_OR_RETURN(const Scan next, row_fn(row.key, row.value));
    if (next == Scan::kStop) return absl::OkStatus();
  }
  return code == MDB_NOTFOUND ? absl::OkStatus() : FromLmdb(code, "scan database");
}

absl::StatusOr<bool> Txn::Any(Table table, std::string_view prefix) const {
  bool any = false;
  RETURN_IF_ERROR(
      ForEach(table, prefix, [&](std::string_view, std::string_view) -> absl::StatusOr<Scan> {
        any = true;
        return Scan::kStop;
      }));
  return any;
}

absl::Status WriteTxn::Put(Table table, std::string_view key, std::string_view value) {
  if (key.empty()) return Internal("database key is empty");
  const std::string stored = StoredKey(key);
  const std::string framed = Frame(key, value);
  MDB_val stored_key = ToVal(stored);
  MDB_val stored_value = ToVal(framed);
  RETURN_IF_ERROR(Forget(table, stored_key));
  growth_bytes_ += static_cast<int64_t>(stored.size() + framed.size());
  const int code = ::mdb_put(txn_, table.handle, &stored_key, &stored_value, 0);
  return code == MDB_SUCCESS ? absl::OkStatus() : FromLmdb(code, "write database");
}

// Takes a row that is about to go out of the account.
absl::Status WriteTxn::Forget(Table table, MDB_val key) {
  MDB_val old{};
  const int code = ::mdb_get(txn_, table.handle, &key, &old);
  if (code == MDB_NOTFOUND) return absl::OkStatus();
  if (code != MDB_SUCCESS) return FromLmdb(code, "read database");
  growth_bytes_ -= static_cast<int64_t>(key.mv_size + old.mv_size);
  return absl::OkStatus();
}

absl::StatusOr<bool> WriteTxn::Delete(Table table, std::string_view key) {
  const std::string stored = StoredKey(key);
  MDB_val stored_key = ToVal(stored);
  RETURN_IF_ERROR(Forget(table, stored_key));
  const int code = ::mdb_del(txn_, table.handle, &stored_key, nullptr);
  if (code == MDB_NOTFOUND) return false;
  if (code != MDB_SUCCESS) return FromLmdb(code, "write database");
  return true;
}

}  // namespace gantry::db

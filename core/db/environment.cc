// SPDX-License-Identifier: Apache-2.0
#include "core/db/environment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "core/db/errors.h"

namespace gantry::db {

absl::Status Commit(OwnedTxn txn) {
  const int code = ::mdb_txn_commit(txn.release());  // Frees the transaction in every case.
  return code == MDB_SUCCESS ? absl::OkStatus() : FromLmdb(code, "commit database transaction");
}

absl::StatusOr<std::shared_ptr<Environment>> Environment::OpenFile(const Options& options,
                                                                   size_t tables) {
  MDB_env* raw = nullptr;
  if (const int code = ::mdb_env_create(&raw); code != MDB_SUCCESS)
    return FromLmdb(code, "create database environment");
  OwnedEnv env(raw);
  ::mdb_env_set_mapsize(env.get(), options.map_size_bytes);
  ::mdb_env_set_maxreaders(env.get(), options.max_readers);
  ::mdb_env_set_maxdbs(env.get(), static_cast<MDB_dbi>(tables));
  const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (options.no_sync ? MDB_NOSYNC : 0U);
  if (const int code = ::mdb_env_open(env.get(), options.path.c_str(), flags, 0600);
      code != MDB_SUCCESS) {
    return FromLmdb(code, fmt::format("open database {}", options.path.string()));
  }
  int dead = 0;
  ::mdb_reader_check(env.get(), &dead);  // Slots of a daemon that was killed.
  return std::shared_ptr<Environment>(new Environment(std::move(env), options));
}

absl::StatusOr<std::vector<Table>> Environment::OpenTables(std::span<const char* const> names,
                                                           unsigned txn_flags,
                                                           unsigned table_flags) {
  ASSIGN_OR_RETURN(OwnedTxn txn, Begin(nullptr, txn_flags));
  std::vector<Table> tables;
  for (const char* name : names) {
    Table table;
    if (const int code = ::mdb_dbi_open(txn.get(), name, table_flags, &table.handle);
        code != MDB_SUCCESS) {
      return FromLmdb(code, fmt::format("open database table {}", name));
    }
    tables.push_back(table);
  }
  RETURN_IF_ERROR(Commit(std::move(txn)));
  return tables;
}

absl::StatusOr<std::shared_ptr<Environment>> Environment::Open(const Options& options,
                                                               std::span<const char* const> names,
                                                               std::vector<Table>* tables) {
  if (::mkdir(options.path.c_str(), 0700) != 0 && errno != EEXIST) {
    return FromErrno(errno, fmt::format("create {}", options.path.string()));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<Environment> env, OpenFile(options, names.size()));
  env->Settle().IgnoreError();  // A full or failing disk can still be read; a write tries again.
  ASSIGN_OR_RETURN(*tables, env->OpenTables(names, 0, MDB_CREATE));
  return env;
}

absl::StatusOr<std::shared_ptr<Environment>> Environment::Reopen(const Options& options,
                                                                 std::span<const char* const> names,
                                                                 const std::vector<Table>& tables) {
  ASSIGN_OR_RETURN(std::shared_ptr<Environment> env, OpenFile(options, names.size()));
  ASSIGN_OR_RETURN(const std::vector<Table> again, env->OpenTables(names, MDB_RDONLY, 0));
  if (again != tables) return Internal("database tables have other handles than before");
  return env;
}

absl::StatusOr<OwnedTxn> Environment::Begin(MDB_txn* parent, unsigned flags) {
  MDB_txn* txn = nullptr;
  const int code = ::mdb_txn_begin(env_.get(), parent, flags, &txn);
  if (code == MDB_PANIC) failed_ = true;
  if (code != MDB_SUCCESS) return FromLmdb(code, "begin database transaction");
  return OwnedTxn(txn);
}

absl::Status Environment::Settle() {
  if (settled_ || no_sync_) return absl::OkStatus();
  int fd = -1;
  ::mdb_env_get_fd(env_.get(), &fd);
  MDB_stat stat{};
  ::mdb_env_stat(env_.get(), &stat);
  std::string roots(2 * size_t{stat.ms_psize}, '\0');
  const auto size = static_cast<ssize_t>(roots.size());
  errno = EIO;  // of a count that is too small
  if (::pread(fd, roots.data(), roots.size(), 0) != size ||
      ::pwrite(fd, roots.data(), roots.size(), 0) != size || ::fdatasync(fd) != 0) {
    return FromLmdb(errno, "write the roots of the database again");
  }
  settled_ = true;
  return absl::OkStatus();
}

}  // namespace gantry::db

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "core/kernel/result.h"
#include "shim/io/named_stream.h"

namespace gantry::shim {

// Brings clients and the streams of processes together, by the streams' ids. Either may come first:
// a daemon opens its streams before it has the process made.
//
// Threads: one. Borrows both until they have left.
class StreamTable {
 public:
  // More clients than that do not wait for processes.
  static constexpr size_t kMaxWaiting = 1024;

  StreamTable() = default;
  StreamTable(const StreamTable&) = delete;

  // EEXIST: the id is another stream's.
  kernel::Result<void> Add(const std::string& id, NamedStream& stream);
  // For a client, its stream has ended.
  void Remove(const std::string& id);

  // The newest client of an id takes the place of an earlier one, whose call ends: after a restart
  // of the daemon the end of the old connection may be noticed late. False: too many wait.
  bool Come(StreamClient& client);
  void Leave(StreamClient& client);

  size_t waiting() const { return waiting_; }  // clients

 private:
  struct Place {
    NamedStream* stream = nullptr;
    StreamClient* client = nullptr;
  };
  std::map<std::string, Place, std::less<>> places_;
  size_t waiting_ = 0;
};

}  // namespace gantry::shim

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/plugin/plugin.h"
#include "core/streaming/pipe.h"

namespace gantry::streaming {

// A side channel between a client and whoever serves the call that refers to it.
//
// Threads: see Pipe; Close() from any thread.
struct Stream {
  Pipe from_client;
  Pipe to_client;
  std::atomic<bool> picked_up = false;  // somebody has asked the registry for it

  // Ends both directions; what the client still has to read is dropped unless `reason` is OK.
  void Close(const absl::Status& reason = absl::OkStatus());
};

// Where streams wait, by namespace and id, for the call that refers to them.
//
// Threads: all methods from any thread; streams are closed with no lock held.
class StreamRegistry {
 public:
  static constexpr size_t kMaxStreams = 4096;
  static constexpr size_t kMaxIdBytes = 1024;

  // Keeps a stream registered. The registry outlives it.
  class Registration {
   public:
    Registration(Registration&& other) noexcept
        : registry_(std::exchange(other.registry_, nullptr)), key_(std::move(other.key_)) {}
    Registration& operator=(Registration&&) = delete;
    ~Registration() {
      if (registry_ != nullptr) registry_->Remove(key_);
    }

   private:
    friend class StreamRegistry;
    using Key = std::pair<std::string, std::string>;
    Registration(StreamRegistry* registry, Key key) : registry_(registry), key_(std::move(key)) {}
    StreamRegistry* registry_;
    Key key_;
  };

  // Makes the stream visible under the context's namespace and, for the collector, its lease.
  // InvalidArgument for an empty or long id, AlreadyExists for one that is taken, ResourceExhausted
  // beyond kMaxStreams.
  absl::StatusOr<Registration> Register(const Context& ctx, const std::string& id,
                                        std::shared_ptr<Stream> stream);

  // The stream, for whoever serves the other end.
  absl::StatusOr<std::shared_ptr<Stream>> Get(const Context& ctx, const std::string& id) const;

  // A stream as the collector sees it. Serials count registrations.
  struct Entry {
    std::string ns;
    std::string id;
    std::string lease;  // empty: none
    uint64_t serial = 0;
  };
  std::vector<Entry> List() const;
  std::optional<Entry> Find(const std::string& ns, const std::string& id) const;

  // Closes the stream of that name if its serial is at most `last_serial`.
  void CloseCollected(const std::string& ns, const std::string& id, uint64_t last_serial);

  // Closes all streams, with Unavailable.
  void CloseAll();

 private:
  using Key = Registration::Key;
  struct Held {
    std::shared_ptr<Stream> stream;
    std::string lease;
    uint64_t serial = 0;
  };
  void Remove(const Key& key);

  mutable base::Mutex mutex_;
  std::map<Key, Held> streams_ ABSL_GUARDED_BY(mutex_);
  uint64_t serial_ ABSL_GUARDED_BY(mutex_) = 0;
};

inline constexpr plugin::Kind<StreamRegistry> kStreams{"io.containerd.streaming.v1"};

}  // namespace gantry::streaming

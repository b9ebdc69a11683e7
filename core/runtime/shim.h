// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message_lite.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/runtime/bootstrap.h"
#include "core/runtime/bundle.h"
#include "core/runtime/caller.h"
#include "core/runtime/shim_connection.h"
#include "core/runtime/shim_log.h"
#include "core/runtime/shim_process.h"

namespace gantry::runtime {

// A running shim as one task sees it: the task's bundle and the connection, which other tasks may
// share.
//
// Threads: all methods from any thread.
class Shim {
 public:
  struct Parts {
    Bundle bundle;
    std::filesystem::path program;  // empty when it is not known
    std::optional<MountClaims> mounts;
    std::unique_ptr<ShimLog> log;
    std::shared_ptr<ShimProcess> process;  // null unless it was started for this task by ourselves
  };

  Shim(Parts parts, std::shared_ptr<ShimConnection> connection)
      : parts_(std::move(parts)),
        connection_(std::move(connection)),
        version_(connection_->endpoint().version) {}

  const Bundle& bundle() const { return parts_.bundle; }
  const std::filesystem::path& program() const { return parts_.program; }
  const std::optional<MountClaims>& mounts() const { return parts_.mounts; }
  const std::shared_ptr<ShimProcess>& process() const { return parts_.process; }
  ShimConnection& connection() const { return *connection_; }
  const std::shared_ptr<ShimConnection>& shared_connection() const { return connection_; }

  int32_t version() const { return version_; }
  // Speaks the older task service from now on. False when it does already.
  bool Downgrade() {
    int32_t newest = kNewestShimVersion;
    return version_.compare_exchange_strong(newest, kNewestShimVersion - 1);
  }

  // Calls `method` of the task service; `Response` is a message of containerd.task.v3, whose bytes
  // are those of v2. Errors as ShimConnection::Invoke(), and Internal for an answer that does not
  // parse.
  template <typename Response>
  void Call(std::string_view method, const google::protobuf::MessageLite& request,
            absl::Time deadline, Done<Response> done, bool waits = false) const {
    CallService<Response>(TaskService(version_), method, request, deadline, std::move(done), waits);
  }

  // The same for another service of the shim.
  template <typename Response>
  void CallService(std::string_view service, std::string_view method,
                   const google::protobuf::MessageLite& request, absl::Time deadline,
                   Done<Response> done, bool waits = false) const {
    connection_->Invoke(
        {.service = service,
         .method = method,
         .ns = parts_.bundle.ns(),
         .payload = request.SerializeAsString(),
         .deadline = deadline,
         .waits = waits},
        [method, done = std::move(done)](absl::StatusOr<std::string> bytes) mutable {
          if (!bytes.ok()) return done(bytes.status());
          Response response;
          if (!response.ParseFromString(*bytes)) {
            return done(Internal("shim's answer to {} does not parse", method));
          }
          done(std::move(response));
        });
  }

 private:
  static std::string_view TaskService(int32_t version) {
    return version >= 3 ? "containerd.task.v3.Task" : "containerd.task.v2.Task";
  }

  const Parts parts_;
  const std::shared_ptr<ShimConnection> connection_;
  std::atomic<int32_t> version_;
};

}  // namespace gantry::runtime

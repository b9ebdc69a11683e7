// SPDX-License-Identifier: Apache-2.0
// The sandboxes that shims keep, and what the operations on them work with.
#pragma once

#include <google/protobuf/message_lite.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/runtime/bundle.h"
#include "core/runtime/caller.h"
#include "core/runtime/shim.h"
#include "core/runtime/shim_manager.h"
#include "core/sandbox/controller.h"

namespace gantry::runtime {

// One sandbox: its id is taken for as long as this is in the table.
//
// Threads: all methods from any thread.
class SandboxShim {
 public:
  enum class Phase {
    kLoading,   // an earlier daemon made it; its shim has not been reached yet
    kCreating,  // or its create is being undone
    kReady,
    kEnding,  // being shut down, or its shim is gone
  };

  using Waiting = std::shared_ptr<Caller<sandbox::SandboxExit>>;

  SandboxShim(Bundle bundle, Phase phase) : bundle_(std::move(bundle)), phase_(phase) {}

  const Bundle& bundle() const { return bundle_; }
  const std::string& ns() const { return bundle_.ns(); }
  const std::string& id() const { return bundle_.id(); }

  Phase phase() const {
    base::MutexLock lock(mutex_);
    return phase_;
  }
  // False when it is in another phase than `from`.
  bool Move(Phase from, Phase to);

  // Calls `then` once it is not being ended any more, on the thread that brings that about: at once
  // when it is not. Not called when nobody is `waiting` by then, or the daemon stops before.
  void AfterEnding(std::function<bool()> waiting, absl::AnyInvocable<void()> then);
  // It is out of the table.
  void Gone();

  static constexpr size_t kMaxWaiting = 8192;
  // Who waits for its end. True when the caller is the first, for whom the shim has to be asked;
  // those who have left meanwhile are forgotten. ResourceExhausted when too many wait.
  absl::StatusOr<bool> AddWaiting(Waiting caller);
  // All who wait, after whom the next is the first.
  std::vector<Waiting> TakeWaiting();

  // Null until it has been started or reached.
  std::shared_ptr<Shim> shim() const {
    base::MutexLock lock(mutex_);
    return shim_;
  }
  void SetShim(std::shared_ptr<Shim> shim) {
    base::MutexLock lock(mutex_);
    shim_ = std::move(shim);
  }

 private:
  struct Later {
    std::function<bool()> waiting;
    absl::AnyInvocable<void()> then;
  };
  using Calls = std::vector<Later>;
  static void Make(Calls calls);

  const Bundle bundle_;
  mutable base::Mutex mutex_;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  Calls after_ending_ ABSL_GUARDED_BY(mutex_);
  bool asked_for_end_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  Phase phase_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Shim> shim_ ABSL_GUARDED_BY(mutex_);
};

// The sandboxes of all namespaces. Threads: all methods from any thread.
class SandboxTable {
 public:
  std::shared_ptr<SandboxShim> Find(const std::string& ns, const std::string& id) const;
  // AlreadyExists.
  absl::StatusOr<std::shared_ptr<SandboxShim>> Reserve(const Bundle& bundle,
                                                       SandboxShim::Phase phase);
  void Erase(SandboxShim& sandbox);

 private:
  using Key = std::pair<std::string, std::string>;
  mutable base::Mutex mutex_;
  std::map<Key, std::shared_ptr<SandboxShim>> sandboxes_ ABSL_GUARDED_BY(mutex_);
};

// Outlives the operations: nothing runs any more when it goes.
struct SandboxEnv {
  ShimManager& shims;
  BundleRoots roots;
  SandboxTable sandboxes;

  const Timeouts& timeouts() const { return shims.timeouts(); }
  absl::Time In(absl::Duration budget) const { return absl::Now() + budget; }
};

// Calls `method` of the sandbox service. Errors as ShimConnection::Invoke(), and Internal for an
// answer that does not parse.
template <typename Response>
void CallSandbox(const Shim& shim, std::string_view method,
                 const google::protobuf::MessageLite& request, absl::Time deadline,
                 Done<Response> done, bool waits = false) {
  shim.connection().Invoke(
      {.service = "containerd.runtime.sandbox.v1.Sandbox",
       .method = method,
       .ns = shim.bundle().ns(),
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

}  // namespace gantry::runtime

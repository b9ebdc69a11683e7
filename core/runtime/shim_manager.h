// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "core/kernel/unique_fd.h"
#include "core/plugin/plugin.h"
#include "core/runtime/launcher.h"
#include "core/runtime/loop.h"
#include "core/runtime/own_shims.h"
#include "core/runtime/shim.h"
#include "core/runtime/shim_binary.h"
#include "core/runtime/steps.h"
#include "core/runtime/task_types.h"
#include "core/ttrpc/loop.h"

namespace gantry::runtime {

// Starts shims, connects to them and notices when they are gone. Knows nothing of tasks: the task
// manager and sandbox controllers build on it.
//
// Threads: all methods from any thread; those that say so block on disk for a moment, and belong
//          on a step's thread. Callbacks come from a thread of the manager's and must not block.
class ShimManager {
 public:
  struct Options {
    Launcher::Options launcher;
    ShimBinaries::Renames renames;
    Timeouts timeouts;
  };

  static absl::StatusOr<std::unique_ptr<ShimManager>> Create(Options options);
  ~ShimManager() { Stop(); }
  ShimManager(const ShimManager&) = delete;
  ShimManager& operator=(const ShimManager&) = delete;

  using OnLost = absl::AnyInvocable<void()>;

  // Starts the shim program in a fresh bundle, notes there where it listens, and connects. Of our
  // own program, the server is started without a `start` before (server_launch.h).
  // `on_lost` is called once when the connection breaks, unless the shim was released before.
  // Blocks briefly.
  //
  // Errors: of Launcher::Start(), LaunchServer() and ShimConnection::Connect(). After one, a shim
  // may run if the bundle tells where.
  void Start(Bundle bundle, std::filesystem::path program,
             std::optional<google::protobuf::Any> options, OnLost on_lost,
             Done<std::shared_ptr<Shim>> done);

  // Connects the bundle to a shim that runs already, and notes that in the bundle if `record`.
  // Blocks briefly.
  absl::StatusOr<std::shared_ptr<Shim>> Connect(Bundle bundle, std::filesystem::path program,
                                                const StartAnswer& answer, bool record,
                                                OnLost on_lost);

  // Says that the holder is through with the shim. The connection closes with its last holder.
  void Release(const std::shared_ptr<Shim>& shim);

  // Whether nobody else uses a connection to the shim's server. From then on nobody new will: what
  // starts next connects anew, as this shim is about to end.
  bool Retire(const std::shared_ptr<Shim>& shim);

  // Asks the shim to end if nobody else uses it. OK also when somebody does, and when it is gone.
  // Retires it; the holder still has to release it.
  void AskToEnd(const std::shared_ptr<Shim>& shim, absl::AnyInvocable<void(absl::Status)> then);

  // Ends all that goes on here: when it returns, nothing runs and nothing will be called any more.
  // Shims and what runs in them go on. Idempotent; not from a callback.
  void Stop();

  ShimBinaries& binaries() { return binaries_; }
  Launcher& launcher() { return launcher_; }
  Loop& loop() { return *loop_; }
  Steps& steps() { return steps_; }
  // For what may take long, as unmounting does: it holds up none of the steps above.
  Steps& slow_steps() { return slow_steps_; }
  const Timeouts& timeouts() const { return options_.timeouts; }

 private:
  struct Member {
    std::weak_ptr<Shim> shim;
    OnLost on_lost;
  };
  struct Line {
    std::shared_ptr<ShimConnection> connection;
    uint64_t number = 0;  // in the order of their making
    bool retired = false;
    std::vector<Member> members;
  };

  ShimManager(Options options, std::unique_ptr<Loop> loop, std::unique_ptr<ttrpc::Loop> ttrpc_loop);

  struct Starting;

  void RunStart(Starting starting);
  void StartServer(Starting starting);
  void OnStarted(Shim::Parts parts, const StartAnswer& answer, OnLost on_lost,
                 Done<std::shared_ptr<Shim>> done);
  // Makes the shim a member of its endpoint's line, which is made if there is none.
  absl::StatusOr<std::shared_ptr<Shim>> Join(Shim::Parts parts, const Endpoint& endpoint,
                                             OnLost on_lost);
  // The same over a connection of its own, to a server that is new at the endpoint: lines up to
  // number `older` lead to another.
  absl::StatusOr<std::shared_ptr<Shim>> JoinNew(Shim::Parts parts, const Endpoint& endpoint,
                                                kernel::UniqueFd socket, uint64_t older,
                                                OnLost on_lost);
  std::shared_ptr<Shim> Enter(Line& line, Shim::Parts parts, OnLost on_lost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Line* FindLine(const Endpoint& endpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Lose(const ShimConnection& connection);
  std::vector<Line>::iterator LineOf(const ShimConnection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  ShimBinaries binaries_;
  const std::unique_ptr<ttrpc::Loop> ttrpc_loop_;  // outlives all connections
  const std::unique_ptr<Loop> loop_;
  base::WorkerPool pool_;
  base::WorkerPool slow_pool_;
  Steps steps_;
  Steps slow_steps_;
  Launcher launcher_;
  OwnShims own_shims_;
  base::Mutex mutex_;
  std::vector<Line> lines_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_line_ ABSL_GUARDED_BY(mutex_) = 0;
};

inline constexpr plugin::Kind<ShimManager> kShimManager{"io.containerd.shim.v1"};

}  // namespace gantry::runtime

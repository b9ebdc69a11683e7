// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/process/background_calls.h"
#include "cmd/gctr/process/terminal.h"
#include "core/base/mutex.h"
#include "core/kernel/unique_fd.h"
#include "proto/services/tasks/v1/tasks.grpc.pb.h"

namespace gantry::gctr {

// A container's init process, or one that was added to it: calls of the Tasks service for it.
class TaskProcess {
 public:
  TaskProcess(const Client& client, std::string container_id, std::string exec_id = "")
      : client_(client),
        service_(client),
        container_id_(std::move(container_id)),
        exec_id_(std::move(exec_id)) {}

  const Client& client() const { return client_; }
  const std::string& container_id() const { return container_id_; }
  const std::string& exec_id() const { return exec_id_; }

  absl::StatusOr<uint32_t> Start();
  absl::Status Kill(int signal, bool all = false);
  absl::StatusOr<containerd::v1::types::Process> Get();
  // Blocks until the process has ended.
  absl::StatusOr<uint32_t> Wait();
  // The exit status that the process had.
  absl::StatusOr<uint32_t> Delete();
  // Kills the process first if it runs; one that is gone is success.
  absl::Status KillAndDelete();

  // What nobody waits for.
  void KillLater(BackgroundCalls& calls, int signal);
  void ResizeLater(BackgroundCalls& calls, RawTerminal::Size size, std::function<void()> answered);
  void CloseInputLater(BackgroundCalls& calls);

 private:
  template <typename Request>
  Request Named() const;

  const Client& client_;
  Service<containerd::services::tasks::v1::Tasks> service_;
  std::string container_id_;
  std::string exec_id_;
};

// Waits for a process's end from before it starts.
class ExitWatch {
 public:
  static absl::StatusOr<std::unique_ptr<ExitWatch>> Begin(TaskProcess& process,
                                                          BackgroundCalls& calls);

  int fd() const { return ended_.get(); }  // readable once the outcome is there
  absl::StatusOr<uint32_t> outcome();

 private:
  explicit ExitWatch(kernel::UniqueFd ended) : ended_(std::move(ended)) {}

  kernel::UniqueFd ended_;  // an eventfd
  base::Mutex mutex_;
  absl::StatusOr<uint32_t> outcome_ ABSL_GUARDED_BY(mutex_) = absl::UnknownError("still running");
};

}  // namespace gantry::gctr

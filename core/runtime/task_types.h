// SPDX-License-Identifier: Apache-2.0
// What the task API takes and gives.
#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/mount/mount.h"
#include "core/runtime/exit.h"

namespace gantry::runtime {

// Names of a process's streams as the client gave them: paths of fifos or URIs. Opaque to us.
struct Stdio {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;
};

// Numbers are containerd's.
enum class Status {
  kUnknown = 0,
  kCreated = 1,
  kRunning = 2,
  kStopped = 3,
  kPaused = 4,
  kPausing = 5,
};

// A task's init process (`id` is the container's), or an exec in it.
struct ProcessState {
  std::string container_id;
  std::string id;
  uint32_t pid = 0;
  Status status = Status::kUnknown;
  Stdio stdio;
  uint32_t exit_status = 0;
  absl::Time exited_at = absl::InfinitePast();
};

struct CreateOptions {
  std::optional<google::protobuf::Any> spec;
  mount::Mounts rootfs;
  Stdio stdio;
  std::string runtime;                                   // name, or the absolute path of a shim
  std::optional<google::protobuf::Any> runtime_options;  // of the container
  std::optional<google::protobuf::Any> task_options;     // of this task; win if not empty
  std::string sandbox_id;
  // Where the sandbox's shim is, if the client knows: "<protocol>+<transport>" and version.
  std::string task_api_address;
  uint32_t task_api_version = 0;
  // Directory of a checkpoint to restore; empty to start afresh.
  std::filesystem::path checkpoint;
  // Fills an empty directory, which lives as long as the task, with the checkpoint to restore.
  // Called on a thread that may block; `checkpoint` is empty then.
  std::function<absl::Status(const std::filesystem::path& directory)> fetch_checkpoint;
  // Called with the mounted root file system of a restored task, which is started right after it.
  std::function<absl::Status(const std::filesystem::path& rootfs)> prepare_restored;
  // Its init process is started too, in the same call if the shim has one for that. What cannot be
  // started is not left created either.
  bool start = false;
};

struct CheckpointOptions {
  std::filesystem::path path;                    // the directory that it is written to
  std::optional<google::protobuf::Any> runtime;  // the runtime's own
  // Kept until the shim is done, however soon the caller leaves: the directory's owner.
  std::shared_ptr<void> keep;
};

struct ExecOptions {
  std::string exec_id;
  Stdio stdio;
  google::protobuf::Any spec;
};

// A process that is run to its end for its output.
struct ExecSyncOptions {
  static constexpr size_t kMaxOutputBytes = 2016UL << 10;

  google::protobuf::Any spec;                         // as ExecOptions' is; without terminal
  absl::Duration timeout = absl::InfiniteDuration();  // then it is killed
  absl::Duration drain_timeout = absl::Seconds(10);   // of a descendant that keeps an output open
  size_t max_out_bytes = kMaxOutputBytes;             // what is longer is dropped
  size_t max_err_bytes = kMaxOutputBytes;
};

struct ExecSyncResult {
  std::string out;
  std::string err;
  bool out_truncated = false;
  bool err_truncated = false;
  Exit exit;                 // without a pid
  bool timed_out = false;    // and was killed
  bool output_open = false;  // a descendant still had it when drain_timeout was over
};

struct ProcessInfo {
  uint32_t pid = 0;
  std::optional<google::protobuf::Any> info;
};

// Resource usage of a task: a cgroup v1 or v2 metrics message.
struct TaskMetric {
  std::string id;
  absl::Time collected_at;
  google::protobuf::Any data;
};

// How long the parts of the runtime may take (`[timeouts]` of the configuration, where named).
struct Timeouts {
  absl::Duration load = absl::Seconds(5);             // io.containerd.timeout.shim.load
  absl::Duration cleanup = absl::Seconds(5);          // io.containerd.timeout.shim.cleanup
  absl::Duration shutdown = absl::Seconds(3);         // io.containerd.timeout.shim.shutdown
  absl::Duration state = absl::Seconds(2);            // io.containerd.timeout.task.state
  absl::Duration shim_stats = absl::Seconds(2);       // io.containerd.timeout.metrics.shimstats
  absl::Duration start_shim = absl::Minutes(1);       // the `start` command
  absl::Duration quick = absl::Seconds(10);           // calls that run no program
  absl::Duration runtime_command = absl::Minutes(4);  // calls that run the OCI runtime at length
  absl::Duration runtime_signal = absl::Seconds(30);  // those that change what runs: kill, pause
  absl::Duration checkpoint = absl::Hours(1);         // checkpoint, and start of a restored task
  // How long an exit that the shim should announce may stay unannounced.
  absl::Duration announce_exit = absl::Seconds(5);
};

}  // namespace gantry::runtime

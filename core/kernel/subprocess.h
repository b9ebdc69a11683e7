// SPDX-License-Identifier: Apache-2.0
// Child processes, each held by a pidfd. The only place that forks.
//
// A program is started from a child that shares our memory until exec (CLONE_VM | CLONE_VFORK): its
// cost does not grow with the size of the process, and it touches nothing but what was prepared
// before.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

// How a process ended.
struct ExitStatus {
  int code = 0;    // when it exited
  int signal = 0;  // non-zero when a signal killed it

  bool success() const { return code == 0 && signal == 0; }
  // As shells and containerd count: 128 plus the signal.
  int AsShellCode() const { return signal != 0 ? 128 + signal : code; }
};

// What a standard stream of the child is.
struct Stdio {
  enum class Kind { kNull, kPipe, kInherit, kFd };
  Kind kind = Kind::kNull;
  int fd = -1;

  static Stdio Null() { return {}; }                     // /dev/null
  static Stdio Pipe() { return {.kind = Kind::kPipe}; }  // our end: Subprocess::TakePipe()
  static Stdio Inherit() { return {.kind = Kind::kInherit}; }
  static Stdio Fd(int fd) { return {.kind = Kind::kFd, .fd = fd}; }  // borrowed for the call
};

struct SpawnOptions {
  std::string program;                 // a path; $PATH is not searched
  std::vector<std::string> arguments;  // argv, the name included; empty: the program alone
  std::optional<std::vector<std::string>> environment;  // "K=V"; absent: ours
  std::string directory;                                // empty: ours
  std::array<Stdio, 3> stdio;                           // in, out, error
  std::vector<int> extra_fds;  // become 3, 4, … in the child; borrowed; all others close
  std::optional<int> parent_death_signal;  // when the spawning *thread* ends
  std::optional<rlimit> open_files;        // RLIMIT_NOFILE; absent: ours
  bool new_session = false;
  int cgroup_procs_fd = -1;  // an open cgroup.procs: the child is in that cgroup from its first act
  int netns_fd = -1;         // the network namespace the program runs in
};

class [[nodiscard]] Subprocess {
 public:
  // The child starts with an empty signal mask and default dispositions. An error says which step
  // failed ("exec /bin/x", "chdir /y"); then there is no child.
  static Result<Subprocess> Spawn(const SpawnOptions& options);

  // A copy of this process that runs `body` and exits with what it returns; `unshare_flags` are
  // CLONE_NEW* alone. In a process with threads `body` may make async-signal-safe calls only.
  static Result<Subprocess> Fork(unsigned long unshare_flags, int (*body)(void*), void* argument);

  Subprocess(Subprocess&&) noexcept = default;
  Subprocess& operator=(Subprocess&& other) noexcept;
  // Kills and reaps a child that was neither waited for nor released. One that is stuck in the
  // kernel is left, after two seconds, to a thread that reaps it when it ends.
  ~Subprocess();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the child has ended

  // Our end of a Stdio::Pipe(): 0 to write to, 1 and 2 to read from. Close it to end the child's
  // input.
  UniqueFd TakePipe(int stream) { return std::move(pipes_[static_cast<size_t>(stream)]); }

  // Waits for the end, at most `timeout_ms` (negative: for ever), and reaps. ETIMEDOUT when the
  // child lives on. Later calls give the same status.
  Result<ExitStatus> Wait(int timeout_ms = -1);

  // ESRCH once the child has been reaped.
  Result<void> Kill(int signal);

  // Leaves the child to the caller, who reaps it (waitid(P_PIDFD)).
  UniqueFd Release() &&;

 private:
  Subprocess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void KillAndReap();

  pid_t pid_ = -1;
  UniqueFd pidfd_;  // empty once released
  std::array<UniqueFd, 3> pipes_;
  std::optional<ExitStatus> status_;
};

// Runs `body` in a child that shares our memory but has its own working directory and fd table,
// while this thread waits. Returns what `body` returned. `body` may make async-signal-safe calls
// only, must not allocate, and is compiled without sanitizers.
Result<int> RunInVforkChild(int (*body)(void*), void* argument);

}  // namespace gantry::kernel

// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "core/kernel/file.h"

// The child of a vfork runs on memory that sanitizers keep books about, and does not come back to
// balance them.
#define GANTRY_VFORK_CHILD \
  __attribute__((noinline, no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

// glibc's clone(2) under the name that thread sanitizer does not intercept: it takes the child for
// a fork with memory of its own, and from then on refuses new threads.
extern "C" int __clone(int (*body)(void*), void* stack, int flags, void* argument, ...);  // NOLINT

namespace gantry::kernel {
namespace {

// How long a killed child may take to end before it is reaped behind our back.
constexpr int kKillPatienceMs = 2000;
// The kernel's own limit of signals, real-time ones included.
constexpr int kSignals = 64;

enum class Step { kNone, kSession, kCgroup, kNetns, kParentDeath, kLimit, kDirectory, kFds, kExec };

// All that the child of Spawn() needs. It lives in the parent's frame; the child writes `failed`
// and `err` into it.
struct SpawnPlan {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;
  const int* fds = nullptr;  // fds[i] becomes i; none is below fd_count
  int fd_count = 0;
  int cgroup_procs_fd = -1;
  int netns_fd = -1;
  int parent_death_signal = 0;
  const rlimit* open_files = nullptr;
  pid_t parent = 0;
  bool new_session = false;
  Step failed = Step::kNone;
  int err = 0;
};

struct VforkCall {
  int (*body)(void*);
  void* argument;
  int result;
};

// The kernel's struct sigaction, for the raw call: glibc's sigaction() refuses its own signals and
// sanitizers intercept it.
struct KernelSigaction {
  void* handler = nullptr;
  unsigned long flags = 0;
  void* restorer = nullptr;
  unsigned long mask = 0;
};

GANTRY_VFORK_CHILD void ResetSignals() {
  // Ignored signals survive exec, and a daemon ignores SIGPIPE.
  static constexpr KernelSigaction kDefault{};
  for (int signal = 1; signal <= kSignals; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, &kDefault, nullptr, sizeof(unsigned long));
  }
  const unsigned long none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof(none));
}

GANTRY_VFORK_CHILD Step PrepareProcess(const SpawnPlan& plan) {
  if (plan.new_session && ::syscall(SYS_setsid) < 0) return Step::kSession;
  if (plan.cgroup_procs_fd >= 0 && ::syscall(SYS_write, plan.cgroup_procs_fd, "0", 1) != 1) {
    return Step::kCgroup;
  }
  if (plan.netns_fd >= 0 && ::syscall(SYS_setns, plan.netns_fd, CLONE_NEWNET) != 0) {
    return Step::kNetns;
  }
  if (plan.parent_death_signal != 0) {
    // The signal may have been due before it was asked for.
    if (::syscall(SYS_prctl, PR_SET_PDEATHSIG, plan.parent_death_signal, 0, 0, 0) != 0 ||
        ::syscall(SYS_getppid) != plan.parent) {
      return Step::kParentDeath;
    }
  }
  if (plan.open_files != nullptr &&
      ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan.open_files, nullptr) != 0) {
    return Step::kLimit;
  }
  if (plan.directory != nullptr && ::syscall(SYS_chdir, plan.directory) != 0) {
    return Step::kDirectory;
  }
  return Step::kNone;
}

GANTRY_VFORK_CHILD Step PlaceFds(const SpawnPlan& plan) {
  for (int i = 0; i < plan.fd_count; ++i) {
    if (::syscall(SYS_dup3, plan.fds[i], i, 0) < 0) return Step::kFds;
  }
  return ::syscall(SYS_close_range, plan.fd_count, ~0U, 0) == 0 ? Step::kNone : Step::kFds;
}

GANTRY_VFORK_CHILD int SpawnChild(void* argument) {
  auto* plan = static_cast<SpawnPlan*>(argument);
  plan->failed = PrepareProcess(*plan);
  if (plan->failed == Step::kNone) plan->failed = PlaceFds(*plan);
  if (plan->failed == Step::kNone) {
    ResetSignals();
    ::syscall(SYS_execve, plan->program, plan->arguments, plan->environment);
    plan->failed = Step::kExec;
  }
  plan->err = errno;
  return 127;
}

GANTRY_VFORK_CHILD int RunVforkCall(void* argument) {
  auto* call = static_cast<VforkCall*>(argument);
  call->result = call->body(call->argument);
  return 0;
}

// All signals, glibc's internal ones too, are held off while two processes share one stack's
// memory.
class BlockedSignals {
 public:
  BlockedSignals() {
    const unsigned long all = ~0UL;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof(all));
  }
  ~BlockedSignals() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof(before_));
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  unsigned long before_ = 0;
};

class ChildStack {
 public:
  ChildStack()
      : base_(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0)) {}
  ~ChildStack() {
    if (ok()) ::munmap(base_, kSize);
  }
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;

  bool ok() const { return base_ != MAP_FAILED; }
  void* top() const { return static_cast<char*>(base_) + kSize; }

 private:
  static constexpr size_t kSize = 64UL << 10;
  void* base_;
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

// Returns once the child has called exec or ended.
Result<Child> Vfork(int (*body)(void*), void* argument) {
  const ChildStack stack;
  if (!stack.ok()) return LastError("allocate a child's stack");
  const BlockedSignals blocked;
  int pidfd = -1;
  const pid_t pid = ::__clone(body, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                              argument, &pidfd);
  if (pid < 0) return LastError("clone");
  return Child{.pid = pid, .pidfd = UniqueFd(pidfd)};
}

Result<ExitStatus> Reap(int pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
    if (errno != EINTR) return LastError("wait for a child");
  }
  if (info.si_code == CLD_EXITED) return ExitStatus{.code = info.si_status, .signal = 0};
  return ExitStatus{.code = 0, .signal = info.si_status};
}

void* ReapOne(void* pidfd) {
  const UniqueFd owned(static_cast<int>(reinterpret_cast<intptr_t>(pidfd)));
  Reap(owned.get()).ok();  // nobody is left to tell
  return nullptr;
}

// Reaps a child whenever it ends. Should there be no thread for that, it stays a zombie.
void ReapBehind(UniqueFd pidfd) {
  const int fd = pidfd.Release();
  pthread_t thread{};
  void* argument = reinterpret_cast<void*>(static_cast<intptr_t>(fd));  // NOLINT
  if (::pthread_create(&thread, nullptr, ReapOne, argument) == 0) {
    ::pthread_detach(thread);
  } else {
    ::close(fd);
  }
}

int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// Pointers for exec; they live as long as `words`.
std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Error StepError(const SpawnPlan& plan) {
  std::string what;
  switch (plan.failed) {
    case Step::kSession:
      what = "start a session for ";
      break;
    case Step::kCgroup:
      what = "enter the cgroup for ";
      break;
    case Step::kNetns:
      what = "enter the network namespace for ";
      break;
    case Step::kParentDeath:
      what = "tie to its parent ";
      break;
    case Step::kLimit:
      what = "limit the open files of ";
      break;
    case Step::kDirectory:
      return {plan.err, std::string("chdir ") + plan.directory};
    case Step::kFds:
      what = "place the descriptors of ";
      break;
    case Step::kNone:
    case Step::kExec:
      what = "exec ";
      break;
  }
  return {plan.err, what + plan.program};
}

// The fds of a child: what the caller lent, pipes and /dev/null, all at numbers that the child's
// own 0…n cannot collide with.
class ChildFds {
 public:
  explicit ChildFds(const SpawnOptions& options)
      : options_(options), lowest_(static_cast<int>(3 + options.extra_fds.size())) {}

  Result<void> Prepare() {
    for (int stream = 0; stream < 3; ++stream) {
      if (auto added = AddStdio(stream); !added) return added;
    }
    for (const int fd : options_.extra_fds) {
      if (auto added = AddCopy(fd); !added) return added;
    }
    for (const UniqueFd& fd : owned_) numbers_.push_back(fd.get());
    return {};
  }

  const std::vector<int>& numbers() const { return numbers_; }
  std::array<UniqueFd, 3> TakePipes() { return std::move(pipes_); }

  // A copy beyond the child's numbers, for an fd used in the child before exec.
  Result<int> Borrow(int fd) {
    if (fd < 0 || fd >= lowest_) return fd;
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, lowest_));
    if (!copy) return LastError("duplicate a descriptor");
    borrowed_.push_back(std::move(copy));
    return borrowed_.back().get();
  }

 private:
  Result<void> AddCopy(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, lowest_));
    if (!copy) return LastError("duplicate a descriptor");
    owned_.push_back(std::move(copy));
    return {};
  }

  Result<void> AddStdio(int stream) {
    const Stdio& stdio = options_.stdio[static_cast<size_t>(stream)];
    switch (stdio.kind) {
      case Stdio::Kind::kInherit:
        return AddCopy(stream);
      case Stdio::Kind::kFd:
        return AddCopy(stdio.fd);
      case Stdio::Kind::kNull: {
        auto null = Open("/dev/null", O_RDWR);
        return null ? AddCopy(null->get()) : null.error();
      }
      case Stdio::Kind::kPipe:
        return AddPipe(stream);
    }
    return Error{EINVAL, "stdio"};
  }

  Result<void> AddPipe(int stream) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return LastError("pipe");
    UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    UniqueFd& ours = stream == 0 ? write_end : read_end;
    const UniqueFd& theirs = stream == 0 ? read_end : write_end;
    pipes_[static_cast<size_t>(stream)] = std::move(ours);
    return AddCopy(theirs.get());
  }

  const SpawnOptions& options_;
  const int lowest_;
  std::vector<UniqueFd> owned_;
  std::vector<UniqueFd> borrowed_;
  std::vector<int> numbers_;
  std::array<UniqueFd, 3> pipes_;
};

}  // namespace

Result<Subprocess> Subprocess::Spawn(const SpawnOptions& options) {
  ChildFds fds(options);
  if (auto prepared = fds.Prepare(); !prepared) return prepared.error();
  auto cgroup = fds.Borrow(options.cgroup_procs_fd);
  if (!cgroup) return cgroup.error();
  auto netns = fds.Borrow(options.netns_fd);
  if (!netns) return netns.error();
  const std::vector<std::string> name_alone = {options.program};
  const std::vector<char*> arguments =
      Pointers(options.arguments.empty() ? name_alone : options.arguments);
  const std::vector<char*> environment =
      options.environment ? Pointers(*options.environment) : std::vector<char*>();

  SpawnPlan plan{.program = options.program.c_str(),
                 .arguments = arguments.data(),
                 .environment = options.environment ? environment.data() : ::environ,
                 .directory = options.directory.empty() ? nullptr : options.directory.c_str(),
                 .fds = fds.numbers().data(),
                 .fd_count = static_cast<int>(fds.numbers().size()),
                 .cgroup_procs_fd = *cgroup,
                 .netns_fd = *netns,
                 .parent_death_signal = options.parent_death_signal.value_or(0),
                 .open_files = options.open_files ? &*options.open_files : nullptr,
                 .parent = ::getpid(),
                 .new_session = options.new_session};
  auto child = Vfork(SpawnChild, &plan);
  if (!child) return child.error();
  if (plan.failed != Step::kNone) {
    Reap(child->pidfd.get()).ok();  // it has nothing to say beyond the step
    return StepError(plan);
  }
  Subprocess process(child->pid, std::move(child->pidfd));
  process.pipes_ = fds.TakePipes();
  return process;
}

Result<Subprocess> Subprocess::Fork(unsigned long unshare_flags, int (*body)(void*),
                                    void* argument) {
  int pidfd = -1;
  // The raw call: fork(3) would run handlers that libraries registered for the day they fork.
  const long pid = ::syscall(SYS_clone, unshare_flags | CLONE_PIDFD | SIGCHLD, nullptr, &pidfd,
                             nullptr, nullptr);
  if (pid < 0) return LastError("fork");
  if (pid == 0) {
    ::syscall(SYS_exit_group, body(argument));
  }
  return Subprocess(static_cast<pid_t>(pid), UniqueFd(pidfd));
}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this != &other) {
    KillAndReap();
    pid_ = other.pid_;
    pidfd_ = std::move(other.pidfd_);
    pipes_ = std::move(other.pipes_);
    status_ = other.status_;
  }
  return *this;
}

Subprocess::~Subprocess() { KillAndReap(); }

void Subprocess::KillAndReap() {
  if (!pidfd_ || status_) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  auto ended = Wait(kKillPatienceMs);  // nobody is left to tell
  UniqueFd pidfd = std::move(pidfd_);
  if (!ended && ended.error().err == ETIMEDOUT) ReapBehind(std::move(pidfd));
}

Result<ExitStatus> Subprocess::Wait(int timeout_ms) {
  if (status_) return *status_;
  const int64_t deadline = NowMs() + timeout_ms;
  while (true) {
    pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    const int left =
        timeout_ms < 0 ? -1 : static_cast<int>(std::max<int64_t>(0, deadline - NowMs()));
    const int ready = ::poll(&ended, 1, left);
    if (ready > 0) break;
    if (ready == 0) return Error{ETIMEDOUT, "wait for a child"};
    if (errno != EINTR) return LastError("wait for a child");
  }
  auto status = Reap(pidfd_.get());
  if (status) status_ = *status;
  return status;
}

Result<void> Subprocess::Kill(int signal) {
  if (status_) return Error{ESRCH, "signal a child"};
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0) {
    return LastError("signal a child");
  }
  return {};
}

UniqueFd Subprocess::Release() && { return std::move(pidfd_); }

Result<int> RunInVforkChild(int (*body)(void*), void* argument) {
  VforkCall call{.body = body, .argument = argument, .result = 0};
  auto child = Vfork(RunVforkCall, &call);
  if (!child) return child.error();
  auto status = Reap(child->pidfd.get());
  if (!status) return status.error();
  if (!status->success()) return Error{EIO, "child that shares memory"};
  return call.result;
}

}  // namespace gantry::kernel

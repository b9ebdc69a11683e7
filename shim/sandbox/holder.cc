// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox/holder.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/unique_fd.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

constexpr int kReportFd = 3;
constexpr char kName[] = "gantry-sandbox";
// Of /proc/<pid>/stat, counted behind the name.
constexpr int kStartOfHeap = 45;
constexpr int kStartOfArguments = 46;
constexpr int kEndOfArguments = 47;
constexpr int kStartOfEnvironment = 48;
constexpr int kEndOfEnvironment = 49;

// How far it has come; the step that failed is reported as an errno and this.
enum class Step : int { kPrepare, kJoinNetwork, kSetHostname, kConfine, kDone };

struct Report {
  int err = 0;
  Step step = Step::kDone;
};

struct Job {
  const SandboxNamespaces& namespaces;
  const std::string& title;
  int report;
};

bool ResetSignals() {
  // Orphans of its PID namespace need nobody to ask for their status.
  ::signal(SIGCHLD, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  return ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

bool Prepare(int report) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) {
    if (::dup2(null, stream) < 0) return false;
  }
  if (report != kReportFd && ::dup2(report, kReportFd) < 0) return false;
  return ::close_range(kReportFd + 1, ~0U, 0) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
         ::prctl(PR_SET_NAME, kName) == 0 && ::setsid() >= 0 && ::chdir("/") == 0 && ResetSignals();
}

bool JoinNetwork(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::setns(fd, CLONE_NEWNET) != 0) return false;
  ::close(fd);
  return true;
}

// An empty root that cannot be written to, in place of the host's.
bool LeaveHostRoot() {
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0555,size=4k") ==
             0 &&
         ::chdir("/dev") == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0 &&
         ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0 &&
         ::mount(nullptr, "/", nullptr,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

bool DropCapabilities() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) return false;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

Report Enter(const SandboxNamespaces& namespaces, int report) {
  if (!Prepare(report)) return {errno, Step::kPrepare};
  if (!namespaces.netns_path.empty() && !JoinNetwork(namespaces.netns_path)) {
    return {errno, Step::kJoinNetwork};
  }
  const std::string& name = namespaces.hostname;
  if (namespaces.uts && !name.empty() && ::sethostname(name.data(), name.size()) != 0) {
    return {errno, Step::kSetHostname};
  }
  // In the PID namespace of containers it is theirs to trace, if they may, and to look into.
  if (namespaces.pid && (!LeaveHostRoot() || !DropCapabilities())) return {errno, Step::kConfine};
  return {};
}

// Where parts of this process's memory are; 0 for one that is not known.
struct Memory {
  unsigned long heap = 0;
  unsigned long arguments = 0;
  unsigned long arguments_end = 0;
  unsigned long environment = 0;
  unsigned long environment_end = 0;
};

Memory FindMemory() {
  std::array<char, 1024> text;
  const int fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  Memory memory;
  if (size <= 0) return memory;
  text[static_cast<size_t>(size)] = '\0';
  const char* field = std::strrchr(text.data(), ')');
  for (int i = 1; field != nullptr && i <= kEndOfEnvironment; ++i) {
    field = std::strchr(field + 1, ' ');
    if (field == nullptr || i < kStartOfHeap) continue;
    const unsigned long value = std::strtoul(field, nullptr, 10);
    if (i == kStartOfHeap) memory.heap = value;
    if (i == kStartOfArguments) memory.arguments = value;
    if (i == kEndOfArguments) memory.arguments_end = value;
    if (i == kStartOfEnvironment) memory.environment = value;
    if (i == kEndOfEnvironment) memory.environment_end = value;
  }
  return memory;
}

// The shim's own arguments would have it taken for a shim, and its environment is nobody's
// business.
void SetTitle(const Memory& memory, const std::string& title) {
  if (memory.environment_end > memory.environment) {
    std::memset(reinterpret_cast<char*>(memory.environment), 0,  // NOLINT
                memory.environment_end - memory.environment);
  }
  if (memory.arguments == 0 || memory.arguments_end <= memory.arguments) return;
  char* const start = reinterpret_cast<char*>(memory.arguments);  // NOLINT
  const size_t room = memory.arguments_end - memory.arguments;
  std::memset(start, 0, room);
  std::memcpy(start, title.data(), std::min(title.size(), room - 1));
}

// What the copied heap holds would stay in memory for as long as this process lives, for the shim
// changes its own. It stays mapped: what the C library keeps for the thread stands in it, where the
// kernel writes when it takes the thread to another core. Nothing may allocate afterwards.
void DropHeap(const Memory& memory) {
  const auto page = static_cast<unsigned long>(::sysconf(_SC_PAGESIZE));
  const unsigned long start = (memory.heap + page - 1) & ~(page - 1);
  const auto end = static_cast<unsigned long>(::syscall(SYS_brk, 0));
  if (memory.heap == 0 || end <= start) return;
  ::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);  // NOLINT
}

int Hold(void* argument) {
  const Job& job = *static_cast<Job*>(argument);
  const Memory memory = FindMemory();
  const Report report = Enter(job.namespaces, job.report);
  if (report.err == 0) {
    SetTitle(memory, job.title);
    DropHeap(memory);
  }
  // Nobody reads it: the shim died before it could take this process along.
  if (::write(kReportFd, &report, sizeof(report)) != sizeof(report) || report.err != 0) return 1;
  ::close(kReportFd);
  while (true) ::pause();
}

unsigned long FlagsOf(const SandboxNamespaces& namespaces) {
  return (namespaces.ipc ? CLONE_NEWIPC : 0UL) | (namespaces.uts ? CLONE_NEWUTS : 0UL) |
         (namespaces.pid ? CLONE_NEWPID | CLONE_NEWNS : 0UL);
}

kernel::Error ErrorOf(const Report& report, const SandboxNamespaces& namespaces) {
  switch (report.step) {
    case Step::kJoinNetwork:
      return {report.err, "join network namespace " + namespaces.netns_path};
    case Step::kSetHostname:
      return {report.err, "set hostname " + namespaces.hostname};
    case Step::kConfine:
      return {report.err, "confine the process of the sandbox"};
    default:
      return {report.err, "prepare the process of the sandbox"};
  }
}

}  // namespace

Co<kernel::Result<std::shared_ptr<Holder>>> Holder::Start(Loop& loop, Children& children,
                                                          SandboxNamespaces namespaces,
                                                          std::string id, Time deadline) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) co_return kernel::LastError("pipe2");
  kernel::UniqueFd read(fds[0]);
  kernel::UniqueFd write(fds[1]);
  const std::string title = std::string(kName) + " " + id;
  Job job{.namespaces = namespaces, .title = title, .report = write.get()};
  auto process = kernel::Subprocess::Fork(FlagsOf(namespaces), Hold, &job);
  if (!process) co_return process.error();
  write.Reset();
  auto holder = std::make_shared<Holder>(loop, process->pid());
  std::move(*process).Release().Reset();
  shim::Start(Follow(children, holder));
  auto ready = co_await WaitReady(loop, read.get(), EPOLLIN, deadline);
  Report report{.err = EIO, .step = Step::kPrepare};
  if (!ready) {
    holder->Kill();
    co_return ready.error();
  }
  if (::read(read.get(), &report, sizeof(report)) < 0) report.err = errno;
  if (report.err != 0) {
    holder->Kill();
    co_return ErrorOf(report, namespaces);
  }
  co_return holder;
}

Co<void> Holder::Follow(Children& children, std::shared_ptr<Holder> self) {
  self->exit_ = co_await children.Exited(self->pid_);
  self->ended_.Set();
}

// Until it is reaped, its pid is nobody else's.
void Holder::Kill() {
  if (!exit_) ::kill(pid_, SIGKILL);
}

}  // namespace gantry::shim

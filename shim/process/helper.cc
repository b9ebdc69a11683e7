// SPDX-License-Identifier: Apache-2.0
#include "shim/process/helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

constexpr size_t kMaxReportBytes = 4096;

constexpr int kReportFd = 3;

struct Job {
  const std::function<kernel::Result<void>()>& work;
  int report;  // gets one byte for success, else the errno value and what failed
};

int Perform(void* argument) {
  const Job& job = *static_cast<Job*>(argument);
  // A copy that is stuck must not keep the streams of containers open.
  if ((job.report != kReportFd && ::dup2(job.report, kReportFd) < 0) ||
      ::close_range(kReportFd + 1, ~0U, 0) != 0)
    return 1;
  const auto done = job.work();
  std::string report("+");
  if (!done) {
    const int err = done.error().err;
    report.assign(reinterpret_cast<const char*>(&err), sizeof(err));
    report += done.error().what.substr(0, kMaxReportBytes - sizeof(err));
  }
  return kernel::WriteAll(kReportFd, report, "report").ok() ? 0 : 1;
}

kernel::Result<void> ReadReport(int fd) {
  std::array<char, kMaxReportBytes> report;
  const ssize_t count = ::read(fd, report.data(), report.size());
  if (count == 1) return {};
  int err = 0;
  if (count < static_cast<ssize_t>(sizeof(err))) return kernel::Error{EIO, "helper process"};
  std::memcpy(&err, report.data(), sizeof(err));
  return kernel::Error{
      err, std::string(report.data() + sizeof(err), static_cast<size_t>(count) - sizeof(err))};
}

// Reaped whenever it ends.
Co<void> Forget(Children& children, pid_t pid) { co_await children.Exited(pid); }

}  // namespace

Co<kernel::Result<void>> RunInHelper(Loop& loop, Children& children,
                                     std::function<kernel::Result<void>()> work, Time deadline) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) co_return kernel::LastError("pipe2");
  kernel::UniqueFd read(fds[0]);
  kernel::UniqueFd write(fds[1]);
  Job job{.work = work, .report = write.get()};
  auto process = kernel::Subprocess::Fork(0, Perform, &job);
  if (!process) co_return process.error();
  write.Reset();
  const pid_t pid = process->pid();
  std::move(*process).Release().Reset();
  Start(Forget(children, pid));
  // A report is one write of less than a page, which a pipe gives whole; a helper that dies without
  // one hangs up.
  auto ready = co_await WaitReady(loop, read.get(), EPOLLIN, deadline);
  if (!ready) {
    ::kill(pid, SIGKILL);
    co_return ready.error();
  }
  co_return ReadReport(read.get());
}

}  // namespace gantry::shim

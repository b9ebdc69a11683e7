// SPDX-License-Identifier: Apache-2.0
// A shim's loop and reaper, and processes in place of containers.
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "shim/io/io_context.h"
#include "shim/io/process_io.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/loop/signals.h"
#include "shim/process/children.h"

namespace gantry::shim::testing {

using std::chrono::milliseconds;

inline size_t OpenFds() {
  size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

inline milliseconds CpuTime() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](timeval time) {
    return milliseconds(time.tv_sec * 1000 + time.tv_usec / 1000);
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// What can be read without waiting. Sets `ended` at the end of the stream.
inline std::string ReadNow(int fd, bool* ended = nullptr) {
  std::string text;
  std::array<char, 65536> data;
  ssize_t count;
  while ((count = ::read(fd, data.data(), data.size())) > 0)
    text.append(data.data(), static_cast<size_t>(count));
  if (ended != nullptr && count == 0) *ended = true;
  return text;
}

// What a runtime does: connects and sends fds with a name.
inline void SendFds(const std::string& address, const std::vector<int>& fds,
                    const std::string& name) {
  kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  ASSERT_LT(address.size(), sizeof(to.sun_path));
  std::memcpy(to.sun_path, address.data(), address.size());
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << address;
  iovec data{.iov_base = const_cast<char*>(name.data()), .iov_len = name.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
  }
  ASSERT_GE(::sendmsg(socket.get(), &message, 0), 0);
}

class IoFixture : public ::testing::Test {
 protected:
  IoFixture() {
    ::signal(SIGPIPE, SIG_IGN);
    limit_.After(std::chrono::seconds(30));
    std::string name = "/tmp/shim-io-XXXXXX";
    dir_ = ::mkdtemp(name.data());
  }

  ~IoFixture() override {
    ::nftw(
        dir_.c_str(),
        [](const char* path, const struct stat*, int, struct FTW*) { return ::remove(path); }, 8,
        FTW_DEPTH | FTW_PHYS);
  }

  // Whatever a test has started is gone at its end.
  void TearDown() override {
    for (const auto& process : processes_) {
      if (!process->exit) ::kill(-process->pid, SIGKILL);
    }
    RunUntil([this] { return children_.awaited() == 0; });
  }

  struct Process {
    pid_t pid = 0;
    std::optional<Exit> exit;
  };

  void RunUntil(const std::function<bool()>& done) {
    Timer look(loop_, [this, &look, &done] {
      if (done() || HasFatalFailure()) return loop_.Stop();
      look.After(milliseconds(1));
    });
    look.At(Clock::now());
    loop_.Run();
  }

  // For measurements, not for synchronisation.
  void RunFor(Clock::duration duration) {
    Timer end(loop_, [this] { loop_.Stop(); });
    end.After(duration);
    loop_.Run();
  }

  template <typename T>
  T Await(Co<T> coroutine) {
    std::optional<T> result;
    Start(Keep(std::move(coroutine), &result));
    RunUntil([&result] { return result.has_value(); });
    return *std::move(result);
  }

  void AwaitClose(ProcessIo& io) {
    bool closed = false;
    Start(KeepClosed(io, &closed));
    RunUntil([&closed] { return closed; });
  }

  static Time In(Clock::duration duration) { return Clock::now() + duration; }

  std::unique_ptr<ProcessIo> Make(StdioRequest request) {
    if (request.bundle.empty()) request.bundle = dir_;
    auto io = MakeProcessIo(context_, std::move(request));
    if (!io) {
      ADD_FAILURE() << io.error().Text();
      return nullptr;
    }
    return *std::move(io);
  }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  std::string Fifo(const std::string& name) const {
    EXPECT_EQ(::mkfifo(Path(name).c_str(), 0600), 0);
    return Path(name);
  }

  static kernel::UniqueFd Open(const std::string& path, int flags) {
    kernel::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    EXPECT_TRUE(fd) << path;
    return fd;
  }

  std::string Script(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(
        kernel::WriteFileAtomic(Path(name), "#!/bin/sh\n" + text, 0755, kernel::Durability::kNone)
            .ok());
    return Path(name);
  }

  static std::string Content(const std::string& path) {
    auto text = kernel::ReadFile(path, 64UL << 20);
    return text ? *std::move(text) : "";
  }

  // As the runtime and its container would be, in one.
  std::shared_ptr<Process> Spawn(std::array<kernel::Stdio, 3> stdio, const std::string& script,
                                 std::vector<std::string> wrapper = {}) {
    kernel::SpawnOptions options;
    wrapper.insert(wrapper.end(), {"/bin/sh", "-c", script});
    options.program = wrapper[0];
    options.arguments = std::move(wrapper);
    options.stdio = stdio;
    options.new_session = true;
    auto spawned = kernel::Subprocess::Spawn(options);
    auto process = std::make_shared<Process>();
    if (!spawned) {
      ADD_FAILURE() << spawned.error().Text();
      return process;
    }
    process->pid = spawned->pid();
    std::move(*spawned).Release().Reset();
    Start(KeepExit(children_, process));
    processes_.push_back(process);
    return process;
  }

  // Prepare, spawn, Connect.
  std::shared_ptr<Process> Run(ProcessIo& io, const std::string& script) {
    const auto prepared = Await(io.Prepare(In(std::chrono::seconds(10))));
    EXPECT_TRUE(prepared.ok()) << prepared.error().Text();
    auto process = Spawn(io.RuntimeStdio(), script);
    io.Started();
    const auto connected = Await(io.Connect(In(std::chrono::seconds(10))));
    EXPECT_TRUE(connected.ok()) << connected.error().Text();
    return process;
  }

  void RunToExit(const std::shared_ptr<Process>& process) {
    RunUntil([&process] { return process->exit.has_value(); });
  }

  // Everything that comes from a fifo until it ends.
  std::string ReadToEnd(int fd) {
    std::string text;
    bool ended = false;
    RunUntil([&] {
      text += ReadNow(fd, &ended);
      return ended;
    });
    return text;
  }

  template <typename T>
  static Co<void> Keep(Co<T> coroutine, std::optional<T>* result) {
    result->emplace(co_await std::move(coroutine));
  }
  static Co<void> KeepClosed(ProcessIo& io, bool* closed) {
    co_await io.Close();
    *closed = true;
  }
  static Co<void> KeepExit(Children& children, std::shared_ptr<Process> process) {
    process->exit = co_await children.Exited(process->pid);
  }

  std::string dir_;
  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  Children children_{loop_, [](const Exit&) {}};
  std::unique_ptr<Signals> signals_ =
      *Signals::Create(loop_, {SIGCHLD}, [this](int) { children_.Reap(); });
  IoContext context_{loop_, children_};
  std::vector<std::shared_ptr<Process>> processes_;
  Timer limit_{loop_, [this] { ADD_FAILURE() << "the loop was not stopped", loop_.Stop(); }};
};

// As many more fds may be opened while this lives.
class FdLimit {
 public:
  explicit FdLimit(size_t spare) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    for (limit.rlim_cur = 0;; ++limit.rlim_cur) {
      const bool free = ::fcntl(static_cast<int>(limit.rlim_cur), F_GETFD) < 0;
      if (free && spare-- == 0) break;
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  FdLimit(const FdLimit&) = delete;
  ~FdLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace gantry::shim::testing

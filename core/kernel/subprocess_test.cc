// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/subprocess.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/command.h"
#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

using ::testing::HasSubstr;

SpawnOptions Shell(const std::string& script) {
  SpawnOptions options;
  options.program = "/bin/sh";
  options.arguments = {"sh", "-c", script};
  return options;
}

CommandResult RunShell(const std::string& script, const std::string& input = {}) {
  auto result = RunCommand(Shell(script), input);
  EXPECT_TRUE(result) << result.error().Text();
  return result ? std::move(*result) : CommandResult{};
}

bool IsAlive(pid_t pid) { return ::kill(pid, 0) == 0; }

// Waits for the end of a process that is not our child.
bool EndsWithin(int pidfd, int timeout_ms) {
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, timeout_ms) == 1;
}

TEST(SubprocessTest, ExitCodesAndSignalsAreTold) {
  auto exits = Subprocess::Spawn(Shell("exit 7"));
  ASSERT_TRUE(exits);
  auto status = exits->Wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 7);
  EXPECT_EQ(exits->Wait()->AsShellCode(), 7) << "asked again";
  EXPECT_EQ(exits->Kill(SIGTERM).error().err, ESRCH);

  auto dies = Subprocess::Spawn(Shell("kill -TERM $$"));
  ASSERT_TRUE(dies);
  EXPECT_EQ(dies->Wait()->AsShellCode(), 128 + SIGTERM);
}

TEST(SubprocessTest, FailuresBeforeTheProgramNameTheStep) {
  SpawnOptions options;
  options.program = "/no/such/program";
  auto missing = Subprocess::Spawn(options);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().Text(), "exec /no/such/program: No such file or directory");

  options = Shell("true");
  options.directory = "/no/such/directory";
  auto elsewhere = Subprocess::Spawn(options);
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().Text(), "chdir /no/such/directory: No such file or directory");

  options = Shell("true");
  options.cgroup_procs_fd = 1000;
  EXPECT_EQ(Subprocess::Spawn(options).error().err, EBADF);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a failed spawn leaves no child";
}

TEST(SubprocessTest, StreamsEnvironmentAndDirectoryAreAsAsked) {
  SpawnOptions options = Shell("read line; echo \"$line $NAME $PWD\"; echo oops >&2");
  options.environment = std::vector<std::string>{"NAME=value"};
  options.directory = "/";
  options.stdio = {Stdio::Pipe(), Stdio::Pipe(), Stdio::Pipe()};
  auto child = Subprocess::Spawn(options);
  ASSERT_TRUE(child);
  {
    const UniqueFd in = child->TakePipe(0);
    ASSERT_TRUE(WriteAll(in.get(), "hello\n", "pipe"));
  }
  EXPECT_EQ(*ReadAll(child->TakePipe(1).get(), 100, "out"), "hello value /\n");
  EXPECT_EQ(*ReadAll(child->TakePipe(2).get(), 100, "err"), "oops\n");
  EXPECT_TRUE(child->Wait()->success());
}

TEST(SubprocessTest, TheChildHasItsOwnFdsAndNoOther) {
  auto first = Open("/dev/null", O_RDONLY);
  auto second = Open("/dev/zero", O_RDONLY);
  const UniqueFd leaky(::dup(first->get()));  // not close-on-exec
  SpawnOptions options = Shell("cd /proc/self/fd; for f in *; do readlink $f; done");
  // Given in the order that would overwrite one another, were they not moved away first.
  options.extra_fds = {second->get(), first->get()};
  auto result = RunCommand(options);
  ASSERT_TRUE(result);
  std::vector<std::string> lines;
  for (size_t at = 0; at < result->output.size();) {
    const size_t end = result->output.find('\n', at);
    lines.push_back(result->output.substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(lines.size(), 5U) << result->output;
  EXPECT_EQ(lines[0], "/dev/null");
  EXPECT_THAT(lines[1], HasSubstr("pipe:"));
  EXPECT_EQ(lines[3], "/dev/zero");
  EXPECT_EQ(lines[4], "/dev/null");
}

TEST(SubprocessTest, StreamsMayBeSwapped) {
  // Each is the other's number in the child.
  SpawnOptions options = Shell("echo out; echo err >&2");
  std::array<int, 2> pipe_a{};
  std::array<int, 2> pipe_b{};
  ASSERT_EQ(::pipe2(pipe_a.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(pipe_b.data(), O_CLOEXEC), 0);
  const UniqueFd read_a(pipe_a[0]);
  const UniqueFd read_b(pipe_b[0]);
  {
    const UniqueFd write_a(pipe_a[1]);
    const UniqueFd write_b(pipe_b[1]);
    options.stdio = {Stdio::Null(), Stdio::Fd(write_b.get()), Stdio::Fd(write_a.get())};
    auto child = Subprocess::Spawn(options);
    ASSERT_TRUE(child);
    ASSERT_TRUE(child->Wait());
  }
  EXPECT_EQ(*ReadAll(read_b.get(), 100, "b"), "out\n");
  EXPECT_EQ(*ReadAll(read_a.get(), 100, "a"), "err\n");
}

TEST(SubprocessTest, SignalsStartAtTheirDefaults) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  sigset_t blocked;
  sigset_t old_mask;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old_mask);
  auto result =
      RunCommand({.program = "/bin/grep", .arguments = {"grep", "^Sig[BI]", "/proc/self/status"}});
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, &old_mask, &now);
  ::sigaction(SIGPIPE, &before, nullptr);
  ASSERT_TRUE(result);
  EXPECT_THAT(result->output, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(result->output, HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_EQ(::sigismember(&now, SIGUSR1), 1) << "ours came back";
}

TEST(SubprocessTest, WaitGivesUpInTimeAndTheDestructorKillsAndReaps) {
  pid_t pid = 0;
  {
    auto child = Subprocess::Spawn(Shell("exec sleep 1000"));
    ASSERT_TRUE(child);
    pid = child->pid();
    auto early = child->Wait(20);
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().err, ETIMEDOUT);
    EXPECT_TRUE(IsAlive(pid));
  }
  EXPECT_FALSE(IsAlive(pid));
}

TEST(SubprocessTest, AReleasedChildLivesOn) {
  auto child = Subprocess::Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(child);
  const pid_t pid = child->pid();
  const UniqueFd pidfd = std::move(*child).Release();
  EXPECT_TRUE(IsAlive(pid));
  ASSERT_EQ(::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0), 0);
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
}

TEST(SubprocessTest, TheChildDiesWithTheThreadThatSpawnedIt) {
  std::optional<Subprocess> child;
  std::thread([&child] {
    SpawnOptions options = Shell("exec sleep 1000");
    options.parent_death_signal = SIGTERM;
    auto spawned = Subprocess::Spawn(options);
    ASSERT_TRUE(spawned) << spawned.error().Text();
    child.emplace(std::move(*spawned));
  }).join();
  ASSERT_TRUE(child);
  EXPECT_EQ(child->Wait(5000)->signal, SIGTERM);
}

TEST(SubprocessTest, ASessionAndAFileLimitCanBeNew) {
  SpawnOptions options = Shell("ulimit -Sn; cut -d' ' -f6 /proc/$$/stat; echo $$");
  options.new_session = true;
  options.open_files = rlimit{.rlim_cur = 99, .rlim_max = 100};
  auto result = RunCommand(options);
  ASSERT_TRUE(result);
  const size_t first = result->output.find('\n');
  const size_t second = result->output.find('\n', first + 1);
  EXPECT_EQ(result->output.substr(0, first), "99");
  EXPECT_EQ(result->output.substr(first + 1, second - first),
            result->output.substr(second + 1, std::string::npos));
}

TEST(SubprocessTest, ManyThreadsSpawnAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kEach = 25;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&good] {
      for (int i = 0; i < kEach; ++i) {
        auto result = RunCommand(Shell("echo " + std::to_string(i)));
        if (result && result->output == std::to_string(i) + "\n") ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kEach);
}

int WriteAndReturn(void* argument) {
  return ::write(*static_cast<int*>(argument), "hi", 2) == 2 ? 5 : 1;
}

TEST(SubprocessTest, AForkRunsAFunction) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  auto child = Subprocess::Fork(0, WriteAndReturn, &ends[1]);
  ASSERT_TRUE(child);
  write_end.Reset();
  EXPECT_EQ(*ReadAll(read_end.get(), 10, "pipe"), "hi");
  EXPECT_EQ(child->Wait()->code, 5);
}

TEST(CommandTest, InputOutputAndStatusComeBack) {
  const std::string big(300'000, 'x');
  const CommandResult result = RunShell("cat; echo no >&2; exit 3", big);
  EXPECT_EQ(result.output, big);
  EXPECT_EQ(result.errors, "no\n");
  EXPECT_EQ(result.status.code, 3);
}

TEST(CommandTest, OutputBeyondTheBoundIsDroppedAndTheProgramGoesOn) {
  auto result = RunCommand(Shell("head -c 5000000 /dev/zero; echo done >&2"), {},
                           {.timeout_ms = 10'000, .max_output_bytes = 1000});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output.size(), 1000U);
  EXPECT_EQ(result->errors, "done\n");
}

TEST(CommandTest, ABackgroundChildThatHoldsTheStreamsDelaysNobody) {
  gantry::testing::TempDir dir;
  const std::string pid_file = (dir.path() / "pid").string();
  const CommandResult result = RunShell("sleep 1000 & echo $! > " + pid_file + "; echo out");
  EXPECT_EQ(result.output, "out\n");
  const pid_t sleeper = std::stoi(*ReadFile(pid_file, 100));
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, sleeper, 0)));
  ::kill(sleeper, SIGKILL);
  EXPECT_TRUE(EndsWithin(pidfd.get(), 5000));
}

TEST(CommandTest, AProgramThatTakesTooLongIsKilled) {
  auto result = RunCommand(Shell("exec sleep 1000"), {}, {.timeout_ms = 50});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().err, ETIMEDOUT);
}

TEST(SubprocessTest, AChildThatDoesNotDieHoldsNobodyUpAndIsReapedInTheEnd) {
  // A process in a frozen cgroup of version 1 does not see the signal.
  std::string cgroup = "/sys/fs/cgroup/freezer/gantry-test-XXXXXX";
  if (::access("/sys/fs/cgroup/freezer/cgroup.procs", W_OK) != 0) {
    GTEST_SKIP() << "no freezer of cgroup version 1";
  }
  ASSERT_NE(::mkdtemp(cgroup.data()), nullptr);
  pid_t pid = 0;
  {
    auto child = Subprocess::Spawn(Shell("exec sleep 1000"));
    ASSERT_TRUE(child);
    pid = child->pid();
    ASSERT_TRUE(WriteControlFile(cgroup + "/cgroup.procs", std::to_string(pid)));
    ASSERT_TRUE(WriteControlFile(cgroup + "/freezer.state", "FROZEN"));
    while (ReadFile(cgroup + "/freezer.state", 100)->find("FROZEN") == std::string::npos) {
    }
  }
  EXPECT_TRUE(IsAlive(pid));
  ASSERT_TRUE(WriteControlFile(cgroup + "/freezer.state", "THAWED"));
  while (IsAlive(pid)) ::usleep(1000);  // a zombie is alive, too
  EXPECT_EQ(::rmdir(cgroup.c_str()), 0);
}

}  // namespace
}  // namespace gantry::kernel

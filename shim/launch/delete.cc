// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/delete.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/kernel/subprocess.h"
#include "shim/group/container_group.h"
#include "shim/group/group_socket.h"
#include "shim/group/socket_path.h"
#include "shim/launch/runtime_command.h"
#include "shim/loop/loop.h"
#include "shim/messages/codec.h"
#include "shim/messages/task_responses.h"
#include "shim/options/bundle_options.h"
#include "shim/runtime/binary.h"
#include "shim/runtime/pid_file.h"

namespace gantry::shim {
namespace {

// Together below the five seconds that a daemon waits, though a runtime that is stuck when it is
// killed takes another two.
constexpr int kRuntimeLimitMs = 2000;
constexpr int64_t kUnmountedByMs = 4000;
constexpr int64_t kLeastUnmountMs = 200;
constexpr int kDetachLimitMs = 500;

constexpr size_t kMaxWarningBytes = 2048;
constexpr uint32_t kKilled = 128 + SIGKILL;

bool IsDirectory(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

kernel::Result<std::string> FindBundle(const Flags& flags) {
  std::array<char, PATH_MAX> here;
  if (::getcwd(here.data(), here.size()) != nullptr) {
    const std::string directory = here.data();
    std::string bundle = directory.substr(0, directory.rfind('/')) + "/" + flags.id;
    if (flags.bundle.empty() || IsDirectory(bundle)) return bundle;
  }
  if (flags.bundle.empty()) return kernel::LastError("find the bundle of " + flags.id);
  return flags.bundle;
}

kernel::Result<void> DeleteInRuntime(const std::string& bundle, const DeleteRequest& request) {
  auto options = ReadBundleOptions(bundle);
  if (!options) {
    request.warn(options.error().Text());
    options = RuncOptions();
  }
  auto configured = ReadBundleRuntime(bundle);
  if (!configured) return configured.error();
  const auto program = FindBinary(configured->empty() ? options->binary_name : *configured);
  if (!program) return program.error();

  const std::string root = options->root.empty() ? kDefaultRuntimeRoot : options->root;
  std::vector<std::string> arguments = {"--root",       root + "/" + request.flags.ns,
                                        "--log",        bundle + "/log.json",
                                        "--log-format", "json"};
  if (options->systemd_cgroup) arguments.emplace_back("--systemd-cgroup");
  arguments.insert(arguments.end(), {"delete", "--force", request.flags.id});
  const auto ran = RunRuntime(*program, std::move(arguments), kRuntimeLimitMs);
  if (!ran) return ran.error();
  if (ran->status.success()) return {};
  return kernel::Error{ECHILD, *program + " delete --force: exit status " +
                                   std::to_string(ran->status.AsShellCode()) + ": " +
                                   (ran->output + ran->errors).substr(0, kMaxWarningBytes)};
}

struct UnmountJob {
  const std::string& rootfs;
  int flags;
};

int UnmountInCopy(void* argument) {
  const UnmountJob& job = *static_cast<UnmountJob*>(argument);
  const auto done = kernel::UnmountTree(job.rootfs, job.flags);
  return done ? 0 : done.error().err;
}

// In a copy of this process: a mount whose server is dead may hold up whoever touches it.
kernel::Result<void> UnmountWithin(const std::string& rootfs, int flags, int limit_ms) {
  UnmountJob job{.rootfs = rootfs, .flags = flags};
  auto process = kernel::Subprocess::Fork(0, UnmountInCopy, &job);
  if (!process) return process.error();
  const auto ended = process->Wait(limit_ms);
  if (!ended) {
    process->Kill(SIGKILL).Ignore();  // it may be stuck, and then is not waited for
    std::move(*process).Release().Reset();
    return ended.error();
  }
  if (ended->success()) return {};
  return kernel::Error{ended->signal != 0 ? EIO : ended->code, "unmount " + rootfs};
}

kernel::Result<void> UnmountRootfs(const std::string& rootfs, Time start) {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  const int64_t limit_ms = std::max(kUnmountedByMs - passed.count(), kLeastUnmountMs);
  if (UnmountWithin(rootfs, 0, static_cast<int>(limit_ms))) return {};
  return UnmountWithin(rootfs, MNT_DETACH, kDetachLimitMs);
}

// A server that was killed could not remove it.
void RemoveSocket(const std::string& bundle, const DeleteRequest& request) {
  const Flags& flags = request.flags;
  const auto group = GroupOf(bundle + "/config.json", flags.id);
  if (!group) return;  // there was none to make a socket for
  std::array<char, PATH_MAX> link;
  const ssize_t size =
      ::readlink((bundle + "/" + kSocketDirectoryLink).c_str(), link.data(), link.size());
  const std::string directory =
      size > 0 ? std::string(link.data(), static_cast<size_t>(size)) : request.socket_directory;
  RemoveDeadSocket(SocketPath(directory, flags.address, flags.ns, *group), flags.id);
}

}  // namespace

kernel::Result<void> DeleteContainer(const DeleteRequest& request) {
  const Time start = Clock::now();
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);
  const auto bundle = FindBundle(request.flags);
  if (!bundle) return bundle.error();
  if (auto deleted = DeleteInRuntime(*bundle, request); !deleted) {
    request.warn(deleted.error().Text());
  }
  if (auto unmounted = UnmountRootfs(*bundle + "/rootfs", start); !unmounted) {
    request.warn(unmounted.error().Text());
  }
  const auto pid = ReadPidFile(*bundle + "/init.pid");
  if (!pid) request.warn(pid.error().Text());
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const messages::DeleteResponse response{.pid = pid ? static_cast<uint32_t>(*pid) : 0,
                                          .exit_status = kKilled,
                                          .exited_at = messages::ToTimestamp(now)};
  auto answered = kernel::WriteAll(request.output, messages::Encode(response), "answer");
  RemoveSocket(*bundle, request);
  return answered;
}

}  // namespace gantry::shim

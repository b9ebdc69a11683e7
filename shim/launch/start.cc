// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/start.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/unique_fd.h"
#include "shim/events/publisher.h"
#include "shim/json/json_writer.h"
#include "shim/json/spec_scan.h"
#include "shim/launch/oom_score.h"
#include "shim/launch/server_process.h"
#include "shim/launch/start_input.h"
#include "shim/messages/bootstrap.h"
#include "shim/messages/codec.h"
#include "shim/options/resolve_options.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {
namespace {

constexpr int kConnectLimitMs = 100;
constexpr int kLockTries = 200;
constexpr long kLockPauseNs = 5'000'000;
constexpr int kBootstrapVersion = 3;
constexpr size_t kTemporaryHashLength = 48;
constexpr char kAddressFile[] = "address";
constexpr char kDirectoryLink[] = "s";

// In the order in which they count.
constexpr std::array<std::string_view, 2> kGroupAnnotations = {"io.containerd.runc.v2.group",
                                                               "io.kubernetes.cri.sandbox-id"};

// All that is known before anything is made.
struct Plan {
  bool bootstrap = false;      // the daemon takes a BootstrapResult
  std::string directory;       // of the socket
  bool own_directory = false;  // the daemon has named it
  std::string path;            // of the socket
  std::string shim_cgroup;
  ServerSettings settings;
};

// A name in the file system that is taken back unless kept.
class [[nodiscard]] NewName {
 public:
  explicit NewName(std::string path) : path_(std::move(path)) {}
  NewName(const NewName&) = delete;
  ~NewName() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void Keep() { path_.clear(); }

 private:
  std::string path_;
};

std::string EnvironmentOr(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

kernel::Result<std::string> GroupOf(const std::string& id) {
  const auto spec = ScanSpecFile("config.json", kGroupAnnotations);
  if (!spec) return spec.error();
  for (const std::string_view annotation : kGroupAnnotations) {
    const auto found = spec->annotations.find(annotation);
    if (found != spec->annotations.end() && !found->second.empty()) return found->second;
  }
  return id;
}

kernel::Result<Plan> MakePlan(const StartRequest& request, const Program& program) {
  const Flags& flags = request.flags;
  const StartInput input = ParseStartInput(request.input, flags);
  const messages::BootstrapParams bootstrap = input.bootstrap.value_or(messages::BootstrapParams());
  auto options = ResolveOptions(input.options);
  if (!options) return options.error();
  auto group = GroupOf(flags.id);
  if (!group) return group.error();

  Plan plan;
  plan.bootstrap = input.bootstrap.has_value();
  plan.shim_cgroup = options->options.shim_cgroup;
  plan.own_directory = bootstrap.socket_dir && !bootstrap.socket_dir->empty();
  plan.directory = plan.own_directory ? *bootstrap.socket_dir : program.socket_directory;
  if (!plan.directory.starts_with('/')) {
    return kernel::Error{EINVAL, "socket directory " + plan.directory + " is not absolute"};
  }
  plan.settings.grpc_address =
      flags.address.empty() ? bootstrap.containerd_grpc_address : flags.address;
  plan.path = SocketPath(plan.directory, plan.settings.grpc_address, flags.ns, *group);
  if (plan.path.size() > kMaxSocketPath) return kernel::Error{ENAMETOOLONG, "socket " + plan.path};
  plan.settings.ns = flags.ns;
  plan.settings.id = flags.id;
  plan.settings.publish_binary =
      flags.publish_binary.empty() ? bootstrap.containerd_binary : flags.publish_binary;
  plan.settings.events_address =
      ChooseEventsAddress(bootstrap.containerd_ttrpc_address, EnvironmentOr("TTRPC_ADDRESS", ""),
                          plan.settings.grpc_address);
  plan.settings.debug = flags.debug || bootstrap.log_level <= messages::LogLevel::kDebug;
  return plan;
}

// Whether somebody serves there.
bool Answers(const std::string& path) {
  const kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());  // its length was looked at
  // A server whose queue of connections is full is given some time.
  for (int waited_ms = 0; waited_ms < kConnectLimitMs; waited_ms += 5) {
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      return true;
    }
    if (errno != EAGAIN && errno != EINTR) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

// Serialises those who would replace a dead server's socket, so that none takes away what another
// has just put there. Without the lock, after a second, they are as well off as others that know
// none.
kernel::UniqueFd LockDirectory(const std::string& directory) {
  auto opened = kernel::Open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!opened) return {};
  for (int i = 0; i < kLockTries && ::flock(opened->get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    const timespec pause{.tv_sec = 0, .tv_nsec = kLockPauseNs};
    ::nanosleep(&pause, nullptr);
  }
  return *std::move(opened);
}

// Gives the socket its final name. False: another server of the group is there.
kernel::Result<bool> TakeName(ListeningSocket& socket, const Plan& plan) {
  auto moved = socket.MoveTo(plan.path);
  if (moved) return true;
  if (moved.error().err != EEXIST) return moved.error();
  const kernel::UniqueFd lock = LockDirectory(plan.directory);
  if (Answers(plan.path)) return false;
  ::unlink(plan.path.c_str());
  moved = socket.MoveTo(plan.path);
  if (!moved) return moved.error();
  return true;
}

std::string AddressOf(const Plan& plan) { return "unix://" + plan.path; }

std::string ReplyOf(const Plan& plan) {
  if (plan.bootstrap) {
    return messages::Encode(messages::BootstrapResult{
        .version = kBootstrapVersion, .address = AddressOf(plan), .protocol = "ttrpc"});
  }
  // The only form that all daemons take.
  if (EnvironmentOr("GANTRY_SHIM_LEGACY_REPLY", "") != "json3") return AddressOf(plan);
  std::string json;
  {
    JsonObjectWriter object(json);
    object.Int("version", kBootstrapVersion);
    object.String("address", AddressOf(plan));
    object.String("protocol", "ttrpc");
  }
  return json;
}

// Writes what the daemon, or another shim's clean-up, looks for in the bundle, then answers.
kernel::Result<void> Reply(const Plan& plan, int output) {
  NewName link(plan.own_directory ? kDirectoryLink : "");
  if (plan.own_directory) {
    ::unlink(kDirectoryLink);
    if (::symlink(plan.directory.c_str(), kDirectoryLink) != 0) {
      return kernel::LastError("link the socket directory into the bundle");
    }
  }
  NewName address(plan.bootstrap ? "" : kAddressFile);
  if (!plan.bootstrap) {
    auto written =
        kernel::WriteFileAtomic(kAddressFile, AddressOf(plan), 0644, kernel::Durability::kFile);
    if (!written) return written;
  }
  if (auto written = kernel::WriteAll(output, ReplyOf(plan), "answer"); !written) return written;
  address.Keep();
  link.Keep();
  return {};
}

kernel::Result<void> ShareCores() {
  if (EnvironmentOr("SCHED_CORE", "").empty()) return {};
  constexpr unsigned long kProcessGroup = 2;
  if (::prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, kProcessGroup, 0) != 0) {
    return kernel::LastError("create a core scheduling group");
  }
  return {};
}

kernel::Result<void> PlaceServer(pid_t pid, const Plan& plan, const Program& program) {
  if (!plan.shim_cgroup.empty()) {
    if (auto joined = program.join_cgroup(plan.shim_cgroup, pid); !joined) return joined;
  }
  return SetOomScoreAbove(pid, ::getppid());
}

// The socket gets its name last, when nothing but the answer can fail any more: whoever finds it
// relies on it.
kernel::Result<void> StartServer(const StartRequest& request, const Plan& plan,
                                 const Program& program) {
  const std::string name = plan.path.substr(plan.path.rfind('/') + 1);
  auto socket = ListeningSocket::Bind(plan.directory + "/" + name.substr(0, kTemporaryHashLength) +
                                      "." + kernel::RandomHex(4));
  if (!socket) return socket.error();
  if (auto shared = ShareCores(); !shared) return shared;
  auto server = StartServerProcess({.socket = &*socket,
                                    .final_path = plan.path,
                                    .settings = plan.settings,
                                    .argc = request.argc,
                                    .argv = request.argv},
                                   program.serve);
  if (!server) return server.error();
  if (auto placed = PlaceServer(server->process.pid(), plan, program); !placed) return placed;
  const auto taken = TakeName(*socket, plan);
  if (!taken) return taken.error();
  if (!*taken) return Reply(plan, request.output);
  // It has its name now, where it is found also by who gets no answer, should we be killed.
  if (auto said = server->Go(); !said) return said;
  if (auto replied = Reply(plan, request.output); !replied) return replied;
  std::move(*socket).Keep();
  std::move(server->process).Release().Reset();
  return {};
}

}  // namespace

kernel::Result<void> StartShim(const StartRequest& request, const Program& program) {
  const auto plan = MakePlan(request, program);
  if (!plan) return plan.error();
  if (auto made = kernel::MakeDirectories(plan->directory, 0700); !made) return made;
  if (Answers(plan->path)) return Reply(*plan, request.output);
  return StartServer(request, *plan, program);
}

}  // namespace gantry::shim

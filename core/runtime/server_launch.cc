// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/server_launch.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "shim/cgroup/placement.h"
#include "shim/group/connected_start.h"
#include "shim/group/container_group.h"
#include "shim/group/core_scheduling.h"
#include "shim/group/group_socket.h"
#include "shim/group/oom_score.h"
#include "shim/group/socket_path.h"
#include "shim/options/resolve_options.h"
#include "shim/server/listening_socket.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCoreSchedulingVariable = "SCHED_CORE=";

struct Plan {
  std::string directory;
  std::string path;  // of the socket, in there
  std::string cgroup;
};

// What a shim's `start` fails with is unknown to whoever runs it; so it is here, but for what may
// be better soon.
absl::Status Failure(const kernel::Error& error) {
  const absl::Status status = ToStatus(error);
  return absl::IsResourceExhausted(status) ? status : Unknown("{}", error.Text());
}

absl::StatusOr<Plan> MakePlan(const Launcher::Options& options, const Bundle& bundle,
                              const std::optional<google::protobuf::Any>& sent) {
  std::optional<shim::messages::Any> runtime_options;
  if (sent) {
    runtime_options.emplace(
        shim::messages::Any{.type_url = sent->type_url(), .value = sent->value()});
  }
  const auto resolved = shim::ResolveOptions(runtime_options);
  if (!resolved) return Failure(resolved.error());
  const auto group = shim::GroupOf((bundle.path() / "config.json").string(), bundle.id());
  if (!group) return Failure(group.error());
  Plan plan{.directory = options.socket_dir.empty() ? shim::kSocketDirectory : options.socket_dir,
            .path = {},
            .cgroup = resolved->options.shim_cgroup};
  plan.path = shim::SocketPath(plan.directory, options.grpc_address, bundle.ns(), *group);
  if (plan.path.size() > shim::kMaxSocketPath) {
    return Unknown("socket path {} is too long", plan.path);
  }
  return plan;
}

// What the bundle tells of a server, taken back unless there is one.
class [[nodiscard]] Record {
 public:
  explicit Record(const Bundle& bundle) : bundle_(&bundle) {}
  Record(const Record&) = delete;
  ~Record() {
    if (bundle_ != nullptr) bundle_->ForgetEndpoint().IgnoreError();  // then nobody serves there
  }
  void Keep() { bundle_ = nullptr; }

 private:
  const Bundle* bundle_;
};

kernel::Result<shim::ListeningSocket> Listen(const Plan& plan, const std::string& id) {
  const std::string name = shim::NameBeside(plan.path, shim::DaemonTag(id));
  ::unlink(name.c_str());  // of a start that ended with its daemon
  return shim::ListeningSocket::Bind(name);
}

struct Pair {
  kernel::UniqueFd ours;
  kernel::UniqueFd theirs;
};

kernel::Result<Pair> MakeConnection() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return kernel::LastError("socketpair");
  }
  return Pair{.ours = kernel::UniqueFd(ends[0]), .theirs = kernel::UniqueFd(ends[1])};
}

bool WantsOwnCores(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.starts_with(kCoreSchedulingVariable)) {
      return variable.size() > kCoreSchedulingVariable.size();
    }
  }
  return false;
}

// As `start` leaves one, down to what process listings show.
kernel::Result<kernel::Subprocess> Spawn(const Launcher::Options& options, const Bundle& bundle,
                                         const fs::path& program,
                                         const shim::ListeningSocket& socket, int connection) {
  // What it has to say before it opens its log itself is said there too.
  const auto log = kernel::Open(bundle.log().string(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (!log) return log.error();
  kernel::SpawnOptions spawn{
      .program = program.string(),
      .arguments = {program.string(), "-namespace", bundle.ns(), "-id", bundle.id(), "-address",
                    options.grpc_address},
      .environment = ShimEnvironment(options, bundle.ns()),
      .directory = bundle.path().string(),
      .stdio = {kernel::Stdio::Null(), kernel::Stdio::Null(), kernel::Stdio::Fd(log->get())},
      .extra_fds = {socket.fd(), connection},
      .open_files = options.open_files,
      .new_session = true};
  if (options.debug) spawn.arguments.emplace_back("-debug");
  const bool own_cores = WantsOwnCores(*spawn.environment);
  spawn.environment->push_back(std::string(shim::kSocketVariable) + "=" + socket.path());
  auto process = kernel::Subprocess::Spawn(spawn);
  if (process && own_cores) {
    if (auto shared = shim::ShareCores(process->pid()); !shared) return shared.error();
  }
  return process;
}

kernel::Result<void> Place(pid_t server, const std::string& cgroup) {
  if (!cgroup.empty()) {
    if (auto joined = shim::cgroup::JoinCgroup(server, cgroup); !joined) return joined;
  }
  return shim::SetOomScoreAbove(server, ::getpid());
}

}  // namespace

absl::StatusOr<LaunchedServer> LaunchServer(
    Loop& loop, const Launcher::Options& options, const Bundle& bundle, const fs::path& program,
    const std::optional<google::protobuf::Any>& runtime_options) {
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(options, bundle, runtime_options));
  LaunchedServer launched{.endpoint = {.version = kNewestShimVersion,
                                       .address = "unix://" + plan.path,
                                       .protocol = "ttrpc"},
                          .connection = {},
                          .process = nullptr};
  Record record(bundle);
  if (!options.socket_dir.empty()) RETURN_IF_ERROR(bundle.LinkSocketDirectory(plan.directory));
  RETURN_IF_ERROR(bundle.WriteEndpoint(launched.endpoint));

  if (auto made = kernel::MakeDirectories(plan.directory, 0700); !made) {
    return Failure(made.error());
  }
  if (shim::IsServed(plan.path)) {
    record.Keep();
    return launched;
  }
  auto socket = Listen(plan, bundle.id());
  if (!socket) return Failure(socket.error());
  const auto taken = shim::TakeName(*socket, plan.path);
  if (!taken) return Failure(taken.error());
  if (!*taken) {
    record.Keep();
    return launched;
  }
  auto connection = MakeConnection();
  if (!connection) return Failure(connection.error());
  auto server = Spawn(options, bundle, program, *socket, connection->theirs.get());
  if (!server) return Failure(server.error());
  if (auto placed = Place(server->pid(), plan.cgroup); !placed) return Failure(placed.error());

  launched.connection = std::move(connection->ours);
  launched.process = ShimProcess::Watch(loop, *std::move(server));
  std::move(*socket).Keep();
  record.Keep();
  return launched;
}

}  // namespace gantry::runtime

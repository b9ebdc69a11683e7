// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/start.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "shim/events/publisher.h"
#include "shim/group/container_group.h"
#include "shim/group/core_scheduling.h"
#include "shim/group/group_socket.h"
#include "shim/group/oom_score.h"
#include "shim/group/socket_path.h"
#include "shim/json/json_writer.h"
#include "shim/launch/server_process.h"
#include "shim/launch/start_input.h"
#include "shim/messages/bootstrap.h"
#include "shim/messages/codec.h"
#include "shim/options/resolve_options.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {
namespace {

constexpr int kBootstrapVersion = 3;
constexpr size_t kTagBytes = 4;
constexpr char kAddressFile[] = "address";

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

kernel::Result<Plan> MakePlan(const StartRequest& request, const Program& program) {
  const Flags& flags = request.flags;
  const StartInput input = ParseStartInput(request.input, flags);
  const messages::BootstrapParams bootstrap = input.bootstrap.value_or(messages::BootstrapParams());
  auto options = ResolveOptions(input.options);
  if (!options) return options.error();
  auto group = GroupOf("config.json", flags.id);
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
  NewName link(plan.own_directory ? kSocketDirectoryLink : "");
  if (plan.own_directory) {
    ::unlink(kSocketDirectoryLink);
    if (::symlink(plan.directory.c_str(), kSocketDirectoryLink) != 0) {
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
  auto socket = ListeningSocket::Bind(NameBeside(plan.path, kernel::RandomHex(kTagBytes)));
  if (!socket) return socket.error();
  if (!EnvironmentOr("SCHED_CORE", "").empty()) {
    if (auto shared = ShareCores(0); !shared) return shared;
  }
  auto server = StartServerProcess({.socket = &*socket,
                                    .final_path = plan.path,
                                    .settings = plan.settings,
                                    .argc = request.argc,
                                    .argv = request.argv},
                                   program.serve);
  if (!server) return server.error();
  if (auto placed = PlaceServer(server->process.pid(), plan, program); !placed) return placed;
  const auto taken = TakeName(*socket, plan.path);
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
  if (IsServed(plan->path)) return Reply(*plan, request.output);
  return StartServer(request, *plan, program);
}

}  // namespace gantry::shim

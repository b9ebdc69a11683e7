// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "shim/cgroup/placement.h"
#include "shim/cgroup/removal.h"
#include "shim/loop/wait.h"
#include "shim/options/bundle_options.h"
#include "shim/runtime/pid_file.h"
#include "shim/task/container.h"
#include "shim/task/rootfs.h"

namespace gantry::shim {
namespace {

constexpr const char* kFailed = "OCI runtime create failed: ";
constexpr Clock::duration kCgroupPatience = std::chrono::seconds(2);

// What is known of a process of which nothing is known but that it has ended.
Exit LostExit(pid_t pid) {
  return {.pid = pid, .status = {.code = 255}, .at = std::chrono::system_clock::now()};
}

}  // namespace

Co<Reply<messages::CreateTaskResponse>> Container::Create(Time deadline) {
  const auto self = shared_from_this();
  const auto turn = co_await changes_.Enter();
  auto answer = co_await CreateSteps(Limit(deadline));
  if (!answer.ok()) co_await UndoCreate();
  co_return answer;
}

Co<Reply<messages::CreateTaskResponse>> Container::CreateSteps(Time limit) {
  const std::string name = options_.binary_name.empty() ? kDefaultRuntime : options_.binary_name;
  auto binary = FindBinary(name);
  if (!binary)
    co_return Unknown(kFailed + ("exec: \"" + name + "\": executable file not found in $PATH"));
  runtime_.emplace(context_.loop, context_.children, context_.runtime_image,
                   RuntimeSettings{.binary = *binary,
                                   .root = (options_.root.empty() ? std::string(kDefaultRuntimeRoot)
                                                                  : options_.root) +
                                           "/" + context_.ns,
                                   .systemd_cgroup = options_.systemd_cgroup,
                                   .environment = context_.environment},
                   request_.bundle);
  if (auto written = WriteBundleOptions(request_.bundle, options_); !written)
    co_return Unknown(written.error().Text());
  if (auto written = WriteBundleRuntime(request_.bundle, options_.binary_name); !written)
    co_return Unknown(written.error().Text());

  std::vector<RootfsMount> mounts;
  for (const messages::Mount& mount : request_.rootfs) {
    mounts.push_back(
        {.spec = {.type = mount.type, .source = mount.source, .options = mount.options},
         .target = mount.target});
  }
  mounted_ = !mounts.empty();
  auto mounted = co_await MountRootfs(context_.loop, context_.children, request_.bundle,
                                      std::move(mounts), limit);
  if (!mounted) co_return Unknown("failed to mount rootfs component: " + mounted.error().Text());

  auto io = MakeProcessIo(context_.io, init_.stdio);
  if (!io) co_return Unknown(io.error().what);
  init_.io = *std::move(io);
  auto prepared = co_await init_.io->Prepare(Clock::now() + kIoPatience);
  if (!prepared) co_return Unknown("failed to prepare io: " + prepared.error().Text());

  // A restored container has no process before its start.
  if (request_.checkpoint.empty()) {
    const auto pending = context_.ledger.Begin();
    auto command = runtime_->Spawn(CreateArguments(CommandOfCreate(), id()),
                                   {.stdio = init_.io->RuntimeStdio()}, limit);
    ReadSpec();
    wire::RpcStatus begun = co_await BeginInit(std::move(command), kFailed);
    if (!begun.ok()) co_return begun;
    PublishCreated();
    OwnInit();
  } else {
    ReadSpec();
    PublishCreated();
  }
  co_return messages::CreateTaskResponse{.pid = static_cast<uint32_t>(init_.pid)};
}

// While the runtime reads it too. What cannot be read the runtime refuses.
void Container::ReadSpec() {
  auto spec = ScanSpecFile(InBundle("config.json"), {});
  if (spec) spec_ = *std::move(spec);
}

CreateCommand Container::CommandOfCreate() const {
  return {.bundle = request_.bundle,
          .pid_file = InBundle("init.pid"),
          .console_socket = init_.io->console_socket(),
          .no_pivot_root = options_.no_pivot_root,
          .no_new_keyring = options_.no_new_keyring};
}

Co<wire::RpcStatus> Container::BeginInit(kernel::Result<RuntimeCommand> command,
                                         std::string prefix) {
  if (!command) co_return Unknown(prefix + command.error().Text());
  runtime_has_state_ = true;
  init_.io->Started();
  const RuntimeOutcome outcome = co_await (*std::move(command)).Finish();
  create_killed_ = outcome.killed;
  if (!outcome.ok) co_return Failure(prefix, outcome);
  auto connected = co_await init_.io->Connect(Clock::now() + kIoPatience);
  if (!connected) co_return Unknown(prefix + connected.error().Text());
  auto pid = ReadPidFile(InBundle("init.pid"));
  if (!pid) co_return Unknown(prefix + pid.error().Text());
  init_.pid = *pid;
  co_return wire::RpcStatus{};
}

void Container::PublishCreated() {
  context_.events.Publish(messages::TaskCreate{
      .container_id = id(),
      .bundle = request_.bundle,
      .rootfs = request_.rootfs,
      .io = messages::TaskIO{.stdin = request_.stdin,
                             .stdout = request_.stdout,
                             .stderr = request_.stderr,
                             .terminal = request_.terminal},
      .checkpoint = request_.checkpoint,
      .pid = static_cast<uint32_t>(init_.pid),
  });
}

// The process is in its cgroup now, and its exit, which may have been, is ours.
void Container::OwnInit() {
  if (auto found = cgroup::Location::Of(init_.pid)) {
    cgroup_ = *std::move(found);
    cgroup::EnableControllers(*cgroup_);
    // Without it an OOM kill shows as a death by SIGKILL alone.
    if (auto watched = context_.oom.Watch(id(), *cgroup_); !watched) Log(watched.error().Text());
  }
  const auto ended = [self = shared_from_this()](const Exit& exit) {
    self->exits_.InitEnded(exit);
  };
  if (context_.ledger.Own(init_.pid, ended)) return;
  Log("process " + std::to_string(init_.pid) + " is no child of the shim");
  // Its runtime has reaped it, which told nobody how it ended.
  if (::kill(init_.pid, 0) != 0 && errno == ESRCH) exits_.InitEnded(LostExit(init_.pid));
}

// Those that the runtime made and had not noted yet. What it had put there is about to end.
Co<void> Container::RemoveCgroups() {
  if (spec_.cgroups_path.empty()) co_return;
  const Time end = Clock::now() + kCgroupPatience;
  while (!cgroup::RemoveAt(spec_.cgroups_path)) {
    if (Clock::now() >= end) {
      Log("undo create: cgroup " + spec_.cgroups_path + " is in use");
      co_return;
    }
    co_await Sleep(context_.loop, std::chrono::milliseconds(20));
  }
}

Co<void> Container::UndoCreate() {
  const Time limit = Limit(kNever);
  if (init_.io) co_await init_.io->Close();
  if (runtime_has_state_) {
    const RuntimeOutcome deleted = co_await runtime_->Run(DeleteArguments(id(), true), limit);
    if (!deleted.ok && runtime_->Knows(id())) Log("undo create: " + deleted.error);
  }
  if (create_killed_ && !options_.systemd_cgroup) co_await RemoveCgroups();
  const auto unmounted = co_await Unmount(limit);
  if (!unmounted) Log("undo create: " + unmounted.error().Text());
}

}  // namespace gantry::shim

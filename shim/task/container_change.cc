// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/tree.h"
#include "shim/task/container.h"

namespace gantry::shim {
namespace {

// Longer than this nobody dumps a container.
constexpr size_t kMaxDumpLogBytes = 16UL << 20;

}  // namespace

Co<Reply<messages::Empty>> Container::Pause(Time deadline) {
  const auto self = shared_from_this();
  const auto turn = co_await changes_.Enter();
  if (auto refused = RefuseInit(Verb::kPause, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  const Freeze freeze(*this);
  co_await exec_commands_.Empty();
  // It may have ended meanwhile.
  if (auto refused = RefuseInit(Verb::kPause, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  init_.phase = Phase::kPausing;
  const RuntimeOutcome outcome = co_await runtime_->Run(PauseArguments(id()), Limit(deadline));
  if (init_.phase == Phase::kPausing) init_.phase = outcome.ok ? Phase::kPaused : Phase::kRunning;
  if (!outcome.ok) co_return Failure("OCI runtime pause failed: ", outcome);
  context_.events.Publish(messages::TaskPaused{.container_id = id()});
  co_return messages::Empty{};
}

Co<Reply<messages::Empty>> Container::Resume(Time deadline) {
  const auto self = shared_from_this();
  const auto turn = co_await changes_.Enter();
  if (auto refused = RefuseInit(Verb::kResume, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  const Freeze freeze(*this);
  const RuntimeOutcome outcome = co_await runtime_->Run(ResumeArguments(id()), Limit(deadline));
  if (!outcome.ok) co_return Failure("OCI runtime resume failed: ", outcome);
  if (init_.phase == Phase::kPaused) init_.phase = Phase::kRunning;
  context_.events.Publish(messages::TaskResumed{.container_id = id()});
  co_return messages::Empty{};
}

Co<Reply<messages::Empty>> Container::Update(std::string resources, Time deadline) {
  const auto self = shared_from_this();
  const auto turn = co_await changes_.Enter();
  if (auto refused = RefuseInit(Verb::kUpdate, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  const RuntimeOutcome outcome =
      co_await runtime_->Run(UpdateArguments(id()), Limit(deadline), std::move(resources));
  if (!outcome.ok) co_return Failure("OCI runtime update failed: ", outcome);
  co_return messages::Empty{};
}

Co<Reply<messages::Empty>> Container::Checkpoint(std::string image_path, CheckpointOptions options,
                                                 Time deadline) {
  const auto self = shared_from_this();
  const auto turn = co_await changes_.Enter();
  if (auto refused = RefuseInit(Verb::kCheckpoint, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  const Freeze freeze(*this);
  const bool own_work_path = options.work_path.empty();
  const std::string work_path = own_work_path ? InBundle("work/criu-work") : options.work_path;
  Arguments arguments =
      CheckpointArguments({.image_path = std::move(image_path),
                           .work_path = work_path,
                           .parent_path = std::move(options.parent_path),
                           .open_tcp = options.open_tcp,
                           .external_unix_sockets = options.external_unix_sockets,
                           .terminal = options.terminal,
                           .file_locks = options.file_locks,
                           .empty_namespaces = std::move(options.empty_namespaces),
                           .cgroups_mode = std::move(options.cgroups_mode),
                           .leave_running = !options.exit},
                          id());
  const RuntimeOutcome outcome = co_await runtime_->Run(std::move(arguments), Limit(deadline));
  wire::RpcStatus status;
  if (!outcome.ok) {
    const std::string kept = InBundle("criu-dump.log");
    if (auto log = kernel::ReadFile(work_path + "/dump.log", kMaxDumpLogBytes)) {
      kernel::WriteFileAtomic(kept, *log, 0600, kernel::Durability::kNone).Ignore();
    }
    status = Unknown("OCI runtime checkpoint failed: " +
                     outcome.error.substr(0, outcome.error.find('\n')) + " path= " + kept);
  }
  if (own_work_path) kernel::RemoveTree(work_path).Ignore();
  if (!status.ok()) co_return status;
  co_return messages::Empty{};
}

Reply<messages::Empty> Container::Resize(const std::string& exec_id, uint32_t width,
                                         uint32_t height) {
  const Process* process = Find(exec_id);
  if (process == nullptr) return NoSuchProcess(exec_id);
  if (!exec_id.empty() && process->phase == Phase::kStopped)
    return Unknown("cannot resize a stopped process");
  if (!process->io) return messages::Empty{};
  auto resized = process->io->Resize(static_cast<uint16_t>(width), static_cast<uint16_t>(height));
  if (!resized) return Unknown(resized.error().Text());
  return messages::Empty{};
}

Reply<messages::Empty> Container::CloseStdin(const std::string& exec_id) {
  const Process* process = Find(exec_id);
  if (process == nullptr) return NoSuchProcess(exec_id);
  if (process->io) process->io->CloseStdin();
  return messages::Empty{};
}

Reply<messages::Empty> Container::ReopenLog(const std::string& exec_id) {
  const auto followers = Followers(exec_id);
  if (!followers.ok()) return followers.status;
  auto reopened = Find(exec_id)->io->ReopenLog();
  if (!reopened) return Unknown(reopened.error().Text());
  return messages::Empty{};
}

Reply<std::shared_ptr<LogFollowers>> Container::Followers(const std::string& exec_id) const {
  const Process* process = Find(exec_id);
  if (process == nullptr) return NoSuchProcess(exec_id);
  auto followers = process->io ? process->io->followers() : nullptr;
  if (followers) return followers;
  return wire::MakeStatus(wire::RpcCode::kFailedPrecondition,
                          process->stdio.id + " has no log file of the shim's");
}

}  // namespace gantry::shim

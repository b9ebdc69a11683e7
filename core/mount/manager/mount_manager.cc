// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/mount_manager.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <memory>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/log/log.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

constexpr size_t kMaxMounts = 255;
constexpr size_t kMaxBootIdBytes = 256;
// Of names that no caller may choose.
constexpr std::string_view kScopedPrefix = "\x01gantry-";
// How often a waiting call looks whether its caller is still there.
constexpr absl::Duration kWaitStep = absl::Milliseconds(100);

absl::Status CheckRequest(const Context& ctx, const std::string& name, const Mounts& mounts,
                          const Labels& labels) {
  if (ctx.ns.empty()) return FailedPrecondition("namespace is required");
  if (name.empty()) return InvalidArgument("mount name is empty");
  if (mounts.size() > kMaxMounts) {
    return InvalidArgument("mount {}: {} mounts, the limit is {}", name, mounts.size(), kMaxMounts);
  }
  return ValidateLabels(labels);
}

// The first `count` transformations of a step.
absl::StatusOr<Mount> Transform(const Context& ctx, const Plan::Step& step, size_t count,
                                Mount mount, const std::vector<ActiveMount>& earlier) {
  for (size_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(ctx.Check());
    mount.type = step.transformations[i].type;
    ASSIGN_OR_RETURN(
        mount, step.transformations[i].transformer->Transform(ctx, std::move(mount), earlier));
  }
  return mount;
}

std::optional<std::string> FieldOf(const ActivationInfo& info, filters::FieldPath path) {
  if (path.size() == 1 && path[0] == "name") return filters::NonEmpty(info.name);
  if (path.size() > 1 && path[0] == "labels") return filters::Lookup(info.labels, path);
  return std::nullopt;
}

}  // namespace

// Holds a name while one call works on it.
class MountManager::NameLock {
 public:
  NameLock(NameLock&& other) noexcept
      : manager_(std::exchange(other.manager_, nullptr)), key_(std::move(other.key_)) {}
  NameLock& operator=(NameLock&&) = delete;
  ~NameLock() {
    if (manager_ == nullptr) return;
    base::MutexLock lock(manager_->mutex_);
    manager_->busy_.erase(key_);
    manager_->changed_.NotifyAll();
  }

  static absl::StatusOr<NameLock> Take(MountManager& manager, const Context& ctx,
                                       const std::string& name) {
    std::pair key(ctx.ns, name);
    base::MutexLock lock(manager.mutex_);
    while (!manager.busy_.insert(key).second) {
      RETURN_IF_ERROR(ctx.Check());
      manager.changed_.WaitUntil(manager.mutex_, std::min(ctx.deadline, absl::Now() + kWaitStep));
    }
    return NameLock(&manager, std::move(key));
  }

 private:
  NameLock(MountManager* manager, std::pair<std::string, std::string> key)
      : manager_(manager), key_(std::move(key)) {}
  MountManager* manager_;
  std::pair<std::string, std::string> key_;
};

absl::StatusOr<std::unique_ptr<MountManager>> MountManager::Open(ActivationStore& store,
                                                                 Options options) {
  // Before the roots are opened, for it is one of them.
  Handlers none;
  RETURN_IF_ERROR(Targets::Open(options.targets, none).status());
  options.roots.push_back(options.targets);
  ASSIGN_OR_RETURN(AllowedRoots roots, AllowedRoots::Open(options.roots));
  std::unique_ptr<MountManager> manager(new MountManager(store, std::move(roots)));
  manager->handlers_ = std::move(options.handlers);
  manager->boot_file_ = std::move(options.boot_file);
  manager->patience_ = options.patience;
  ASSIGN_OR_RETURN(manager->targets_, Targets::Open(options.targets, manager->handlers_));
  return manager;
}

bool MountManager::Needs(const Mounts& mounts, const ActivateOptions& options) const {
  return MakePlan(mounts, options, transformers_, handlers_).needed;
}

absl::StatusOr<ActivationInfo> MountManager::Activate(const Context& ctx, const std::string& name,
                                                      Mounts mounts,
                                                      const ActivateOptions& options) {
  RETURN_IF_ERROR(CheckRequest(ctx, name, mounts, options.labels));
  if (name.starts_with(kScopedPrefix)) return InvalidArgument("mount name {:?} is ours", name);
  const Plan plan = MakePlan(mounts, options, transformers_, handlers_);
  if (!plan.needed) return Unimplemented("mount {}: the list can be mounted as it is", name);
  ASSIGN_OR_RETURN(const NameLock lock, NameLock::Take(*this, ctx, name));
  Labels labels = options.labels;
  DropEmptyLabels(labels);
  ASSIGN_OR_RETURN(const ActivationStore::Begun begun, store_.Begin(ctx, name, labels));
  if (begun.replaced) {
    const absl::Status undone = Undo(ctx, *begun.replaced);
    if (!undone.ok())
      log::Warn("half-made mounts stay", {{"id", *begun.replaced}, {"error", undone}});
  }
  absl::StatusOr<ActivationInfo> info =
      Make(ctx, plan, begun.id, std::move(mounts), options.temporary);
  if (info.ok()) {
    info->name = name;
    info->labels = std::move(labels);
    const absl::Status stored = store_.Complete(ctx, begun.id, *info);
    if (!stored.ok()) info = stored;
  }
  if (!info.ok()) TakeBack(ctx, begun.id, name);
  return info;
}

absl::StatusOr<ScopedActivation> MountManager::ActivateScoped(const Context& ctx, Mounts mounts) {
  const Plan plan = MakePlan(mounts, {}, transformers_, handlers_);
  if (!plan.needed) return ScopedActivation(std::move(mounts));
  Context own = ctx;
  own.lease.clear();  // it lives as long as the work, not as long as a lease
  std::string name;
  {
    base::MutexLock lock(mutex_);
    name = fmt::format("{}{}", kScopedPrefix, ++scoped_);
  }
  RETURN_IF_ERROR(CheckRequest(own, name, mounts, {}));
  // The record stays unfinished: the collector keeps it, and the next start forgets it.
  ASSIGN_OR_RETURN(const ActivationStore::Begun begun, store_.Begin(own, name, {}));
  absl::StatusOr<ActivationInfo> info = Make(own, plan, begun.id, std::move(mounts), false);
  if (!info.ok()) {
    TakeBack(own, begun.id, name);
    return info.status();
  }
  return ScopedActivation(*this, own, begun.id, std::move(name), std::move(info->system));
}

void ScopedActivation::Undo() {
  MountManager* manager = std::exchange(manager_, nullptr);
  if (manager != nullptr) manager->TakeBack(ctx_, id_, name_);
}

absl::StatusOr<ActivationInfo> MountManager::Make(const Context& ctx, const Plan& plan, uint64_t id,
                                                  Mounts mounts, bool temporary) const {
  RETURN_IF_ERROR(targets_->Create(id));
  ActivationInfo info;
  for (size_t i = 0; i < plan.managed; ++i) {
    RETURN_IF_ERROR(ctx.Check());
    const Plan::Step& step = plan.steps[i];
    ASSIGN_OR_RETURN(const Mount mount, Transform(ctx, step, step.transformations.size(),
                                                  std::move(mounts[i]), info.active));
    ASSIGN_OR_RETURN(const std::string mount_point,
                     targets_->Reserve(id, i, plan.managed, mount.type));
    ASSIGN_OR_RETURN(ActiveMount active, MakeOne(ctx, step, mount, mount_point, info.active));
    info.active.push_back(std::move(active));
  }
  info.system.assign(std::make_move_iterator(mounts.begin() + static_cast<long>(plan.managed)),
                     std::make_move_iterator(mounts.end()));
  if (!info.system.empty()) {
    const Plan::Step& step = plan.steps[plan.managed];
    ASSIGN_OR_RETURN(info.system[0],
                     Transform(ctx, step, step.to_apply, std::move(info.system[0]), info.active));
  }
  if (temporary) {
    info.system = {{.type = "bind",
                    .source = info.active.back().mount_point,
                    .target = "",
                    .options = {"rbind"}}};
  }
  return info;
}

absl::StatusOr<ActiveMount> MountManager::MakeOne(const Context& ctx, const Plan::Step& step,
                                                  const Mount& mount,
                                                  const std::string& mount_point,
                                                  const std::vector<ActiveMount>& earlier) const {
  if (step.handler != nullptr) return step.handler->MountAt(ctx, mount, mount_point, earlier);
  if (::mkdir(mount_point.c_str(), 0700) != 0) return FromErrno(errno, "mkdir " + mount_point);
  RETURN_IF_ERROR(MountOne(mount, mount_point));
  return ActiveMount{
      .mount = mount, .mount_point = mount_point, .mounted_at = absl::Now(), .data = {}};
}

// Whatever the caller's state, the way back is gone to its end. A directory that stays because of a
// failure has no record any more, and CleanUp() finds it.
void MountManager::TakeBack(const Context& ctx, uint64_t id, const std::string& name) {
  const Context detached = ctx.Detached();
  if (const absl::Status undone = Undo(detached, id); !undone.ok()) {
    log::Warn("mounts of a failed activation stay", {{"name", name}, {"error", undone}});
  }
  const absl::Status removed = store_.Remove(detached, name).status();
  if (!removed.ok() && !absl::IsNotFound(removed)) {
    log::Warn("record of a failed activation stays", {{"name", name}, {"error", removed}});
  }
}

// One call at a time works on an activation: between the steps of one that is being undone, the
// device that it held may become another's.
absl::Status MountManager::Undo(const Context& ctx, uint64_t id) {
  {
    base::MutexLock lock(mutex_);
    while (!undoing_.insert(id).second) changed_.Wait(mutex_);
  }
  absl::Status undone = targets_->Undo(ctx, id);
  base::MutexLock lock(mutex_);
  undoing_.erase(id);
  changed_.NotifyAll();
  return undone;
}

absl::Status MountManager::Deactivate(const Context& ctx, const std::string& name) {
  RETURN_IF_ERROR(CheckRequest(ctx, name, {}, {}));
  ASSIGN_OR_RETURN(const NameLock lock, NameLock::Take(*this, ctx, name));
  RETURN_IF_ERROR(Find(ctx, name).status());
  ASSIGN_OR_RETURN(const ActivationRecord record, store_.Remove(ctx, name));
  return Annotate(Undo(ctx.Detached(), record.id), "deactivate mount " + name);
}

absl::StatusOr<ActivationInfo> MountManager::Info(const Context& ctx,
                                                  const std::string& name) const {
  RETURN_IF_ERROR(CheckRequest(ctx, name, {}, {}));
  ASSIGN_OR_RETURN(ActivationRecord record, Find(ctx, name));
  return std::move(record.info);
}

// One that is being made is nobody's to see.
absl::StatusOr<ActivationRecord> MountManager::Find(const Context& ctx,
                                                    const std::string& name) const {
  ASSIGN_OR_RETURN(ActivationRecord record, store_.Get(ctx, name));
  if (!record.complete) return NotFound("mount {:?}", name);
  return record;
}

absl::Status MountManager::List(
    const Context& ctx, const filters::Filter& filter,
    absl::FunctionRef<absl::Status(const ActivationInfo&)> visit) const {
  if (ctx.ns.empty()) return FailedPrecondition("namespace is required");
  return store_.ForEach(ctx, ctx.ns, [&](const ActivationRecord& record) -> absl::Status {
    const auto field = [&record](filters::FieldPath path) { return FieldOf(record.info, path); };
    return record.complete && filter.Matches(field) ? visit(record.info) : absl::OkStatus();
  });
}

// Whether the host was booted since the last NoteBoot(). `now` becomes what that is to note.
absl::StatusOr<bool> MountManager::Rebooted(std::string& now) const {
  if (boot_file_.empty()) return false;
  auto id = kernel::ReadFile("/proc/sys/kernel/random/boot_id", kMaxBootIdBytes);
  if (!id) return ToStatus(id.error());
  now = *std::move(id);
  const auto then = kernel::ReadFile(boot_file_.string(), kMaxBootIdBytes);
  return then && *then != now;
}

absl::Status MountManager::NoteBoot(const std::string& now) const {
  if (boot_file_.empty()) return absl::OkStatus();
  return ToStatus(
      kernel::WriteFileAtomic(boot_file_.string(), now, 0600, kernel::Durability::kNone));
}

absl::Status MountManager::ForgetTargets() const {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> made, targets_->Ids());
  for (const uint64_t id : made) {
    if (const absl::Status forgotten = targets_->Forget(id); !forgotten.ok()) {
      log::Warn("directory of mounts before the last boot stays",
                {{"id", id}, {"error", forgotten}});
    }
  }
  return absl::OkStatus();
}

absl::Status MountManager::Recover(const Context& ctx) {
  std::string boot;
  ASSIGN_OR_RETURN(const bool rebooted, Rebooted(boot));
  if (rebooted) RETURN_IF_ERROR(ForgetTargets());
  std::vector<std::pair<std::string, std::string>> dead;
  RETURN_IF_ERROR(store_.ForEach(ctx, "", [&](const ActivationRecord& record) {
    if (rebooted || !record.complete || !targets_->Exists(record.id)) {
      dead.emplace_back(record.ns, record.info.name);
    }
    return absl::OkStatus();
  }));
  for (const auto& [ns, name] : dead) {
    RETURN_IF_ERROR(store_.Remove(ctx.InNamespace(ns), name).status());
  }
  RETURN_IF_ERROR(NoteBoot(boot));
  return CleanUp(ctx);
}

absl::Status MountManager::CleanUp(const Context& ctx) {
  auto cleaned = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> outcome = cleaned->get_future();
  // Goes on when we do not wait any longer.
  if (!cleaner_.TryPost(
          [this, cleaned, ctx = ctx.Detached()] { cleaned->set_value(UndoUnrecorded(ctx)); })) {
    return Unavailable("mounts of an earlier clean-up are still being undone");
  }
  if (outcome.wait_for(absl::ToChronoMilliseconds(patience_)) == std::future_status::ready) {
    return outcome.get();
  }
  log::Warn("unmounting takes long and goes on behind", {});
  return absl::OkStatus();
}

absl::Status MountManager::UndoUnrecorded(const Context& ctx) {
  // Directories first: each of these had a record before it was made, so one that has none now was
  // given up.
  ASSIGN_OR_RETURN(const std::vector<uint64_t> made, targets_->Ids());
  std::set<uint64_t> recorded;
  RETURN_IF_ERROR(store_.ForEach(ctx, "", [&](const ActivationRecord& record) {
    recorded.insert(record.id);
    return absl::OkStatus();
  }));
  for (const uint64_t id : made) {
    if (recorded.contains(id)) continue;
    if (const absl::Status undone = Undo(ctx, id); !undone.ok()) {
      log::Warn("mounts without a record stay", {{"id", id}, {"error", undone}});
    }
  }
  return absl::OkStatus();
}

}  // namespace gantry::mount

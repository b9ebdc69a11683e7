// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_mounts.h"

#include <string>
#include <utility>

#include "core/log/log.h"
#include "core/mount/manager/mount_manager.h"

namespace gantry::runtime {
namespace {

// Ties the mounts to the container; also tells them from a client's own of the same name.
constexpr char kHolderLabel[] = "containerd.io/gc.bref.container";

mount::ActivateOptions OptionsFor(const Bundle& bundle, const std::optional<MountClaims>& claims) {
  mount::ActivateOptions options{.labels = {{kHolderLabel, bundle.id()}},
                                 .temporary = false,
                                 .own_types = {},
                                 .own_transforms = {}};
  if (claims) {
    options.own_types = claims->types;
    options.own_transforms = claims->transforms;
  }
  return options;
}

bool IsHeldBy(const std::string& id, const mount::ActivationInfo& info) {
  const auto holder = info.labels.find(kHolderLabel);
  return holder != info.labels.end() && holder->second == id;
}

absl::StatusOr<mount::Mounts> Activate(mount::MountManager& mounts, const Context& ctx,
                                       const std::string& id, const mount::Mounts& rootfs,
                                       const mount::ActivateOptions& options) {
  absl::StatusOr<mount::ActivationInfo> info = mounts.Activate(ctx, id, rootfs, options);
  if (absl::IsAlreadyExists(info.status())) {
    absl::StatusOr<mount::ActivationInfo> active = mounts.Info(ctx, id);
    if (!active.ok() || IsHeldBy(id, *active)) info = std::move(active);
  }
  if (!info.ok()) return Annotate(info.status(), "activate mounts of the root file system");
  return std::move(info->system);
}

bool HasMounts(TaskEnv& env, const Bundle& bundle) {
  if (env.mounts == nullptr) return false;
  const auto info = env.mounts->Info({.ns = bundle.ns()}, bundle.id());
  // Else it cannot be told now, and the collector will see to it.
  return info.ok() && IsHeldBy(bundle.id(), *info);
}

}  // namespace

void ActivateRootfs(TaskEnv& env, const Bundle& bundle, const mount::Mounts& rootfs,
                    const std::optional<MountClaims>& claims, Done<mount::Mounts> done) {
  mount::ActivateOptions options = OptionsFor(bundle, claims);
  if (env.mounts == nullptr || !env.mounts->Needs(rootfs, options)) return done(rootfs);
  env.shims.slow_steps().Run([&env, ns = bundle.ns(), id = bundle.id(), rootfs,
                              options = std::move(options), done = std::move(done)]() mutable {
    const Context ctx{.ns = std::move(ns), .deadline = env.In(env.timeouts().runtime_command)};
    done(Activate(*env.mounts, ctx, id, rootfs, options));
  });
}

void DeactivateRootfs(TaskEnv& env, const Bundle& bundle, absl::AnyInvocable<void()> then) {
  if (!HasMounts(env, bundle)) return then();
  env.shims.slow_steps().Run([&env, bundle, then = std::move(then)]() mutable {
    const absl::Status undone = env.mounts->Deactivate({.ns = bundle.ns()}, bundle.id());
    if (!undone.ok() && !absl::IsNotFound(undone)) {
      log::Warn("mounts of a root file system stay",
                {{"ns", bundle.ns()}, {"container", bundle.id()}, {"error", undone}});
    }
    then();
  });
}

}  // namespace gantry::runtime

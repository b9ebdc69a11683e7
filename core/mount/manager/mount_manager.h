// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/worker_pool.h"
#include "core/filters/filter.h"
#include "core/mount/manager/activation.h"
#include "core/mount/manager/activation_store.h"
#include "core/mount/manager/allowed_roots.h"
#include "core/mount/manager/plan.h"
#include "core/mount/manager/scoped_activation.h"
#include "core/mount/manager/targets.h"

namespace gantry::mount {

// Makes mounts that are more than mount(2) calls, keeps them under a name, undoes them.
//
// A collection removes an activation that no lease and no label of its own
// (containerd.io/gc.bref.*) holds, even while it is in use.
//
// Threads: any. Calls block for as long as mounting and unmounting take; calls for one name wait
// for one another until their contexts end. Statuses are those of the API.
class MountManager {
 public:
  struct Options {
    std::filesystem::path targets;    // where activations are mounted
    std::filesystem::path boot_file;  // says in which boot of the host that was; may be empty
    std::vector<std::filesystem::path> roots;    // where mkdir/ and mkfs/ may work, besides
    Handlers handlers;                           // by type; they outlive the manager
    absl::Duration patience = absl::Seconds(1);  // of CleanUp(), also at start
  };

  // `store` outlives the manager.
  static absl::StatusOr<std::unique_ptr<MountManager>> Open(ActivationStore& store,
                                                            Options options);

  // Whether Activate() would do anything; if not, the caller mounts the list itself. Blocks never.
  bool Needs(const Mounts& mounts, const ActivateOptions& options) const;

  // Makes the mounts. Unimplemented when nothing in the list needs it, AlreadyExists for a name
  // that is active. On failure nothing is left, the name included.
  absl::StatusOr<ActivationInfo> Activate(const Context& ctx, const std::string& name,
                                          Mounts mounts, const ActivateOptions& options);

  // The same for work of ours that ends with the result. Gives the mounts back as they are when
  // nothing needs to be done for them.
  absl::StatusOr<ScopedActivation> ActivateScoped(const Context& ctx, Mounts mounts);

  // NotFound. Otherwise the name is free, even when unmounting fails; the rest is then undone by
  // CleanUp().
  absl::Status Deactivate(const Context& ctx, const std::string& name);

  absl::StatusOr<ActivationInfo> Info(const Context& ctx, const std::string& name) const;

  // The finished activations of the context's namespace that the filter selects by name and labels.
  absl::Status List(const Context& ctx, const filters::Filter& filter,
                    absl::FunctionRef<absl::Status(const ActivationInfo&)> visit) const;

  // Called once at start, before anything else: forgets activations that were not finished, and
  // those whose mounts a reboot took; then CleanUp(). After a reboot nothing is unmounted or
  // detached: what has the names of then is somebody else's.
  absl::Status Recover(const Context& ctx);

  // Undoes mounts without a record. What fails is logged and left for the next time. A file system
  // that hangs is left to a thread of its own after a while, and to the next call what comes
  // behind.
  absl::Status CleanUp(const Context& ctx);

 private:
  class NameLock;
  friend class ScopedActivation;
  MountManager(ActivationStore& store, AllowedRoots roots)
      : store_(store), roots_(std::move(roots)), transformers_(MakeTransformers(roots_)) {}

  absl::StatusOr<ActivationInfo> Make(const Context& ctx, const Plan& plan, uint64_t id,
                                      Mounts mounts, bool temporary) const;
  absl::StatusOr<ActiveMount> MakeOne(const Context& ctx, const Plan::Step& step,
                                      const Mount& mount, const std::string& mount_point,
                                      const std::vector<ActiveMount>& earlier) const;
  void TakeBack(const Context& ctx, uint64_t id, const std::string& name);
  absl::Status Undo(const Context& ctx, uint64_t id);
  absl::Status UndoUnrecorded(const Context& ctx);
  absl::StatusOr<ActivationRecord> Find(const Context& ctx, const std::string& name) const;
  absl::StatusOr<bool> Rebooted(std::string& now) const;
  absl::Status NoteBoot(const std::string& now) const;
  absl::Status ForgetTargets() const;

  ActivationStore& store_;
  const AllowedRoots roots_;
  const Transformers transformers_;
  Handlers handlers_;
  std::optional<Targets> targets_;  // set by Open()
  std::filesystem::path boot_file_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::set<std::pair<std::string, std::string>> busy_ ABSL_GUARDED_BY(mutex_);  // ns, name
  std::set<uint64_t> undoing_ ABSL_GUARDED_BY(mutex_);
  uint64_t scoped_ ABSL_GUARDED_BY(mutex_) = 0;  // how many there were
  absl::Duration patience_;
  base::WorkerPool cleaner_{"unmounter", 1, 1};  // last, so that it ends first
};

}  // namespace gantry::mount

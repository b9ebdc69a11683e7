// SPDX-License-Identifier: Apache-2.0
// Snapshots as the daemon's rooms speak of them: what containers run on and layers are kept in.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/metadata/field_mask.h"
#include "core/mount/mount.h"
#include "core/plugin/plugin.h"

namespace gantry::snapshots {

// Numbers are the wire's.
enum class Kind { kView = 1, kActive = 2, kCommitted = 3 };

// "view", "active", "committed".
std::string_view KindName(Kind kind);

struct Info {
  std::string name;  // the key of an active snapshot or view, the name of a committed one
  std::string parent;
  Kind kind = Kind::kActive;
  Labels labels;
  absl::Time created_at;
  absl::Time updated_at;
};

// What a snapshot takes by itself, without its parents.
struct Usage {
  int64_t size_bytes = 0;  // blocks on disk, not lengths
  int64_t inodes = 0;

  bool operator==(const Usage&) const = default;
};

struct PrepareRequest {
  std::string key;
  std::string parent = {};  // empty for a base
  Labels labels = {};
};

struct CommitRequest {
  std::string name;
  std::string key;
  Labels labels = {};       // all that the committed snapshot gets
  std::string parent = {};  // of a snapshot without parent: becomes its parent (rebase)
};

struct ListRequest {
  std::string after = {};                       // lists names behind this one
  size_t limit = 100;                           // most infos of one page
  std::function<bool(const Info&)> match = {};  // none: all; called on any thread
};

struct ListPage {
  std::vector<Info> infos;  // in byte order of the name
  std::string next;         // the `after` of the next page; empty behind the last
};

// How a call is answered: exactly once, before the call returns or later from another thread. The
// receiver may block on local disk only.
template <typename T>
using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;
using DoneStatus = absl::AnyInvocable<void(absl::Status)>;

// One snapshotter with the keys, parents, labels and leases of all namespaces; the namespace and
// the lease come with the context.
//
// Threads: all methods from any thread that may wait for local disk (a worker, never a gRPC or
//          event loop thread). A local snapshotter answers before it returns; one in another
//          process answers later and holds no thread meanwhile. Whoever may block altogether uses
//          await.h.
// Errors:  NotFound; AlreadyExists (what exists is then attached to the context's lease);
//          InvalidArgument (key, label, mask path, parent that is not committed);
//          FailedPrecondition (wrong kind, has children); from another process also Unavailable and
//          DeadlineExceeded, after which the daemon finds out by itself what became of the step.
class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  // The plugin's id, by which clients and lease resources name it.
  virtual const std::string& name() const = 0;
  // Whether another process does the work, which may not answer.
  virtual bool remote() const { return false; }

  virtual void Stat(const Context& ctx, std::string key, Done<Info> done) = 0;
  // Paths: labels, labels.<key>; none replaces all labels.
  virtual void Update(const Context& ctx, Info info, metadata::FieldMask mask, Done<Info> done) = 0;
  virtual void GetUsage(const Context& ctx, std::string key, Done<Usage> done) = 0;
  // Of an active snapshot or view.
  virtual void Mounts(const Context& ctx, std::string key, Done<mount::Mounts> done) = 0;

  // A writable snapshot, or a read-only view, on top of a committed one. With the label
  // kTargetLabel naming a snapshot that exists, or that the snapshotter can provide by itself:
  // AlreadyExists.
  virtual void Prepare(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) = 0;
  virtual void View(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) = 0;

  // Freezes an active snapshot under a name; its key is free afterwards.
  virtual void Commit(const Context& ctx, CommitRequest request, DoneStatus done) = 0;

  // Removes a snapshot without children. Its space is freed by Cleanup.
  virtual void Remove(const Context& ctx, std::string key, DoneStatus done) = 0;

  virtual void List(const Context& ctx, ListRequest request, Done<ListPage> done) = 0;

  // Frees the space of removed snapshots, in every namespace. What cannot be freed now stays for
  // the next time and does not stop the rest; the answer is then the first such error.
  virtual void Cleanup(const Context& ctx, DoneStatus done) = 0;
};

inline constexpr plugin::Kind<Snapshotter> kSnapshotter{"io.containerd.snapshotter.v1"};

// The label that names the committed snapshot a new one is meant to become.
inline constexpr std::string_view kTargetLabel = "containerd.io/snapshot.ref";
inline constexpr std::string_view kUidMappingLabel = "containerd.io/snapshot/uidmapping";
inline constexpr std::string_view kGidMappingLabel = "containerd.io/snapshot/gidmapping";
inline constexpr std::string_view kUpperDirLabel = "containerd.io/snapshot/overlay.upperdir";

// What clients read from a snapshotter plugin's capabilities.
inline constexpr std::string_view kRebaseCapability = "rebase";
inline constexpr std::string_view kRemapIdsCapability = "remap-ids";
inline constexpr std::string_view kOnlyRemapIdsCapability = "only-remap-ids";

// The part of the labels that drivers see: kTargetLabel and all under containerd.io/snapshot/.
Labels InheritedLabels(const Labels& labels);

}  // namespace gantry::snapshots

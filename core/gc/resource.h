// SPDX-License-Identifier: Apache-2.0
// What the collector needs to know of a kind of object, and how it removes one.
#pragma once

#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/metadata/metadata.h"
#include "core/metadata/node.h"

namespace gantry::gc {

using metadata::Node;

// One object as the collector sees it.
struct Object {
  Node node;
  bool root = false;        // alive by itself
  bool collectible = true;  // swept when nothing keeps it; containers and sandboxes are not
  // What it keeps besides its labels' targets; followed flat when the object was reached flat.
  std::vector<Node> keeps = {};
  bool keeps_flat = false;  // a flat lease: its members are kept without what they refer to
  // Objects that keep this one besides those that name it, as a lease keeps the streams that were
  // opened under it.
  std::vector<Node> kept_by = {};
  Labels labels = {};  // only those with the prefix containerd.io/gc. matter
  // When the root ends, so that a collection can be due then.
  absl::Time root_until = absl::InfiniteFuture();
};

// A kind of object. Implementations are thread-compatible: the collector calls one method at a
// time.
class Resource {
 public:
  virtual ~Resource() = default;

  virtual metadata::NodeType type() const = 0;

  // Calls `visit` for every object of this kind in every namespace. `now` decides what has expired.
  virtual absl::Status Scan(const metadata::View& view, absl::Time now,
                            absl::FunctionRef<absl::Status(Object)> visit) = 0;

  // One object as it is now; nothing if there is none.
  virtual absl::StatusOr<std::optional<Object>> Load(const metadata::View& view, absl::Time now,
                                                     const Node& node) = 0;

  // Removes the record of an object that nothing keeps. An object that is gone already is no error.
  virtual absl::Status Sweep(metadata::WriteTxn& txn, const Node& node) = 0;

  // Called after the sweep is on disk with what it removed of this kind.
  virtual void Swept(const std::vector<Node>&) {}
};

// What backends in another process get: enough for some calls, not for many that hang.
inline constexpr absl::Duration kRemotePatience = absl::Seconds(15);

// Bytes behind records: removes what no record owns any more. Runs outside any transaction.
class Backend {
 public:
  virtual ~Backend() = default;
  // Failures of single items are logged, not returned, and do not stop the rest. Blocks at most
  // until the context's deadline.
  virtual absl::Status CleanUp(const Context& ctx) = 0;
  // How long who asked for a collection waits for this clean-up, which goes on without them. For
  // backends in another process, which may not answer.
  virtual absl::Duration patience() const { return absl::InfiniteDuration(); }
};

}  // namespace gantry::gc

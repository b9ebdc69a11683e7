// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/events/publisher.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"

namespace gantry::namespaces {

struct Namespace {
  std::string name;
  Labels labels;
};

// Namespaces and their labels.
//
// Threads: all methods from any thread; they may block on the disk. Changes are announced once they
// are durable.
class NamespaceStore {
 public:
  NamespaceStore(metadata::Metadata& metadata, events::Publisher& events)
      : metadata_(metadata), events_(events) {}

  // An unknown namespace has no labels: clients read defaults from namespaces that do not exist
  // yet.
  absl::StatusOr<Namespace> Get(const Context& ctx, std::string_view name) const;
  // In byte order.
  absl::StatusOr<std::vector<Namespace>> List(const Context& ctx) const;
  // InvalidArgument for a bad name or label; AlreadyExists also for one that came into being with
  // its first object.
  absl::Status Create(const Context& ctx, const Namespace& ns);
  // Replaces all labels, or with a mask of "labels.<key>" paths just those. Setting a label makes
  // an unknown namespace.
  absl::StatusOr<Namespace> Update(const Context& ctx, const Namespace& ns,
                                   const metadata::FieldMask& mask);
  // NotFound; FailedPrecondition while images, blobs, containers, snapshots or sandboxes are left,
  // naming them.
  absl::Status Delete(const Context& ctx, std::string_view name);

 private:
  metadata::Metadata& metadata_;
  events::Publisher& events_;
};

}  // namespace gantry::namespaces

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/events/publisher.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"

namespace gantry::containers {

// A container is a record, not a process: its task is core/runtime's. Any values are kept byte for
// byte.
struct Container {
  std::string id;
  Labels labels;
  std::string image;
  std::string runtime_name;
  std::optional<google::protobuf::Any> runtime_options;
  std::optional<google::protobuf::Any> spec;
  std::string snapshotter;
  std::string snapshot_key;
  absl::Time created_at;
  absl::Time updated_at;
  std::map<std::string, google::protobuf::Any, std::less<>> extensions;
  std::string sandbox_id;
};

// The containers of all namespaces.
//
// Threads: all methods from any thread; they may block on the disk. Changes are announced once they
// are durable. Errors:  NotFound, AlreadyExists, InvalidArgument (id, extension name, label,
// runtime name, spec, snapshot key without
//          snapshotter, mask path, change of runtime or snapshotter).
class ContainerStore {
 public:
  ContainerStore(metadata::Metadata& metadata, events::Publisher& events)
      : metadata_(metadata), events_(events) {}

  absl::StatusOr<Container> Get(const Context& ctx, std::string_view id) const;
  // In byte order of the id; those after `after`, at most `limit` (0: all).
  absl::StatusOr<std::vector<Container>> List(const Context& ctx, std::string_view after = {},
                                              size_t limit = 0) const;
  absl::StatusOr<Container> Create(const Context& ctx, Container container);
  // Paths: labels, labels.<key>, extensions, extensions.<name>, spec, image, snapshotkey; none
  // replaces all of these.
  absl::StatusOr<Container> Update(const Context& ctx, const Container& container,
                                   const metadata::FieldMask& mask);
  absl::Status Delete(const Context& ctx, std::string_view id);

 private:
  metadata::Metadata& metadata_;
  events::Publisher& events_;
};

}  // namespace gantry::containers

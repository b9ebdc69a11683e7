// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/filters/filter.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"
#include "core/plugin/plugin.h"

namespace gantry::sandbox {

// The record of a group of containers with a shared environment. What runs it is a Controller. Any
// values are kept byte for byte.
struct Sandbox {
  std::string id;
  std::string runtime_name;  // may be empty
  std::optional<google::protobuf::Any> runtime_options;
  std::optional<google::protobuf::Any> spec;
  Labels labels;
  absl::Time created_at;
  absl::Time updated_at;
  std::map<std::string, google::protobuf::Any, std::less<>> extensions;
  std::string sandboxer;  // id of the controller
};

// The sandboxes of all namespaces. Storing and deleting records starts and stops nothing.
//
// Threads: all methods from any thread; they may block on the disk.
// Errors:  NotFound, AlreadyExists, InvalidArgument (id, mask path, change of the runtime's name).
class SandboxStore {
 public:
  explicit SandboxStore(metadata::Metadata& metadata) : metadata_(metadata) {}

  absl::StatusOr<Sandbox> Get(const Context& ctx, std::string_view id) const;
  // In byte order of the id. Filters see `id` and `labels.<k>`.
  absl::StatusOr<std::vector<Sandbox>> List(const Context& ctx,
                                            const filters::Filter& filter = {}) const;
  absl::StatusOr<Sandbox> Create(const Context& ctx, Sandbox sandbox);
  // Paths: labels, labels.<key>, extensions, extensions.<name>, spec, runtime; none replaces all of
  // these, and then the runtime keeps its name.
  absl::StatusOr<Sandbox> Update(const Context& ctx, const Sandbox& sandbox,
                                 const metadata::FieldMask& mask);
  absl::Status Delete(const Context& ctx, std::string_view id);

 private:
  metadata::Metadata& metadata_;
};

inline constexpr plugin::Kind<SandboxStore> kSandboxStore{"io.containerd.sandbox.store.v1"};

// "io.containerd.sandbox.store.v1.local"
plugin::Registration SandboxStorePlugin();

}  // namespace gantry::sandbox

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/content/descriptor.h"
#include "core/mount/mount.h"
#include "core/plugin/plugin.h"

namespace gantry::diff {

struct ApplyOptions {
  // For stream processors, by their id: a google.protobuf.Any, serialised.
  std::map<std::string, std::string, std::less<>> payloads = {};
  bool sync_fs = false;  // force the unpacked files to disk before success
  // Told how many of the blob's bytes are consumed, from a thread of the differ's.
  std::function<void(int64_t)> progress = {};
};

struct CompareOptions {
  std::string media_type = {};  // empty: an OCI layer with gzip
  std::string ref = {};         // of the ingest; empty: one that nobody else has
  Labels labels = {};           // for the blob
  std::optional<absl::Time> source_date_epoch = {};
};

// Layers into mounts, and differences of mounts into layers.
//
// Threads: all methods from any thread; each blocks for as long as the work takes.
class Differ {
 public:
  virtual ~Differ() = default;

  // Unpacks the layer that `layer` names into the mounts and tells what it is uncompressed: media
  // type, digest (the diff ID) and size. The caller compares the digest.
  //
  // Errors: Unimplemented for mounts that another differ may know, UnknownMediaType() for layers;
  // NotFound when the namespace lacks the blob; InvalidArgument for hostile or malformed archives;
  // DataLoss for damaged streams; ResourceExhausted for limits and full disks.
  virtual absl::StatusOr<Descriptor> Apply(const Context& ctx, const Descriptor& layer,
                                           const mount::Mounts& mounts,
                                           const ApplyOptions& options) = 0;

  // Writes the layer that turns `left` into `right` to the content store, and names it.
  //
  // Errors: Unimplemented for media types that another differ may know; Unavailable when the ingest
  // `ref` is being written; Aborted when the files change meanwhile.
  virtual absl::StatusOr<Descriptor> Compare(const Context& ctx, const mount::Mounts& left,
                                             const mount::Mounts& right,
                                             const CompareOptions& options) = 0;
};

// An Unimplemented that says whose fault it is when no other differ knows the layer either.
absl::Status UnknownMediaType(std::string_view media_type);
bool IsUnknownMediaType(const absl::Status& status);

inline constexpr plugin::Kind<Differ> kDiffer{"io.containerd.differ.v1"};

}  // namespace gantry::diff

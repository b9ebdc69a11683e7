// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/client/snapshots.h"
#include "core/base/labels.h"
#include "core/content/descriptor.h"

namespace gantry::gctr {

struct DiffSettings {
  std::string media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
  std::string ref;
  Labels labels = {};
  std::string source_date_epoch = {};  // seconds since 1970; later times are lowered to it
};

// A layer with what became of snapshot `first` in `second`; with an empty `second`, of the parent
// of `first` in `first`. The layer is left in the content store, kept by no more than its labels
// and the client's lease.
absl::StatusOr<Descriptor> DiffSnapshots(const Client& client, Snapshotter& snapshotter,
                                         const std::string& first, const std::string& second,
                                         const DiffSettings& settings);

}  // namespace gantry::gctr

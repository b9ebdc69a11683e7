// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "core/base/labels.h"
#include "core/base/stream.h"
#include "core/images/import/import_names.h"
#include "core/imagespec/gc_labels.h"
#include "core/platform/matcher.h"
#include "proto/services/images/v1/images.grpc.pb.h"

namespace gantry::gctr {

struct ImportSettings {
  images::NamingOptions naming;
  std::string index_name;  // a record for the whole archive; empty for none
  Labels labels;           // of the records
  bool compress = false;
  imagespec::LayerRefs layers = imagespec::LayerRefs::kKeep;
  PlatformMatcher platform = PlatformMatcher::All();  // whose content must be there
};

// Takes an image archive, perhaps gzipped or zstd-compressed as a whole, into the daemon: blobs,
// labels that keep them, records. The records made, to be unpacked.
absl::StatusOr<std::vector<containerd::services::images::v1::Image>> ImportImages(
    const Client& client, std::unique_ptr<Reader> archive, const ImportSettings& settings);

}  // namespace gantry::gctr

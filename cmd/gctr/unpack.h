// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/client/image.h"
#include "core/platform/matcher.h"

namespace gantry::gctr {

// The name of the snapshot that holds all of the image's layers.
absl::StatusOr<std::string> TopSnapshot(const Client& client, const ImageManifest& image);

absl::StatusOr<bool> IsUnpacked(const Client& client, const ImageManifest& image,
                                const std::string& snapshotter);

struct UnpackOptions {
  std::string snapshotter;  // a name
  bool sync_fs = false;
};

// Makes the image's snapshots, layer by layer, from its blobs: prepare, apply, commit under the
// layer's chain id. Layers that are there already are left alone. What the daemon applied is
// checked against the image's config. At the end labels keep blobs and snapshots together.
//
// On failure what was committed stays: it is right, and unreferenced it is collected.
absl::Status Unpack(const Client& client, const ImageManifest& image, const UnpackOptions& options);

}  // namespace gantry::gctr

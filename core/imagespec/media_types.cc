// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/media_types.h"

namespace gantry::imagespec {

bool IsIndex(std::string_view media_type) {
  return media_type == kOciIndex || media_type == kDockerIndex;
}

bool IsManifest(std::string_view media_type) {
  return media_type == kOciManifest || media_type == kDockerManifest;
}

bool IsConfig(std::string_view media_type) {
  return media_type == kOciConfig || media_type == kDockerConfig ||
         media_type == "application/vnd.containerd.container.criu.checkpoint.criu.tar" ||
         media_type == "application/vnd.containerd.container.checkpoint.config.v1+proto";
}

bool IsLayer(std::string_view media_type) {
  return media_type.starts_with("application/vnd.oci.image.layer.") ||
         media_type.starts_with("application/vnd.docker.image.rootfs.");
}

}  // namespace gantry::imagespec

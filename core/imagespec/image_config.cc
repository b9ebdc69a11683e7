// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/image_config.h"

#include <utility>

#include "core/base/status.h"
#include "core/imagespec/documents.h"
#include "core/json/json.h"

namespace gantry::imagespec {

absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return InvalidArgument("image config: {} bytes exceed the limit of {}", text.size(),
                           kMaxDocumentBytes);
  }
  ASSIGN_OR_RETURN(const Json document, ParseJson(text, "image config"));
  ImageConfig image{.platform = {.os = StringMember(document, "os"),
                                 .architecture = StringMember(document, "architecture"),
                                 .variant = StringMember(document, "variant"),
                                 .os_version = StringMember(document, "os.version"),
                                 .os_features = StringsMember(document, "os.features")}};
  if (const Json* rootfs = Member(document, "rootfs"); rootfs != nullptr) {
    const std::string type = StringMember(*rootfs, "type");
    if (!type.empty() && type != "layers") {
      return InvalidArgument("image config: root file system of type {:?}", type);
    }
    for (const std::string& diff_id : StringsMember(*rootfs, "diff_ids")) {
      ASSIGN_OR_RETURN(Digest digest, Digest::Parse(diff_id));
      image.diff_ids.push_back(std::move(digest));
    }
  }
  if (const Json* config = Member(document, "config"); config != nullptr) {
    image.env = StringsMember(*config, "Env");
    image.entrypoint = StringsMember(*config, "Entrypoint");
    image.cmd = StringsMember(*config, "Cmd");
    image.working_dir = StringMember(*config, "WorkingDir");
    image.user = StringMember(*config, "User");
    image.stop_signal = StringMember(*config, "StopSignal");
    image.labels = StringMapMember(*config, "Labels");
  }
  return image;
}

std::vector<Digest> ChainIds(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> chain;
  chain.reserve(diff_ids.size());
  for (const Digest& diff_id : diff_ids) {
    chain.push_back(chain.empty() ? diff_id : Digest::Of(chain.back().str() + " " + diff_id.str()));
  }
  return chain;
}

bool IsReservedLabel(std::string_view key) {
  return key.starts_with("containerd.io/") || key.starts_with("io.cri-containerd");
}

}  // namespace gantry::imagespec

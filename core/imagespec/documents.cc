// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/documents.h"

#include <string>
#include <utility>

#include "core/base/status.h"
#include "core/digest/digest.h"
#include "core/imagespec/media_types.h"

namespace gantry::imagespec {
namespace {

Platform ParsePlatformObject(const Json& value) {
  return {.os = StringMember(value, "os"),
          .architecture = StringMember(value, "architecture"),
          .variant = StringMember(value, "variant"),
          .os_version = StringMember(value, "os.version"),
          .os_features = StringsMember(value, "os.features")};
}

Json ToJson(const Platform& platform) {
  Json value = {{"architecture", platform.architecture}, {"os", platform.os}};
  if (!platform.variant.empty()) value["variant"] = platform.variant;
  if (!platform.os_version.empty()) value["os.version"] = platform.os_version;
  if (!platform.os_features.empty()) value["os.features"] = platform.os_features;
  return value;
}

bool Has(const Json& document, std::string_view key) {
  const Json* member = Member(document, key);
  return member != nullptr && !member->is_null() && !member->empty();
}

absl::StatusOr<std::vector<Child>> ParseList(const Json& document, std::string_view key) {
  std::vector<Child> children;
  const Json* list = Member(document, key);
  if (list == nullptr || !list->is_array()) return children;
  children.reserve(list->size());
  for (const Json& element : *list) {
    ASSIGN_OR_RETURN(Child child, ParseChild(element));
    children.push_back(std::move(child));
  }
  return children;
}

absl::StatusOr<Json> ParseDocument(std::string_view text, std::string_view what) {
  if (text.size() > kMaxDocumentBytes) {
    return InvalidArgument("{}: {} bytes exceed the limit of {}", what, text.size(),
                           kMaxDocumentBytes);
  }
  return ParseJson(text, what);
}

}  // namespace

absl::StatusOr<Child> ParseChild(const Json& value) {
  Child child{.descriptor = {.media_type = StringMember(value, "mediaType"),
                             .digest = StringMember(value, "digest"),
                             .size = IntMember(value, "size"),
                             .annotations = StringMapMember(value, "annotations")}};
  RETURN_IF_ERROR(Digest::Parse(child.descriptor.digest).status());
  if (child.descriptor.size < 0) {
    return InvalidArgument("descriptor of {}: negative size", child.descriptor.digest);
  }
  const Json* platform = Member(value, "platform");
  if (platform != nullptr && platform->is_object()) child.platform = ParsePlatformObject(*platform);
  return child;
}

Json ToJson(const Child& child) {
  Json value = {{"mediaType", child.descriptor.media_type},
                {"digest", child.descriptor.digest},
                {"size", child.descriptor.size}};
  if (!child.descriptor.annotations.empty()) value["annotations"] = child.descriptor.annotations;
  if (child.platform) value["platform"] = ToJson(*child.platform);
  return value;
}

absl::StatusOr<Manifest> ParseManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const Json document, ParseDocument(text, "manifest"));
  if (Has(document, "manifests") || IsIndex(StringMember(document, "mediaType"))) {
    return InvalidArgument("manifest: is an index");
  }
  if (Has(document, "fsLayers")) return InvalidArgument("manifest: schema 1 is not supported");
  const Json* config = Member(document, "config");
  if (config == nullptr) return InvalidArgument("manifest: no config");
  Manifest manifest;
  ASSIGN_OR_RETURN(Child child, ParseChild(*config));
  manifest.config = std::move(child.descriptor);
  ASSIGN_OR_RETURN(std::vector<Child> layers, ParseList(document, "layers"));
  for (Child& layer : layers) manifest.layers.push_back(std::move(layer.descriptor));
  return manifest;
}

absl::StatusOr<std::vector<Child>> ParseIndex(std::string_view text) {
  ASSIGN_OR_RETURN(const Json document, ParseDocument(text, "index"));
  if (Has(document, "config") || Has(document, "layers") || Has(document, "fsLayers") ||
      IsManifest(StringMember(document, "mediaType"))) {
    return InvalidArgument("index: is a manifest");
  }
  return ParseList(document, "manifests");
}

absl::StatusOr<std::vector<Child>> ParseChildren(std::string_view media_type,
                                                 std::string_view text) {
  if (IsIndex(media_type)) return ParseIndex(text);
  std::vector<Child> children;
  if (!IsManifest(media_type)) return children;
  ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(text));
  children.push_back({.descriptor = std::move(manifest.config)});
  for (Descriptor& layer : manifest.layers) children.push_back({.descriptor = std::move(layer)});
  return children;
}

}  // namespace gantry::imagespec

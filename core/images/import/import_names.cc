// SPDX-License-Identifier: Apache-2.0
#include "core/images/import/import_names.h"

#include <string_view>
#include <utility>

namespace gantry::images {
namespace {

constexpr std::string_view kFullName = "io.containerd.image.name";
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";

std::string Annotation(const Descriptor& descriptor, std::string_view key) {
  const auto found = descriptor.annotations.find(key);
  return found == descriptor.annotations.end() ? "" : found->second;
}

bool HasPrefix(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  const std::string_view rest = name.substr(prefix.size());
  return rest.empty() || std::string_view("/:@").find(rest[0]) != std::string_view::npos;
}

}  // namespace

std::string AnnotatedName(const Descriptor& descriptor, const NamingOptions& options) {
  std::string value = Annotation(descriptor, kFullName);
  if (value.empty()) value = Annotation(descriptor, kRefName);
  if (value.empty() || options.prefix.empty()) return "";
  if (value.find_first_of("/:@") == std::string::npos) return options.prefix + ":" + value;
  return options.allow_other || HasPrefix(value, options.prefix) ? value : "";
}

std::vector<NamedImage> NameImages(const std::vector<imagespec::Child>& index,
                                   const NamingOptions& options) {
  std::vector<NamedImage> images;
  for (const imagespec::Child& child : index) {
    const Descriptor& target = child.descriptor;
    const std::string name = AnnotatedName(target, options);
    if (!name.empty()) images.push_back({.name = name, .target = target});
    const bool wants_digest = options.digests && !options.prefix.empty() &&
                              (name.empty() || !options.skip_digest_for_named);
    if (wants_digest) {
      images.push_back({.name = options.prefix + "@" + target.digest, .target = target});
    }
  }
  return images;
}

}  // namespace gantry::images

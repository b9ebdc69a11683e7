// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/content/descriptor.h"
#include "core/imagespec/documents.h"

namespace gantry::images {

// Under which names an archive's images are recorded.
struct NamingOptions {
  std::string prefix;       // for tags without a name, and for digests
  bool allow_other = true;  // full names that do not begin with the prefix are kept as they are
  bool digests = false;     // also, or for the nameless only, "<prefix>@<digest>"
  bool skip_digest_for_named = false;
};

// The name that a descriptor's annotations give it; empty for none.
std::string AnnotatedName(const Descriptor& descriptor, const NamingOptions& options);

struct NamedImage {
  std::string name;
  Descriptor target;
};

// In the index's order; an image may get two names, or none.
std::vector<NamedImage> NameImages(const std::vector<imagespec::Child>& index,
                                   const NamingOptions& options);

}  // namespace gantry::images

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gantry::imagespec {

// An image's name in the distribution project's grammar.
struct Reference {
  std::string domain;  // "docker.io" where none was given
  std::string path;    // with "library/" in front where docker.io was given one component
  std::string tag;     // may be empty
  std::string digest;  // may be empty

  // "domain/path[:tag][@digest]".
  std::string str() const;
};

// A name as people write it: "busybox" is docker.io/library/busybox. No default tag is added.
// InvalidArgument for what is no reference.
absl::StatusOr<Reference> ParseReference(std::string_view text);

// As Docker resolves a name: "latest" for a bare name, and of tag and digest the digest alone.
absl::StatusOr<std::string> DockerReference(std::string_view text);

}  // namespace gantry::imagespec

// SPDX-License-Identifier: Apache-2.0
// What the shim prints for -info.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// Version of the runtime and the source revision it was built from.
struct RuntimeVersion {
  std::string version;
  std::string revision;

  static void Fields(auto& m, auto& field) {
    field(1, m.version);
    field(2, m.revision);
  }
};

// The answer. The features are an OCI runtime-spec features document.
struct RuntimeInfo {
  std::string name;
  std::optional<RuntimeVersion> version;
  std::optional<Any> options;
  std::optional<Any> features;
  std::map<std::string, std::string> annotations;

  static void Fields(auto& m, auto& field) {
    field(1, m.name);
    field(2, m.version);
    field(3, m.options);
    field(4, m.features);
    field(5, m.annotations);
  }
};

}  // namespace gantry::shim::messages

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"

namespace gantry {

struct PublishFlags {
  std::string address;
  std::string topic;
  std::string ns;
};

// Sends the google.protobuf.Any on standard input to the daemon as an event: how shims that lack
// ttrpc report theirs.
absl::Status Publish(const PublishFlags& flags);

}  // namespace gantry

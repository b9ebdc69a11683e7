// SPDX-License-Identifier: Apache-2.0
// The facts that compiled descriptors state.
#pragma once

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.pb.h"
#include "tests/contract/facts.h"

namespace gantry::contract {

// Facts of every contract in `set`: google/protobuf is the system's, and gantry/ holds gantry's own
// records. The files stand in order of dependency and the set is complete, as protoc
// --include_imports writes it; otherwise the result is InvalidArgument.
absl::StatusOr<Facts> DescriptorFacts(const google::protobuf::FileDescriptorSet& set);

}  // namespace gantry::contract

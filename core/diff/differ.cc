// SPDX-License-Identifier: Apache-2.0
#include "core/diff/differ.h"

#include "absl/strings/cord.h"
#include "core/base/status.h"

namespace gantry::diff {
namespace {

constexpr char kMark[] = "gantry/unknown-media-type";

}  // namespace

absl::Status UnknownMediaType(std::string_view media_type) {
  absl::Status status = Unimplemented("no processor for media type {:?}", media_type);
  status.SetPayload(kMark, absl::Cord());
  return status;
}

bool IsUnknownMediaType(const absl::Status& status) { return status.GetPayload(kMark).has_value(); }

}  // namespace gantry::diff

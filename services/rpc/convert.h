// SPDX-License-Identifier: Apache-2.0
// Conversions that several services share.
#pragma once

#include <google/protobuf/field_mask.pb.h>

#include <optional>

#include "absl/time/time.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/record.h"

namespace gantry::rpc {

using metadata::FromProto;
using metadata::ToProto;

inline metadata::FieldMask FromProto(const google::protobuf::FieldMask& mask) {
  return {mask.paths().begin(), mask.paths().end()};
}

// An optional timestamp of a request; `has` is its presence.
inline std::optional<absl::Time> FromProtoIf(bool has, const google::protobuf::Timestamp& time) {
  if (!has) return std::nullopt;
  return FromProto(time);
}

}  // namespace gantry::rpc

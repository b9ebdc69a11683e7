// SPDX-License-Identifier: Apache-2.0
// Between records and core's own types.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "core/base/labels.h"
#include "core/base/status.h"

namespace gantry::metadata {

// DataLoss for bytes that are no such record.
template <typename Record>
absl::StatusOr<Record> Decode(std::string_view bytes) {
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("stored {} does not parse", Record::descriptor()->name());
  }
  return record;
}

inline google::protobuf::Timestamp ToProto(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  google::protobuf::Timestamp proto;
  proto.set_seconds(seconds);
  proto.set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
  return proto;
}

inline absl::Time FromProto(const google::protobuf::Timestamp& proto) {
  return absl::FromUnixSeconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

inline Labels FromProto(const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

inline void ToProto(const Labels& labels, google::protobuf::Map<std::string, std::string>* map) {
  map->clear();
  for (const auto& [key, value] : labels) (*map)[key] = value;
}

}  // namespace gantry::metadata

// SPDX-License-Identifier: Apache-2.0
// Sizes, ages and times as containerd's client writes them.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "core/base/labels.h"

namespace gantry::gctr {

std::string BinarySize(int64_t bytes);   // "1.5 MiB"
std::string DecimalSize(int64_t bytes);  // "300kB"
std::string Age(absl::Duration age);     // "About an hour"

absl::Time ToTime(const google::protobuf::Timestamp& time);
std::string FormatTime(const google::protobuf::Timestamp& time);       // RFC 3339, UTC
std::string FormatLocalTime(const google::protobuf::Timestamp& time);  // RFC 3339, whole seconds

// "a=1,b=2" in key order; `none` when there are none.
template <typename Map>
std::string JoinPairs(const Map& pairs, const std::string& none = "") {
  std::string text;
  for (const auto& [key, value] : std::map<std::string, std::string>(pairs.begin(), pairs.end())) {
    if (!text.empty()) text += ',';
    text.append(key).append("=").append(value);
  }
  return text.empty() ? none : text;
}

}  // namespace gantry::gctr

// SPDX-License-Identifier: Apache-2.0
// Messages that others are made of.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::shim::messages {

// A message without content: google.protobuf.Empty and what is like it.
struct Empty {
  static void Fields(auto& /*m*/, auto& /*field*/) {}
};

// google.protobuf.Any: a message of any type, encoded.
struct Any {
  std::string type_url;
  std::string value;

  static void Fields(auto& m, auto& field) {
    field(1, m.type_url);
    field(2, m.value);
  }
};

// What stands behind the last '/' of a type URL, which is all that tells types apart.
inline std::string_view TypeName(const Any& any) {
  return std::string_view(any.type_url).substr(any.type_url.rfind('/') + 1);
}

// google.protobuf.Timestamp: time since 1970 in UTC.
struct Timestamp {
  int64_t seconds = 0;
  int32_t nanos = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.seconds);
    field(2, m.nanos);
  }
};

inline Timestamp ToTimestamp(const timespec& time) {
  return {.seconds = time.tv_sec, .nanos = static_cast<int32_t>(time.tv_nsec)};
}

// A mount that is still to be made, in the words of mount(8).
struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;

  static void Fields(auto& m, auto& field) {
    field(1, m.type);
    field(2, m.source);
    field(3, m.target);
    field(4, m.options);
  }
};

}  // namespace gantry::shim::messages

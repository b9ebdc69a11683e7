// SPDX-License-Identifier: Apache-2.0
// What travels on a stream of containerd.services.streaming.v1.Streaming, each in a
// google.protobuf.Any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::shim::messages {

// Names the stream that this call opens.
struct StreamInit {
  static constexpr std::string_view kTypeName = "containerd.services.streaming.v1.StreamInit";

  std::string id;

  static void Fields(auto& m, auto& field) { field(1, m.id); }
};

// A piece of a byte stream.
struct Data {
  static constexpr std::string_view kTypeName = "containerd.types.transfer.Data";

  std::string data;

  static void Fields(auto& m, auto& field) { field(1, m.data); }
};

// Allows the other side to send that many more bytes.
struct WindowUpdate {
  static constexpr std::string_view kTypeName = "containerd.types.transfer.WindowUpdate";

  int32_t update = 0;

  static void Fields(auto& m, auto& field) { field(1, m.update); }
};

}  // namespace gantry::shim::messages

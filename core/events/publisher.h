// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"
#include "core/base/context.h"

namespace gantry::events {

// Where stores announce what they changed. Called after the change is durable, never inside a
// transaction.
//
// Threads: any. Never blocks on a subscriber.
class Publisher {
 public:
  virtual ~Publisher() = default;

  // Sends `event`, packed with its bare type name, under `topic` in the context's namespace.
  // InvalidArgument for a bad topic or namespace.
  virtual absl::Status Publish(const Context& ctx, std::string_view topic,
                               const google::protobuf::Message& event) = 0;
};

}  // namespace gantry::events

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include <memory>
#include <optional>
#include <string>

#include "core/filters/filter.h"

namespace gantry::events {

// The fields of an event's payload that filters can name: text, switches and entries of string
// maps, by their names in the message. A payload of a type that is none of containerd's events has
// no fields. Decodes when first asked.
//
// Threads: one at a time. Views `event`, which outlives it.
class EventFields {
 public:
  explicit EventFields(const google::protobuf::Any& event) : event_(event) {}

  // `path` without the leading "event".
  std::optional<std::string> Find(filters::FieldPath path);

 private:
  void Decode();

  const google::protobuf::Any& event_;
  bool decoded_ = false;
  std::unique_ptr<google::protobuf::Message> message_;  // null: unknown or malformed
};

}  // namespace gantry::events

// SPDX-License-Identifier: Apache-2.0
// The messages that a shim speaks, as plain structs, and how they are encoded.
//
// A message of the folder is a struct with the members of its namesake in proto/ and a function
//
//   static void Fields(auto& m, auto& field) {
//     field(1, m.id);
//     field(2, m.pid);
//   }
//
// that names the members with their numbers, in the order of the numbers. Encode() and Decode() are
// both made from it, and only for the messages that a program encodes or decodes. A sub-message
// that may be absent is a std::optional; repeated fields are vectors, map fields are maps; enums
// keep values that have no name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shim/messages/field_reader.h"
#include "shim/messages/field_writer.h"
#include "shim/messages/types.h"

namespace gantry::shim::messages {

// The bytes that libprotobuf gives for the same content, map entries in the order of their keys.
template <typename T>
std::string Encode(const T& message) {
  std::string bytes;
  FieldWriter writer(bytes);
  T::Fields(message, writer);
  return bytes;
}

// Nothing for malformed bytes. Text is taken as it is, valid UTF-8 or not.
template <typename T>
std::optional<T> Decode(std::string_view bytes) {
  std::optional<T> message(std::in_place);
  if (!FieldReader(bytes).ReadInto(*message)) message.reset();
  return message;
}

// The message in an Any, under its bare name as containerd's own messages are.
template <typename T>
Any Pack(const T& message) {
  return {.type_url = std::string(T::kTypeName), .value = Encode(message)};
}

}  // namespace gantry::shim::messages

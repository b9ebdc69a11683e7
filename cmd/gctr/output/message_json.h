// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include "core/json/json.h"

namespace gantry::gctr {

// A message as Go's encoding/json writes the struct made from it, which is how containerd's client
// prints messages: names as in the .proto, empty fields left out, 64-bit integers as numbers, bytes
// in base64, enums as numbers, a timestamp as {"seconds", "nanos"}.
Json MessageJson(const google::protobuf::Message& message);

// The message packed in an Any, if this program knows its type; null otherwise. JSON bodies, as of
// OCI specifications, come out as they are.
Json AnyJson(const std::string& type_url, const std::string& value);

std::string Base64(std::string_view bytes);

// To standard output, indented by four, with a line end.
void PrintJson(const Json& value);

}  // namespace gantry::gctr

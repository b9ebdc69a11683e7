// SPDX-License-Identifier: Apache-2.0
#include "shim/messages/field_reader.h"

namespace gantry::shim::messages {

std::optional<std::string_view> FieldReader::Bytes() const {
  std::string_view bytes;
  reader_.Read(bytes);
  // Empty content still points somewhere; no content does not.
  if (bytes.data() == nullptr) return std::nullopt;
  return bytes;
}

}  // namespace gantry::shim::messages

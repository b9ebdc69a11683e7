// SPDX-License-Identifier: Apache-2.0
#include "core/events/topic.h"

#include "core/base/identifiers.h"
#include "core/base/status.h"

namespace gantry::events {

absl::Status ValidateTopic(std::string_view topic) {
  if (topic.empty()) return InvalidArgument("topic must not be empty");
  if (topic[0] != '/') return InvalidArgument("topic \"{}\" must start with '/'", topic);
  std::string_view rest = topic.substr(1);
  while (true) {
    const size_t end = rest.find('/');
    RETURN_IF_ERROR(Annotate(ValidateIdentifier(rest.substr(0, end)),
                             fmt::format("topic \"{}\" has an invalid component", topic)));
    if (end == std::string_view::npos) return absl::OkStatus();
    rest.remove_prefix(end + 1);
  }
}

}  // namespace gantry::events
